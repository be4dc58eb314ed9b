"""What a stale feed does to scores, from the ledger of pulls to the rows: told, referred, or not given at all."""

from __future__ import annotations

import json
from datetime import date

import pytest

from expectations.gate import gate
from lakehouse.errors import StaleSource
from lakehouse.settings import Settings
from ml import staleness
from spark_jobs import freshness
from spark_jobs.pull import ledger

pytestmark = pytest.mark.engine

DAY = "2020-12-04"
COURTS, INVOICES, LOAN = "courts__case", "vat_invoices__invoice", "core_bank__loan"  # degrade, refer, stop


@pytest.fixture
def pulled(lakehouse: Settings, monkeypatch, tmp_path):
    """Notes that all feeds of three departments were whole on the day, but for those named with their last day."""
    from lakehouse.settings import get_settings

    path = tmp_path / "connections.json"
    path.write_text(json.dumps({"government": {}, "core_bank": {}}))
    monkeypatch.setenv("VINELAKE_CONNECTIONS_FILE", str(path))
    get_settings.cache_clear()

    def note(**last):
        for feed in freshness.of_feeds(date.fromisoformat(DAY)):
            day = last.get(feed.contract, DAY)
            ledger.record(ledger.Attempt(feed.contract, day, ledger.LANDED, f"{day}T06:00:00+00:00", 0.1))
        built = freshness.build(DAY)
        gate("gold", DAY)
        return built

    return note


def scored(spark):
    return spark.sql(
        "SELECT 'e1' AS enterprise_id, 600 AS score, 0.02D AS pd, 'A' AS grade, 'scored' AS decision, "
        "CAST(NULL AS string) AS refer_reason, array(named_struct('code', 'R1')) AS reasons, map('f', 600) AS points "
        "UNION ALL SELECT 'e2', NULL, NULL, NULL, 'refer', 'history shorter than 6 months', NULL, NULL"
    )


def rows(frame):
    return {row["enterprise_id"]: row for row in frame.collect()}


def test_fresh_feeds_change_nothing(pulled, spark):
    assert pulled()["stale"] == 0
    assert staleness.stale_feeds(spark, date.fromisoformat(DAY)) == []
    found = rows(staleness.apply(scored(spark), []))
    assert (found["e1"]["decision"], found["e1"]["score"], found["e1"]["stale_sources"]) == ("scored", 600, [])


def test_degrade_gives_scores_that_say_so(pulled, spark):
    pulled(**{COURTS: "2020-11-26"})
    stale = staleness.stale_feeds(spark, date.fromisoformat(DAY))
    assert [(feed.contract, feed.effect) for feed in stale] == [(COURTS, "degrade")]
    staleness.refuse_where_stopped(stale, date.fromisoformat(DAY))
    found = rows(staleness.apply(scored(spark), stale))
    assert (found["e1"]["decision"], found["e1"]["score"]) == ("scored", 600)
    assert found["e1"]["stale_sources"] == [f"{COURTS} 8 days old, 7 allowed"]


def test_refer_leaves_no_score_and_keeps_the_reason_of_who_was_referred_already(pulled, spark):
    pulled(**{COURTS: "2020-11-26", INVOICES: "2020-11-29"})
    found = rows(staleness.apply(scored(spark), staleness.stale_feeds(spark, date.fromisoformat(DAY))))
    for row in found.values():
        assert row["decision"] == "refer"
        assert [row[name] for name in staleness.SCORED_ONLY] == [None] * 5
        assert len(row["stale_sources"]) == 2
    assert found["e1"]["refer_reason"] == f"stale: {INVOICES} 5 days old, 3 allowed"
    assert found["e2"]["refer_reason"] == "history shorter than 6 months"


def test_stop_gives_no_scores_and_says_why(pulled, spark):
    pulled(**{LOAN: "2020-12-01"})
    stale = staleness.stale_feeds(spark, date.fromisoformat(DAY))
    with pytest.raises(StaleSource, match=f"{LOAN} 3 days old, 2 allowed"):
        staleness.refuse_where_stopped(stale, date.fromisoformat(DAY))
