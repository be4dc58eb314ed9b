"""The report tells each outage and schema change once, with its end and what waited for it."""

from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace

import pytest

from lakehouse.settings import get_settings
from spark_jobs import outages_report
from spark_jobs.pull import ledger

COURTS, CUSTOMS = "courts__case", "customs__declaration"
TAX = ("tax_returns__return", "tax_returns__taxpayer")


@pytest.fixture(autouse=True)
def lakehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    (tmp_path / "connections.json").write_text(json.dumps({"government": {}}))
    yield tmp_path
    get_settings.cache_clear()


@pytest.fixture
def batches(monkeypatch):
    """Contract version by batch, as the manifests have it."""
    known = {}
    found = lambda: [SimpleNamespace(batch_id=b, contract_version=v) for b, v in known.items()]  # noqa: E731
    monkeypatch.setattr(outages_report.landing, "landed", found)
    return known


def note(contract, day, outcome, hour=6, **facts):
    ledger.record(ledger.Attempt(contract, day, outcome, f"{day}T{hour:02}:00:00+00:00", 0.1, **facts))


def test_an_outage_goes_from_the_first_missed_day_to_the_first_whole_pull():
    note(COURTS, "2019-10-01", ledger.LANDED, records=5)
    for hour in (6, 7, 8):
        note(COURTS, "2019-10-08", ledger.UNREACHABLE, hour, error="courts answers 503\n  where: x")
    note(COURTS, "2019-10-09", ledger.HELD_OFF)
    note(COURTS, "2019-10-16", ledger.LANDED, records=31)
    note(COURTS, "2019-10-17", ledger.LANDED, records=2)
    (outage,) = outages_report.outages()
    assert (outage.departments, outage.first_on, outage.back_on) == (("courts",), date(2019, 10, 8), date(2019, 10, 16))
    assert (outage.attempts, outage.held_off, outage.caught_up) == (4, 1, 31)
    assert (outage.oldest_days, outage.allowed_days, outage.effect) == (8, 7, "degrade")
    assert outage.why == "courts answers 503"


def test_an_outage_within_what_is_allowed_changes_no_score_and_one_that_lasts_has_no_end():
    note(COURTS, "2019-10-01", ledger.LANDED)
    note(COURTS, "2019-10-02", ledger.UNREACHABLE)
    (outage,) = outages_report.outages()
    assert outage.effect is None and outage.back_on is None
    assert "still away" in outages_report.outage_row(outage)


def test_a_department_is_back_when_all_its_feeds_are():
    for feed in TAX:
        note(feed, "2021-01-01", ledger.LANDED)
        note(feed, "2021-01-02", ledger.UNREACHABLE)
    note(TAX[0], "2021-01-03", ledger.LANDED, records=4)
    note(TAX[1], "2021-01-03", ledger.UNREACHABLE)
    note(TAX[0], "2021-01-04", ledger.NOTHING)
    note(TAX[1], "2021-01-04", ledger.LANDED, records=7)
    (outage,) = outages_report.outages()
    assert (outage.back_on, outage.caught_up, outage.attempts) == (date(2021, 1, 4), 7, 3)


def test_departments_that_went_and_came_together_are_one_outage():
    for feed in (COURTS, CUSTOMS, *TAX, "water__bill", "water__account"):
        note(feed, "2022-08-02", ledger.LANDED)
        note(feed, "2022-08-03", ledger.UNREACHABLE)
        note(feed, "2022-08-04", ledger.LANDED, records=1)
    (outage,) = outages_report.outages()
    assert outage.departments == ("courts", "customs", "tax_returns", "water")
    assert (outage.attempts, outage.caught_up) == (6, 6)
    assert "4 departments" in outages_report.outage_row(outage)[0]


def test_a_frozen_feed_waits_for_the_contract_that_knows_the_change(batches):
    note(COURTS, "2020-03-31", ledger.LANDED, records=3, batch_id="b1")
    note(COURTS, "2020-04-02", ledger.SCHEMA_CHANGED, fields=("+zxygdl", "-ydl", "v2"))
    note(COURTS, "2020-04-03", ledger.SCHEMA_CHANGED, fields=("+zxygdl", "-ydl", "v2"))
    (change,) = outages_report.changes()
    assert (change.kind, change.settled_on, change.records) == ("frozen", None, 0)
    batches["b2"] = "1.1.0"
    note(COURTS, "2020-04-04", ledger.LANDED, records=12, batch_id="b2", schema_version=2)
    (change,) = outages_report.changes()
    assert (change.seen_on, change.settled_on) == (date(2020, 4, 2), date(2020, 4, 4))
    assert (change.records, change.contract_version, change.difference) == (12, "1.1.0", "+zxygdl, -ydl, v2")


def test_rows_that_were_taken_in_or_held_meanwhile_are_counted(batches):
    batches |= {"b3": "1.1.0", "c3": "2.0.0"}
    for contract, last in (("social_insurance__contribution", "b3"), (CUSTOMS, "c3")):
        note(contract, "2019-06-30", ledger.LANDED, records=9)
        note(contract, "2019-07-02", ledger.LANDED, records=4, fields=("+jfzt",))
        note(contract, "2019-07-03", ledger.LANDED, records=5, fields=("+jfzt",))
        note(contract, "2019-07-04", ledger.LANDED, records=6, batch_id=last)
    held, evolved = outages_report.changes()
    assert (held.contract, held.kind, held.records, held.contract_version) == (CUSTOMS, "quarantined", 9, "2.0.0")
    assert (evolved.kind, evolved.records, evolved.settled_on) == ("evolved", 9, date(2019, 7, 4))


def test_a_version_that_the_contract_foresaw_is_told_once(batches):
    batches["b2"] = "1.0.0"
    note(COURTS, "2021-12-31", ledger.LANDED, records=3)
    note(COURTS, "2022-01-02", ledger.LANDED, records=8, schema_version=2, batch_id="b2")
    note(COURTS, "2022-01-03", ledger.LANDED, records=8, schema_version=2)
    (change,) = outages_report.changes()
    assert (change.kind, change.seen_on, change.records) == ("foreseen", date(2022, 1, 2), 8)


def test_the_page_and_the_text_hold_every_row():
    note(COURTS, "2019-10-08", ledger.UNREACHABLE, error="503 <busy>")
    note(COURTS, "2019-10-09", ledger.LANDED, records=1234)
    page = outages_report.write_page().read_text()
    assert "1,234" in page and "503 &lt;busy&gt;" in page and "none" in page
    text = outages_report.markdown(outages_report.outages(), outages_report.changes())
    assert "| government: courts | 2019-10-08 | 2019-10-09 |" in text
