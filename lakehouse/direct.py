"""Published tables read without an engine: by Delta's log and Arrow alone, for what fits in memory.

What readers see is the same as through the engine: the versions that one row of `control.manifest` names together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from lakehouse import tables
from lakehouse.errors import ConfigError
from lakehouse.tables import Manifest

if TYPE_CHECKING:
    import pyarrow as pa


def manifest() -> Manifest:
    """The last publication; manifest 0 with no tables when there is none."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        rows = DeltaTable(tables.control_location("manifest")).to_pyarrow_dataset()
    except TableNotFoundError:
        return Manifest(0, None)
    # By the least and greatest number of each file, only the file of the last row is read.
    numbers = rows.to_table(columns=["manifest_id"])["manifest_id"]
    if not len(numbers):
        return Manifest(0, None)
    last = max(numbers.to_pylist())
    row = _equal(rows, "manifest_id", [last], ["published_at", "versions"]).to_pylist()[0]
    return Manifest(last, row["published_at"], dict(row["versions"]))


def columns(table: str, held: Manifest) -> list[str]:
    """The columns of a table as a publication has it, in order."""
    return _dataset(table, held).schema.names


def read(
    table: str, held: Manifest, names: Sequence[str], key: str | None = None, values: Collection[Any] = ()
) -> pa.Table:
    """These columns of a table as a publication has it, all rows, or those whose `key` is one of `values`.

    ConfigError where the table is not published, or was written in a way that only the engine reads.
    """
    rows = _dataset(table, held)
    return _equal(rows, key, values, names) if key else rows.to_table(columns=list(names))


def _dataset(table: str, held: Manifest) -> Any:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    if table not in held.versions:
        raise ConfigError(f"{table} is not published", remedy="`vinelake tables` lists the tables")
    try:
        return DeltaTable(tables.build_location(table), version=held.versions[table]).to_pyarrow_dataset()
    except DeltaError as error:
        raise ConfigError(
            f"{table} cannot be read without the engine: {error}",
            where=tables.build_location(table),
            remedy="read it with `vinelake sql` or a Spark session",
        ) from error


def _equal(rows: Any, key: str, values: Collection[Any], names: Sequence[str]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import dataset

    wanted = pa.array(list(values), rows.schema.field(key).type)
    return rows.to_table(columns=list(names), filter=dataset.field(key).isin(wanted))
