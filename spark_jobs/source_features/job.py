"""Builds `gold.enterprise_source_features` aside: features of every source but invoices, as known at each date.

Rows are those of the invoice features of the same build. Where a lakehouse has no table of a source, its features are
NULL and its coverage says `no_source`; that costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse import known, tables
from spark_jobs.source_features import catalogue, identity, statement
from spark_jobs.source_features.catalogue import Family
from spark_jobs.source_features.statement import Place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TABLE = "gold.enterprise_source_features"
SUBJECTS = "source_subject"


def build(spark: SparkSession, dates: Sequence[date], invoices: str, *, keep: bool = False) -> None:
    """Writes the table aside; `invoices` is the relation with the features of invoices of the same dates.

    With `keep`, rows of other dates stay as the build holds them.
    """
    families = catalogue.load()
    asked = known.macro("date_slice", [str(day) for day in dates])
    spine = f"(SELECT * FROM {invoices} WHERE {asked})"
    rows = compute(spark, families, dates, tables.published_in("silver"), spine)
    try:
        if keep:
            tables.replace_where(rows, TABLE, asked)
        else:
            tables.overwrite(rows, TABLE)
    finally:
        release(spark, families)


def compute(
    spark: SparkSession,
    families: Sequence[Family],
    dates: Sequence[date],
    relations: Mapping[str, str],
    invoices: str,
    kept: Collection[str] = (),
) -> DataFrame:
    """One row per row of `invoices`, from the tables of silver in `relations` (table → where it can be read).

    Who is who and each family are kept for the session until `release`: one statement of all families would be planned
    for minutes. Families named in `kept` stay as an earlier call, for the same rows and dates, has kept them.
    """
    read = tables_read(families)
    relations = {table: relation for table, relation in relations.items() if table in read}
    since = _first_known(spark, relations)
    held = {table: relation for table, relation in relations.items() if table in since}
    dated = f"(SELECT explode(array({', '.join(repr(day.isoformat()) for day in dates)})) AS text)"
    asked = f"(SELECT cast(text AS date) AS as_of FROM {dated})"
    _keep(spark.sql(identity.statement(asked, held)), SUBJECTS)  # nearly every source is joined with it
    place, made = Place(held, since, SUBJECTS, invoices), {}
    for family in families:
        if any(source.table in held for source in family.sources):
            made[family.name] = _view(family)
            if family.name in kept:
                continue
            _keep(spark.sql(statement.of_family(family, dates, place)), made[family.name])
    return spark.sql(statement.together(families, made, invoices))


def release(spark: SparkSession, families: Sequence[Family]) -> None:
    """Lets go of what `compute` has kept, when its rows have been used."""
    for view in (SUBJECTS, *map(_view, families)):
        spark.catalog.dropTempView(view)


def _keep(rows: DataFrame, view: str) -> None:
    """Makes the rows now, and a view of them without how they were made.

    Left to the statement that joins all families, a task of it would make them all, and has not the memory for it.
    """
    rows.localCheckpoint(eager=True).createOrReplaceTempView(view)


def _view(family: Family) -> str:
    return f"source_features_{family.name}"


def tables_read(families: Sequence[Family]) -> set[str]:
    """Every table of silver that source features are made of."""
    sources = [source for family in families for source in family.sources]
    links = {source.subject.via["table"] for source in sources if source.subject.via}
    return {identity.SUBJECT, identity.REGISTRY, *(source.table for source in sources), *links}


def _first_known(spark: SparkSession, relations: Mapping[str, str]) -> dict[str, str]:
    """When each table's first row was known, of those that hold rows."""
    if not relations:
        return {}
    asked = " UNION ALL ".join(
        f"SELECT '{table}' AS name, cast(min(known_at) AS string) AS since FROM {relation}"
        for table, relation in relations.items()
    )
    return {row["name"]: row["since"] for row in spark.sql(asked).collect() if row["since"]}
