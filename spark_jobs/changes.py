"""Since which day readers of two versions of silver know different things: what has to be computed again, and what not.

Features at a date read what was known by then. When the rows known by that date are the same in both versions, so are
the features, whatever else came.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING

from lakehouse import differences, engine, tables
from lakehouse.known import known_on

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger("vinelake.changes")


def first_known(
    spark: SparkSession,
    before: Mapping[str, int],
    now: Mapping[str, int],
    without: Mapping[str, Collection[str]] | None = None,
) -> date | None:
    """The first day at whose 00:00 something else is known than before; None when nothing is.

    `before` and `now`: versions of tables of silver, by name. Columns named in `without`, by table, are not looked at.
    `date.min` when that cannot be told: a table is gone, a version was removed, or its columns are others.
    """
    if set(before) - set(now):
        return date.min
    changed = [table for table in now if before.get(table) != now[table]]

    def look(table: str) -> date | None:
        return _first_day(spark, table, before.get(table), now[table], (without or {}).get(table, ()))

    return min((day for day in engine.side_by_side(look, changed) if day), default=None)


def _first_day(spark: SparkSession, table: str, before: int | None, now: int, without: Collection[str]) -> date | None:
    from pyspark.errors import PySparkException
    from pyspark.sql import functions

    try:
        if before is None:
            rows = [(spark.sql(f"SELECT * FROM {tables.at_version(table, now)}"), 1)]
        else:
            old, new = differences.in_own_files(spark, table, before, now)
            rows = [(old, -1), (new, 1)]
        columns = [c for c in rows[-1][0].columns if c not in without]
        parts = [_told(frame, columns, sign) for frame, sign in rows]
        both = reduce(lambda one, other: one.unionByName(other), parts)
        days = both.groupBy("day").agg(functions.sum("n").alias("n"), functions.sum("digest").alias("digest"))
        return days.where("n <> 0 OR digest <> 0").selectExpr("min(day)").collect()[0][0]
    except PySparkException as error:
        if before is None:
            raise
        log.warning("%s: versions %d and %d cannot be compared: %s", table, before, now, str(error).split("\n")[0])
        return date.min


def _told(rows: DataFrame, columns: Collection[str], sign: int) -> DataFrame:
    """Each row's day of being known and digest; what stands on both sides adds up to 0."""
    # Whether a cell is empty is hashed too: a hash passes over NULL, wherever it stands.
    cells = ", ".join(f"`{c}`, `{c}` IS NULL" for c in columns)
    digest = f"{sign} * cast(xxhash64({cells}) AS decimal(38, 0))"
    return rows.selectExpr(f"{known_on('known_at')} AS day", f"{sign} AS n", f"{digest} AS digest")
