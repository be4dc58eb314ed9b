"""What every version of a built table was made from: the reason to build it again, or to let it be.

`control.build` holds, for every table built, the version it became, the published versions it was made from, and a
digest of the contracts and code that made it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse import control, delta_log, tables
from lakehouse.time import utc_now

if TYPE_CHECKING:
    from lakehouse.contracts import Contract

BUILD_SCHEMA = (
    "table_name string, version bigint, inputs map<string, bigint>, definition string, run_id string, "
    "built_at timestamp"
)


@dataclass(frozen=True)
class Input:
    """What a table would be made from now: published versions of tables, and contracts and code as one digest."""

    versions: Mapping[str, int]
    definition: str


@dataclass(frozen=True)
class Made:
    """A version of a table that was built: its number, its rows, and what it was made from."""

    table: str
    version: int
    rows: int
    inputs: Input


def definition(code: Iterable[Path], contracts: Iterable[Contract] = ()) -> str:
    """A digest of the code (or statements) and the contracts that make a table."""
    digest = hashlib.sha256()
    for path in code:
        digest.update(path.read_bytes())
    for contract in contracts:
        digest.update(f"{contract.id} {contract.fingerprint}\n".encode())
    return digest.hexdigest()[:16]


def built() -> dict[tuple[str, int], Input]:
    """What every version of every table was made from; the last word on a version counts."""
    rows = sorted(control.rows("build", BUILD_SCHEMA), key=lambda row: row["built_at"])
    return {(r["table_name"], r["version"]): Input(r["inputs"], r["definition"]) for r in rows}


def record(run_id: str, made: Iterable[Made]) -> None:
    """Notes in one commit which versions were made from what."""
    now = utc_now()
    rows = [(m.table, m.version, dict(m.inputs.versions), m.inputs.definition, run_id, now) for m in made]
    control.append("build", BUILD_SCHEMA, rows)


def same_rows(run_id: str, table: str, version: int, rewritten: int) -> None:
    """Notes that a version was rewritten without another row, so that it was made from what the one before was."""
    if made_from := built().get((table, version)):
        record(run_id, [Made(table, rewritten, 0, made_from)])


def head(table: str) -> int | None:
    """The newest version of a table's build; None before its first."""
    return delta_log.version(tables.build_location(table))


def written(table: str) -> tuple[int, int]:
    """The version that a table's build has come to and its rows."""
    version, operation, counted = delta_log.last_write(tables.build_location(table))
    # Only what writes a table as a whole counts all of its rows.
    told = counted.get("numOutputRows") if operation.startswith("CREATE OR REPLACE") else None
    return version, int(told) if told is not None else delta_log.count(tables.build_location(table))
