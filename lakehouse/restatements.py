"""Reports of restatements in schema `control`: what changed of the past, by source, and what that moves.

Three tables, one look of silver's gate a `run_id`. They tell what would follow, whether or not it was published:

- `restatement`: run × table of silver × batch; records by kind, enterprises touched and moved, bands that change.
- `restatement_feature`: run × feature that moves; enterprises, median and largest relative change.
- `restatement_enterprise`: run × enterprise touched; by which batches, features that move, score and band before and
  after.

"Before" is the candidate without its restating rows, so that news of the same day stands on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime
from typing import Any

from lakehouse import control
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings

WITHIN, WAITS = "within limit", "waits"  # what comes of a batch; else `waived` or `warning`


@dataclass(frozen=True)
class OfSource:
    """Grain: run × table of silver × batch. Counts of records by kind; of enterprises touched, of those with a move
    that matters, and of those whose score changes band (None without a champion), among `enterprises` known."""

    run_id: str
    partition: str
    as_of: date
    table_name: str
    contract: str
    department: str | None
    batch_id: str
    restated: int
    deleted: int
    late: int
    touched: int
    moved: int
    band_moves: int | None
    enterprises: int
    outcome: str
    waived: str | None
    checked_at: datetime


@dataclass(frozen=True)
class OfFeature:
    """Grain: run × feature. Enterprises whose value moves; changes as shares of the value before, None where it was
    empty or 0 for all."""

    run_id: str
    partition: str
    feature: str
    enterprises: int
    median_change: float | None
    largest_change: float | None
    checked_at: datetime


@dataclass(frozen=True)
class OfEnterprise:
    """Grain: run × enterprise touched. Scores and bands are None without a champion; so is the largest change where no
    feature moves, or none from a value other than 0."""

    run_id: str
    partition: str
    enterprise_id: str
    batches: Sequence[str]
    features: int
    largest_feature: str | None
    largest_change: float | None
    score_before: int | None
    score_after: int | None
    band_before: str | None
    band_after: str | None
    model_version: str | None
    checked_at: datetime


TABLES: dict[str, type[Any]] = {
    "restatement": OfSource,
    "restatement_feature": OfFeature,
    "restatement_enterprise": OfEnterprise,
}
TYPES = {
    "str": "string", "str | None": "string", "int": "bigint", "int | None": "bigint", "float | None": "double",
    "date": "date", "datetime": "timestamp", "Sequence[str]": "array<string>",
}  # fmt: skip


def schema(of: type[Any]) -> str:
    """The columns of a table, from what its rows are."""
    return ", ".join(f"{f.name} {TYPES[str(f.type)]}" for f in fields(of))


def record(rows: Sequence[OfSource | OfFeature | OfEnterprise]) -> None:
    """Adds a report's rows; those of sources last, so that a report with them is whole."""
    for name, of in reversed(TABLES.items()):
        control.append(name, schema(of), [astuple(row) for row in rows if isinstance(row, of)])


def most_moved(features: Iterable[OfFeature]) -> list[OfFeature]:
    """In a reader's order: the features that move for most enterprises first."""
    return sorted(features, key=lambda f: (-f.enterprises, f.feature))


def bands_first(enterprises: Iterable[OfEnterprise]) -> list[OfEnterprise]:
    """In a reader's order: enterprises whose band changes first, then those of which most features move."""
    return sorted(enterprises, key=lambda e: (e.band_before == e.band_after, -e.features, e.enterprise_id))


def last(partition: str | None = None) -> tuple[list[OfSource], list[OfFeature], list[OfEnterprise]]:
    """The newest report, or the newest of a partition: sources, features (most enterprises first), enterprises (bands
    that change first). ConfigError where there is none."""
    told = control.rows("restatement", schema(OfSource))
    newest = max((row for row in told if partition in (None, row["partition"])), key=_checked_at, default=None)
    if newest is None:
        raise ConfigError(
            f"no restatement was found{f' for {partition}' if partition else ''}",
            where=f"{get_settings().schema_name('control')}.restatement",
            remedy="the gate of silver writes a report when history changes; without one, nothing was restated",
        )
    found = {
        name: [of(**row) for row in control.rows(name, schema(of), "run_id", [newest["run_id"]])]
        for name, of in TABLES.items()
    }
    return (
        sorted(found["restatement"], key=lambda r: (r.table_name, r.batch_id)),
        most_moved(found["restatement_feature"]),
        bands_first(found["restatement_enterprise"]),
    )


def _checked_at(row: Mapping[str, Any]) -> datetime:
    return row["checked_at"]
