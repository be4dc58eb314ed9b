"""The same records in order, shuffled, repeated and late over several partitions end in the same silver tables.

The records are as the sources send them, under the project's own contracts. Every arrangement stands in one frame, its
identifiers carrying the arrangement's name, so that each table is made once for all of them. `known_at` and the trace
tell of arrival and so must differ; they are held against what had arrived by each day.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from lakehouse import contracts, engine
from lakehouse.contracts import Contract
from lakehouse.settings import PROJECT_DIR
from spark_jobs import silver, silver_plan
from spark_jobs.invoices import TRACE

pytestmark = pytest.mark.engine

# What is known when, and what follows from that: until when a version counts, and whether a reversed invoice was known.
ARRIVAL = {*TRACE, "resolved_at", "superseded_at", "reversed_on"}
DELIVERY = {"published_at"}
ARRANGEMENTS = ("inorder", "shuffled1", "shuffled2", "repeated", "late1", "late2", "redelivered")
SCHEMA = (
    "record_key string, record_hash string, known_at timestamp, known_at_is_assumed boolean, received_on date, "
    "batch_id string, batch_sequence bigint, source_file string, row_number bigint"
)
Row = dict[str, Any]


def at(day: str, hour: int = 6) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time()) + timedelta(hours=hour)


def publication(record: str, revision: int, day: str, **cells: Any) -> Row:
    """A revision that a department published on a day."""
    return {"record_id": record, "revision": revision, "published_at": at(day), **cells}


def firm(record: str, revision: int, day: str, key: str, uscc: str, name: str, **cells: Any) -> Row:
    facts = {"founded_on": date(2010, 1, 1), "industry_code": "3360", "region_code": "330106", "state": "open"}
    old = {"registration_number": f"OLD{uscc}", "registered_capital_cny": Decimal("5000000.00")}
    return publication(record, revision, day, enterprise_key=key, uscc=uscc, name=name, **facts, **old, **cells)


def invoice(number: str, day: str, seller: str, buyer: str | None, total: str, revision: int = 1, **cells: Any) -> Row:
    amount = Decimal(total)
    issued = date.fromisoformat(day)
    published = cells.pop("published", (issued + timedelta(days=2)).isoformat())
    facts = {"status": "valid", "seller_name": f"n{seller}", "buyer_name": f"n{buyer}", "tax_cny": Decimal("0.00")}
    money = {"amount_excl_tax_cny": amount, "amount_incl_tax_cny": amount, "issued_on": issued}
    parties = {"seller_tax_number": seller, "buyer_tax_number": buyer, "invoice_number": number}
    return publication(f"F{number}", revision, published, **{**facts, **money, **parties, **cells})


def change(number: int, day: str, **cells: Any) -> Row:
    """An entry of the core bank's change log."""
    return {"change_id": number, "operation": "insert", "changed_at": at(day, 9), **cells}


def event(number: str, kind: str, day: str, hour: int = 9, **cells: Any) -> Row:
    said = {"event_id": number, "event_type": kind, "event_at": at(day, hour), "published_at": at(day, hour + 1)}
    return {"schema_version": 1, **said, **cells}


LOAN = {"customer_number": "C1", "product": "term", "principal_cny": Decimal("100.00"), "rate_ratio": Decimal("0.05"),
        "started_on": date(2019, 1, 10), "matures_on": date(2020, 1, 10), "status": "open"}  # fmt: skip
