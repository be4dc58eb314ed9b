"""Silver by hand: versions, red letters, enterprises from several sources, and feeds that never came."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from lakehouse import contracts, engine, tables
from lakehouse.contracts import Contract
from lakehouse.settings import Settings
from spark_jobs import invoices, silver, silver_files, silver_plan

CONFORMED = (
    "invoice_id string, enterprise_id string, direction string, invoice_number string, issued_on date, "
    "event_at timestamp, counterparty_id string, amount_excl_tax_cny decimal(18,2), tax_cny decimal(18,2), "
    "amount_incl_tax_cny decimal(18,2), status string, is_red_letter boolean, known_at timestamp, "
    "known_at_is_assumed boolean, received_on date, batch_id string, batch_sequence bigint, source_file string, "
    "row_number bigint"
)
_rows = iter(range(1, 10_000))


def conformed(
    name: str, day: str, total: str, party: str = "B1", status: str = "valid", batch: int = 1, known: str = ""
) -> tuple:
    """One conformed invoice row called by `name`; known the day after its issue if nothing else is said."""
    issued = date.fromisoformat(day)
    at = datetime.combine(date.fromisoformat(known) if known else issued + timedelta(days=1), datetime.min.time())
    amount = Decimal(total)
    return (
        name, "E1", "sale", name, issued, datetime.combine(issued, datetime.min.time()), party, amount, Decimal(0),
        amount, status, amount < 0, at, not known, at.date(), f"batch{batch}", batch, "f.csv", next(_rows),
    )  # fmt: skip


# Each case has a counterparty of its own, so that all are linked in one job: rows, then red → what it reverses.
LINKS: dict[str, tuple[list[tuple], dict[str, str | None]]] = {
    "a blue of the same day": ([("b", "2019-01-05", "113"), ("r", "2019-01-05", "-113")], {"r": "b"}),
    "a blue of a later day": ([("b", "2019-01-06", "113"), ("r", "2019-01-05", "-113")], {"r": None}),
    "the latest of two blues": (
        [("b1", "2019-01-01", "50"), ("b2", "2019-01-03", "50"), ("b3", "2019-01-09", "50"),
         ("r", "2019-01-05", "-50")],
        {"r": "b2"},
    ),
    "two reds of one blue": (
        [("b", "2019-01-01", "50"), ("r2", "2019-01-08", "-50"), ("r1", "2019-01-05", "-50")], {"r1": "b", "r2": None},
    ),
    "two reds of two blues that point at one": (
        [("b1", "2019-01-01", "50"), ("b2", "2019-01-02", "50"), ("r1", "2019-01-05", "-50"),
         ("r2", "2019-01-05", "-50")],
        {"r1": "b2", "r2": None},
    ),
    "a partial reversal": ([("b", "2019-01-01", "50"), ("r", "2019-01-05", "-25")], {"r": None}),
    "a void red": (
        [("b", "2019-01-01", "50"), ("r", "2019-01-05", "-50", {"status": "void"}), ("s", "2019-01-06", "-50")],
        {"s": "b"},
    ),
    "a void blue": ([("b", "2019-01-01", "50", {"status": "void"}), ("r", "2019-01-05", "-50")], {"r": None}),
    "a blue that came in later than the red": (
        [("b", "2019-01-01", "50", {"known": "2020-03-01", "batch": 2}), ("r", "2019-01-05", "-50")], {"r": None},
    ),
}  # fmt: skip


@pytest.mark.engine
def test_red_letters_and_versions(lakehouse: Settings) -> None:
    rows, expected = [], {}
    for case, (lines, links) in LINKS.items():
        for name, day, total, *more in lines:
            rows.append(conformed(f"{case}/{name}", day, total, party=case, **(more[0] if more else {})))
        expected |= {f"{case}/{red}": f"{case}/{blue}" if blue else None for red, blue in links.items()}
    rows.append(conformed("other party/r", "2019-02-01", "-113", party="nobody else"))
    expected["other party/r"] = None
    versions = [
        conformed("twice", "2019-03-01", "70", status="void"),  # listed void first in the file, and valid after
        conformed("twice", "2019-03-01", "70"),
        conformed("corrected", "2019-03-02", "10"),
        conformed("corrected", "2019-03-02", "11", batch=2, known="2020-04-01"),
        conformed("corrected", "2019-03-02", "10", batch=3, known="2020-05-01"),
    ]
    with engine.session() as spark:
        frame = spark.createDataFrame(rows + versions, CONFORMED)
        found = invoices.number_versions(invoices.link_red_letters(frame)).collect()
    assert len(found) == len(rows) + len(versions)
    reds = {r["invoice_id"]: r["reverses_invoice_id"] for r in found if r["is_red_letter"] and r["status"] == "valid"}
    assert reds == expected
    for row in found:
        link = None
        if row["is_red_letter"] and row["status"] == "valid":
            link = "linked" if row["reverses_invoice_id"] else "unlinked"
        assert row["red_letter_link"] == link, row
    by_version = {(r["invoice_id"], r["version_no"]): r for r in found}
    assert [by_version["twice", n]["status"] for n in (1, 2)] == ["valid", "void"]
    assert [int(by_version["corrected", n]["amount_excl_tax_cny"]) for n in (1, 2, 3)] == [10, 11, 10]
    assert {r["version_no"] for r in found if r["invoice_id"] not in ("twice", "corrected")} == {1}


TRACE = ("known_at timestamp, known_at_is_assumed boolean, received_on date, batch_id string, batch_sequence bigint, "
         "source_file string, row_number bigint")  # fmt: skip
REGISTRY = (
    "enterprise_id string, uscc string, name string, registered_on date, industry_code string, region string, "
    f"registered_capital_cny decimal(18,2), staff bigint, {TRACE}"
)
APPLICANT = f"enterprise_id string, name string, {TRACE}"


class Delivered(silver_plan.Reader):
    """Contracts of which the given rows have been accepted, and nothing of any other."""

    def __init__(self, spark: Any, known: dict[str, Contract], rows: dict[str, Any] | None = None) -> None:
        super().__init__(spark, known)
        self.rows = rows or {}

    def accepted(self, contract_id: str) -> Any:
        return self.rows[contract_id] if contract_id in self.rows else super().accepted(contract_id)


def trace(day: str, batch: int) -> tuple:
    at = datetime.fromisoformat(day)
    return at, False, at.date(), f"batch{batch}", batch, "f.csv", next(_rows)


def registered(firm: str, name: str, staff: int | None, day: str, batch: int) -> tuple:
    return firm, "U" * 18, name, date(2010, 1, 1), "C13", "广东", Decimal("100.00"), staff, *trace(day, batch)


@pytest.mark.engine
def test_an_enterprise_is_what_all_sources_said_of_it_so_far(lakehouse: Settings) -> None:
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        empty = Delivered(spark, contracts.load_all(lakehouse.contracts_dir))
        nothing = {t.name: t.make(empty).count() for step in silver.plan(empty.known) for t in step if t.always}
        accepted = {
            "bank__applicant": spark.createDataFrame(
                [("E1", "***公司", *trace("2020-03-01", 1)), ("E2", "个体经营E2", *trace("2020-03-01", 1)),
                 ("E2", "个体经营E2", *trace("2020-04-01", 3))], APPLICANT,
            ),
            "gov_registry__enterprise": spark.createDataFrame(
                [registered("E1", "甲公司", 5, "2020-04-01", 2), registered("E1", "甲公司", 8, "2020-05-01", 4),
                 registered("E1", "甲公司", None, "2020-06-01", 5)], REGISTRY,
            ),
        }  # fmt: skip
        found = silver_files.enterprise(Delivered(spark, empty.known, accepted)).selectExpr(
            "*", "cast(to_date(known_at) AS string) AS known"
        )
        found = found.orderBy("enterprise_id", "version_no").collect()
    assert nothing == dict.fromkeys(silver.CONFORMED, 0)
    assert [(r["enterprise_id"], r["version_no"], r["name"], r["staff"], r["known"]) for r in found] == [
        ("E1", 1, "***公司", None, "2020-03-01"),
        ("E1", 2, "甲公司", 5, "2020-04-01"),
        ("E1", 3, "甲公司", 8, "2020-05-01"),
        ("E2", 1, "个体经营E2", None, "2020-03-01"),
    ]
