"""What two versions of a table differ in, read from the data files that only one of them has.

Files never change, so rows of a file that both versions have are the same on both sides. What is read is as much as was
written between the versions, whatever the size of the table. A table with deletion vectors is read as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse import delta_log, tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


# Of smaller tables looking at all rows is as quick.
LEAST_ROWS = 1_000_000


def in_own_files(spark: SparkSession, table: str, before: int, now: int) -> tuple[DataFrame, DataFrame]:
    """The rows of both versions, without what lies in files that both have: what a rewritten file took along with what
    is new stands on both sides. A version that was removed, or files of it, are an error once the rows are read."""
    sides = [spark.sql(f"SELECT * FROM {tables.at_version(table, version)}") for version in (before, now)]
    if delta_log.has_deletion_vectors(tables.build_location(table)):
        return sides[0], sides[1]
    held = [set(side.inputFiles()) for side in sides]
    own = [sorted(files - others) for files, others in zip(held, reversed(held), strict=True)]
    old, new = (
        spark.read.schema(side.schema).parquet(*files) if files else side.limit(0)
        for side, files in zip(sides, own, strict=True)
    )
    return old, new


def rows(spark: SparkSession, table: str, before: int, now: int) -> tuple[DataFrame, DataFrame]:
    """The rows that went and those that came between two versions, each as often as there are more of it."""
    old, new = in_own_files(spark, table, before, now)
    return old.exceptAll(new.select(*old.columns)), new.exceptAll(old.select(*new.columns))
