"""Upkeep: compaction keeps every row, retention keeps every file that a publication of that time needs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lakehouse import builds, engine, maintenance, tables
from lakehouse.settings import Settings

pytestmark = pytest.mark.engine
LOAN, FIRM = "silver.loan", "silver.enterprise"
DAY = 86_400


def age(folder: Path, days: int) -> list[Path]:
    """Makes the data files of a table as old as that; returns them."""
    files = sorted(folder.glob("*.parquet"))
    for file in files:
        os.utime(file, (time.time() - days * DAY,) * 2)
    return files


def test_upkeep_changes_no_row_and_breaks_no_publication(lakehouse: Settings) -> None:
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        tables.overwrite(spark.range(0, 400, numPartitions=20).selectExpr("id", "id * 2 AS twice"), LOAN)
        tables.overwrite(spark.range(5).toDF("id"), FIRM)
        first = {t: tables.build_version(t) for t in (LOAN, FIRM)}
        tables.publish(spark, first, "test", "2020-03-01")
        rows = tables.content_hash(tables.read(spark, LOAN))
        made_from = builds.Input({"bronze.bank__loan": 7}, "as defined")
        builds.record("run", [builds.Made(LOAN, first[LOAN], 400, made_from)])

    assert maintenance.compact() == {LOAN: 20}
    with engine.session() as spark:
        now = tables.current_manifest()
        assert (now.manifest_id, now.versions[FIRM]) == (2, first[FIRM])
        assert now.versions[LOAN] == tables.build_version(LOAN) > first[LOAN]
        assert tables.content_hash(tables.read(spark, LOAN)) == rows
        # what it was made from is known of the compacted version too: nothing is built again for it
        assert builds.built()[(LOAN, now.versions[LOAN])] == made_from
        assert spark.sql(f"DESCRIBE DETAIL {tables.build_name(LOAN)}").collect()[0]["numFiles"] < 5
        # an unpublished build lies on top of the second table
        tables.overwrite(spark.range(9).toDF("id"), FIRM)
    assert maintenance.compact() == {}

    loan = Path(tables.build_location(LOAN))
    kept = age(loan, 400)
    (loan / "orphan.snappy.parquet").write_bytes(b"left by a killed job long ago")
    (loan / "young.snappy.parquet").write_bytes(b"being written by a job just now")
    age(loan, 400)
    os.utime(loan / "young.snappy.parquet")
    found = maintenance.apply_retention()
    assert found[LOAN] == 1 and "left alone" in str(found[FIRM])
    assert not (loan / "orphan.snappy.parquet").exists() and (loan / "young.snappy.parquet").exists()
    assert all(file.exists() for file in kept)
    with engine.session() as spark:
        # the version published before the compaction was current within the retention time: it stays readable
        before = spark.sql(f"SELECT * FROM {tables.build_name(LOAN)} VERSION AS OF {first[LOAN]}")
        assert tables.content_hash(before) == tables.content_hash(tables.read(spark, LOAN)) == rows
        assert tables.read(spark, FIRM).count() == 5