FEEDS: dict[str, list[Row]] = {
    "business_registry__enterprise": [
        firm("Q1", 1, "2019-01-01", "K1", "U1", "first"),
        firm("Q1", 2, "2019-03-01", "K1", "U1", "renamed"),
        firm("Q1", 3, "2019-04-01", "K1", "U1", "renamed", phone="13800000001"),  # no fact of silver.enterprise
        firm("Q1", 4, "2019-05-01", "K1", "U1", "first"),  # as it was called before
        firm("Q2", 1, "2019-01-01", "K2", "U2", "second"),
        firm("Q3", 1, "2019-01-01", "K3", "U3", "third"),
    ],
    "tax_returns__taxpayer": [
        publication("S1", 1, "2019-01-03", taxpayer_id="T3", name="third", certificate_number=None),
        publication("S1", 2, "2019-02-03", taxpayer_id="T3", name="third", certificate_number="OLDU3"),
        publication("S2", 1, "2019-01-03", taxpayer_id="T9", name="a stranger", certificate_number="OLDU9"),
    ],
    "vat_invoices__invoice": [
        invoice("1", "2019-01-05", "U1", "U2", "113.00"),
        invoice("2", "2019-01-06", "U1", "X7", "50.00"),
        invoice("2", "2019-01-06", "U1", "X7", "50.00", 2, status="void", published="2019-01-20"),
        invoice("3", "2019-02-01", "U2", None, "70.00", remark="as sent"),
        invoice("3", "2019-02-01", "U2", None, "70.00", 2, remark="put right", published="2019-02-20"),
        invoice("4", "2019-02-05", "U1", "U2", "-113.00", status="red_letter", reverses_invoice_number="1"),
        invoice("5", "2019-02-06", "U1", "U2", "-9.00", status="red_letter", reverses_invoice_number="404"),
        invoice("6", "2019-02-07", "T3", "T9", "12.00"),
        invoice("7", "2019-02-08", "X7", "X8", "13.00"),
    ],
    "core_bank__customer": [change(1, "2019-01-02", customer_number="C1", name="first", uscc="U1"),
                            change(2, "2019-01-02", customer_number="C9", name="nobody", uscc="U9")],
    "core_bank__loan": [
        change(3, "2019-01-10", loan_number="L1", **LOAN),
        change(20, "2019-09-01", loan_number="L1", **LOAN | {"status": "written_off", "closed_on": date(2019, 9, 1)}),
        change(4, "2019-01-10", loan_number="L9", **LOAN | {"customer_number": "C9"}),
    ],
    "core_bank__month_status": [
        change(10 + n, f"2019-0{n + 2}-01", loan_number="L1", month_end=end, days_past_due=days, loan_class="normal",
               balance_cny=Decimal("100.00"))
        for n, (end, days) in enumerate([
            (date(2019, 1, 31), 0), (date(2019, 2, 28), 20), (date(2019, 3, 31), 51), (date(2019, 4, 30), 0),
            (date(2019, 5, 31), 40), (date(2019, 6, 30), 93),
        ])
    ],
    "core_bank__guarantee": [
        change(5, "2019-01-10", guarantee_number="G1", loan_number="L1", guarantor_customer_number="C9"),
        change(19, "2019-08-05", guarantee_number="G1", loan_number="L1", guarantor_customer_number="C9",
               called_on=date(2019, 8, 5), paid_cny=Decimal("40.00")),
    ],
    "platform__order": [
        event("e1", "order_placed", "2019-03-01", order_number="PO1", good="steel", quantity_units=5),
        event("e2", "order_cancelled", "2019-03-04", order_number="PO1", good="steel"),
        event("e3", "order_placed", "2019-03-02", order_number="PO2", good="steel", quantity_units=7),
    ],
    "platform__equipment_reading": [
        event("r1", "readings", "2019-03-01", 0, machine_id="EQ1", block_number=1, hours="[0,1]", energy="[1.5,2.0]",
              running_minutes="[60,30]", output_units="[4,2]", temperature_c="[40.1,40.2]",
              vibration_mm_s="[1.1,1.2]", alarm_code="[0,7]"),
        event("r2", "readings", "2019-03-01", 6, machine_id="EQ1", block_number=2, hours="[0]", energy="[2500]",
              running_minutes="[60]", output_units="[4]", temperature_c="[40.1]", vibration_mm_s="[1.1]",
              alarm_code="[0]") | {"schema_version": 2},
    ],
}  # fmt: skip


def arrivals(name: str, rows: list[Row]) -> Iterator[tuple[Row, date, int, int]]:
    """(record, day received, batch, row) as an arrangement brings them; a partition is a week."""
    rng, first = random.Random(f"{name}{len(rows)}"), date(2019, 10, 1)
    if name == "inorder":
        yield from ((row, first, 1, n) for n, row in enumerate(rows))
        return
    brought = list(rows)
    if name in ("repeated", "late2"):
        brought = [row for row in rows for _ in range(rng.randint(1, 3))]
    if name == "redelivered":  # the broker gives the message again, with another time of receipt
        brought += [row | {"published_at": row["published_at"] + timedelta(hours=5)} for row in rows
                    if "event_id" in row]  # fmt: skip
    rng.shuffle(brought)
    for n, row in enumerate(brought):
        batch = rng.randint(1, 4) if name.startswith(("late", "repeated")) else 1
        yield row, first + timedelta(weeks=batch), batch, n


