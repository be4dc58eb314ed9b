"""Weekly deliveries of the built-in source: twelve bad ones of seven kinds are held back, the good ones pass.

One history of clean batches for three feeds is built once; the faults come round by round, one a feed.
"""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from expectations.gate import gate
from lakehouse import engine, tables, waivers
from lakehouse.cli import main
from lakehouse.errors import BatchesHeld, ConfigError, GateFailed, LandingError, VinelakeError
from lakehouse.gate_policy import MINIMUM_HISTORY
from lakehouse.settings import Settings
from spark_jobs import bronze, landing, quarantine
from tests.integration.conftest import generate
from tests.weekly_drops import FILES, LOAN, PURCHASE, SALE, Weeks, write_bad, write_week

pytestmark = pytest.mark.engine
START = date(2022, 9, 5)
CLEAN_WEEKS = MINIMUM_HISTORY
REFUSED_AT_LANDING = ["schema: a column is missing", "schema: a column is renamed"]
ROUNDS = [
    {SALE: "unit: 10,000 yuan", PURCHASE: "stale: half a year old", LOAN: "duplicated: each row thrice"},
    {
        SALE: "duplicated: four weeks ago again",
        PURCHASE: "referential: strangers",
        LOAN: "schema: dates in another form",
    },
    {SALE: "volume: cut short", PURCHASE: "distribution: all void", LOAN: "unit: 10,000 yuan"},
]
BROKEN = {
    "unit: 10,000 yuan": r"location:\w+cny",
    "stale: half a year old": "age:issued_on",
    "duplicated: four weeks ago again": "repeated",
    "duplicated: each row thrice": "repeated",
    "referential: strangers": "unknown:enterprise_id",
    "volume: cut short": "volume",
    "distribution: all void": "share:status",
    "schema: dates in another form": "bad_type",
}


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    folder = tmp_path_factory.mktemp("weekly") / "source"
    generate("--out", str(folder), "--firms", "600", "--years", "1", "--seed", "3", "--end", "2023-01-01")
    return Weeks(folder, START)


def land(folder: Path, day: date) -> None:
    landing.land(day.isoformat(), folder)


def attempt(day: date) -> VinelakeError | None:
    """Builds and gates all that has landed; the first error, or that of the gate."""
    errors = []
    for step in (bronze.build, lambda partition: gate("bronze", partition)):
        try:
            step(day.isoformat())
        except GateFailed as error:
            errors.append(error)
    if len(errors) > 1:
        return GateFailed("\n".join(e.what for e in errors), "; ".join(str(e.where) for e in errors))
    return errors[0] if errors else None


def state() -> tuple[tables.Manifest, list[str]]:
    """What is published, and the ids of batches that landed and were not."""
    with engine.session() as spark:
        return tables.current_manifest(), [b.batch_id for b in bronze.pending(spark)]


def rows(feed: str) -> int:
    with engine.session() as spark:
        return tables.read(spark, f"bronze.{feed}").count()


