"""Published tables read without an engine, for what fits in memory.

What readers see is the same as through the engine: the versions that one row of `control.manifest` names together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from lakehouse import delta_log, tables
from lakehouse.errors import ConfigError
from lakehouse.tables import Manifest

if TYPE_CHECKING:
    import pyarrow as pa


def columns(table: str, held: Manifest) -> list[str]:
    """The columns of a table as a publication has it, in order."""
    return delta_log.columns(tables.build_location(table), _version(table, held))


def read(
    table: str, held: Manifest, names: Sequence[str], key: str | None = None, values: Collection[Any] = ()
) -> pa.Table:
    """These columns of a table as a publication has it, all rows, or those whose `key` is one of `values`.

    ConfigError where the table is not published, or was written in a way that only the engine reads.
    """
    return delta_log.rows(tables.build_location(table), names, _version(table, held), key, values)


def distinct(table: str, held: Manifest, name: str) -> list[Any]:
    """The values of a column of a table as a publication has it, ascending; errors as with `read`."""
    return sorted(read(table, held, [name])[name].unique().to_pylist())


def _version(table: str, held: Manifest) -> int:
    if table not in held.versions:
        raise ConfigError(f"{table} is not published", remedy="`vinelake tables` lists the tables")
    return held.versions[table]
