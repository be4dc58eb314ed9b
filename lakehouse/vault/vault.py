"""Seals personal values under their person's key, gives them tokens, and opens them again for a stated purpose."""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from lakehouse.errors import ConfigError, VaultError
from lakehouse.settings import get_settings
from lakehouse.vault import cipher, forms, master, store
from lakehouse.vault.access_log import AccessLog
from lakehouse.vault.cipher import Subject

DATABASE, LOG = "vault.sqlite", "access_log.sqlite"
TOKEN_BYTES, SECRET_BYTES = 16, 16
# About 100 MB of text at most; a run over more distinct values than this asks the database again.
REMEMBERED = 100_000


class Item(NamedTuple):
    """A personal value to seal: its kind (values of one kind are joinable) and the person it is about."""

    kind: str
    value: str
    subject_kind: str
    subject_value: str


@contextlib.contextmanager
def open_vault() -> Iterator[Vault]:
    """The vault of the lakehouse in use; it and its master key are made on first use."""
    settings = get_settings()
    vault = Vault(settings.vault_dir, settings.master_key_file)
    try:
        yield vault
    finally:
        vault.close()


class Vault:
    """One vault: `folder` holds its database and log, `key_file` its master key. One thread uses an instance.

    Raises ConfigError where the key lies inside the folder, VaultError where it is missing, readable by others, or not
    the one that wrapped the vault's keys.
    """

    def __init__(self, folder: Path, key_file: Path) -> None:
        if folder.resolve() in key_file.resolve().parents:
            raise ConfigError(
                "the master key lies inside the vault it opens",
                where=str(key_file),
                remedy="set VINELAKE_MASTER_KEY_FILE to a place of its own, best on another disk",
            )
        self.folder, self.key_file = folder, key_file
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.db = store.connect(folder / DATABASE)
        try:
            self._begin()
            self.load_keys()
            self.log = AccessLog(folder / LOG, self._key("log"))
        except BaseException:
            self.db.close()
            raise

    def close(self) -> None:
        self.log.close()
        self.db.close()

    def seal(self, items: Sequence[Item]) -> list[str]:
        """The sealed form of every item, in their order. What opens them is in the vault before this returns.

        The same item always gives the same text, in any process, until its person is forgotten or tokens are rotated.
        """
        if store.facts(self.db)["generation"] != self.generation:
            self.load_keys()
        fresh = set(items) - self._sealed.keys()
        if len(fresh) + len(self._sealed) > REMEMBERED:
            self._forget_remembered()
            fresh = set(items)
        if fresh:
            with self.changing() as db:
                if store.facts(db)["generation"] != self.generation:
                    self.load_keys()
                    fresh = set(items)
                made = self._admit(list(fresh))
            self._sealed.update(made)
        return [self._sealed[item] for item in items]

    def reveal(self, tokens: Sequence[str], purpose: str) -> list[str]:
        """The clear values of tokens. Every one is noted in the access log before anything is returned.

        Raises VaultError without a purpose, and for a token that nothing is known of.
        """
        self.log.add("reveal", list(tokens), purpose)
        return [self._clear(token) for token in tokens]

    def open(self, sealed: str, purpose: str) -> str:
        """The clear value of a sealed text of landing, noted in the access log first.

        Raises VaultError where the text was changed, or its person's key is gone.
        """
        parts = forms.parse_sealed(sealed)
        if not parts:
            raise VaultError("the text is not a sealed value", remedy="give it whole: sealed:1:…")
        token, subject, body = parts
        self.log.add("open", [token], purpose)
        lookup = self._lookup_of(token)
        kind = token.split("_", 1)[1].rpartition("_")[0]
        value = self._decrypt(subject, kind, base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), token)
        if lookup != self.lookup("value", kind, value):
            raise VaultError("the token is not this value's: the sealed text was changed", where=token)
        return value

    def find(self, kind: str, value: str, purpose: str) -> str | None:
        """The token of a clear value, to look for a person in tables; None where it was never sealed. Logged."""
        self.log.add("find", [kind], purpose)
        row = self.db.execute(
            "SELECT token FROM value WHERE lookup = ?", (self.lookup("value", kind, value),)
        ).fetchone()
        return row[0] if row else None

    def forget(self, kind: str, value: str, purpose: str) -> bool:
        """Destroys a person's key and what the vault holds of the person; True if there was anything.

        `kind` and `value` identify the person, as a contract's `dataSubject` does. Values that other persons share
        (a name) keep their token for those.
        """
        lookup = self.lookup("subject", kind, value)
        with self.changing() as db:
            row = db.execute("SELECT subject FROM subject WHERE lookup = ?", (lookup,)).fetchone()
            self.log.add("forget", [row[0] if row else kind], purpose)
            if not row:
                return False
            held = [v for (v,) in db.execute("SELECT lookup FROM holding WHERE subject = ?", row)]
            db.execute("DELETE FROM holding WHERE subject = ?", row)
            db.execute("DELETE FROM subject WHERE lookup = ?", (lookup,))
            for each in held:
                if not db.execute("SELECT 1 FROM holding WHERE lookup = ?", (each,)).fetchone():
                    db.execute("DELETE FROM value WHERE lookup = ?", (each,))
                    db.execute("DELETE FROM former_token WHERE lookup = ?", (each,))
            self.next_generation()
        self.load_keys()
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return True

    def successors(self) -> Iterator[tuple[str, str]]:
        """(former token, the one that holds now) of every token that was ever replaced."""
        yield from self.db.execute(
            "SELECT f.token, v.token FROM former_token f JOIN value v ON v.lookup = f.lookup ORDER BY f.token"
        )

    def counts(self) -> dict[str, int]:
        """How many persons, values and holdings (a value of a person) there are, and the tokens' key version."""
        counted = {t: self.db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("subject", "value")}
        return {
            "persons": counted["subject"],
            "values": counted["value"],
            "former_tokens": self.db.execute("SELECT count(*) FROM former_token").fetchone()[0],
            "token_key_version": self.token_version,
        }

    # What follows is for this package.

    def _begin(self) -> None:
        """Makes tables and keys on first use; of several first users at once, one does."""
        self.db.executescript(store.SCHEMA)
        with store.changing(self.db) as db:
            if "master_key" in store.facts(db):
                return
            found = list(master.read(self.key_file).values())
            key = found[-1] if found else master.new_key()
            if not found:
                master.write(self.key_file, [key])
            for purpose in ("lookup", "log", "token"):
                db.execute("INSERT INTO key VALUES (?, 1, ?)", (purpose, key.wrap(os.urandom(32), f"{purpose}|1")))
            store.state(db, "master_key", key.id)
            store.state(db, "generation", "1")

    @contextlib.contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; where it fails, what was remembered of it is forgotten: persons not committed are nobody."""
        try:
            with store.changing(self.db) as db:
                yield db
        except BaseException:
            self.load_keys()
            raise

    def load_keys(self) -> None:
        """Reads every key anew and forgets all that was made with the earlier ones."""
        known, keys = store.facts(self.db), master.read(self.key_file)
        if known["master_key"] not in keys:  # another process may be changing it at this moment
            known, keys = store.facts(self.db), master.read(self.key_file)
        if known["master_key"] not in keys:
            raise VaultError(
                "the master key is " + ("not the one that wrapped this vault" if keys else "missing"),
                where=str(self.key_file),
                remedy=f"put the key {known['master_key']} there (VINELAKE_MASTER_KEY_FILE); without it nothing sealed "
                "can be opened",
            )
        self.master, self.generation = keys[known["master_key"]], known["generation"]
        self._keys = {
            (purpose, version): self.master.unwrap(wrapped, f"{purpose}|{version}")
            for purpose, version, wrapped in self.db.execute("SELECT purpose, version, wrapped FROM key")
        }
        self.token_version = max(version for purpose, version in self._keys if purpose == "token")
        self._forget_remembered()

    def next_generation(self) -> None:
        """Tells every other process, within the caller's transaction, that what it remembers is out of date."""
        store.state(self.db, "generation", str(int(store.facts(self.db)["generation"]) + 1))

    def make_token(self, kind: str, secret: bytes, version: int) -> str:
        """The token of a value: a keyed digest of the value's own random secret, never of the value.

        So who steals the key alone can try no values, and once the secret is gone nothing leads to the token.
        """
        digest = hmac.digest(self._keys["token", version], kind.encode() + b"|" + secret, "sha256")[:TOKEN_BYTES]
        return f"tok{version}_{kind}_{base64.b32encode(digest).decode().rstrip('=').lower()}"

    def _key(self, purpose: str) -> bytes:
        return self._keys[purpose, 1]

    def _forget_remembered(self) -> None:
        self._sealed: dict[Item, str] = {}
        self._subjects: dict[bytes, Subject] = {}

    def lookup(self, what: str, kind: str, value: str) -> bytes:
        text = f"{what}|{kind}|{forms.normalise(kind, value)}"
        return hmac.digest(self._key("lookup"), text.encode("utf-8", "surrogatepass"), "sha256")

    def _admit(self, items: list[Item]) -> dict[Item, str]:
        """Gives new values and persons their rows, within the caller's transaction; returns the sealed forms."""
        values = [self.lookup("value", item.kind, item.value) for item in items]
        persons = [self.lookup("subject", item.subject_kind, item.subject_value) for item in items]
        self._admit_subjects(set(persons))
        tokens = self._admit_values({lookup: item.kind for lookup, item in zip(values, items, strict=True)})
        made, holdings = {}, []
        for item, lookup, person in zip(items, values, persons, strict=True):
            subject = self._subjects[person]
            body = cipher.encrypt(subject, item.kind, item.value)
            holdings.append((lookup, subject.id, body))
            text = base64.urlsafe_b64encode(body).decode().rstrip("=")
            made[item] = f"{forms.SEALED}{tokens[lookup]}:{subject.id}:{text}"
        self.db.executemany("INSERT OR IGNORE INTO holding VALUES (?, ?, ?)", sorted(holdings))
        return made

    def _admit_subjects(self, lookups: set[bytes]) -> None:
        wanted = lookups - self._subjects.keys()
        for lookup, subject, wrapped in store.rows_of(
            self.db, "SELECT lookup, subject, wrapped FROM subject WHERE lookup IN", wanted
        ):
            self._subjects[lookup] = cipher.subject(subject, self.master.unwrap(wrapped, f"subject|{subject}"))
        rows, made = [], {}
        for lookup in sorted(wanted - self._subjects.keys()):
            subject, key = uuid.uuid4().hex, cipher.new_key()
            rows.append((lookup, subject, self.master.wrap(key, f"subject|{subject}")))
            made[lookup] = cipher.subject(subject, key)
        self.db.executemany("INSERT INTO subject VALUES (?, ?, ?)", rows)
        self._subjects.update(made)

    def _admit_values(self, kinds: Mapping[bytes, str]) -> dict[bytes, str]:
        tokens = dict(store.rows_of(self.db, "SELECT lookup, token FROM value WHERE lookup IN", kinds))
        rows = []
        for lookup in sorted(kinds.keys() - tokens.keys()):
            secret = os.urandom(SECRET_BYTES)
            tokens[lookup] = self.make_token(kinds[lookup], secret, self.token_version)
            rows.append((lookup, kinds[lookup], secret, tokens[lookup]))
        self.db.executemany("INSERT INTO value VALUES (?, ?, ?, ?)", rows)
        return tokens

    def _lookup_of(self, token: str) -> bytes:
        row = self.db.execute(
            "SELECT lookup FROM value WHERE token = ? UNION ALL SELECT lookup FROM former_token WHERE token = ?",
            (token, token),
        ).fetchone()
        if not row:
            raise VaultError(
                "nothing is known of this token: it is another vault's, or its person was forgotten", where=token
            )
        return row[0]

    def _clear(self, token: str) -> str:
        return self.value_of(self._lookup_of(token), token)

    def value_of(self, lookup: bytes, token: str = "a value to be erased") -> str:
        """The clear value of a row, for callers that have noted the access; `token` names it in an error."""
        row = self.db.execute(
            "SELECT h.subject, h.sealed, v.kind FROM holding h JOIN value v ON v.lookup = h.lookup "
            "WHERE h.lookup = ? LIMIT 1",
            (lookup,),
        ).fetchone()
        subject, body, kind = row
        value = self._decrypt(subject, kind, body, token)
        if lookup != self.lookup("value", kind, value):
            raise VaultError("the vault's row was changed: it holds another token's value", where=token)
        return value

    def persons(self) -> Iterator[Subject]:
        """Every subject whose key is left, with that key: an auditor tries them on what was sealed."""
        for subject, wrapped in self.db.execute("SELECT subject, wrapped FROM subject ORDER BY subject").fetchall():
            yield cipher.subject(subject, self.master.unwrap(wrapped, f"subject|{subject}"))

    def _decrypt(self, subject: str, kind: str, body: bytes, token: str) -> str:
        row = self.db.execute("SELECT wrapped FROM subject WHERE subject = ?", (subject,)).fetchone()
        if not row:
            raise VaultError("the person's key was destroyed: nobody can open this value again", where=token)
        person = cipher.subject(subject, self.master.unwrap(row[0], f"subject|{subject}"))
        try:
            return cipher.decrypt(person, kind, body)
        except (InvalidTag, ValueError) as error:
            raise VaultError("the sealed value was changed", where=token, remedy="`vinelake verify`") from error
