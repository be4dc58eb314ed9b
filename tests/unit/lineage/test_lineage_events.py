"""What is told of a publication: OpenLineage's form, names alone, and nothing that could fail it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from lakehouse import publications
from lakehouse.settings import get_settings
from lakehouse.time import utc_now
from lineage import events

CHANGED = {
    "bronze.bureau__report": 1, "gold.enterprise_features": 7, "gold.enterprise_score": 3, "quarantine.record": 2,
    "silver.loan": 4,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where events of a lakehouse of the test's own are written; the graph is kept once for all tests."""
    monkeypatch.setenv("VINELAKE_ENVIRONMENT", "told" + str(abs(hash(str(tmp_path))) % 10_000))
    get_settings.cache_clear()
    yield home / "lineage" / get_settings().environment
    get_settings.cache_clear()


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """The events that were written, by the table that each is about."""
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    return {event["outputs"][0]["name"]: event for event in map(json.loads, lines)}


def lineage_of(event: dict[str, Any]) -> dict[str, Any]:
    return event["outputs"][0]["facets"]["columnLineage"]


def made_of(event: dict[str, Any], column: str) -> set[tuple[str, str]]:
    return {(f["name"], f["field"]) for f in lineage_of(event)["fields"][column]["inputFields"]}


def test_every_published_table_is_told_with_what_its_columns_are_made_of(folder: Path) -> None:
    publications.announce(CHANGED, "gate_gold", "2020-03-01")
    found = told(folder)
    assert set(found) == set(CHANGED)
    for table, event in found.items():
        assert event["eventType"] == "COMPLETE" and event["job"]["name"] == f"gate_gold.{table}"
        assert event["outputs"][0]["facets"]["version"]["datasetVersion"] == str(CHANGED[table])
        assert event["run"]["facets"]["nominalTime"]["nominalStartTime"].startswith("2020-03-01")
    report = found["bronze.bureau__report"]
    assert [(d["namespace"], d["name"]) for d in report["inputs"]] == [("source.bureau", "bureau__report")]
    assert made_of(report, "adverse") == {("bureau__report", "adverse")}
    assert [d["name"] for d in found["gold.enterprise_score"]["inputs"]] == ["gold.enterprise_features"]
    assert found["quarantine.record"]["inputs"] == [], "bronze's rules hold rows back; no graph tells which"
    loan = lineage_of(found["silver.loan"])
    assert ("silver.bureau_report", "adverse") in made_of(found["silver.loan"], "dpd90_on")
    assert ("silver.bureau_report", "uscc") in {(f["name"], f["field"]) for f in loan["dataset"]}
    assert {f["transformations"][0]["type"] for f in loan["dataset"]} == {"INDIRECT"}


def test_steps_that_are_in_no_table_are_passed_through(folder: Path) -> None:
    publications.announce({"gold.enterprise_features": 7}, "gate_gold", "2020-03-01")
    event = told(folder)["gold.enterprise_features"]
    assert made_of(event, "sales_tax_12m_cny") == {("gold.enterprise_flow_daily", "tax_fen")}
    assert {d["name"] for d in event["inputs"]} == {
        "gold.enterprise_flow_daily", "gold.enterprise_pair_monthly", "gold.invoice_change", "silver.enterprise",
    }  # fmt: skip


def test_a_publication_told_twice_is_one_run(folder: Path) -> None:
    publications.announce({"silver.loan": 4}, "gate_silver", "2020-03-01")
    first = told(folder)["silver.loan"]["run"]["runId"]
    publications.announce({"silver.loan": 4}, "gate_silver", "2020-03-01")
    assert told(folder)["silver.loan"]["run"]["runId"] == first
    publications.announce({"silver.loan": 5}, "gate_silver", "2020-03-01")
    assert told(folder)["silver.loan"]["run"]["runId"] != first


def test_names_and_versions_are_told_and_no_value(folder: Path) -> None:
    publications.announce(CHANGED, "gate_gold", "2020-03-01")
    for event in told(folder).values():
        assert set(event) == {"eventTime", "eventType", "inputs", "job", "outputs", "producer", "run", "schemaURL"}
        assert set(event["outputs"][0]["facets"]) <= {"version", "schema", "columnLineage"}
        assert str(get_settings().home) not in json.dumps(event), "no path of this machine"


def test_events_of_days_beyond_retention_are_removed(folder: Path) -> None:
    folder.mkdir(parents=True)
    days = get_settings().retention_days
    for age in (days + 2, days - 2):
        (folder / f"{utc_now() - timedelta(days=age):%Y-%m-%d}.jsonl").write_text("{}\n", encoding="utf-8")
    publications.announce({"silver.loan": 4}, "gate_silver", "2020-03-01")
    assert len(list(folder.glob("*.jsonl"))) == 2


def test_a_listener_that_fails_is_a_note(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    entry = EntryPoint("lineage", "lineage.events:published", publications.LISTENERS)
    monkeypatch.setattr(publications, "entry_points", lambda group: [entry])
    monkeypatch.setattr(events.store, "project_graph", lambda: 1 / 0)
    with caplog.at_level(logging.WARNING):
        publications.announce({"silver.loan": 4}, "gate_silver", "2020-03-01")
    assert "silver.loan" in caplog.text and "division by zero" in caplog.text


def test_lineage_that_cannot_be_written_is_a_note(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file stands where the folder should be", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        publications.announce({"silver.loan": 4}, "gate_silver", "2020-03-01")
    assert "lineage was not told" in caplog.text
    folder.unlink()
