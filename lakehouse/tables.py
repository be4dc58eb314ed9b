"""Tables that are written aside, audited, then published together.

A build lands in `<layer>_build.<table>` (Delta). Readers never look there: they read `<layer>.<table>`, a
view pinned to one version. One row appended to `control.manifest` names the version of every published
table; that single commit is the publication, and the views follow from it. A failed audit publishes
nothing, and the next build of a table starts again from its published version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from lakehouse import control, delta_log, publications
from lakehouse.errors import ConfigError, IntegrityError
from lakehouse.settings import get_settings
from lakehouse.time import utc_now

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LAYERS = ("bronze", "silver", "gold", "quarantine", "control")
BUILT_LAYERS = ("bronze", "silver", "gold", "quarantine")
MANIFEST_SCHEMA = (
    "manifest_id bigint, published_at timestamp, job string, partition string, changed array<string>, "
    "versions map<string, bigint>, batches array<string>"
)
NAMED_BATCHES = "job string, batches array<string>"  # what of the manifest tells batches that were published
PINNED = re.compile(r"View Text: SELECT \* FROM \S+ VERSION AS OF (\d+)")
# What Delta and the catalog tell a writer whose table, view or schema another has made in the meantime.
MADE_MEANWHILE = (
    "DELTA_PROTOCOL_CHANGED",
    "DELTA_METADATA_CHANGED",
    "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION",
    "DELTA_TABLE_ALREADY_EXISTS",
    "TABLE_OR_VIEW_ALREADY_EXISTS",
    "SCHEMA_ALREADY_EXISTS",
)
# What a session was found to have already, by place: a session ends with its engine, and so with the engine's catalog.
_ensured: WeakKeyDictionary[SparkSession, set[str]] = WeakKeyDictionary()
NOTED = "note_batches"  # the row that a lakehouse of before batches were named gets, with all it had published


@dataclass(frozen=True)
class Manifest:
    """One publication: the version of every table that is readable together since then."""

    manifest_id: int
    published_at: datetime | None
    versions: Mapping[str, int] = field(default_factory=dict)


def split(table: str) -> tuple[str, str]:
    """`silver.loan` → (`silver`, `loan`)."""
    layer, _, name = table.partition(".")
    return layer, name


def published_name(table: str) -> str:
    """The catalog name readers use for a table, for example `silver.loan`."""
    layer, name = split(table)
    return f"{get_settings().schema_name(layer)}.{name}"


def build_name(table: str) -> str:
    """The catalog name under which a table is built, for example `silver_build.loan`."""
    layer, name = split(table)
    return f"{get_settings().schema_name(layer)}_build.{name}"


def at_version(table: str, version: int) -> str:
    """One version of a table's build, as a relation of a query."""
    return f"{build_name(table)} VERSION AS OF {version}"


def build_location(table: str) -> str:
    layer, name = split(table)
    return str(get_settings().warehouse_dir / f"{get_settings().schema_name(layer)}_build" / name)


def ensure_schemas(spark: SparkSession) -> None:
    """Creates the schemas of every layer, once a session; an engine that knows none of its tables is told them."""
    settings = get_settings()
    found, place = _ensured.setdefault(spark, set()), control.location("")
    if place in found:
        return
    existing = {row[0] for row in spark.sql("SHOW SCHEMAS").collect()}
    wanted = [settings.schema_name(layer) for layer in LAYERS]
    wanted += [f"{settings.schema_name(layer)}_build" for layer in BUILT_LAYERS]
    for schema in wanted:
        if schema not in existing:
            _make(spark, f"CREATE SCHEMA IF NOT EXISTS {schema} LOCATION '{settings.warehouse_dir / schema}'")
    # The manifest comes into the catalog last: where it is, the others are.
    if _is_lost(spark):
        _restore_catalog(spark)
    ensure_control_table(spark, "manifest", MANIFEST_SCHEMA)
    found.add(place)


