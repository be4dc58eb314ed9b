"""The vault's database: one SQLite file that several processes may write, each change whole or not at all."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lakehouse.errors import VaultError

BUSY_SECONDS = 120
PARAMETERS = 10_000
# Rows are found by digests, which lie anywhere in the file: more of it in memory (64 MiB) means fewer pages read twice.
RULES = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "cache_size = -65536",
    "wal_autocheckpoint = 16384",
)
# Keys are stored wrapped. `lookup` is a keyed digest of a normalised value: the database alone finds nobody.
SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS key (
    purpose TEXT NOT NULL, version INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (purpose, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subject (
    lookup BLOB PRIMARY KEY, subject TEXT NOT NULL UNIQUE, wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS value (
    lookup BLOB PRIMARY KEY, kind TEXT NOT NULL, secret BLOB NOT NULL, token TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holding (
    lookup BLOB NOT NULL, subject TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (lookup, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS holding_subject ON holding (subject);
CREATE TABLE IF NOT EXISTS former_token (token TEXT PRIMARY KEY, lookup BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS former_token_lookup ON former_token (lookup);
CREATE TABLE IF NOT EXISTS erasing (erasure TEXT PRIMARY KEY, trail BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (subject TEXT PRIMARY KEY, erasure TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Opens a database that its owner alone can read; what was committed survives a loss of power."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)
    try:
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        for rule in RULES:
            db.execute(f"PRAGMA {rule}")
    except sqlite3.Error as error:
        raise VaultError(
            f"the database cannot be opened: {error}", where=str(path), remedy="restore it from the vault's own backup"
        ) from error
    return db


@contextlib.contextmanager
def changing(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction that writes; other writers wait for its end. A failure inside undoes all of it."""
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise VaultError(
            f"another process kept writing for {BUSY_SECONDS} s", remedy="wait for it to end, then run again"
        ) from error
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def rows_of(db: sqlite3.Connection, query: str, keys: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """The rows of a query that ends in `IN`, for any number of keys."""
    wanted = list(keys)
    for start in range(0, len(wanted), PARAMETERS):
        some = wanted[start : start + PARAMETERS]
        yield from db.execute(f"{query} ({','.join('?' * len(some))})", some)


def facts(db: sqlite3.Connection) -> dict[str, str]:
    """The vault's facts by name: `master_key` (which key wraps), `generation` (of tokens and subjects)."""
    return dict(db.execute("SELECT name, value FROM fact"))


def state(db: sqlite3.Connection, name: str, value: str) -> None:
    """Sets one fact, within the caller's transaction."""
    db.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value))
