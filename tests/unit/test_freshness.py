"""A feed is as fresh as its last whole pull up to a day; one that is too old is told to whoever is to know."""

from __future__ import annotations

import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from lakehouse import alerts
from lakehouse.cli import main
from lakehouse.errors import StaleSource
from lakehouse.settings import get_settings
from spark_jobs import freshness
from spark_jobs.pull import ledger

COURTS, LAND = "courts__case", "land__plot"  # 7 days allowed, 30 days allowed


@pytest.fixture(autouse=True)
def lakehouse(tmp_path, monkeypatch):
    """A lakehouse connected to the government platform alone, on the repository's contracts."""
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    (tmp_path / "connections.json").write_text(json.dumps({"government": {"url": "http://127.0.0.1:1"}}))
    yield tmp_path
    get_settings.cache_clear()


def pulled(contract, partition, outcome, error=None):
    ledger.record(ledger.Attempt(contract, partition, outcome, f"{partition}T06:00:00+00:00", 0.1, error=error))


def pull_all(partition, but=()):
    for feed in freshness.of_feeds(date.fromisoformat(partition)):
        if feed.contract not in but:
            pulled(feed.contract, partition, ledger.NOTHING)


def of(contract, as_of):
    return next(f for f in freshness.of_feeds(date.fromisoformat(as_of)) if f.contract == contract)


def test_only_feeds_of_connections_that_are_here_are_told():
    assert {f.connection for f in freshness.of_feeds(date(2020, 1, 1))} == {"government"}


def test_age_counts_from_the_last_whole_pull_up_to_the_day():
    pulled(COURTS, "2020-01-01", ledger.LANDED)
    pulled(COURTS, "2020-01-02", ledger.UNREACHABLE, "courts is away")
    pulled(COURTS, "2020-01-10", ledger.LANDED)
    aged = of(COURTS, "2020-01-09")
    assert (aged.last_success_on, aged.stale_days, aged.is_breached) == (date(2020, 1, 1), 8, True)
    assert (aged.last_outcome, aged.last_error) == (ledger.UNREACHABLE, "courts is away")
    assert not of(COURTS, "2020-01-08").is_breached  # seven days are allowed
    assert of(COURTS, "2020-01-10").stale_days == 0


def test_a_pull_that_found_nothing_new_counts_and_one_that_was_held_off_does_not():
    pulled(COURTS, "2020-01-01", ledger.NOTHING)
    pulled(COURTS, "2020-01-03", ledger.HELD_OFF)
    pulled(COURTS, "2020-01-03", ledger.SCHEMA_CHANGED)
    assert of(COURTS, "2020-01-03").stale_days == 2


def test_a_feed_that_was_never_pulled_is_in_breach():
    never = of(LAND, "2020-01-01")
    assert never.is_breached and never.stale_days is None and "never" in never.told


def test_the_check_fails_for_a_stale_feed_and_names_it_its_age_and_what_follows(lakehouse):
    pull_all("2020-01-01")
    pull_all("2020-01-09", but=[COURTS])
    with pytest.raises(StaleSource) as told:
        freshness.check("2020-01-09")
    assert "1 of " in told.value.what and "8 days before; 7 are allowed" in told.value.what
    assert freshness.EFFECTS["degrade"] in told.value.what and "owners: " in told.value.remedy
    page = (lakehouse / "reports" / "freshness.html").read_text()
    assert page.count("class=bad") == 1 and COURTS in page
    pulled(COURTS, "2020-01-09", ledger.LANDED)
    assert freshness.check("2020-01-09")["stale"] == 0
    assert "class=bad" not in (lakehouse / "reports" / "freshness.html").read_text()


def test_a_lakehouse_that_pulls_nothing_has_nothing_to_check(lakehouse):
    (lakehouse / "connections.json").unlink()
    assert "no source" in freshness.check("2020-01-09")["skipped"]
    assert freshness.build("2020-01-09") == {"feeds": 0, "stale": 0}


def test_the_command_counts_up_to_the_newest_pull_and_exits_1_when_one_is_too_old():
    pull_all("2020-01-01")
    run = CliRunner().invoke(main, ["freshness", "--json"])
    assert run.exit_code == 0
    assert {json.loads(line)["days"] for line in run.output.splitlines()} == {0}
    run = CliRunner().invoke(main, ["freshness", "--as-of", "2020-01-09", "--stale"])
    assert run.exit_code == 1
    assert COURTS in run.output and LAND not in run.output


@pytest.fixture
def webhook(monkeypatch):
    """A chat program's address; gives the list of what it received."""
    received = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("VINELAKE_ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/hook")
    get_settings.cache_clear()
    yield received
    server.shutdown()
    server.server_close()


def noted():
    return [json.loads(line) for line in alerts.alerts_file().read_text().splitlines()]


def test_an_alert_reaches_the_webhook_and_the_file(webhook):
    alerts.send("ingest_government ▸ pull_courts failed", "courts is away", partition="2020-01-02")
    assert webhook == [{"text": "ingest_government ▸ pull_courts failed\ncourts is away"}]
    assert [(e["title"], e["partition"]) for e in noted()] == [("ingest_government ▸ pull_courts failed", "2020-01-02")]


def test_a_webhook_that_is_away_stops_nothing_and_is_noted(monkeypatch):
    monkeypatch.setenv("VINELAKE_ALERT_WEBHOOK", "http://127.0.0.1:9/hook")
    get_settings.cache_clear()
    alerts.send("t", "x")
    assert "refused" in noted()[0]["not_delivered"]
