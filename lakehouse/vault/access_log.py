"""The vault's log: who asked for which clear value, when and for what purpose. Entries are only ever added.

Every entry carries a keyed digest of itself and the one before it: an entry that was changed or taken out is found,
and nobody without the vault's keys can write a log that fits.
"""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import VaultError
from lakehouse.settings import get_settings
from lakehouse.time import utc_now
from lakehouse.vault import store

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, what TEXT NOT NULL,
    purpose TEXT NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries stay'); END;
CREATE TRIGGER IF NOT EXISTS no_removal BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries stay'); END;
"""


@dataclass(frozen=True)
class Entry:
    """One access: `who` is the acting person and the account of the process, `what` a token or a count."""

    number: int
    at: str
    who: str
    action: str
    what: str
    purpose: str
    digest: str


class AccessLog:
    """The log of one vault, in a database of its own, so that restoring the vault never takes the log back."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path, self._key = path, key
        self._db = store.connect(path)
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, action: str, what: list[str], purpose: str) -> None:
        """Notes an access, one entry for each of `what`; it is on the disk when this returns.

        Raises VaultError without a purpose: an access that nobody can account for does not happen.
        """
        if not purpose.strip():
            raise VaultError("no purpose was given", remedy="say what the clear value is needed for (--purpose)")
        at, who = utc_now().isoformat(), f"{get_settings().author}, uid {os.getuid()}"
        with store.changing(self._db) as db:
            last = db.execute("SELECT number, digest FROM entry ORDER BY number DESC LIMIT 1").fetchone()
            number, previous = last or (0, "")
            for each in what:
                number += 1
                facts = (number, at, who, action, each, purpose.strip())
                previous = self._digest(previous, facts)
                db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", (*facts, previous))

    def entries(self) -> list[Entry]:
        """Every entry, oldest first."""
        return [Entry(*row) for row in self._db.execute("SELECT * FROM entry ORDER BY number")]

    def faults(self) -> list[int]:
        """The numbers of entries that were changed, or that do not follow the one before them."""
        found, previous = [], ""
        for expected, entry in enumerate(self.entries(), start=1):
            facts = (entry.number, entry.at, entry.who, entry.action, entry.what, entry.purpose)
            if entry.number != expected or entry.digest != self._digest(previous, facts):
                found.append(entry.number)
            previous = entry.digest
        return found

    def _digest(self, previous: str, facts: tuple) -> str:
        return hmac.new(self._key, json.dumps([previous, *facts]).encode(), "sha256").hexdigest()
