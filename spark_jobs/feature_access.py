"""Features for the risk team: some firms, some features, one date; both tables of gold as one.

    from spark_jobs import feature_access
    table = feature_access.arrow("2022-01-01", ["91330100MA20000012"], ["sales_amount_12m_cny", "tax_paid_12m_cny"])

In SQL the same is a join of `gold.enterprise_features` and `gold.enterprise_source_features` by `as_of` and
`enterprise_id`.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse import engine, tables
from lakehouse.errors import ConfigError
from lakehouse.time import parse_partition
from spark_jobs import features
from spark_jobs.source_features import job

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TABLES = (features.TABLE, job.TABLE)
KEYS = ("as_of", "enterprise_id")
AT_MOST_DAYS = 31


def read(spark: SparkSession, as_of: str, ids: Sequence[str] = (), names: Sequence[str] = ()) -> DataFrame:
    """One row per enterprise: `as_of`, `enterprise_id`, then the features asked for, or all of them.

    Grain: enterprise, at the one date; without `ids` every enterprise of it. Reads what is published. ConfigError for a
    date that was not built, an enterprise without a row at it, or a name that is no feature.
    """
    day = parse_partition(as_of)
    _need(spark)
    places = _places(spark)
    wanted = list(dict.fromkeys(names)) or [name for name in places if name not in KEYS]
    _known(wanted, places)
    rows = tables.read(spark, features.TABLE).where(f"as_of = date'{day}'")
    if job.TABLE in places.values():
        beside = tables.read(spark, job.TABLE).where(f"as_of = date'{day}'")
        rows = rows.join(beside, list(KEYS), "left")
    asked = list(dict.fromkeys(ids))
    if asked:
        rows = rows.where(rows.enterprise_id.isin(asked))
    _complete(spark, rows, day, asked)
    return rows.select(*KEYS, *(name for name in wanted if name not in KEYS)).orderBy("enterprise_id")


def on_spine(spark: SparkSession, spine: pa.Table, names: Sequence[str] = ()) -> DataFrame:
    """The spine's rows with features of the latest date built by their own: never one from after it.

    `spine`: `enterprise_id` (string) and `as_of` (date), unique together, with any other columns but features. Grain: a
    row of the spine whose enterprise was known by then; `features_as_of` says which date the features are of. Monthly
    dates are built, so features are at most `AT_MOST_DAYS` old. ConfigError for a row before the first date or further
    from a date than that, or a name that is no feature.
    """
    _need(spark)
    places = _places(spark)
    wanted = list(dict.fromkeys(names)) or [name for name in places if name not in KEYS]
    _known(wanted, places)
    built = features.published_dates(spark)
    taken = {day: _latest(built, day) for day in sorted(set(spine["as_of"].to_pylist()))}
    used = pa.array([taken[day] for day in spine["as_of"].to_pylist()], pa.date32())
    rows = spark.createDataFrame(spine.append_column("features_as_of", used))
    for table in dict.fromkeys(places[name] for name in [*KEYS, *wanted]):
        held = [name for name in wanted if places[name] == table and name not in KEYS]
        beside = tables.read(spark, table).select("as_of", "enterprise_id", *held)
        beside = beside.where(beside.as_of.isin(sorted(set(taken.values()))))
        how = "inner" if table == places["enterprise_id"] else "left"
        beside = beside.withColumnRenamed("as_of", "features_as_of")
        rows = rows.join(beside, ["features_as_of", "enterprise_id"], how)
    return rows.select(*spine.column_names, "features_as_of", *(name for name in wanted if name not in KEYS))


def arrow(as_of: str, ids: Sequence[str] = (), names: Sequence[str] = ()) -> pa.Table:
    """The same as an Arrow table, on a session of its own."""
    with engine.session("feature_access") as spark:
        return read(spark, as_of, ids, names).toArrow()


def _need(spark: SparkSession) -> None:
    if not tables.is_published(spark, features.TABLE):
        raise ConfigError("there are no published features", where=features.TABLE, remedy="run `build_features` first")


def _places(spark: SparkSession) -> dict[str, str]:
    """Each column of the published tables of features, with its table; keys with that of the invoices."""
    held = [table for table in TABLES if tables.is_published(spark, table)]
    return {name: table for table in reversed(held) for name in tables.read(spark, table).columns}


def _latest(built: Sequence[date], day: date) -> date:
    """The latest of the dates that does not lie after a day."""
    place = bisect.bisect_right(built, day)
    if not place or (day - built[place - 1]).days > AT_MOST_DAYS:
        near = f"the one before it is {built[place - 1]}" if place else f"the first is {built[0]}"
        raise ConfigError(
            f"no features were built for {day} or the {AT_MOST_DAYS} days before it: {near}",
            where=features.TABLE,
            remedy="leave the row out, or run `build_features` for a date by then",
        )
    return built[place - 1]


def _known(wanted: Sequence[str], places: dict[str, str]) -> None:
    unknown = [name for name in wanted if name not in places]
    if unknown:
        close = [c for name in unknown for c in difflib.get_close_matches(name, places, n=3, cutoff=0.6)]
        raise ConfigError(
            f"no such feature: {', '.join(unknown)}",
            remedy=(f"did you mean {', '.join(dict.fromkeys(close))}? " if close else "")
            + "docs/reference/features.md lists all",
        )


def _complete(spark: SparkSession, rows: DataFrame, day: date, asked: Sequence[str]) -> None:
    """Every enterprise asked for has a row; else says which has none, or that nothing was built for the date."""
    found = {row[0] for row in rows.select("enterprise_id").collect()} if asked else set()
    missing = [one for one in asked if one not in found]
    if asked and not missing:
        return
    dates = features.published_dates(spark)
    if day not in dates:
        raise ConfigError(
            f"no features were built for {day}",
            where=features.TABLE,
            remedy=f"ask for one of {', '.join(map(str, dates[-10:]))}, or run `build_features` for that date",
        )
    if missing:
        raise ConfigError(
            f"no features at {day} for {', '.join(missing[:10])}{' …' if len(missing) > 10 else ''}",
            where=features.TABLE,
            remedy="an enterprise has a row from the day on which a source first told of it; check the spelling",
        )
