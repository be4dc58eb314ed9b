"""Raw invoice files → the invoices that exist at a date, by DuckDB, straight from the files.

Rules, as the conventions of the features state them: exact duplicates (all eight fields, trimmed) count once;
a row whose total is not amount + tax (by more than one fen), or dated before 2000 or after the day the
files were received, is left out; an invoice (direction, enterprise, number, date, counterparty) listed
valid and void is void; history is known the day after issue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from tests.oracle.raw_counts import VOID, invoice_files, raw_rows_sql

EARLIEST = date(2000, 1, 1)
SALE, PURCHASE = "sale", "purchase"


def month_start(as_of: date) -> date:
    """First day of the as-of month: month windows end here."""
    return as_of.replace(day=1)


@contextmanager
def known_invoices(folder: Path, as_of: date, received: date) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with table `invoice`: one row per invoice that exists at `as_of`.

    Columns: firm, side ('sale' | 'purchase'), number, day, partner (null: none), amount and tax (bigint fen,
    tax-exclusive), total (bigint fen), void, k (month index: 1 the last full month, 0 the as-of month).
    """
    with duckdb.connect() as connection:
        files = " union all ".join(
            f"select '{PURCHASE if path.name.startswith('input') else SALE}' as side, * from ({raw_rows_sql(path)})"
            for path in invoice_files(folder)
        )
        connection.execute(f"create temp table listed as select distinct * from ({files})")
        connection.execute(
            f"""
            create temp table invoice as
            with typed as (
                select
                    enterprise as firm, side, number, try_strptime(issued, '%Y/%m/%d')::date as day,
                    nullif(partner, '') as partner, {_fen("amount")} as amount, {_fen("tax")} as tax,
                    {_fen("total")} as total, status = '{VOID}' as void
                from listed
            ), accepted as (
                select * from typed
                where abs(total - amount - tax) <= 1 and day >= ? and day <= ?
            ), current as (
                select *, row_number() over (
                    partition by side, firm, number, day, partner order by void desc, amount, tax, total
                ) as place
                from accepted
                where day < ?
            )
            select * exclude (place), date_diff('month', day, ?::date) as k
            from current where place = 1
            """,
            [EARLIEST, received, as_of, month_start(as_of)],
        )
        yield connection


def _fen(column: str) -> str:
    return f"(try_cast({column} as decimal(18, 2)) * 100)::bigint"
