"""What Delta's log says of a table, read without the engine: its version, what wrote it, and rows that fit in memory.

The engine takes a tenth of a second and more to plan each such question; the log answers in milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.dataset import Dataset


def version(location: str) -> int | None:
    """The newest version of the table at a place; None where there is none."""
    held = _opened(location)
    return None if held is None else held.version()


def last_write(location: str) -> tuple[int, str, Mapping[str, str]]:
    """The newest version of a table, the operation that made it, and what that counted."""
    entry = _there(location).history(1)[0]
    return entry["version"], entry["operation"], entry.get("operationMetrics", {})


def entries(location: str, since: int, until: int) -> list[Mapping[str, Any]]:
    """What was done to a table after version `since` and up to `until`, the newest first: `version`, `operation`,
    `operationParameters`."""
    found = _there(location).history(max((version(location) or 0) - since, 1))
    return [entry for entry in found if since < entry["version"] <= until]


def count(location: str, at_version: int | None = None) -> int:
    """How many rows a table has, by what the log tells of each file; else they are counted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    files = pa.table(_there(location, at_version).get_add_actions(flatten=True))
    if not files.num_rows:
        return 0
    if files["num_records"].null_count:
        return _dataset(location, at_version).count_rows()
    return pc.sum(files["num_records"]).as_py()


def written(location: str, since: int, until: int) -> int:
    """How many rows lie in those files of a version that an earlier one does not have."""
    import pyarrow as pa

    old, new = (pa.table(_there(location, at).get_add_actions(flatten=True)).to_pylist() for at in (since, until))
    held = {file["path"] for file in old}
    return sum(file["num_records"] or 0 for file in new if file["path"] not in held)


def paths(location: str, name: str, least: int, greatest: int) -> list[str]:
    """The data files of a table that may hold rows with such values of a column, by what the log tells of each file."""
    import pyarrow as pa

    found = pa.table(_there(location).get_add_actions(flatten=True)).to_pylist()
    low, high = f"min.{name}", f"max.{name}"
    near = [f for f in found if f.get(low) is None or (f[low] <= greatest and f[high] >= least)]
    return [str(Path(location) / unquote(f["path"])) for f in near]


def files(location: str) -> int:
    """Of how many files a table is made."""
    return len(_there(location).file_uris())


def has_deletion_vectors(location: str) -> bool:
    """Whether rows may be gone of a file that stayed."""
    return "deletionVectors" in (_there(location).protocol().reader_features or ())


def columns(location: str, at_version: int | None = None) -> list[str]:
    """The names of a table's columns, in order."""
    return _dataset(location, at_version).schema.names


def rows(
    location: str,
    names: Sequence[str],
    at_version: int | None = None,
    key: str | None = None,
    values: Collection[Any] = (),
) -> pa.Table:
    """These columns of a table, all rows or those whose `key` is one of `values`.

    ConfigError where no table is there, or one that only the engine can read.
    """
    import pyarrow as pa
    from pyarrow import dataset

    held = _dataset(location, at_version)
    where = None
    if key is not None:
        where = dataset.field(key).isin(pa.array(list(values), held.schema.field(key).type))
    return held.to_table(columns=list(names), filter=where)


def greatest(location: str, name: str, at_version: int | None = None) -> Any:
    """The greatest value of a column, by what the log tells of each file; None where there is no table or no row."""
    return _extreme(location, name, at_version, "max")


def least(location: str, name: str, at_version: int | None = None) -> Any:
    """The least value of a column, in the same way."""
    return _extreme(location, name, at_version, "min")


def _extreme(location: str, name: str, at_version: int | None, which: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    held, least_or_greatest = _opened(location, at_version), getattr(pc, which)
    if held is None:
        return None
    files = pa.table(held.get_add_actions(flatten=True))
    if f"{which}.{name}" not in files.column_names or files[f"{which}.{name}"].null_count:
        return least_or_greatest(rows(location, [name], at_version)[name]).as_py()
    return least_or_greatest(files[f"{which}.{name}"]).as_py()


def _dataset(location: str, at_version: int | None) -> Dataset:
    from deltalake.exceptions import DeltaError

    try:
        return _there(location, at_version).to_pyarrow_dataset()
    except DeltaError as error:
        raise _unreadable(location, error) from error


def _there(location: str, at_version: int | None = None) -> Any:
    from deltalake.exceptions import DeltaError

    try:
        held = _opened(location, at_version)
    except DeltaError as error:
        raise _unreadable(location, error) from error
    if held is None:
        raise ConfigError("there is no table", where=location, remedy="`vinelake tables` lists the tables")
    return held


def _unreadable(location: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"the table cannot be read without the engine: {error}",
        where=location,
        remedy="read it with `vinelake sql` or a Spark session",
    )


def _opened(location: str, at_version: int | None = None) -> Any:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        return DeltaTable(location, version=at_version)
    except TableNotFoundError:
        return None