def named(arrangement: str, row: Row) -> Row:
    """The record with every text that can identify something carrying the arrangement's name."""
    plain = {"event_type", "operation", "status", "state", "good", "hours", "energy", "running_minutes",
             "output_units", "temperature_c", "vibration_mm_s", "alarm_code"}  # fmt: skip
    return {c: f"{arrangement}~{v}" if isinstance(v, str) and c not in plain else v for c, v in row.items()}


class Arrived(silver_plan.Reader):
    """The feeds' rows in all arrangements, and silver's tables made from them."""

    def __init__(self, spark: Any, known: Mapping[str, Contract]) -> None:
        self.spark, self.known, self.made = spark, known, {}

    def has(self, contract_id: str) -> bool:
        return contract_id in FEEDS

    def accepted(self, contract_id: str) -> Any:
        contract = self.known[contract_id]
        columns = list(contract.columns)
        frame = [
            (*(named(name, row).get(c.name) for c in columns), *self._arrival(name, contract, row, *place))
            for name in ARRANGEMENTS
            for row, *place in arrivals(name, FEEDS.get(contract_id, []))
        ]
        return self.spark.createDataFrame(frame, ", ".join([*(f"{c.name} {c.spark_type}" for c in columns), SCHEMA]))

    @staticmethod
    def _arrival(name: str, contract: Contract, row: Row, received: date, batch: int, n: int) -> tuple:
        said = repr([row.get(c.name) for c in contract.columns if not c.is_transport])
        known = datetime.combine(received, datetime.min.time())
        return (
            "key",
            hashlib.sha256(said.encode()).hexdigest(),
            known,
            False,
            received,
            f"{name}{batch}",
            batch,
            "f",
            n,
        )

    def silver(self, table: str) -> Any:
        if table not in self.made:
            planned = next(t for step in silver.plan(self.known) for t in step if t.name == table)
            made = planned.make(self)
            self.made[table] = self.spark.createDataFrame(made.collect(), made.schema)
        return self.made[table]


@pytest.fixture(scope="module")
def tables_of(running_engine: None) -> dict[str, dict[str, list[Row]]]:
    """Table → arrangement → its rows, the arrangement's name taken out again."""
    known = contracts.load_all(PROJECT_DIR / "contracts")
    with engine.session() as spark:
        reader = Arrived(spark, known)
        names = [known[c].silver.table for c in FEEDS]
        names += ["silver.department_subject", "silver.equipment_reading", "silver.vat_invoice", "silver.enterprise",
                  "silver.loan"]  # fmt: skip
        return {name: by_arrangement(reader.silver(name).collect()) for name in names}


