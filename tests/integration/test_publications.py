"""A publication is told to those that listen, once, and is made whatever they do."""

from __future__ import annotations

import json

import pytest

from lakehouse import tables

pytestmark = pytest.mark.engine


def test_a_publication_is_told_once_and_a_failing_listener_changes_nothing(lakehouse, spark, monkeypatch) -> None:
    tables.ensure_schemas(spark)
    spark.sql("SELECT 'E1' AS enterprise_id, true AS is_bad").createOrReplaceTempView("records")
    tables.overwrite(spark.table("records"), "silver.credit_record")
    version = tables.build_version("silver.credit_record")
    for _ in range(2):
        tables.publish(spark, {"silver.credit_record": version}, "gate_silver", "2020-01-01")
    folder = lakehouse.home / "lineage" / lakehouse.environment
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    (event,) = map(json.loads, lines)
    assert event["outputs"][0]["name"] == "silver.credit_record"
    assert event["outputs"][0]["facets"]["version"]["datasetVersion"] == str(version)
    assert "E1" not in lines[0]

    monkeypatch.setattr("lineage.store.project_graph", lambda: 1 / 0)
    tables.overwrite(spark.table("records"), "silver.credit_record")
    later = tables.build_version("silver.credit_record")
    assert tables.publish(spark, {"silver.credit_record": later}, "gate_silver", "2020-01-02").manifest_id == 2
    assert tables.read(spark, "silver.credit_record").count() == 1
