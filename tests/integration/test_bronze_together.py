"""Bronze: batches that wait together become what they become one by one; one that is held holds up those after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakehouse import engine, ledger, tables
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from spark_jobs import bronze, landing
from spark_jobs.bronze_growth import batches_of
from tests import feeds
from tests.drops import drop, invoice, sound_sales
from tests.feeds import METER, land, lines, page, reading, use_feed

pytestmark = pytest.mark.engine
SALES, READINGS = "bronze.gov_tax__sale_invoice", f"bronze.{METER}"
OF_A_RUN = ("run_id", "recorded_at")


def outcome(*names: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The rows of builds, by their hash, and the ledger's accounts of all batches."""
    with engine.session() as spark:
        rows = {name: tables.content_hash(spark.table(tables.build_name(name))) for name in names}
        booked = [row.asDict() for row in ledger.batches(spark).orderBy("batch_id").collect()]
    return rows, [{k: v for k, v in row.items() if k not in OF_A_RUN} for row in booked]


def last_write(name: str) -> set[int]:
    """The places of the batches that the last commit of a build brought."""
    with engine.session() as spark:
        last = spark.sql(f"DESCRIBE HISTORY {tables.build_name(name)} LIMIT 1").collect()[0]
    return batches_of(last["operationParameters"].get("predicate", ""))


def test_a_feeds_batches_of_every_format_and_version_are_taken_in_together(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch, policy="evolve", options=", duplicateWindowDays: 3")
    one, two = [reading(n) for n in range(1, 9)], [reading(n, zt="2") for n in range(1, 5)]
    land(contract, "2020-02-01", page(one), lines(two))
    land(contract, "2020-02-01", page(two))
    land(contract, "2020-02-03", lines([*one, "nothing", *two]), page(two, "c.json"))
    land(contract, "2020-02-04", feeds.table(two))
    land(contract, "2020-02-07", feeds.columns(one, tmp_path))
    land(contract, "2020-02-11", lines([*two, reading(9, more="told"), reading(9, df="x")]))
    land(contract, "2020-02-12", lines([*two, reading(9, more="else")]))
    with pytest.MonkeyPatch.context() as alone:
        alone.setattr(bronze, "FILES_TOGETHER", 1)
        bronze.build("2020-02-12")
    assert last_write(READINGS) == {7}
    one_by_one = outcome(READINGS, bronze.QUARANTINE)
    bronze.build("2020-02-12")
    assert last_write(READINGS) == {1, 2, 3, 4, 5, 6, 7} and last_write(bronze.QUARANTINE) == {3, 6}
    assert outcome(READINGS, bronze.QUARANTINE) == one_by_one
    booked = {row["batch_id"]: row for row in one_by_one[1]}
    # In the third, four are as last delivered, four were corrected and that correction comes twice; the fifth comes
    # after the window of three days.
    assert [booked[b.batch_id]["rows_duplicate"] for b in landing.landed()] == [0, 4, 12, 4, 0, 0, 4]


def test_of_batches_that_wait_together_the_one_that_is_held_back_holds_up_those_after_it(lakehouse: Settings) -> None:
    days = ["2020-03-01", "2020-03-02", "2020-03-03", "2020-03-04", "2020-03-05"]
    for number, day in enumerate(days):
        bad = [invoice(number=n, status="?") for n in range(50, 53 if number in (2, 4) else 51)]
        drop(day, sales=[*sound_sales(10 + number), *bad], firms=[f"F{number}"])
        landing.land(day)
    with pytest.raises(GateFailed, match="3 of 15 rows break the contract") as held:
        bronze.build(days[-1])
    sales = [b.batch_id for b in landing.landed() if b.contract in SALES]
    assert sales[2] in str(held.value.where)
    with engine.session() as spark:
        booked = ledger.batches(spark).where("contract = 'gov_tax__sale_invoice'").collect()
        assert {a["batch_id"]: a["rows_quarantined"] for a in booked} == {sales[0]: 1, sales[1]: 1}
        assert ledger.batches(spark).where("contract = 'bank__applicant'").count() == len(days)
        for name, rows in ((SALES, {sales[0]: 10, sales[1]: 11}), (bronze.QUARANTINE, {sales[0]: 1, sales[1]: 1})):
            found = spark.table(tables.build_name(name)).groupBy("batch_id").count().collect()
            assert {row["batch_id"]: row["count"] for row in found} == rows
