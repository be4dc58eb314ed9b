"""Rows of a world on their way to Parquet: typed by the schema, in parts by month, with an order-free hash.

The hash of a table is the sum over its rows, modulo 2^64, of a mixed hash of the row's values. It does not depend on
the order of rows or on how they are split into parts, so two runs agree exactly when they hold the same rows.
"""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sources.economy.schema import TABLES

FAR = 2**30  # a day that never comes


def mix(values: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser (Steele, Lea and Flood 2014): every bit of the input reaches every bit of the output."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def column_hash(column: pa.ChunkedArray) -> np.ndarray:
    """A 64-bit hash of every value of a column; null has one of its own."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = column.type
    if pa.types.is_list(kind):
        texts = np.array([str(v) for v in column.to_pylist()], object)
        return pd.util.hash_array(texts, categorize=True)
    if pa.types.is_string(kind):
        coded = column.dictionary_encode()
        words = np.array(coded.dictionary.to_pylist() or [""], object)
        hashes = np.append(pd.util.hash_array(words, categorize=False), np.uint64(0x9E3779B97F4A7C15))
        return hashes[pc.fill_null(coded.indices, len(words)).to_numpy(zero_copy_only=False)]
    if pa.types.is_floating(kind):
        numbers = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False)
        return mix((numbers + 0.0).view(np.uint64))
    numbers = column.cast(pa.int8()) if pa.types.is_boolean(kind) else column
    if pa.types.is_date(kind):
        numbers = numbers.cast(pa.int32())
    whole = pc.fill_null(numbers.cast(pa.int64()), -(2**62)).to_numpy(zero_copy_only=False)
    return mix(whole.astype(np.int64).view(np.uint64))


def table_hash(data: pa.Table) -> int:
    """The order-free hash of a table's rows."""
    total = np.zeros(data.num_rows, np.uint64)
    with np.errstate(over="ignore"):
        for place, column in enumerate(data.columns):
            salt = np.uint64((place + 1) * 0x9E3779B97F4A7C15 % 2**64)
            total += mix(column_hash(column) ^ salt)
        return int(mix(total).sum(dtype=np.uint64))


def typed(name: str, columns: pa.Table | dict[str, Any]) -> pa.Table:
    """The columns in the schema's order and types; a missing column is null, an unknown one an error."""
    schema = TABLES[name].schema
    names = columns.column_names if isinstance(columns, pa.Table) else list(columns)
    unknown = set(names) - set(schema.names)
    if unknown:
        raise KeyError(f"Table {name} has no column {sorted(unknown)}; its columns are {schema.names}.")
    rows = columns.num_rows if isinstance(columns, pa.Table) else len(next(iter(columns.values())))
    arrays = []
    for item in schema:
        if item.name not in names:
            arrays.append(pa.nulls(rows, item.type))
            continue
        value = columns[item.name]
        if not isinstance(value, pa.Array | pa.ChunkedArray):
            value = pa.array(value)
        arrays.append(value if value.type == item.type else value.cast(item.type))
    return pa.table(arrays, schema=schema)


class Writer:
    """Writes tables of a world in parts; keeps rows and hash of each.

    `write(name, columns, part)` may be called many times; parts are numbered by table. Small tables end as one file.
    Writing runs in one thread beside the simulation, so at most a few parts wait in memory.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.rows: dict[str, int] = {}
        self.hashes: dict[str, int] = {}
        self.parts: dict[str, int] = {}
        self.pool = ThreadPoolExecutor(1)
        self.waiting: list[Future] = []

    def write(self, name: str, columns: pa.Table | dict[str, Any]) -> None:
        """Adds rows to a table (types are cast to the schema's)."""
        data = typed(name, columns)
        part = self.parts.get(name, 0)
        self.parts[name] = part + 1
        self.rows[name] = self.rows.get(name, 0) + data.num_rows
        self.hashes.setdefault(name, 0)
        self.waiting.append(self.pool.submit(self._store, name, part, data))
        while len(self.waiting) > 24:
            self.waiting.pop(0).result()

    def _store(self, name: str, part: int, data: pa.Table) -> None:
        self.hashes[name] = (self.hashes[name] + table_hash(data)) % 2**64
        folder = self.out / name
        folder.mkdir(exist_ok=True)
        pq.write_table(data, folder / f"part-{part:04d}.parquet", compression="zstd", compression_level=1)

    def flush(self) -> None:
        """Waits until everything handed over is on disk."""
        while self.waiting:
            self.waiting.pop(0).result()

    def read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """All rows of a table written so far (waits for the parts under way)."""
        self.flush()
        return read(self.out, name, columns)

    def close(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Writes empty tables for those without rows, then `world.json`."""
        for name, item in TABLES.items():
            if name not in self.rows:
                self.write(name, item.schema.empty_table())
        self.flush()
        self.pool.shutdown()
        tables = {n: {"rows": self.rows[n], "hash": f"{self.hashes[n]:016x}"} for n in sorted(self.rows)}
        whole = facts | {"tables": tables}
        (self.out / "world.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        return whole


def read(world: Path, name: str, columns: list[str] | None = None) -> pa.Table:
    """A table of a written world, from one file or all its parts in order."""
    path = Path(world) / name
    single = Path(world) / f"{name}.parquet"
    if single.exists():
        return pq.read_table(single, columns=columns)
    parts = sorted(path.glob("part-*.parquet"))
    if not parts:
        raise FileNotFoundError(f"World {world} has no table {name}.")
    return pa.concat_tables([pq.read_table(p, columns=columns) for p in parts])


def days_to_dates(days: np.ndarray, first_day: np.datetime64) -> pa.Array:
    """Day numbers as dates; days from `FAR` on, and −FAR, are null."""
    days = np.asarray(days, np.int64)
    never = np.abs(days) >= FAR
    base = first_day.astype("datetime64[D]").astype("i8")
    return pa.array((np.where(never, 0, days) + base).astype("i4"), mask=never).cast(pa.date32())


def words(codes: np.ndarray, values: list[str] | tuple[str, ...]) -> pa.Array:
    """Codes as strings; −1 is null."""
    codes = np.asarray(codes)
    index = pa.array(codes.astype("i4"), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(index, pa.array(list(values))).cast(pa.string())
