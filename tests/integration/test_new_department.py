"""A department that nobody wrote code for: two contracts and its address are all it takes, from source to silver."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lakehouse import engine, families, tables
from lakehouse.cli import main
from lakehouse.settings import PROJECT_DIR, Settings, get_settings
from spark_jobs import bronze, silver
from spark_jobs.pull import ledger, runner
from tests.connectors.rest_server import Answer, Asked, serving
from tests.drops import publish_builds

pytestmark = pytest.mark.engine
INSPECTIONS = """
apiVersion: v3.2.0
kind: DataContract
id: fire__inspection
version: 1.0.0
status: active
name: Fire inspections
description: {purpose: Findings of fire inspections by premises., limitations: Only premises that were inspected.}
team: {name: risk}
customProperties:
  - {property: subject, value: premises_number}
  - {property: maxQuarantinedRatio, value: 0.5}
  - {property: knownAt, value: {history: published, eventColumn: published_at, afterwards: received}}
  - property: feed
    value:
      connection: fire
      protocol: rest
      path: /inspections
      options: {records: rows, cursor: next, published: published}
  - {property: schemaChange, value: evolve}
  - {property: outage, value: {staleAfterDays: 30, scores: degrade}}
  - {property: silver, value: {entity: fire_inspection, keys: [inspection_number], order: [revision]}}
schema:
  - name: inspection
    logicalType: object
    dataGranularityDescription: one row per publication of an inspection
    properties:
      - name: inspection_number
        physicalName: no
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 1
        logicalTypeOptions: {pattern: "^FI[0-9]+$"}
      - name: revision
        physicalName: rev
        logicalType: integer
        required: true
        primaryKey: true
        primaryKeyPosition: 2
      - {name: published_at, physicalName: published, logicalType: timestamp, required: true}
      - {name: premises_number, physicalName: premises.no, logicalType: string, required: true}
      - name: owner_kind
        physicalName: owner.kind
        logicalType: string
        customProperties: [{property: codes, value: {"1": firm, "2": person}}]
      - name: owner_name
        physicalName: owner.name
        logicalType: string
        classification: personal
        customProperties:
          - {property: tokenKind, value: person_name}
          - {property: impersonalWhere, value: {owner_kind: [firm]}}
      - name: inspected_on
        physicalName: day
        logicalType: date
        required: true
        logicalTypeOptions: {format: dd.MM.yyyy}
        customProperties: [{property: notAfterReceived, value: true}]
      - name: finding
        physicalName: code
        logicalType: string
        customProperties: [{property: codes, value: {A: none, B: minor, C: severe}}]
      - name: fine_cny
        physicalName: fine_fen
        logicalType: number
        physicalType: decimal(18,2)
        logicalTypeOptions: {minimum: 0}
        customProperties: [{property: unit, value: CNY}, {property: scale, value: "0.01"}]
    quality:
      - name: fine_without_finding
        type: custom
        engine: vinelake-row-rule
        implementation: finding <> 'none' OR fine_cny IS NULL OR fine_cny = 0
"""
ALARMS = """
apiVersion: v3.2.0
kind: DataContract
id: fire__alarm
version: 1.0.0
status: active
name: Fire alarms
description: {purpose: Calls to the fire brigade., limitations: None known.}
team: {name: risk}
customProperties:
  - {property: subject, value: premises_number}
  - {property: knownAt, value: {history: received, afterwards: received}}
  - property: feed
    value: {connection: brigade, protocol: files, path: "alarms_*.csv", options: {settledSeconds: 1}}
  - {property: silver, value: {entity: fire_alarm, keys: [alarm_number]}}
schema:
  - name: alarm
    logicalType: object
    dataGranularityDescription: one row per call
    properties:
      - {name: alarm_number, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: premises_number, physicalName: premises, logicalType: string, required: true}
      - {name: minutes, physicalName: 分钟, logicalType: integer, logicalTypeOptions: {minimum: 0}}
      - name: damage_cny
        physicalName: 损失
        logicalType: number
        physicalType: decimal(18,2)
        customProperties: [{property: unit, value: CNY}, {property: groupSeparator, value: ","}]
