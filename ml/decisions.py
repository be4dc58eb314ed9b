"""The promotion ledger: every registration, check, approval, rejection and alias move, append-only.

Entries form a hash chain: each holds the hash of the one before, so a changed or removed entry is found.
What the aliases should be follows from the ledger; the registry is compared with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from lakehouse import control
from lakehouse.errors import IntegrityError, ModelError
from lakehouse.time import utc_now

REGISTER, CHECK, APPROVE, REJECT = "register", "check", "approve", "reject"
SCHEMA = (
    "seq bigint, recorded_at string, partition string, model string, version string, action string, "
    "actor string, outcome string, comment string, conditions string, valid_until string, "
    "aliases_before string, aliases_after string, evidence string, previous_hash string, entry_hash string"
)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger. `aliases_*` and `evidence` are JSON texts; times are UTC, ISO."""

    seq: int
    recorded_at: str
    partition: str
    model: str
    version: str
    action: str
    actor: str
    outcome: str
    comment: str = ""
    conditions: str = ""
    valid_until: str = ""
    aliases_before: str = "{}"
    aliases_after: str = "{}"
    evidence: str = "{}"
    previous_hash: str = ""
    entry_hash: str = ""

    def computed_hash(self) -> str:
        content = json.dumps(asdict(replace(self, entry_hash="")), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


class Ledger(Protocol):
    """An append-only list of entries."""

    def entries(self) -> list[Entry]: ...

    def append(self, entry: Entry) -> None: ...


class MemoryLedger:
    """A ledger that lives as long as its process."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def entries(self) -> list[Entry]:
        return list(self._entries)

    def append(self, entry: Entry) -> None:
        self._entries.append(entry)


class DeltaLedger:
    """The ledger in `control.model_decision`, to which rows are only added."""

    def entries(self) -> list[Entry]:
        rows = control.rows("model_decision", SCHEMA)
        return [Entry(**row) for row in sorted(rows, key=lambda row: row["seq"])]

    def append(self, entry: Entry) -> None:
        """Adds an entry under its number, once; refuses when another writer took the number."""
        control.ensure("model_decision", SCHEMA)
        seen = control.version("model_decision")
        is_taken = any(held.seq >= entry.seq for held in self.entries())
        row = tuple(asdict(entry).values())
        if is_taken or not control.append_next("model_decision", SCHEMA, [row], seen):
            raise IntegrityError(
                "another decision entered the ledger at the same moment",
                where=f"entry {entry.seq}",
                remedy="look at `vinelake model history`, then repeat the decision",
            )


def record(ledger: Ledger, **content: object) -> Entry:
    """Appends the next entry: numbers it, dates it, chains it."""
    past = verified(ledger.entries())
    draft = Entry(
        seq=len(past) + 1,
        recorded_at=utc_now().isoformat(timespec="seconds"),
        previous_hash=past[-1].entry_hash if past else "",
        **content,
    )
    entry = replace(draft, entry_hash=draft.computed_hash())
    ledger.append(entry)
    return entry


def verified(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, if their numbers run on and the hash chain holds; otherwise which one is wrong."""
    previous = ""
    for number, entry in enumerate(entries, start=1):
        if entry.seq != number or entry.previous_hash != previous or entry.entry_hash != entry.computed_hash():
            raise IntegrityError(
                "the promotion ledger was altered",
                where=f"control.model_decision, entry {entry.seq}",
                remedy="restore the table to its last good version (Delta time travel)",
            )
        previous = entry.entry_hash
    return list(entries)


def aliases_by_ledger(entries: Sequence[Entry]) -> dict[str, str]:
    """What the aliases should be: those after the last entry."""
    return json.loads(entries[-1].aliases_after) if entries else {}


def decision_on(entries: Sequence[Entry], version: str) -> Entry | None:
    """The approval or rejection of a version, if there is one."""
    return next((e for e in entries if e.version == version and e.action in (APPROVE, REJECT)), None)


def last_check(entries: Sequence[Entry], version: str) -> Entry | None:
    return next((e for e in reversed(entries) if e.version == version and e.action == CHECK), None)


def assert_aliases(entries: Sequence[Entry], actual: dict[str, str]) -> None:
    """Raises when an alias was moved past the gate: registry and ledger must agree."""
    expected = aliases_by_ledger(entries)
    wrong = [
        f"{alias} should be {expected.get(alias, 'unset')}, is {actual.get(alias, 'unset')}"
        for alias in sorted({*expected, *actual})
        if expected.get(alias) != actual.get(alias)
    ]
    if wrong:
        raise ModelError(
            "aliases of the registered model were moved past the promotion gate",
            where="; ".join(wrong),
            remedy="find out who moved them; `vinelake model restore-aliases` undoes it",
        )
