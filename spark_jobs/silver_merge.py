"""A versioned table brought up to date by its new batches alone, in one commit.

Only the records that a new batch speaks of are made anew, from all their rows, and merged in by key and version. New
rows never take a version away (unless values are carried on), so there is nothing to delete. The build starts from the
published version and the merge may repeat itself, so a kill at any moment leaves the same table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse import delta_log, tables
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from spark_jobs import bronze_growth, silver_versions
from spark_jobs.landing import SEQUENCE, slice_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Below this, making a table as a whole is as quick as a merge.
LEAST_ROWS = 100_000
LARGEST_SHARE = 0.1


def new_batches(spark: SparkSession, contract: Contract, since: int, now: int) -> list[int] | None:
    """The batches that a bronze table got between two of its versions, by their places in the chain; None where a merge
    would not do or not pay.

    The table's log tells them, if nothing but new batches was written; else the rows of every batch are counted on both
    sides: one that went or changed its rows cannot be merged. Neither can records whose values are carried on, nor what
    came after a version that retention has removed.
    """
    if contract.silver is None or contract.silver.carry:
        return None
    table = contract.bronze_table
    place = tables.build_location(table)
    try:
        before, after = delta_log.count(place, since), delta_log.count(place, now)
        new = _told_by_the_log(table, since, now)
    except ConfigError:
        return None
    if after < LEAST_ROWS or after - before > LARGEST_SHARE * after:
        return None
    return new if new is not None else _counted(spark, table, since, now)


def _told_by_the_log(table: str, since: int, now: int) -> list[int] | None:
    """The batches that came, if all that came since are later in the chain than all that were there."""
    new = bronze_growth.grew_by(table, since, now)
    last = delta_log.greatest(tables.build_location(table), SEQUENCE, since)
    return sorted(new) if new is not None and (last is None or all(batch > last for batch in new)) else None


def _counted(spark: SparkSession, table: str, since: int, now: int) -> list[int] | None:
    """The batches that came, if of none of those that were there the number of rows is another."""
    from pyspark.errors import PySparkException

    counted = f"SELECT {SEQUENCE}, count(*) AS n FROM {{}} GROUP BY {SEQUENCE}"
    try:
        sides = [spark.sql(counted.format(tables.at_version(table, v))).collect() for v in (since, now)]
    except PySparkException:
        return None
    held, found = ({row[SEQUENCE]: row["n"] for row in rows} for rows in sides)
    if any(found.get(batch) != n for batch, n in held.items()):
        return None
    return sorted(found.keys() - held.keys())


def merge(accepted: DataFrame, contract: Contract, batches: list[int]) -> None:
    """Merges into a table's build what the given batches change; it has to stand at the version before them."""
    record = contract.silver
    assert record is not None, f"{contract.id} has no property silver"
    spark, keys = accepted.sparkSession, list(record.keys)
    touched = accepted.where(slice_of(batches)).select(*keys).distinct().alias("touched")
    rows = accepted.alias("told").join(touched, _same("told", "touched", keys), "left_semi")
    made = silver_versions.of_contract(rows, contract)
    view = f"made_of_{tables.split(record.table)[1]}"  # of its own: tables are merged side by side
    made.createOrReplaceTempView(view)
    columns = ", ".join(f"`{c}`" for c in made.columns)
    spark.sql(
        f"MERGE INTO {tables.build_name(record.table)} AS old USING {view} AS new "
        f"ON {_condition('old', 'new', [*keys, 'version_no'])} "
        f"WHEN MATCHED AND NOT (struct({_of('old', made.columns)}) <=> struct({_of('new', made.columns)})) "
        f"THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({_of('new', made.columns)})"
    )


def _condition(left: str, right: str, columns: list[str]) -> str:
    return " AND ".join(f"{left}.`{c}` <=> {right}.`{c}`" for c in columns)


def _same(left: str, right: str, columns: list[str]):
    from pyspark.sql import functions

    return functions.expr(_condition(left, right, columns))


def _of(side: str, columns: list[str]) -> str:
    return ", ".join(f"{side}.`{c}`" for c in columns)
