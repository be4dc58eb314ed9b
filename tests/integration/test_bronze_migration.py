"""A lakehouse of an earlier release: its manifest names no batches, and none of them is taken in twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse import engine, tables
from lakehouse.settings import Settings
from spark_jobs import bronze
from tests.drops import publish_builds
from tests.feeds import land, page, reading, use_feed

pytestmark = pytest.mark.engine


def test_what_an_older_manifest_published_is_noted_once(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch)
    first = land(contract, "2020-02-01", page([reading(1), reading(2, zt="?")]))
    bronze.build("2020-02-01")
    with engine.session() as spark:
        publish_builds(spark, "bronze", "2020-02-01")
        manifest = f"{lakehouse.schema_name('control')}.manifest"
        rows = spark.sql(f"SELECT * EXCEPT (batches) FROM {manifest}").collect()
        older = tables.MANIFEST_SCHEMA.removesuffix(", batches array<string>")
        frame = spark.createDataFrame([tuple(r) for r in rows], older)
        frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true").saveAsTable(manifest)

    second = land(contract, "2020-02-02", page([reading(3)]))
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        assert [b.batch_id for b in bronze.pending(spark)] == [second.batch_id]
        for _ in range(2):
            assert tables.published_batches(spark) == {first.batch_id}
        noted = spark.sql(f"SELECT job, changed, batches FROM {manifest} ORDER BY manifest_id").collect()
    assert [tuple(r) for r in noted][1:] == [(tables.NOTED, [], [first.batch_id])] and noted[0]["batches"] is None
    assert bronze.build("2020-02-02") == {"batches": 1, "rows_in": 1}
    with engine.session() as spark:
        publish_builds(spark, "bronze", "2020-02-02")
        assert tables.published_batches(spark) == {first.batch_id, second.batch_id}