def find_catalog(spark: SparkSession) -> None:
    """Tells an engine the tables of a lakehouse that was there before it, and ledgers that were made without it."""
    if _is_lost(spark):
        ensure_schemas(spark)
    elif control.version("manifest") is not None:
        schema = get_settings().schema_name("control")
        known = {row["tableName"] for row in spark.sql(f"SHOW TABLES IN {schema}").collect()}
        for name in sorted(control.names() - known):
            _register(spark, f"{schema}.{name}", control.location(name))


def _is_lost(spark: SparkSession) -> bool:
    """Whether a lakehouse is there that the engine's catalog does not know."""
    name = f"{get_settings().schema_name('control')}.manifest"
    return control.version("manifest") is not None and not _is_registered(spark, name, control.location("manifest"))


def _is_registered(spark: SparkSession, name: str, location: str) -> bool:
    """Whether the catalog has a table; asked until it is found, once a session."""
    found = _ensured.setdefault(spark, set())
    if location not in found and spark.catalog.tableExists(name):
        found.add(location)
    return location in found


def _register(spark: SparkSession, name: str, location: str) -> None:
    _make(spark, f"CREATE TABLE IF NOT EXISTS {name} USING delta LOCATION '{location}'")
    _ensured.setdefault(spark, set()).add(location)


def _ensure_registered(spark: SparkSession, name: str, location: str) -> None:
    """Has the catalog know a table that is there."""
    if not _is_registered(spark, name, location):
        _register(spark, name, location)


def ensure_control_table(spark: SparkSession, name: str, columns: str) -> str:
    """Makes a ledger of schema `control` if it is not there, and known to the engine; returns its catalog name."""
    control.ensure(name, columns)
    full = f"{get_settings().schema_name('control')}.{name}"
    _ensure_registered(spark, full, control.location(name))
    return full


def _make(spark: SparkSession, statement: str, attempts: int = 4) -> None:
    """Runs a statement that makes something which is not there yet, or lets be what is.

    The first jobs of a lakehouse, or of an engine that was started anew, come at once: one that is second in making
    something is told an error, and finds it when it asks again.
    """
    for _ in range(attempts):
        if _is_made(spark, statement):
            return
    spark.sql(statement)


def _restore_catalog(spark: SparkSession) -> None:
    """Registers every Delta folder of the warehouse again, but the manifest, and points the views at what is published.

    The catalog holds nothing that cannot be derived: this is what makes it disposable.
    """
    settings = get_settings()
    for layer in LAYERS:
        schema = settings.schema_name(layer) + ("_build" if layer in BUILT_LAYERS else "")
        for log in sorted((settings.warehouse_dir / schema).glob("*/_delta_log")):
            folder = str(log.parent)
            # A table whose first commit never came has a folder for its log already.
            if folder != control.location("manifest") and delta_log.version(folder) is not None:
                _make(spark, f"CREATE TABLE IF NOT EXISTS {schema}.{log.parent.name} USING delta LOCATION '{folder}'")
    _point_views(spark, current_manifest().versions)


def current_manifest() -> Manifest:
    """The last publication; manifest 0 with no tables when there is none."""
    place, names = control.location("manifest"), ["published_at", "versions"]
    last = delta_log.greatest(place, "manifest_id")
    if last is None:
        return Manifest(0, None)
    row = delta_log.rows(place, names, key="manifest_id", values=[last]).to_pylist()[0]
    return Manifest(last, row["published_at"], dict(row["versions"]))


def published_batches(spark: SparkSession) -> set[str]:
    """The ids of all batches that publications brought, from the manifest alone.

    A manifest with rows from before they named batches gets one row that names what its tables hold, once.
    """
    rows = control.rows("manifest", NAMED_BATCHES)
    named = {batch for row in rows for batch in row["batches"] or ()}
    if all(row["batches"] is not None for row in rows) or any(row["job"] == NOTED for row in rows):
        return named
    held: set[str] = set()
    for table in current_manifest().versions:
        if split(table)[0] in ("bronze", "quarantine"):
            held |= {row[0] for row in read(spark, table).select("batch_id").distinct().collect()}
    publish(spark, {}, NOTED, "", held)
    return named | held


