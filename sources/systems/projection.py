"""Tools of the systems that push rows out: SQL functions for own numbers and noise, subjects by their own keys, spans.

`subject` is the one place where the economy's firm number meets a system's key; it stays inside the connection.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sources.systems import world as worlds
from sources.systems.clock import world_days
from sources.systems.errors import SourcesError
from sources.systems.keys import department_keys, permute, row_numbers, uniform


def open_world(world: Path, memory_mb: int = 1500, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """A connection with one view a table that has visible columns, and the functions of all projections."""
    connection = worlds.connect(memory_mb, threads)
    worlds.define_views(connection, world)
    _add_functions(connection, world_seed(world))
    return connection


def world_seed(world: Path) -> int:
    """The seed of a world, from which keys and noise follow."""
    return int(json.loads((world / "world.json").read_text())["seed"])


def first_day(world: Path) -> dt.date:
    """The first day of a world."""
    return world_days(world)[0]


def make_subjects(connection: duckdb.DuckDBPyConnection, world: Path, system: str) -> None:
    """The table `subject`: every firm by the key and names under which a system holds it, one row a span of a name.

    Keys come from the world's `department_subject`; a firm that it does not list gets a key by permutation. A firm
    with several keys is held under the first. `subject_key` has one row a firm.
    """
    columns = 'firm_id, "key", name, uscc, registration_number, address, phone, from_on, to_on'
    found = worlds.files(world, "department_subject")
    listed = f"read_parquet('{found}')" if found else "(select *, 0 as firm_id from department_subject where false)"
    connection.execute(f"""
        create or replace temp table listed as
        select {columns} from {listed} where system = '{system}'
        qualify "key" = min("key") over (partition by firm_id)""")
    missing = connection.execute("select firm_id from firm where firm_id not in (select firm_id from listed)")
    firms = np.array([firm for (firm,) in missing.fetchall()], np.int64)
    keys = department_keys(system, system, firms, world_seed(world))
    connection.register("unlisted", pa.table({"firm_id": firms, "key": pa.array(keys, pa.string())}))
    connection.execute("""
        create or replace temp table subject as
        from listed union all
        select firm_id, u."key", name, uscc, null, address, phone, founded_on, null
        from firm join unlisted u using (firm_id)""")
    connection.execute('create or replace temp table subject_key as select distinct firm_id, "key" from subject')
    connection.unregister("unlisted")


def renew(folder: Path, world: Path, package: Path, state: str, running: bool) -> None:
    """Removes the state of another world, or of other code, from a system's folder; notes what it is loaded from.

    What was loaded day by day cannot be mended, only loaded anew. Raises SourcesError while the system runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    code = sorted(file.name for kind in ("*.py", "*.sql") for file in package.glob(kind))
    mark = {"world": worlds.fingerprint(world), "code": worlds.code_digest(package, *code, "../projection.py")}
    if worlds.read_mark(folder) == mark:
        return
    if running:
        raise SourcesError(
            f"{folder.name} runs with another world or other code than it is to be loaded from",
            where=str(folder),
            remedy="vinelake sources down, then load or up again",
        )
    shutil.rmtree(folder / state, ignore_errors=True)
    worlds.write_mark(folder, mark)


def windows(after: dt.date | None, start: dt.date, until: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    """The spans of days (first, last) to be loaded after a day, up to and including `until`, cut at months' ends."""
    begin = start if after is None else after + dt.timedelta(days=1)
    while begin <= until:
        next_month = (begin.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
        last = min(until, next_month - dt.timedelta(days=1))
        yield begin, last
        begin = last + dt.timedelta(days=1)


def _add_functions(connection: duckdb.DuckDBPyConnection, seed: int) -> None:
    """The SQL functions of all projections, the same in every run of one world.

    `own_number(id, kind)`: a system's own number of a row, below 2^40; `short_number` the same below 2^32, for tables
    whose ids lie closer together. `noise(id, purpose)`: a number in [0, 1). `office_time(day, id, purpose)`: a time
    between 9 and 17 o'clock. `whole(text)`: an id for a key made of parts.
    """

    def number(ids: pa.ChunkedArray, kind: pa.ChunkedArray) -> pa.Array:
        return pa.array(row_numbers(kind[0].as_py(), ids.to_numpy(), seed) if len(ids) else [], pa.int64())

    def short(ids: pa.ChunkedArray, kind: pa.ChunkedArray) -> pa.Array:
        purpose = f"{seed}|short|{kind[0].as_py()}" if len(ids) else ""
        return pa.array(permute(ids.to_numpy(), purpose), pa.int64())

    def noise(ids: pa.ChunkedArray, purpose: pa.ChunkedArray) -> pa.Array:
        return pa.array(uniform(ids.to_numpy(), f"{seed}|{purpose[0].as_py()}") if len(ids) else [], pa.float64())

    types = ["BIGINT", "VARCHAR"]
    connection.create_function("own_number_", number, types, "BIGINT", type="arrow")
    connection.create_function("short_number_", short, types, "BIGINT", type="arrow")
    connection.create_function("noise_", noise, types, "DOUBLE", type="arrow")
    connection.execute("""
        create macro own_number(id, kind) as own_number_(id::BIGINT, kind);
        create macro short_number(id, kind) as short_number_(id::BIGINT, kind);
        create macro noise(id, purpose) as noise_(id::BIGINT, purpose);
        create macro office_time(day, id, purpose) as
            day::TIMESTAMP + to_seconds(32400 + floor(28800 * noise_(id::BIGINT, purpose))::BIGINT);
        create macro whole(text) as (md5_number_lower(text) >> 1)::BIGINT""")
