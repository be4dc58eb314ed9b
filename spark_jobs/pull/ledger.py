"""The ledger of pulls: every attempt on every feed, with what came of it. One file a feed, only ever appended to.

It lies beside landing, so that it needs no engine; freshness and the report of outages are read from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

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
    """Appends an attempt; one write, so that lines of several processes do not mix. A torn line before it stays one."""
    path = _path(attempt.contract)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(asdict(attempt), ensure_ascii=False) + "\n").encode("utf-8")
    number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(number).st_size
        torn = size > 0 and os.pread(number, 1, size - 1) != b"\n"
        os.write(number, b"\n" + line if torn else line)
    finally:
        os.close(number)


def attempts(contract_id: str) -> list[Attempt]:
    """Every attempt on a feed, oldest first; a line that a kill cut short is passed over."""
    return list(_read(_path(contract_id)))


def last_success(contract_id: str, by: date | None = None) -> date | None:
    """The newest date on which a feed was pulled whole, up to a date; None if it never was."""
    dates = [date.fromisoformat(a.partition) for a in attempts(contract_id) if a.outcome in SUCCESSFUL]
    return max((day for day in dates if by is None or day <= by), default=None)


def _read(path: Path) -> Iterator[Attempt]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        yield Attempt(**{**entry, "fields": tuple(entry.get("fields", ()))})


def _path(contract_id: str) -> Path:
    return get_settings().landing_dir / "pulls" / f"{contract_id}.jsonl"