def read(spark: SparkSession, table: str) -> DataFrame:
    """A published table as readers see it."""
    return spark.table(published_name(table))


def published_in(layer: str) -> dict[str, str]:
    """Where readers find each table of a layer that there is."""
    return {table: published_name(table) for table in sorted(current_manifest().versions) if split(table)[0] == layer}


def is_published(spark: SparkSession, table: str) -> bool:
    """Whether readers can see the table yet."""
    return spark.catalog.tableExists(published_name(table))


def has_build(table: str) -> bool:
    """Whether a table was ever built."""
    return delta_log.version(build_location(table)) is not None


def begin_build(spark: SparkSession, table: str, manifest: Manifest | None = None) -> int | None:
    """Makes a table's build equal to its published version; returns that version, None when it is new.

    An unpublished version is what a failed audit, or a killed client's late commit, left behind. `manifest` is the
    current one, where the caller has read it for many tables.
    """
    head = delta_log.version(build_location(table))
    if head is None:
        return None
    # Its first commit comes before its name: a client may be killed between them.
    _ensure_registered(spark, build_name(table), build_location(table))
    published = (manifest or current_manifest()).versions.get(table)
    if published is not None and head != published:
        restore(spark, table, published)
    elif published is None:
        spark.sql(f"DELETE FROM {build_name(table)}")
    return published


def restore(spark: SparkSession, table: str, version: int) -> None:
    """Makes a build what it was at a version, by a new one."""
    spark.sql(f"RESTORE TABLE {build_name(table)} TO VERSION AS OF {version}")


def replace_where(df: DataFrame, table: str, condition: str, statistics: Sequence[str] = ()) -> None:
    """Writes the rows of one slice (all those that meet `condition`), replacing what that slice held.

    Repeating it gives the same table, whenever and however often an earlier attempt commits. A table that is not there
    yet keeps the least and greatest value a file of the columns `statistics` alone, where some are given: by these
    files are skipped, and what is personal must not stand in a log.
    """
    if has_build(table):
        _ensure_registered(df.sparkSession, build_name(table), build_location(table))
        # By its place: under its name the catalog would be altered too, which holds nothing that the log does not.
        writer = df.write.format("delta").mode("overwrite").option("replaceWhere", condition)
        writer.option("mergeSchema", "true").save(build_location(table))
    else:
        overwrite(df, table, statistics)


def overwrite(df: DataFrame, table: str, statistics: Sequence[str] = ()) -> None:
    """Writes a whole table aside; `statistics` as with `replace_where`."""
    writer = df.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    if statistics:
        writer = writer.option("delta.dataSkippingStatsColumns", ",".join(statistics))
    writer.option("path", build_location(table)).saveAsTable(build_name(table))


def remove_where(spark: SparkSession, table: str, condition: str) -> None:
    """Removes the rows of one slice from a build, if there is a build."""
    if has_build(table):
        spark.sql(f"DELETE FROM {build_name(table)} WHERE {condition}")


def version_without(spark: SparkSession, table: str, version: int, condition: str) -> int:
    """A version of a build that is its newest, `version`, without some rows; the build keeps them.

    A version that is there already, left by an earlier attempt, is not looked for: its number does not matter. A kill
    in between leaves a build without the rows, which the next gate puts back.
    """
    remove_where(spark, table, condition)
    left = build_version(table)
    restore(spark, table, version)
    return left


def build_version(table: str) -> int:
    """The newest version of a table's build; ConfigError where nothing was built."""
    version = delta_log.version(build_location(table))
    if version is None:
        raise ConfigError(f"{table} was never built", where=build_location(table), remedy="run the job that builds it")
    return version


