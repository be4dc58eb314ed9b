"""Erasing a subject from the vault: keys are destroyed at once, and what leads to its traces stays until they are gone.

The trail (tokens, clear values) is needed to find what tables and files still hold. It is wrapped by the master key,
and its row is deleted by the step that ends the erasure; a killed erasure goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lakehouse.vault.vault import DATABASE, Vault


@dataclass(frozen=True)
class Trail:
    """What leads to subjects outside the vault; nothing of it is printed or kept once the erasure has ended.

    `subjects`: the vault's random ids. `own`: tokens that are theirs alone, former ones too; `shared`: tokens of values
    that others bear as well, such as a name. `clear`: values that are theirs alone, as text. `identifiers`: the values
    they were found by. `key_fingerprints`: digests of the wrapped keys. `other_keys`: under how many other subjects'
    keys one of the identifiers is sealed in landing. `request`: who asked for the erasure, why, on what legal ground.
    """

    subjects: tuple[str, ...]
    own: tuple[str, ...]
    shared: tuple[str, ...]
    clear: tuple[str, ...]
    identifiers: tuple[str, ...]
    key_fingerprints: tuple[str, ...]
    other_keys: int
    request: Mapping[str, str] = field(default_factory=dict, hash=False)


def follow(vault: Vault, kinds: Iterable[str], values: Iterable[str], purpose: str) -> Trail | None:
    """The trail of the subjects that are known by any of the values, under any of the kinds; None if there is none.

    It is noted in the access log first: a trail holds clear values.
    """
    kinds, values = sorted(set(kinds)), sorted(set(values))
    vault.log.add("follow", ["subject to be erased"], purpose)
    found = {}
    for kind in kinds:
        for value in values:
            row = vault.db.execute(
                "SELECT subject, wrapped FROM subject WHERE lookup = ?", (vault.lookup("subject", kind, value),)
            ).fetchone()
            if row:
                found[row[0]] = row[1]
    named = {vault.lookup("value", kind, value) for kind in kinds for value in values}
    lookups = {v for s in found for (v,) in vault.db.execute("SELECT lookup FROM holding WHERE subject = ?", (s,))}
    lookups |= {v for v in named if vault.db.execute("SELECT 1 FROM value WHERE lookup = ?", (v,)).fetchone()}
    if not found and not lookups:
        return None
    own, shared, clear, others = [], [], set(), set()
    for lookup in sorted(lookups):
        holders = {s for (s,) in vault.db.execute("SELECT subject FROM holding WHERE lookup = ?", (lookup,))}
        is_own = lookup in named or holders <= found.keys()
        (own if is_own else shared).extend(_tokens(vault, lookup))
        if lookup in named:
            others |= holders - found.keys()
        if is_own:
            clear.add(vault.value_of(lookup))
    prints = tuple(sorted(hashlib.sha256(wrapped).hexdigest()[:16] for wrapped in found.values()))
    return Trail(
        tuple(sorted(found)), tuple(own), tuple(shared), tuple(sorted(clear)), tuple(values), prints, len(others)
    )


def begin(vault: Vault, erasure: str, trail: Trail, purpose: str) -> None:
    """Destroys keys, values and tokens of the trail's subjects and notes the trail, in one change."""
    vault.log.add("erase", [f"erasure {erasure}"], purpose)
    body = json.dumps(asdict(trail), ensure_ascii=False).encode("utf-8", "surrogatepass")
    with vault.changing() as db:
        vault.load_keys()
        db.execute("INSERT INTO erasing VALUES (?, ?)", (erasure, vault.master.wrap(body, f"erasing|{erasure}")))
        for subject in trail.subjects:
            db.execute("INSERT OR IGNORE INTO erased VALUES (?, ?)", (subject, erasure))
            db.execute("DELETE FROM holding WHERE subject = ?", (subject,))
            db.execute("DELETE FROM subject WHERE subject = ?", (subject,))
        for token in trail.own:
            for lookup in _lookups(vault, token):
                for table in ("holding", "former_token", "value"):
                    db.execute(f"DELETE FROM {table} WHERE lookup = ?", (lookup,))
        vault.next_generation()
    vault.load_keys()
    vault.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def pending(vault: Vault) -> dict[str, Trail]:
    """The trails of erasures that have begun and not ended, by the erasure's number."""
    found = {}
    for erasure, wrapped in vault.db.execute("SELECT erasure, trail FROM erasing ORDER BY erasure").fetchall():
        stated = json.loads(vault.master.unwrap(wrapped, f"erasing|{erasure}").decode("utf-8", "surrogatepass"))
        found[erasure] = Trail(**{k: tuple(v) if isinstance(v, list) else v for k, v in stated.items()})
    return found


def end(vault: Vault, erasure: str) -> None:
    """Forgets the trail: from here on nothing in the vault leads to the subject."""
    with vault.changing() as db:
        db.execute("DELETE FROM erasing WHERE erasure = ?", (erasure,))
    vault.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def erased_subjects(folder: Path) -> dict[str, str]:
    """Random id of every subject whose key an erasure of this vault destroyed → that erasure; no key is needed.

    Landing still names these ids beside ciphertext that nobody can open: who builds from it writes the mark instead.
    """
    if not (folder / DATABASE).exists():
        return {}
    db = sqlite3.connect(folder / DATABASE)
    try:
        is_there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'erased'").fetchone()
        return dict(db.execute("SELECT subject, erasure FROM erased")) if is_there else {}
    finally:
        db.close()


def _tokens(vault: Vault, lookup: bytes) -> list[str]:
    query = "SELECT token FROM value WHERE lookup = ? UNION SELECT token FROM former_token WHERE lookup = ? ORDER BY 1"
    return [t for (t,) in vault.db.execute(query, (lookup, lookup))]


def _lookups(vault: Vault, token: str) -> list[bytes]:
    query = "SELECT lookup FROM value WHERE token = ? UNION SELECT lookup FROM former_token WHERE token = ?"
    return [v for (v,) in vault.db.execute(query, (token, token)).fetchall()]