def test_twelve_bad_batches_are_held_back_and_good_ones_pass(
    lakehouse: Settings, weeks: Weeks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(weeks.write_first(tmp_path / "first"), START)
    for number in range(1, CLEAN_WEEKS + 1):
        clean = [weeks.delivery(feed, number) for feed in FILES]
        land(write_week(tmp_path / f"week{number}", clean), clean[0].received_on)
    assert attempt(START) is None
    before, waiting = state()
    assert len(before.versions) >= len(FILES) and waiting == []

    number, held = CLEAN_WEEKS + 1, 0
    day = weeks.delivery(SALE, number).received_on
    for fault in REFUSED_AT_LANDING:
        bad = write_bad(tmp_path / fault.replace(" ", "_"), weeks.delivery(SALE, number), fault, seed=1)
        with pytest.raises(LandingError):
            land(bad.parent, day)
        held += 1
    for turn, faults in enumerate(ROUNDS):
        bad = tmp_path / f"bad{turn}"
        for feed, fault in faults.items():
            write_bad(bad, weeks.delivery(feed, number), fault, seed=1)
        land(bad, day)
        error = attempt(day)
        assert isinstance(error, GateFailed)
        for feed, fault in faults.items():
            assert re.search(rf"{BROKEN[fault]}", error.what), (fault, error.what)
            assert feed in f"{error.what}{error.where}"
            held += 1
        after, waiting = state()
        assert after == before and len(waiting) == len(faults)
        quarantine.reject_batches(waiting, "ann", f"round {turn}")
    _check_report(lakehouse)

    # Good deliveries of two feeds pass beside a bad one of the third, which then passes by somebody's word.
    good = [weeks.delivery(feed, number) for feed in (PURCHASE, LOAN)]
    mixed = write_week(tmp_path / "mixed", good)
    write_bad(mixed, weeks.delivery(SALE, number), "unit: fen", seed=1)
    land(mixed, day)
    purchases, sales = rows(PURCHASE), rows(SALE)
    _dead_waivers(monkeypatch)
    error = attempt(day)
    assert isinstance(error, BatchesHeld) and error.published["tables"] == 2
    held += 1
    assert held == 12
    _, (bad_batch,) = state()
    assert f"vinelake batch reject {bad_batch}" in str(error.remedy)
    assert (rows(PURCHASE), rows(SALE)) == (purchases + len(good[0].rows), sales)
    arguments = ["--batch", bad_batch, "--why", "fen, agreed", "--until", "2999-12-31"]
    result = CliRunner().invoke(main, ["waiver", "add", f"bronze.{SALE}", "location:*", *arguments])
    assert result.exit_code == 0, result.output
    assert attempt(day) is None
    _check_waived(lakehouse, bad_batch)
    assert rows(SALE) == sales + len(weeks.delivery(SALE, number).rows)


def _check_report(lakehouse: Settings) -> None:
    """Each rule that was broken stands with its range in the ledger of findings and on a page."""
    with engine.session() as spark:
        found = spark.table(f"{lakehouse.schema_name('control')}.gate_finding").collect()
    blocking = [r for r in found if r["outcome"] == "broken"]
    assert {r["rule"] for r in blocking} >= {"repeated", "volume", "age:issued_on", "unknown:enterprise_id"}
    assert all(re.search(r"expected .* to .*, found .*; by \d+ earlier batches", r["detail"]) for r in blocking)
    pages = [json.loads(p.read_text()) for p in lakehouse.reports_dir.glob("bronze-*.json")]
    told = {f["batch_id"] for page in pages for f in page["findings"] if f["outcome"] == "broken"}
    assert told == {r["batch_id"] for r in blocking} and len(told) >= 8


def _dead_waivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds one waiver that has ended and one that was withdrawn; those that are not sound are refused."""
    given = {"table": f"bronze.{SALE}", "rule": "location:*", "author": "ann", "reason": "r", "until": "2999-12-31"}
    for wrong in ({"reason": " "}, {"until": "2020-01-01"}, {"until": ""}, {"table": "sales"}):
        with pytest.raises(ConfigError):
            waivers.add(**(given | wrong))
    withdrawn = waivers.add(**given)
    waivers.withdraw(withdrawn.waiver_id, "ben")
    with monkeypatch.context() as patch:
        patch.setattr(waivers, "business_today", lambda: date(2020, 1, 1))
        waivers.add(**(given | {"until": "2020-01-31"}))
    assert waivers.live() == [] and len(waivers.entries()) == 2


def _check_waived(lakehouse: Settings, batch_id: str) -> None:
    with engine.session() as spark:
        assert batch_id in tables.published_batches(spark)
        control = lakehouse.schema_name("control")
        passed = spark.table(f"{control}.gate_finding").where("outcome = 'waived'").collect()
        assert spark.table(f"{control}.batch_profile").where(f"batch_id = '{batch_id}'").count() == 1
    assert {row["rule"].split(":")[0] for row in passed} == {"location"}
    assert all(row["waived"].endswith("until 2999-12-31: fen, agreed") for row in passed)
