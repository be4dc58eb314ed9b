"""Upkeep: small files compacted, old versions removed; never one that a publication still needs."""

from __future__ import annotations

from typing import Any

from lakehouse import builds, control, delta_log, engine, ledger, tables
from lakehouse.errors import IntegrityError
from lakehouse.settings import get_settings

COMPACT_ABOVE_FILES = 16


def compact(partition: str = "maintenance") -> dict[str, Any]:
    """Rewrites tables of many small files into few; returns files before, by table.

    A published table is compacted aside and published again only if its rows are the same.
    """
    with engine.session("maintenance") as spark, ledger.run(spark, "compact", partition) as run:
        schema = get_settings().schema_name("control")
        for row in spark.sql(f"SHOW TABLES IN {schema}").where("NOT isTemporary").collect():
            name = f"{schema}.{row['tableName']}"
            if (files := delta_log.files(control.location(row["tableName"]))) > COMPACT_ABOVE_FILES:
                spark.sql(f"OPTIMIZE {name}")
                run.details[name] = files
        for table, version in sorted(tables.current_manifest().versions.items()):
            name = tables.build_name(table)
            files = delta_log.files(tables.build_location(table))
            if tables.build_version(table) != version or files <= COMPACT_ABOVE_FILES:
                continue
            run.details[table] = files
            before = tables.content_hash(tables.read(spark, table))
            spark.sql(f"OPTIMIZE {name}")
            if tables.content_hash(spark.table(name)) != before:
                raise IntegrityError(
                    "compaction changed the rows of a table",
                    where=table,
                    remedy="it was not published; the next build restores the published version",
                )
            compacted = tables.build_version(table)
            builds.same_rows(run.run_id, table, version, compacted)
            tables.publish(spark, {table: compacted}, "compact", partition)
        return dict(run.details)


def apply_retention(partition: str = "maintenance") -> dict[str, Any]:
    """Removes data files that only versions older than `retention_days` need; returns files removed, by table.

    Versions that were current within that time stay readable. A table with an unpublished build is left alone.
    """
    settings = get_settings()
    hours = settings.retention_days * 24
    with engine.session("maintenance") as spark, ledger.run(spark, "retention", partition) as run:
        for table, version in sorted(tables.current_manifest().versions.items()):
            if tables.build_version(table) != version:
                run.details[table] = "left alone: an unpublished build is there"
                continue
            name = tables.build_name(table)
            removed = spark.sql(f"VACUUM {name} RETAIN {hours} HOURS DRY RUN").count()
            if removed:
                spark.sql(f"VACUUM {name} RETAIN {hours} HOURS")
            run.details[table] = removed
        return dict(run.details)