def publish(
    spark: SparkSession,
    changed: Mapping[str, int],
    job: str,
    partition: str,
    batches: Collection[str] = (),
    attempts: int = 5,
) -> Manifest:
    """Makes the given versions readable together, in one commit; other tables stay as they were.

    `batches` are the landed batches that this brings to readers; the same row names them. Publishing what is published
    already changes nothing. Two publishers at once cannot lose each other's tables: a row is added to the manifest as
    it was read or not at all, and who comes second reads again.
    """
    for _ in range(attempts):
        control.ensure("manifest", MANIFEST_SCHEMA)
        seen = control.version("manifest")
        now = current_manifest()
        if _brings_nothing(now, changed, batches):
            _point_views(spark, {t: now.versions[t] for t in changed})
            return now
        versions = {**now.versions, **changed}
        row = [(now.manifest_id + 1, utc_now(), job, partition, sorted(changed), versions, sorted(batches))]
        if control.append_next("manifest", MANIFEST_SCHEMA, row, seen):
            _point_views(spark, {t: versions[t] for t in changed})
            publications.announce(changed, job, partition)
            return Manifest(now.manifest_id + 1, row[0][1], versions)
    raise IntegrityError(
        "another publisher kept changing the manifest",
        where=", ".join(sorted(changed)),
        remedy="run the gate again; give publishing tasks the pool `publish`",
    )


def _brings_nothing(now: Manifest, changed: Mapping[str, int], batches: Collection[str]) -> bool:
    """Whether the versions are those published, and the manifest names the batches already."""
    if any(now.versions.get(table) != version for table, version in changed.items()):
        return False
    if not batches:
        return True
    named = control.rows("manifest", NAMED_BATCHES)
    return set(batches) <= {batch for row in named for batch in row["batches"] or ()}


def _point_views(spark: SparkSession, versions: Mapping[str, int]) -> None:
    """Pins each table's view to its version, or to the one that was published in the meantime.

    Replacing a view would drop it first, and readers would miss it.
    """
    while versions:
        for table, version in sorted(versions.items()):
            rows = f"SELECT * FROM {at_version(table, version)}"
            if is_published(spark, table) or not _is_made(spark, f"CREATE VIEW {published_name(table)} AS {rows}"):
                spark.sql(f"ALTER VIEW {published_name(table)} AS {rows}")
        now = current_manifest().versions
        versions = {table: now[table] for table, version in versions.items() if now.get(table, version) != version}


def _is_made(spark: SparkSession, statement: str) -> bool:
    """Runs a statement that makes something; tells whether it did, or somebody else had."""
    from pyspark.errors import PySparkException

    try:
        spark.sql(statement)
    except PySparkException as error:
        if not any(condition in str(error) for condition in MADE_MEANWHILE):
            raise
        return False
    return True


def repair_views(spark: SparkSession) -> None:
    """Points views that a dying publisher left behind at the last publication again; others are let be."""
    pinned: dict[str, int] = {}
    for layer in BUILT_LAYERS:
        for row in spark.sql(f"SHOW TABLE EXTENDED IN {get_settings().schema_name(layer)} LIKE '*'").collect():
            if found := PINNED.search(row["information"]):
                pinned[f"{layer}.{row['tableName']}"] = int(found[1])
    versions = current_manifest().versions
    _point_views(spark, {table: v for table, v in versions.items() if pinned.get(table) != v})


def content_hash(df: DataFrame, exclude: Iterable[str] = ()) -> str:
    """An order-free hash of a table's rows: equal multisets of rows give equal hashes.

    Row count, sum and exclusive-or of a 64-bit hash per row over columns in name order; the sum is exact
    (decimal), so it does not depend on partitioning.
    """
    columns = sorted(set(df.columns) - set(exclude))
    inner = ", ".join(f"to_json(struct(`{c}`))" for c in columns)
    totals = df.selectExpr(f"xxhash64({inner}) AS h").selectExpr(
        "count(*) AS n", "sum(cast(h AS decimal(38,0))) AS s", "bit_xor(h) AS x"
    )
    return json.dumps([str(v) for v in totals.collect()[0]])
