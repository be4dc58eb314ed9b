"""Brings both databases up to a day: spans of whole days, each span and its progress in one transaction.

A loader that dies leaves complete spans alone; the next run goes on after them and makes the same rows.
"""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path
from types import ModuleType

import duckdb
import pyarrow.csv as csv

from sources.systems.banking import cluster, core_bank, payments
from sources.systems.projection import first_day, open_world, windows

DATABASES: dict[str, ModuleType] = {"payments": payments, "core_bank": core_bank}


def advance(home: Path, world: Path, until: dt.date) -> None:
    """Loads every day that is missing up to and including `until`; does nothing where there is none."""
    cluster.create(home)
    for database, module in DATABASES.items():
        with cluster.connect(home, database) as target:
            behind = list(windows(loaded_through(target, database), first_day(world), until))
            if behind:
                source = open_world(world)
                module.prepare(source, world)
                for first, last in behind:
                    _load(target, source, database, first, last)


def loaded_through(target, database: str) -> dt.date | None:
    """The last day that a database holds completely."""
    with target.cursor() as cursor:
        # Two loaders at once wait for each other; the lock ends with the connection.
        cursor.execute("select pg_advisory_lock(16083)")
        cursor.execute("select loaded_through from loading.progress where system = %s", (database,))
        found = cursor.fetchone()
    target.commit()
    return found[0] if found else None


def _load(target, source: duckdb.DuckDBPyConnection, database: str, first: dt.date, last: dt.date) -> None:
    module = DATABASES[database]
    with target, target.cursor() as cursor:
        cursor.execute("set local synchronous_commit = off")
        for table, query in module.select(source, first, last).items():
            _copy(cursor, source, query, database, table, module.UPSERTED.get(table))
        if hasattr(module, "finish"):
            module.finish(cursor)
        cursor.execute(
            "insert into loading.progress values (%s, %s) on conflict (system) do update set loaded_through = %s",
            (database, last, last),
        )


def _copy(cursor, source: duckdb.DuckDBPyConnection, query: str, schema: str, table: str, key) -> None:
    """Copies a query's rows into a table; with a `key` as versions, of which the last one holds."""
    target = f"{schema}.{table}"
    if key:
        target = f"new_{table}"
        cursor.execute(f"create temp table {target} (like {schema}.{table}) on commit drop")
    for batch in source.sql(query).to_arrow_reader(100_000):
        if batch.num_rows:
            buffer = io.BytesIO()
            csv.write_csv(batch, buffer, csv.WriteOptions(include_header=False))
            buffer.seek(0)
            cursor.copy_expert(f"copy {target} from stdin (format csv)", buffer)
    if key:
        _upsert(cursor, schema, table, key)


def _upsert(cursor, schema: str, table: str, key: tuple[str, ...]) -> None:
    cursor.execute(
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
        (schema, table),
    )
    changing = ", ".join(f'"{name}" = excluded."{name}"' for (name,) in cursor.fetchall() if name not in key)
    by = ", ".join(key)
    cursor.execute(f"""
        insert into {schema}.{table} select distinct on ({by}) * from new_{table} order by {by}, updated_at desc
        on conflict ({by}) do update set {changing}""")
