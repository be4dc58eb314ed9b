"""Counts of what lies in raw invoice files, by DuckDB, independent of everything the product does.

A file is any `input_invoices*.csv[.gz]` or `output_invoices*.csv[.gz]` in the CUMCM format.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

FIELDS = ("enterprise", "number", "issued", "partner", "amount", "tax", "total", "status")
VOID = "作废发票"
TOLERANCE_CNY = 0.01


@dataclass(frozen=True)
class RawCounts:
    """Rows of one file by kind, duplicates included; exact_duplicates counts the surplus copies."""

    rows: int
    exact_duplicates: int
    void: int
    negative: int
    zero: int
    negative_and_void: int
    total_mismatch: int
    firms: int


def invoice_files(folder: Path) -> list[Path]:
    """The invoice files of a drop folder, by name; FileNotFoundError when there are none."""
    files = sorted(p for p in folder.iterdir() if "put_invoices" in p.name and ".csv" in p.suffixes)
    if not files:
        raise FileNotFoundError(f"{folder} holds no input_invoices*.csv or output_invoices*.csv")
    return files


def raw_rows_sql(path: Path) -> str:
    """A SELECT of all rows of a file as trimmed text named FIELDS, one row per line after the header."""
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in FIELDS)
    trimmed = ", ".join(f"coalesce(trim({name}), '') as {name}" for name in FIELDS)
    quoted = str(path).replace("'", "''")
    return (
        f"select {trimmed} from read_csv('{quoted}', header = false, skip = 1, auto_detect = false, "
        f"delim = ',', columns = {{{columns}}})"
    )


def count_file(path: Path) -> RawCounts:
    """Count one file. Amounts are compared as exact decimals."""
    with duckdb.connect() as connection:
        connection.execute(f"create table raw as {raw_rows_sql(path)}")
        [counts] = connection.execute(
            f"""
            with typed as (
                select *, amount::decimal(18, 2) as a, tax::decimal(18, 2) as t, total::decimal(18, 2) as s
                from raw
            )
            select
                count(*),
                count(*) - (select count(*) from (select distinct * from raw)),
                count(*) filter (status = '{VOID}'),
                count(*) filter (a < 0),
                count(*) filter (a = 0),
                count(*) filter (a < 0 and status = '{VOID}'),
                count(*) filter (abs(s - a - t) > {TOLERANCE_CNY}),
                count(distinct enterprise)
            from typed
            """
        ).fetchall()
    return RawCounts(*counts)


def count_folder(folder: Path) -> dict[str, RawCounts]:
    """Counts by file name for a drop folder."""
    return {path.name: count_file(path) for path in invoice_files(folder)}
