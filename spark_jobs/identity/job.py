"""Identity in the lakehouse: reads what departments say from silver, keeps the ledger in silver, and the corrections.

The work is done in DuckDB on Arrow (`ledger`), some forty times faster than Splink on the embedded engine; the engine
holds the tables. Only wordings that the ledger does not hold yet leave the engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakehouse import builds, control, engine, tables
from lakehouse import ledger as runs
from lakehouse.time import parse_partition
from spark_jobs import silver_plan
from spark_jobs.identity import departments, ledger
from spark_jobs.identity.corrections import CORRECTIONS
from spark_jobs.identity.ledger import Ledger
from spark_jobs.identity.mentions import CHANGES, IDENTIFYING, ROWS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TABLES = {
    "mention": "silver.identity_mention",
    "pair": "silver.identity_pair",
    "link": "silver.identity_link",
    "key": "silver.enterprise_key",
    "review": "silver.identity_review",
    "relation": "silver.enterprise_relation",
}
CORRECTION_SCHEMA = (
    "correction_id string, system string, department string, local_key string, enterprise_id string, "
    "effective_from date, withdrawn boolean, author string, reason string, made_at timestamp"
)
BUILD_SCHEMA = "digest string, versions map<string, bigint>, built_at timestamp"


def build(partition: str) -> dict[str, Any]:
    """Builds the tables of identity aside from silver as it stands; returns rows of each, and pairs compared.

    What is published already is the state to go on from; with other code, the ledger is made anew. When nothing was
    said, changed or corrected since, nothing is written; nor is it before any department was heard.
    """
    parse_partition(partition)
    with engine.session("identity") as spark, runs.run(spark, "identity", partition) as run:
        known = silver_plan.load_contracts()
        if not departments.are_built(spark, known):
            return dict(run.details)
        changed = arrow(departments.changes(spark, known), CHANGES)
        corrected = corrections()
        code, said = _code(), _digest(changed, corrected)
        before = _published(spark, code)
        new = arrow(_unheard(departments.rows(spark, known), before), ROWS)
        if before and not new.num_rows and before[1] == f"{code} {said}":
            return dict(run.details)
        built = ledger.build(new, changed, corrected, before[0] if before else None)

        def write(part: str) -> int:
            tables.overwrite(_frame(spark, getattr(built, part)), TABLES[part])
            return tables.build_version(TABLES[part])

        versions = {TABLES[part]: write(part) for part in TABLES}
        run.details.update({name: getattr(built, part).num_rows for part, name in TABLES.items()})
        run.details["pairs_compared"], run.details["new_mentions"] = built.compared, new.num_rows
        _record(f"{code} {said}", versions)
        return dict(run.details)


def corrections() -> pa.Table:
    """Every correction ever entered, in order; times of UTC without their zone, as in the ledger of identity."""
    rows = control.rows("identity_correction", CORRECTION_SCHEMA)
    rows.sort(key=lambda row: (row["made_at"], row["correction_id"]))
    told = pa.Table.from_pylist(rows, control.arrow_schema(CORRECTION_SCHEMA))
    return naive(told).select(CORRECTIONS.names).cast(CORRECTIONS)


def correct(entry: pa.Table) -> None:
    """Enters a correction (`corrections.entry`); the same one is entered once. It acts with the next build."""
    names = control.arrow_schema(CORRECTION_SCHEMA).names
    rows = [tuple(row[name] for name in names) for row in _zoned(entry).to_pylist()]
    control.merge("identity_correction", CORRECTION_SCHEMA, rows, ("correction_id",))


def _published(spark: SparkSession, code: str) -> tuple[Ledger, str] | None:
    """The ledger as published and what it was made from; None without one, or when other code made it."""
    manifest = tables.current_manifest()
    for name in TABLES.values():
        tables.begin_build(spark, name, manifest)
    if not set(TABLES.values()) <= set(manifest.versions):
        return None
    now = {name: manifest.versions[name] for name in TABLES.values()}
    rows = sorted(control.rows("identity_build", BUILD_SCHEMA), key=lambda row: row["built_at"])
    made = [row["digest"] for row in rows if row["versions"] == now and row["digest"].startswith(code)]
    if not made:
        return None
    read = {part: naive(tables.read(spark, name).toArrow()) for part, name in TABLES.items()}
    return Ledger(**read, compared=0), made[-1]


def _unheard(rows: DataFrame, before: tuple[Ledger, str] | None) -> DataFrame:
    """Rows that say what no mention holds yet, or that were known earlier than it."""
    if before is None:
        return rows
    spark = rows.sparkSession
    held = tables.read(spark, TABLES["mention"]).select("mention_id", "known_at")
    told = ", ".join(f"coalesce({c}, '')" for c in IDENTIFYING)
    named = rows.selectExpr("*", f"md5(concat_ws('|', {told})) AS mention_id")
    earlier = (named["mention_id"] == held["mention_id"]) & (held["known_at"] <= named["known_at"])
    return named.join(held, earlier, "left_anti").drop("mention_id")


def arrow(frame: DataFrame, schema: pa.Schema) -> pa.Table:
    """Rows of the engine in the columns of a schema."""
    return naive(frame.toArrow()).select(schema.names).cast(schema)


def naive(table: pa.Table) -> pa.Table:
    """Times without a zone, which are UTC."""
    return _timed(table, None)


def _frame(spark: SparkSession, table: pa.Table) -> DataFrame:
    if not table.num_rows:
        return spark.createDataFrame([], departments.ddl(table.schema))
    return spark.createDataFrame(_zoned(table))


def _zoned(table: pa.Table) -> pa.Table:
    """Times of UTC with their zone, as the engine takes moments."""
    return _timed(table, "UTC")


def _timed(table: pa.Table, zone: str | None) -> pa.Table:
    kinds = [pa.timestamp("us", zone) if pa.types.is_timestamp(f.type) else f.type for f in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


def _record(digest: str, versions: Mapping[str, int]) -> None:
    control.append("identity_build", BUILD_SCHEMA, [(digest, dict(versions), datetime.now(UTC))])


def _code() -> str:
    """A digest of the package: other rules, words or weights make the ledger anew."""
    return builds.definition(f for f in sorted(Path(__file__).parent.glob("*.*")) if f.suffix in (".py", ".json"))


def _digest(*told: pa.Table) -> str:
    digest = hashlib.sha256()
    for table in told:
        digest.update(repr(table.to_pylist()).encode())
    return digest.hexdigest()[:16]