def by_arrangement(rows: list[Any]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {name: [] for name in ARRANGEMENTS}
    ids = {r["invoice_id"]: f"{r['direction']}/{r['invoice_number']}" for r in rows if "invoice_id" in r}
    for row in rows:
        cells = {c: ids.get(v, v) for c, v in row.asDict().items()}
        name = next(v.split("~")[0].removeprefix("name:").rpartition("/")[2] for v in cells.values()
                    if isinstance(v, str) and "~" in v)  # fmt: skip
        plain = {c: v.replace(f"{name}~", "") if isinstance(v, str) else v for c, v in cells.items()}
        found[name].append(plain)
    return found


def told(rows: list[Row], without: set[str] = ARRIVAL) -> list[str]:
    return sorted(repr({c: v for c, v in row.items() if c not in without}) for row in rows)


def test_any_order_of_arrival_ends_in_the_same_tables(tables_of: dict[str, dict[str, list[Row]]]) -> None:
    for table, found in tables_of.items():
        assert found["inorder"], table
        for name in ARRANGEMENTS[1:]:
            without = ARRIVAL | DELIVERY if name == "redelivered" else ARRIVAL
            assert told(found[name], without) == told(found["inorder"], without), f"{table}, {name}"


def test_every_arrangement_did_come_in_differently(tables_of: dict[str, dict[str, list[Row]]]) -> None:
    for name in ARRANGEMENTS[1:]:
        assert any(told(found[name], set()) != told(found["inorder"], set()) for found in tables_of.values()), name


def test_what_was_known_on_a_day_is_what_had_arrived_by_it(tables_of: dict[str, dict[str, list[Row]]]) -> None:
    """The newest version known on a day equals the newest, by the source's order, of the rows received by then."""
    known = contracts.load_all(PROJECT_DIR / "contracts")
    for contract in ("business_registry__enterprise", "vat_invoices__invoice", "core_bank__month_status"):
        record = known[contract].silver
        facts = {c.name for c in known[contract].columns} - {*record.keys, *record.order, *known[contract].keys}
        facts -= {"published_at", "changed_at"}
        for name in ARRANGEMENTS:
            for week in range(5):
                day = date(2019, 10, 1) + timedelta(weeks=week)
                expected = {}
                for row, *_ in sorted(
                    (a for a in arrivals(name, FEEDS[contract]) if a[1] <= day), key=lambda a: a[0][record.order[0]]
                ):
                    expected[tuple(row[k] for k in record.keys)] = {c: row.get(c) for c in facts}
                got = {}
                for row in sorted(tables_of[record.table][name], key=lambda r: r["version_no"]):
                    if row["received_on"] <= day:
                        got[tuple(row[k] for k in record.keys)] = {c: row[c] for c in facts}
                assert got == expected, f"{contract}, {name}, {day}"


def test_what_the_tables_say(tables_of: dict[str, dict[str, list[Row]]]) -> None:
    def rows(table: str, *columns: str) -> list[tuple]:
        return sorted((tuple(r[c] for c in columns) for r in tables_of[table]["inorder"]), key=repr)

    assert rows("silver.enterprise", "enterprise_id", "version_no", "name") == [
        ("U1", 1, "first"), ("U1", 2, "renamed"), ("U1", 3, "first"), ("U2", 1, "second"), ("U3", 1, "third"),
    ]  # fmt: skip
    assert [r for r in rows("silver.department_subject", "department", "department_key", "version_no", "enterprise_id")
            if r[0] in ("tax_returns", "core_bank")] == [
        ("core_bank", "C1", 1, "U1"), ("core_bank", "C9", 1, None), ("tax_returns", "T3", 1, None),
        ("tax_returns", "T3", 2, "U3"), ("tax_returns", "T9", 1, None),
    ]  # fmt: skip
    assert rows("silver.vat_invoice", "enterprise_id", "direction", "invoice_number", "version_no", "status",
                "red_letter_link", "reverses_invoice_id") == [
        ("U1", "sale", "1", 1, "valid", None, None), ("U1", "sale", "2", 1, "valid", None, None),
        ("U1", "sale", "2", 2, "void", None, None), ("U1", "sale", "4", 1, "valid", "linked", "sale/1"),
        ("U1", "sale", "5", 1, "valid", "unlinked", None), ("U2", "purchase", "1", 1, "valid", None, None),
        ("U2", "purchase", "4", 1, "valid", "linked", "purchase/1"),
        ("U2", "purchase", "5", 1, "valid", "unlinked", None), ("U2", "sale", "3", 1, "valid", None, None),
        ("U2", "sale", "3", 2, "valid", None, None), ("U3", "sale", "6", 1, "valid", None, None),
    ]  # fmt: skip
    last = max(tables_of["silver.loan"]["inorder"], key=lambda r: r["version_no"])
    assert {r["loan_id"] for r in tables_of["silver.loan"]["inorder"]} == {"L1"}
    assert {c: last[c] for c in ("enterprise_id", "dpd31_on", "dpd90_on", "guarantor_paid_on", "written_off_on")} == {
        "enterprise_id": "U1", "dpd31_on": date(2019, 3, 11), "dpd90_on": date(2019, 6, 27),
        "guarantor_paid_on": date(2019, 8, 5), "written_off_on": date(2019, 9, 1),
    }  # fmt: skip
    assert rows("silver.platform_order", "order_number", "version_no", "event_type", "quantity_units") == [
        ("PO1", 1, "order_placed", 5), ("PO1", 2, "order_cancelled", 5), ("PO2", 1, "order_placed", 7),
    ]  # fmt: skip
    assert rows("silver.equipment_reading", "machine_id", "read_at", "energy_kwh", "alarm_code") == [
        ("EQ1", at("2019-03-01", 0), Decimal("1.500"), 0), ("EQ1", at("2019-03-01", 1), Decimal("2.000"), 7),
        ("EQ1", at("2019-03-01", 6), Decimal("2.500"), 0),
    ]  # fmt: skip
