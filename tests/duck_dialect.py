"""Spark's functions that DuckDB has under another name, so that one text is read by both."""

from __future__ import annotations

import duckdb

MACROS = """
create or replace macro unix_date(d) as (d::date - date '1970-01-01')::int;
create or replace macro date_from_unix_date(n) as (date '1970-01-01' + n::int);
create or replace macro add_months(d, n) as (d::date + to_months(n::int))::date;
"""


def prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Makes the functions on a connection, which then counts days as business time does."""
    db.execute("SET enable_progress_bar = false; SET TimeZone = 'Asia/Shanghai'")
    db.execute(MACROS)
