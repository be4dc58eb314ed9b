"""A versioned table brought up to date by its new batches alone, in one commit.

Only the records that a new batch speaks of are made anew, from all their rows, and merged in by key and version. New
rows never take a version away (unless values are carried on), so there is nothing to delete. The build starts from the
published version and the merge may repeat itself, so a kill at any moment leaves the same table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse import tables
from lakehouse.contracts import Contract
from spark_jobs import silver_versions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Below this, making a table as a whole is as quick as a merge.
LEAST_ROWS = 100_000
LARGEST_SHARE = 0.1


def new_batches(spark: SparkSession, contract: Contract, since: int, now: int) -> list[str] | None:
    """The batches that a bronze table got between two of its versions; None where a merge would not do or not pay.

    A batch is told by its id and number of rows: one that went or changed its rows cannot be merged. Neither can
    records whose values are carried on, nor what came after a version that retention has removed.
    """
    from pyspark.errors import PySparkException

    if contract.silver is None or contract.silver.carry:
        return None
    name = tables.build_name(contract.bronze_table)
    counted = "SELECT batch_id, count(*) AS n FROM {} VERSION AS OF {} GROUP BY batch_id"
    try:
        held = {r["batch_id"]: r["n"] for r in spark.sql(counted.format(name, since)).collect()}
    except PySparkException:
        return None
    found = {r["batch_id"]: r["n"] for r in spark.sql(counted.format(name, now)).collect()}
    new = {batch: n for batch, n in found.items() if batch not in held}
    if any(found.get(batch) != n for batch, n in held.items()):
        return None
    if sum(found.values()) < LEAST_ROWS or sum(new.values()) > LARGEST_SHARE * sum(found.values()):
        return None
    return sorted(new)


def merge(accepted: DataFrame, contract: Contract, batches: list[str]) -> None:
    """Merges into a table's build what the given batches change; it has to stand at the version before them."""
    record = contract.silver
    assert record is not None, f"{contract.id} has no property silver"
    spark, listed = accepted.sparkSession, ", ".join(f"'{batch}'" for batch in batches)
    keys = list(record.keys)
    touched = accepted.where(f"batch_id IN ({listed})").select(*keys).distinct().alias("touched")
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
