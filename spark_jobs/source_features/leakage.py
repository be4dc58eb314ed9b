"""Does a feature see the future? It is computed again from silver cut at its date, and has to come out the same.

Cut at D means: of every table the rows as known at D, one version a record; and every date or time in them that is not
before D is taken away, unless the catalogue lists it among `plans`, the dates agreed on beforehand. A feature that
reads a later version, a column filled in later, or an identity found out later comes out otherwise, and is named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse import known, tables
from lakehouse.errors import ConfigError, GateFailed
from spark_jobs import features
from spark_jobs.source_features import catalogue, job
from spark_jobs.source_features.catalogue import Family

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Columns that say when a row came, not what happened in the world.
TRACE = frozenset({"known_at", "received_on", "published_at", "resolved_at", "changed_at", "updated_at", "booked_at"})


def check(spark: SparkSession, as_of: date) -> int:
    """Checks every source feature published for a date; returns the rows compared.

    Raises GateFailed naming the features that differ and in how many rows; ConfigError for a date that is not built.
    """
    families = catalogue.load()
    if not tables.is_published(spark, job.TABLE):
        raise ConfigError(
            "there are no published source features", where=job.TABLE, remedy="run `build_features` first"
        )
    made = tables.read(spark, job.TABLE).where(f"as_of = date'{as_of}'")
    if made.isEmpty():
        raise ConfigError(f"no source features are published for {as_of}", remedy="build features for that date first")
    spine = f"(SELECT * FROM {tables.published_name(features.TABLE)} WHERE as_of = date'{as_of}')"
    return compare(spark, families, as_of, tables.published_in("silver"), spine, made)


def compare(
    spark: SparkSession,
    families: Sequence[Family],
    as_of: date,
    relations: Mapping[str, str],
    spine: str,
    made: DataFrame,
) -> int:
    """Compares rows of one date with the same made from `relations` cut at it; returns the rows compared.

    `made`: one row per enterprise, as `job.compute` gives them; `spine`: the features of invoices of the date. Raises
    GateFailed as `check` does.
    """
    again = job.compute(spark, families, [as_of], cut(spark, families, as_of, relations), spine)
    rows, broken = _differences(made, again)
    job.release(spark, families)
    if broken:
        raise GateFailed(
            f"{len(broken)} source features see what was not known: "
            + "; ".join(f"{name} ({n:,} rows)" for name, n in list(broken.items())[:8]),
            where=f"as of {as_of}, against silver cut at that date",
            remedy="look at their expressions in dbt_project/source_features: compare dates with as_of, or list them "
            "in plans where they are agreed on before",
        )
    return rows


def cut(spark: SparkSession, families: Sequence[Family], as_of: date, relations: Mapping[str, str]) -> dict[str, str]:
    """Views of the tables of silver that families read, cut at a date; returns where each is read."""
    planned: dict[str, set[str]] = {}
    for source in (source for family in families for source in family.sources):
        planned.setdefault(source.table, set()).update(source.plans)
    views = {}
    for table in sorted(job.tables_read(families) & set(relations)):
        relation = relations[table]
        rows = spark.sql(known.statement(table, relation, spark.table(relation).columns, as_of))
        views[table] = f"cut_{tables.split(table)[1]}"
        cells = [_cell(name, kind, as_of, planned.get(table, ())) for name, kind in rows.dtypes]
        rows.selectExpr(*cells).createOrReplaceTempView(views[table])
    return views


def _cell(name: str, kind: str, as_of: date, planned: Collection[str]) -> str:
    if kind not in ("date", "timestamp") or name in TRACE or name in planned:
        return f"`{name}`"
    return f"CASE WHEN `{name}` < {known.moment(as_of)} THEN `{name}` END AS `{name}`"


def _differences(made: DataFrame, again: DataFrame) -> tuple[int, dict[str, int]]:
    """The rows compared, and of each column that differs in how many of them; a row of one side alone differs too."""
    names = [name for name in again.columns if name not in ("as_of", "enterprise_id")]
    one = made.select("enterprise_id", "as_of", *names).alias("one")
    two = again.select("enterprise_id", "as_of", *names).alias("two")
    counted = [f"count_if(NOT (one.`{n}` <=> two.`{n}`)) AS `{n}`" for n in ("as_of", *names)]
    row = one.join(two, "enterprise_id", "full").selectExpr("count(*) AS rows_compared", *counted).collect()[0].asDict()
    return row.pop("rows_compared"), {name: n for name, n in row.items() if n}
