"""Features for the risk team: some firms, some features, one date; both tables of gold as one.

    from spark_jobs import feature_access
    table = feature_access.arrow("2022-01-01", ["91330100MA20000012"], ["sales_amount_12m_cny", "tax_paid_12m_cny"])

In SQL the same is a join of `gold.enterprise_features` and `gold.enterprise_source_features` by `as_of` and
`enterprise_id`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse import engine, tables
from lakehouse.errors import ConfigError
from lakehouse.time import parse_partition
from spark_jobs import features
from spark_jobs.source_features import job

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

KEYS = ("as_of", "enterprise_id")


def read(spark: SparkSession, as_of: str, ids: Sequence[str] = (), names: Sequence[str] = ()) -> DataFrame:
    """One row per enterprise: `as_of`, `enterprise_id`, then the features asked for, or all of them.

    Grain: enterprise, at the one date; without `ids` every enterprise of it. Reads what is published. ConfigError for a
    date that was not built, an enterprise without a row at it, or a name that is no feature.
    """
    day = parse_partition(as_of)
    _need(spark)
    held = [table for table in (features.TABLE, job.TABLE) if tables.is_published(spark, table)]
    places = {name: table for table in reversed(held) for name in tables.read(spark, table).columns}
    wanted = list(dict.fromkeys(names)) or [name for name in places if name not in KEYS]
    _known(wanted, places)
    rows = tables.read(spark, features.TABLE).where(f"as_of = date'{day}'")
    for table in held[1:]:
        beside = tables.read(spark, table).where(f"as_of = date'{day}'")
        rows = rows.join(beside, list(KEYS), "left")
    asked = list(dict.fromkeys(ids))
    if asked:
        rows = rows.where(rows.enterprise_id.isin(asked))
    _complete(spark, rows, day, asked)
    return rows.select(*KEYS, *(name for name in wanted if name not in KEYS)).orderBy("enterprise_id")


def arrow(as_of: str, ids: Sequence[str] = (), names: Sequence[str] = ()) -> pa.Table:
    """The same as an Arrow table, on a session of its own."""
    with engine.session("feature_access") as spark:
        return read(spark, as_of, ids, names).toArrow()


def _need(spark: SparkSession) -> None:
    if not tables.is_published(spark, features.TABLE):
        raise ConfigError("there are no published features", where=features.TABLE, remedy="run `build_features` first")


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
    name = tables.published_name(features.TABLE)
    dates = [row[0] for row in spark.sql(f"SELECT DISTINCT as_of FROM {name} ORDER BY as_of").collect()]
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