"""
FIRST, SECOND = "2024-03-02", "2024-03-04"


def inspection(number: int, revision: int = 1, day: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "no": f"FI{number}", "rev": revision, "published": f"2024-03-{day:02d}T09:00:00+08:00",
        "premises": {"no": f"P{number % 3}"}, "day": "28.02.2024", "code": "B", "fine_fen": 12_345 * number,
        "owner": {"kind": "2", "name": "王小明"} if number % 2 else {"kind": "1", "name": "杭州示例有限公司"},
    } | more  # fmt: skip


@pytest.fixture
def department(lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The department's systems run; the project has its two contracts and addresses. Yields the published list."""
    published = [inspection(n) for n in range(1, 7)] + [inspection(7, code="A"), inspection(8, code="Z")]
    shutil.copytree(PROJECT_DIR / "contracts", tmp_path / "contracts")
    (tmp_path / "lakehouse").symlink_to(PROJECT_DIR / "lakehouse")
    for name, text in (("fire__inspection", INSPECTIONS), ("fire__alarm", ALARMS)):
        (tmp_path / "contracts" / f"{name}.yaml").write_text(text, encoding="utf-8")
    folder = tmp_path / "brigade"
    folder.mkdir()
    write(folder / "alarms_1.csv", 'alarm_number,premises,分钟,损失\nA1,P1,12,"1,234.50"\nA2,P2,,\n')
    monkeypatch.setenv("VINELAKE_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("VINELAKE_CONNECTIONS_FILE", str(tmp_path / "connections.json"))
    get_settings.cache_clear()

    def answer(asked: Asked) -> Answer:
        start = int(asked.query.get("cursor", 0))
        rows = published[start : start + 3]
        return Answer({"rows": rows, "next": str(start + len(rows))})

    with serving(answer) as server:
        known = {"fire": {"url": server.url, "auth": {"key": "k"}}, "brigade": {"folder": str(folder)}}
        (tmp_path / "connections.json").write_text(json.dumps(known))
        yield published


def write(path: Path, text: str) -> None:
    """A file that has lain unchanged for a while."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time.time() - 60, time.time() - 60))


def run(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code in (0, 1) and (done.exception is None or isinstance(done.exception, SystemExit)), done.output
    return done.output


def build(partition: str) -> None:
    """What the days' DAGs do after the pulls, without the gates' waits."""
    bronze.build(partition)
    with engine.session() as spark:
        publish_builds(spark, "bronze", partition)
    silver.build(partition)
    with engine.session() as spark:
        publish_builds(spark, "silver", partition)


def rows(table: str, *columns: str) -> list[tuple]:
    with engine.session() as spark:
        found = tables.read(spark, table).selectExpr(*(f"cast({c} AS string)" for c in columns))
        return sorted((tuple(row) for row in found.collect()), key=str)


def test_two_contracts_bring_a_department_from_its_systems_into_silver(department: list[dict[str, Any]]) -> None:
    assert "fire__inspection" in run("contract", "check") and "fire__alarm" in run("contract", "check")
    tried = run("source", "test", "fire__inspection", "--parts", "5")
    assert "unknown_code:finding" in tried and "fine_without_finding" in tried and "dd.MM.yyyy" in tried
    found = families.families(families.outlines(get_settings().contracts_dir))
    assert {("fire", ("fire",)), ("brigade", ("brigade",))} <= {(f.connection, tuple(f.departments)) for f in found}
    assert ledger.attempts("fire__inspection") == [], "a trial leaves nothing behind"

    for partition in (FIRST, SECOND):
        if partition == SECOND:
            department += [inspection(2, revision=2, day=3, code="C"), inspection(9, day=3, smoke_detectors=4)]
        for task in ("fire", "brigade"):
            runner.pull_department(partition, task)
        build(partition)

    assert rows("quarantine.record", "contract", "raw['no']", "to_json(reasons)") == [
        ("fire__inspection", "FI7", '["fine_without_finding"]'),
        ("fire__inspection", "FI8", '["unknown_code:finding"]'),
    ]
    inspections = rows(
        "silver.fire_inspection", "inspection_number", "version_no", "premises_number", "finding", "fine_cny"
    )
    assert len(inspections) == 8 and ("FI2", "1", "P2", "minor", "246.90") in inspections
    assert ("FI2", "2", "P2", "severe", "246.90") in inspections
    known = dict(rows("silver.fire_inspection", "concat(inspection_number, '/', version_no)", "known_at"))
    assert known["FI1/1"] == "2024-03-01 09:00:00" and known["FI2/2"] == "2024-03-04 00:00:00"
    alarms = [("A1", "12", "1234.50"), ("A2", None, None)]
    assert rows("silver.fire_alarm", "alarm_number", "minutes", "damage_cny") == alarms
    owners = dict(rows("silver.fire_inspection", "inspection_number", "owner_name"))
    assert owners["FI2"] == "杭州示例有限公司" and str(owners["FI1"]).startswith("tok1_person_name_")
    extra = dict(rows("bronze.fire__inspection", "inspection_number", "extra['smoke_detectors']"))
    # Kept aside, and sealed: where a contract has personal columns, a field that nobody stated may be one.
    assert "tok1_unknown_field_" in str(extra["FI9"]) and extra["FI1"] is None
