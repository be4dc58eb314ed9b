"""Reading a world's Parquet with DuckDB, by column and row group; and the mark that tells one world from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from sources.economy.schema import TABLES
from sources.systems.clock import fingerprint as fingerprint


def connect(memory_mb: int = 1500, threads: int = 2, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with bounded memory; rows keep the order of their files."""
    database = duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "threads": threads})
    database.execute("SET TimeZone = 'Asia/Shanghai'")
    database.execute("SET enable_progress_bar = false")
    if spill:
        database.execute(f"SET temp_directory = '{spill}'")
    return database


def files(world: Path, table: str) -> str:
    """The Parquet files of a table as a glob; empty if the world has none."""
    if (world / f"{table}.parquet").exists():
        return str(world / f"{table}.parquet")
    return str(world / table / "*.parquet") if list((world / table).glob("*.parquet")) else ""


def define_views(database: duckdb.DuckDBPyConnection, world: Path, tables: list[str] | None = None) -> None:
    """One view a table, with the columns that systems may show; a table without files is an empty view."""
    for name in tables or list(TABLES):
        columns = TABLES[name].visible
        if not columns:
            continue
        if found := files(world, name):
            listed = ", ".join(f'"{column}"' for column in columns)
            database.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT {listed} FROM read_parquet('{found}')")
        else:
            empty = TABLES[name].schema.empty_table().select(columns)
            database.register(f"{name}_empty", empty)
            database.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {name}_empty")


def records(database: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries; read by a cursor of its own, so that requests may overlap."""
    with database.cursor() as reader:
        answer = reader.execute(query, values)
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def world_seed(world: Path) -> int:
    """The seed of a world, from which the systems' keys follow."""
    return int(json.loads((world / "world.json").read_text()).get("seed", 0))


def code_digest(folder: Path, *names: str) -> str:
    """A digest of the code that shapes loaded state, files and folders: another declaration means loading anew."""
    here = Path(__file__).parent
    named = [file for name in names for file in (sorted((folder / name).glob("*.py")) or [folder / name])]
    listed = [*named, here / "keys.py", here / "world.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in listed)).hexdigest()


def read_mark(folder: Path) -> dict:
    """What a system noted about the world it was loaded from."""
    try:
        return json.loads((folder / "loaded.json").read_text())
    except (OSError, ValueError):
        return {}


def is_loaded(folder: Path, mark: dict) -> bool:
    """Whether a system's state was loaded whole from this world by this code."""
    noted = read_mark(folder)
    return {name: noted.get(name) for name in mark} == mark


def write_mark(folder: Path, mark: dict) -> None:
    """Notes that loading is complete: the last step of every load."""
    draft = folder / "loaded.json.draft"
    draft.write_text(json.dumps(mark, indent=1))
    draft.replace(folder / "loaded.json")
