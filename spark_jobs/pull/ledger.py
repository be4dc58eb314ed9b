"""The ledger of pulls: every attempt on every feed, with what came of it. One file a feed, only ever appended to.

It lies beside landing, so that it needs no engine; freshness and the report of outages are read from it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from lakehouse import journal
from lakehouse.settings import get_settings

LANDED, NOTHING, UNREACHABLE, REFUSED, SCHEMA_CHANGED, HELD_OFF = (
    "landed",
    "nothing_new",
    "unreachable",
    "refused",
    "schema_changed",
    "held_off",
)
SUCCESSFUL = (LANDED, NOTHING)


@dataclass(frozen=True)
class Attempt:
    """One attempt to pull a feed on a date. `outcome` is one of this module's words.

    `refused`: the source answered what it must not, or no. `held_off`: the department's breaker was open, nothing was
    asked. `fields` notes fields that the contract does not know (`+name`) or misses (`-name`).
    """

    contract: str
    partition: str
    outcome: str
    attempted_at: str
    seconds: float
    records: int = 0
    bytes: int = 0
    batch_id: str | None = None
    schema_version: int = 1
    fields: tuple[str, ...] = ()
    error: str | None = None


def record(attempt: Attempt) -> None:
    """Adds an attempt."""
    journal.append(_path(attempt.contract), asdict(attempt))


def attempts(contract_id: str) -> list[Attempt]:
    """Every attempt on a feed, oldest first."""
    found = journal.entries(_path(contract_id))
    return [Attempt(**{**entry, "fields": tuple(entry.get("fields", ()))}) for entry in found]


def last_success(contract_id: str, by: date | None = None) -> date | None:
    """The newest date on which a feed was pulled whole, up to a date; None if it never was."""
    dates = [date.fromisoformat(a.partition) for a in attempts(contract_id) if a.outcome in SUCCESSFUL]
    return max((day for day in dates if by is None or day <= by), default=None)


def _path(contract_id: str) -> Path:
    return get_settings().landing_dir / "pulls" / f"{contract_id}.jsonl"
