"""A versioned table brought up to date by its new batches alone, in one commit.

Only the records that a new batch speaks of are made anew, from all their rows, and merged in by key and version. New
rows never take a version away (unless values are carried on), so there is nothing to delete. The build starts from the
published version and the merge may repeat itself, so a kill at any moment leaves the same table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lakehouse import delta_log, tables
from lakehouse.builds import Input
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from spark_jobs import bronze_growth, silver_versions
from spark_jobs.landing import SEQUENCE, slice_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_jobs.silver_plan import Reader

# Below this, making a table as a whole is as quick as a merge.
LEAST_ROWS = 100_000
LARGEST_SHARE = 0.1


def update(reader: Reader, before: Input, now: Input, contract: Contract) -> bool:
    """Brings the build of a contract's own table up to date; False where a merge would not do or not pay, as with
    records whose values are carried on."""
    assert contract.silver is not None, f"{contract.id} has no property silver"
    new = None if contract.silver.carry else new_batches_of(reader.spark, [contract], before, now)
    if new is None:
        return False
    if batches := new.get(contract.id):
        merge(reader.accepted(contract.id), contract, batches)
    return True


def new_batches_of(
    spark: SparkSession, contracts: Iterable[Contract], before: Input, now: Input
) -> dict[str, list[int]] | None:
    """By contract the batches that its bronze table got since then, by their places in the chain.

    None where they cannot be told, or are too many among too few rows for a merge to pay.

    A table's log tells them, if nothing but new batches was written; else the rows of every batch are counted on both
    sides: one that went or changed its rows cannot be merged. Neither can what came after a version that retention has
    removed, nor a table's first rows.
    """
    sizes, new = [(0, 0)], {}
    for contract in contracts:
        table = contract.bronze_table
        since, until = before.versions.get(table), now.versions.get(table)
        if until is None:
            continue
        if since is None:
            return None
        try:
            place = tables.build_location(table)
            sizes.append((delta_log.count(place, since), delta_log.count(place, until)))
            new[contract.id] = [] if since == until else _new_batches(spark, table, since, until)
        except ConfigError:
            return None
    held, found = (sum(side) for side in zip(*sizes, strict=True))
    if found < LEAST_ROWS or found - held > LARGEST_SHARE * found or None in new.values():
        return None
    return new


def _new_batches(spark: SparkSession, table: str, since: int, now: int) -> list[int] | None:
    new = _told_by_the_log(table, since, now)
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
    keys = list(record.keys)
    touched = accepted.where(slice_of(batches)).select(*keys).distinct().alias("touched")
    rows = accepted.alias("told").join(touched, _same("told", "touched", keys), "left_semi")
    put(silver_versions.of_contract(rows, contract), record.table, [*keys, "version_no"])


def put(
    made: DataFrame, table: str, keys: list[str], gone: DataFrame | None = None, of_days: Sequence[str] = ()
) -> None:
    """Merges rows into a table's build by their keys; rows that are there already are left as they are.

    `gone`: keys of rows to delete. `of_days`: conditions (`within`), of which any row of such a key in the table meets
    one: files of other days are passed over.
    """
    columns, view = made.columns, f"made_of_{tables.split(table)[1]}"  # tables are merged side by side
    source = made.selectExpr("*", "false AS is_gone")
    if gone is not None:
        source = source.unionByName(gone.selectExpr("*", "true AS is_gone"), allowMissingColumns=True)
    source.createOrReplaceTempView(view)
    days = " OR ".join(f"old.{condition}" for condition in of_days) or "true"
    listed, updates = ", ".join(f"`{c}`" for c in columns), ", ".join(f"old.`{c}` = new.`{c}`" for c in columns)
    made.sparkSession.sql(
        f"MERGE INTO {tables.build_name(table)} AS old USING {view} AS new "
        f"ON {_condition('old', 'new', keys)} AND ({days}) WHEN MATCHED AND new.is_gone THEN DELETE "
        f"WHEN MATCHED AND NOT (struct({_of('old', columns)}) <=> struct({_of('new', columns)})) "
        f"THEN UPDATE SET {updates} WHEN NOT MATCHED AND NOT new.is_gone "
        f"THEN INSERT ({listed}) VALUES ({_of('new', columns)})"
    )


def within(rows: DataFrame, day: str) -> str:
    """SQL: a date lies among those of some rows, as far as they reach; no date where there are none."""
    first, last = rows.selectExpr(f"min({day})", f"max({day})").collect()[0]
    return f"{day} BETWEEN date'{first}' AND date'{last}'" if first else f"{day} IS NULL"


def _condition(left: str, right: str, columns: list[str]) -> str:
    return " AND ".join(f"{left}.`{c}` <=> {right}.`{c}`" for c in columns)


def _same(left: str, right: str, columns: list[str]):
    from pyspark.sql import functions

    return functions.expr(_condition(left, right, columns))


def _of(side: str, columns: list[str]) -> str:
    return ", ".join(f"{side}.`{c}`" for c in columns)
