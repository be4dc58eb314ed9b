"""Ledgers: the small Delta tables of schema `control`, read and written without the engine.

Runs, batches, gates, waivers and the manifest come a row at a time. An engine plans and commits one for a second; the
library that reads Delta's log does it in some ten milliseconds. For SQL the engine knows them as it knows any table
(`lakehouse.tables.find_catalog`). Columns are stated in Spark's words, `name type, …`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import delta_log
from lakehouse.errors import IntegrityError
from lakehouse.settings import get_settings

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[Any, ...]
ATTEMPTS = 20  # of a commit that rivals went before


def location(name: str) -> str:
    """Where a ledger lies."""
    settings = get_settings()
    return str(settings.warehouse_dir / settings.schema_name("control") / name)


def version(name: str) -> int | None:
    """How often a ledger was written; None before it is there."""
    return delta_log.version(location(name))


def names() -> set[str]:
    """The ledgers that are there."""
    return {log.parent.name for log in Path(location("")).glob("*/_delta_log") if any(log.glob("*.json"))}


def ensure(name: str, columns: str) -> None:
    """Makes a ledger that is not there; one of an earlier release gets the columns that came since."""
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.exceptions import DeltaError

    place, schema = location(name), arrow_schema(columns)
    if delta_log.version(place) is None:
        days = f"interval {get_settings().retention_days} days"
        kept = {"delta.logRetentionDuration": days, "delta.deletedFileRetentionDuration": days}
        try:
            # Once: tried again it would come after a rival's, and refuse what others write in between.
            once = CommitProperties(max_commit_retries=0)
            DeltaTable.create(place, schema, mode="ignore", configuration=kept, commit_properties=once)
        except DeltaError:
            if delta_log.version(place) is None:  # else a rival has made it in the meantime
                raise
    held = set(delta_log.columns(place))
    if missing := [field for field in Schema.from_arrow(schema).fields if field.name not in held]:
        DeltaTable(place).alter.add_columns(missing)


def append(name: str, columns: str, rows: Sequence[Row]) -> None:
    """Adds rows in one commit; nothing for none."""
    from deltalake import CommitProperties, write_deltalake

    if rows:
        ensure(name, columns)
        tries = CommitProperties(max_commit_retries=ATTEMPTS)
        write_deltalake(location(name), _table(columns, rows), mode="append", commit_properties=tries)


def append_next(name: str, columns: str, rows: Sequence[Row], seen: int) -> bool:
    """Adds rows if nothing was written since version `seen`; tells whether they were added."""
    from deltalake import CommitProperties, DeltaTable, write_deltalake
    from deltalake.exceptions import CommitFailedError

    once = CommitProperties(max_commit_retries=0)
    try:
        write_deltalake(
            DeltaTable(location(name), version=seen), _table(columns, rows), mode="append", commit_properties=once
        )
    except CommitFailedError:
        return False
    return True


def merge(name: str, columns: str, rows: Sequence[Row], keys: Sequence[str]) -> None:
    """Writes rows in one commit; each takes the place of the one with its keys, if there is one."""
    from deltalake import DeltaTable
    from deltalake.exceptions import CommitFailedError

    if not rows:
        return
    ensure(name, columns)
    same = " AND ".join(f"old.{key} = new.{key}" for key in keys)
    for _ in range(ATTEMPTS):
        merger = DeltaTable(location(name)).merge(_table(columns, rows), same, source_alias="new", target_alias="old")
        try:
            merger.when_matched_update_all().when_not_matched_insert_all().execute()
        except CommitFailedError:
            continue  # a rival wrote meanwhile: what it wrote is read again
        return
    raise IntegrityError(f"others kept writing control.{name}", where=location(name), remedy="run the task again")


def delete(name: str, key: str, values: Sequence[str]) -> None:
    """Removes the rows whose `key` is one of some texts; nothing where there is no ledger."""
    from deltalake import DeltaTable

    if values and version(name) is not None:
        DeltaTable(location(name)).delete(_is_one_of(key, values))


def rows(name: str, columns: str, key: str | None = None, values: Collection[str] = ()) -> list[dict[str, Any]]:
    """Rows with the columns stated here, all or those whose `key` is one of some texts, in no order.

    None before the ledger is there; in one of an earlier release, columns that came since are empty. Times have their
    zone.
    """
    place, schema = location(name), arrow_schema(columns)
    if delta_log.version(place) is None or (key and not values):
        return []
    held = set(delta_log.columns(place))
    there = [column for column in schema.names if column in held]
    found = _chosen(place, there, key, values) if key else delta_log.rows(place, there)
    empty = dict.fromkeys(schema.names)
    mapped = [field.name for field in schema if str(field.type).startswith("map")]
    return [
        {**empty, **row, **{c: dict(row[c]) for c in mapped if row.get(c) is not None}} for row in found.to_pylist()
    ]


def _chosen(place: str, names: Sequence[str], key: str, values: Collection[str]) -> pa.Table:
    """Rows whose `key` is one of some texts; Arrow's own filter does not read what a merge has written."""
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    asked = f"SELECT {', '.join(names)} FROM ledger WHERE {_is_one_of(key, values)}"
    return pa.table(QueryBuilder().register("ledger", DeltaTable(place)).execute(asked).read_all())


def _is_one_of(key: str, values: Collection[str]) -> str:
    return f"{key} IN ({', '.join(_quoted(value) for value in values)})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@cache
def arrow_schema(columns: str) -> pa.Schema:
    """Columns in Spark's words as an Arrow schema."""
    import pyarrow as pa

    words = iter(re.findall(r"\w+|[<>,]", columns))
    return pa.schema(_listed(words, _field))


def _listed(words: Iterator[str], read: Callable[[Iterator[str]], tuple[Any, str | None]]) -> list[Any]:
    """What stands between commas, each read with the mark behind it."""
    found, mark = [], ","
    while mark == ",":
        one, mark = read(words)
        found.append(one)
    return found


def _field(words: Iterator[str]) -> tuple[pa.Field, str | None]:
    """The name and type that come next, and the mark behind them."""
    import pyarrow as pa

    name = next(words)
    kind, mark = _kind(words)
    return pa.field(name, kind), mark


def _kind(words: Iterator[str]) -> tuple[pa.DataType, str | None]:
    """The type that comes next, and the mark behind it."""
    import pyarrow as pa

    word = next(words)
    made_of = {"array": pa.list_, "map": pa.map_, "struct": lambda *fields: pa.struct(fields)}
    if word in made_of:
        next(words)  # the bracket
        inside = _listed(words, _field if word == "struct" else _kind)
        return made_of[word](*inside), next(words, None)
    kinds = {
        "string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
        "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"),
    }  # fmt: skip
    return kinds[word], next(words, None)


def _table(columns: str, rows: Sequence[Row]) -> pa.Table:
    import pyarrow as pa

    schema = arrow_schema(columns)
    cells = [
        [_cell(value, field.type) for value in column]
        for field, column in zip(schema, zip(*rows, strict=True), strict=True)
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(cells, schema, strict=True)], schema=schema)


def _cell(value: Any, kind: pa.DataType) -> Any:
    """A value as Arrow takes it: a mapping as pairs, a tuple as the members of a structure."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_map(kind):
        return [(key, _cell(item, kind.item_type)) for key, item in dict(value).items()]
    if pa.types.is_struct(kind) and not isinstance(value, Mapping):
        return dict(zip([kind.field(i).name for i in range(kind.num_fields)], value, strict=True))
    return value
