"""Features for the risk team: some firms, some features, one date or each row's own; both tables of gold as one.

    from spark_jobs import feature_access
    table = feature_access.arrow("2022-01-01", ["91330100MA20000012"], ["sales_amount_12m_cny", "tax_paid_12m_cny"])

Arrow is read without an engine (`lakehouse.direct`), both tables as one publication has them. In SQL the same is a join
of `gold.enterprise_features` and `gold.enterprise_source_features` by `as_of` and `enterprise_id`.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse import direct, tables
from lakehouse.errors import ConfigError
from lakehouse.tables import Manifest
from lakehouse.time import parse_partition
from spark_jobs import features
from spark_jobs.source_features import job

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TABLES = (features.TABLE, job.TABLE)
KEYS = ("as_of", "enterprise_id")
AT_MOST_DAYS = 31


def arrow(as_of: str, ids: Sequence[str] = (), names: Sequence[str] = ()) -> pa.Table:
    """One row per enterprise: `as_of`, `enterprise_id`, then the features asked for, or all of them.

    Grain: enterprise, at the one date; without `ids` every enterprise of it. Reads what is published. ConfigError for a
    date that was not built, an enterprise without a row at it, or a name that is no feature.
    """
    day, held = parse_partition(as_of), tables.current_manifest()
    places = _places(held)
    wanted = _wanted(names, places)
    spine = _enterprises(held, day, ids)
    return _joined(spine, wanted, places, held).rename_columns([*KEYS, *wanted])


def read(spark: SparkSession, as_of: str, ids: Sequence[str] = (), names: Sequence[str] = ()) -> DataFrame:
    """The same as a Spark data frame that reads the tables when it is used; rows and errors as with `arrow`."""
    day, held = parse_partition(as_of), tables.current_manifest()
    places = _places(held)
    wanted = _wanted(names, places)
    _enterprises(held, day, ids)
    rows = tables.read(spark, features.TABLE).where(f"as_of = date'{day}'")
    if job.TABLE in places.values():
        rows = rows.join(tables.read(spark, job.TABLE).where(f"as_of = date'{day}'"), list(KEYS), "left")
    if ids:
        rows = rows.where(rows.enterprise_id.isin(list(ids)))
    return rows.select(*KEYS, *wanted).orderBy("enterprise_id")


def on_spine(spine: pa.Table, names: Sequence[str] = (), held: Manifest | None = None) -> pa.Table:
    """The spine's rows with features of the latest date built by their own: never one from after it.

    `spine`: `enterprise_id` (string) and `as_of` (date), unique together, with any other columns but features; `held`:
    the publication to read, the last one otherwise. Grain: a row of the spine whose enterprise was known by then;
    `features_as_of` says which date the features are of. Monthly dates are built, so features are at most
    `AT_MOST_DAYS` old. ConfigError for a row before the first date or further from a date than that, or a name that is
    no feature.
    """
    held = held or tables.current_manifest()
    places = _places(held)
    wanted = _wanted(names, places)
    built, days = features.published_dates(held), pc.dictionary_encode(spine["as_of"].combine_chunks())
    asked = days.dictionary.to_pylist()
    taken = {day: _latest(built, day) for day in sorted(asked)}
    spine = spine.append_column(
        "features_as_of", pa.array([taken[day] for day in asked], pa.date32()).take(days.indices)
    )
    return _joined(spine, wanted, places, held)


def _joined(spine: pa.Table, wanted: Sequence[str], places: Mapping[str, str], held: Manifest) -> pa.Table:
    """The rows of the spine that the features of invoices know at `features_as_of`, with the features wanted."""
    dates, asked, known = spine["features_as_of"].unique().to_pylist(), _index(spine, "features_as_of"), None
    columns: dict[str, pa.ChunkedArray] = {}
    for table in dict.fromkeys([features.TABLE, *(places[name] for name in wanted)]):
        own = [name for name in wanted if places[name] == table]
        part = direct.read(table, held, [*KEYS, *own], "as_of", dates)
        row = _index(part, "as_of").get_indexer(asked)
        known = row >= 0 if known is None else known
        row = row[known]
        taken = part.select(own).combine_chunks().take(pa.array(row, mask=row < 0))
        columns |= dict(zip(own, taken.columns, strict=True))
    rows = spine.filter(pa.array(known))
    for name in wanted:
        rows = rows.append_column(name, columns[name])
    return rows


def _index(rows: pa.Table, day: str) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([rows[day].to_numpy(), rows["enterprise_id"].to_numpy()])


def _places(held: Manifest) -> dict[str, str]:
    """Each column of the published tables of features, with its table; keys with that of the invoices."""
    if features.TABLE not in held.versions:
        raise ConfigError("there are no published features", where=features.TABLE, remedy="run `build_features` first")
    places: dict[str, str] = {}
    for table in (table for table in TABLES if table in held.versions):
        places |= {name: table for name in direct.columns(table, held) if name not in places}
    return places


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


def _wanted(names: Sequence[str], places: Mapping[str, str]) -> list[str]:
    """The features asked for, once each, without keys; all of them for none. ConfigError for what is no feature."""
    unknown = [name for name in names if name not in places]
    if unknown:
        close = [c for name in unknown for c in difflib.get_close_matches(name, places, n=3, cutoff=0.6)]
        raise ConfigError(
            f"no such feature: {', '.join(unknown)}",
            remedy=(f"did you mean {', '.join(dict.fromkeys(close))}? " if close else "")
            + "docs/reference/features.md lists all",
        )
    return [name for name in dict.fromkeys(names or places) if name not in KEYS]


def _enterprises(held: Manifest, day: date, ids: Sequence[str]) -> pa.Table:
    """`features_as_of` and `enterprise_id` of those asked for, all for none; ConfigError where one has no row."""
    found = direct.read(features.TABLE, held, KEYS, "as_of", [day]).sort_by("enterprise_id")
    if not len(found):
        near = ", ".join(map(str, features.published_dates(held)[-10:]))
        raise ConfigError(
            f"no features were built for {day}",
            where=features.TABLE,
            remedy=f"ask for one of {near}, or run `build_features` for that date",
        )
    there = set(found["enterprise_id"].to_pylist())
    if missing := [one for one in dict.fromkeys(ids) if one not in there]:
        raise ConfigError(
            f"no features at {day} for {', '.join(missing[:10])}{' …' if len(missing) > 10 else ''}",
            where=features.TABLE,
            remedy="an enterprise has a row from the day on which a source first told of it; check the spelling",
        )
    if ids:
        found = found.filter(pc.is_in(found["enterprise_id"], pa.array(list(ids))))
    return found.rename_columns(["features_as_of", "enterprise_id"])
