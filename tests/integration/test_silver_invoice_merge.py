"""What is new merged into the invoices of silver gives the table that a whole build would, whatever is new."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from lakehouse import contracts, engine, tables
from lakehouse.settings import Settings, get_settings
from spark_jobs import silver, silver_invoice_merge, silver_merge, silver_plan
from spark_jobs.landing import slice_of
from spark_jobs.silver_economy import INVOICES, REGISTRY
from spark_jobs.silver_files import PURCHASES, SALES

pytestmark = [pytest.mark.engine, pytest.mark.apart]

TABLE, TAXPAYERS = silver_invoice_merge.TABLE, "tax_returns__taxpayer"
TRACE = (
    "record_key string, record_hash string, disposition string, known_at timestamp, known_at_is_assumed boolean, "
    "received_on date, batch_id string, batch_sequence bigint, source_file string, row_number bigint"
)
FIRST = date(2019, 3, 1)
Row = dict[str, Any]


def receive(batch: int, day: date, told: dict[str, list[Row]]) -> None:
    """Publishes a batch of some feeds, accepted as they are."""
    known = contracts.load_all(get_settings().contracts_dir)
    with engine.session("receive") as spark:
        tables.ensure_schemas(spark)
        for name, said in told.items():
            columns = ", ".join(f"{c.name} {c.spark_type}" for c in known[name].columns)
            at, rows = datetime.combine(day, time()), []
            for number, row in enumerate(said):
                key, content = row.get("record_key", repr(row)), repr(row)
                trace = (key, content, "accepted", at, False, day, f"batch{batch}", batch, name, number)
                rows.append((*(row.get(c.name) for c in known[name].columns), *trace))
            table = known[name].bronze_table
            tables.replace_where(spark.createDataFrame(rows, f"{columns}, {TRACE}"), table, slice_of([batch]))
            tables.publish(spark, {table: tables.build_version(table)}, "test", str(day))


def of_files(chance: random.Random) -> list[Row]:
    """Invoices between few parties, of few amounts, so that red letters find what they reverse; some told before."""
    rows = []
    for _ in range(20):
        firm, party, number = chance.choice("AB"), chance.choice("PQR"), chance.randrange(14)
        day, amount = date(2019, 1, 1 + number), Decimal(chance.choice((10, 20, -10, -20)) if number % 2 else 10)
        rows.append({
            "record_key": f"{firm}{number}{day}{party}", "enterprise_id": firm, "invoice_number": str(number),
            "issued_on": day, "counterparty_id": party, "amount_excl_tax_cny": amount, "tax_cny": Decimal(0),
            "amount_incl_tax_cny": amount, "status": "void" if chance.random() < 0.15 else "valid",
        })  # fmt: skip
    return rows


def of_ledger(chance: random.Random, day: date) -> list[Row]:
    """Invoices of a common ledger by number, said anew at times with other contents; red letters name any of them."""
    rows = []
    for _ in range(20):
        number, red = chance.randrange(30), chance.random() < 0.3
        parties = [chance.choice(("U1", "U2", "OLDU2", "U3", "T4", "X9")) for _ in range(2)]
        amount = Decimal(chance.randrange(1, 9) * (-1 if red else 1))
        rows.append({
            "record_id": f"F{number}", "revision": chance.randrange(100), "invoice_number": str(number),
            "published_at": datetime.combine(day, time(6)), "seller_tax_number": parties[0],
            "buyer_tax_number": parties[1], "seller_name": "s", "buyer_name": "b", "tax_cny": Decimal(0),
            "issued_on": date(2019, 2, 1) + timedelta(days=number % 20 + (chance.random() < 0.1)),
            "amount_excl_tax_cny": amount, "amount_incl_tax_cny": amount,
            "status": "red_letter" if red else chance.choice(("valid", "valid", "void")),
            "reverses_invoice_number": str(chance.randrange(32)) if red else None,
        })  # fmt: skip
    return rows


def firm(code: str, day: date, old: str) -> Row:
    return {"record_id": f"R{code}", "revision": 1, "published_at": datetime.combine(day, time(6)),
            "enterprise_key": f"K{code}", "uscc": code, "registration_number": old, "name": code, "state": "open",
            "founded_on": date(2010, 1, 1)}  # fmt: skip


def taxpayer(key: str, code: str, day: date) -> Row:
    said = {"record_id": f"S{key}", "revision": 1, "published_at": datetime.combine(day, time(6))}
    return said | {"taxpayer_id": key, "name": key, "certificate_number": code}


def deliveries() -> Iterator[tuple[date, dict[str, list[Row]]]]:
    """Days, and who comes to be known: a firm of old invoices, a number of the tax office, a second firm of one old
    code. Two come on one day: what the second brings was known no later than what the first brought."""
    days = [FIRST + timedelta(days=number) for number in range(3)]
    firms = [firm("U1", days[0], "OLDU1"), firm("U2", days[0], "OLDU2")]
    yield days[0], {REGISTRY: firms, TAXPAYERS: [taxpayer("T8", "OLDU3", days[0])]}
    yield days[1], {REGISTRY: [firm("U3", days[1], "OLDU3")]}
    yield days[1], {}
    yield days[2], {TAXPAYERS: [taxpayer("T4", "OLDU3", days[2])], REGISTRY: [firm("U6", days[2], "OLDU2")]}


@pytest.fixture
def merged(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Small tables are merged too; whether the invoices were, build by build."""
    found: list[bool] = []

    def noted(*inputs: Any) -> bool:
        found.append(update(*inputs))
        return found[-1]

    update = silver_invoice_merge.update
    monkeypatch.setattr(silver_merge, "LEAST_ROWS", 0)
    monkeypatch.setattr(silver_merge, "LARGEST_SHARE", 1.0)
    monkeypatch.setattr(silver_invoice_merge, "update", noted)
    return found


def differences() -> tuple[int, int]:
    """Rows that the published invoices hold and a whole build from the same input would not, and the other way."""
    with engine.session() as spark:
        known = silver_plan.load_contracts()
        reader = silver_plan.Reader(spark, known)
        (table,) = [t for step in silver.plan(known) for t in step if t.name == TABLE]
        whole, held = table.make(reader), tables.read(spark, TABLE)
        held = held.select(*whole.columns)
        return held.exceptAll(whole).count(), whole.exceptAll(held).count()


def test_invoices_merged_day_by_day_are_those_of_a_whole_build(merged: list[bool]) -> None:
    chance = random.Random(4)
    for batch, (day, parties) in enumerate(deliveries(), start=1):
        receive(batch, day, {
            SALES: of_files(chance), PURCHASES: of_files(chance), INVOICES: of_ledger(chance, day), **parties,
        })  # fmt: skip
        made = silver.build(str(day))
        with engine.session("publish") as spark:
            built = {t: tables.build_version(t) for t in made if t.startswith("silver.")}
            tables.publish(spark, built, "test", str(day))
        assert differences() == (0, 0), f"delivery {batch}"
    assert merged == [True] * 3
    with engine.session() as spark:
        found = tables.read(spark, TABLE)
        kinds = {(r[0], r[1]) for r in found.select("source", "red_letter_link").distinct().collect()}
        assert {(INVOICES, "linked"), (SALES, "linked"), (PURCHASES, "linked"), (INVOICES, "unlinked")} <= kinds
        assert found.where("superseded_at IS NOT NULL").count() > 5
        owners = {r[0] for r in found.where(f"source = '{INVOICES}'").select("enterprise_id").distinct().collect()}
        assert owners == {"U1", "U2", "U3"}
