"""Changing keys: the master key that wraps all others, and the key that tokens are made with."""

from __future__ import annotations

import os

from lakehouse.vault import master, store
from lakehouse.vault.vault import Vault


def rotate_master(vault: Vault, purpose: str) -> str:
    """Wraps every key of the vault under a new master key and destroys the old one; returns the new key's id.

    A kill leaves a vault that opens: both keys are in the file until the change is committed.
    """
    vault.log.add("rotate master key", [vault.master.id], purpose)
    new = master.new_key()
    with vault.changing() as db:
        vault.load_keys()
        old = vault.master
        master.write(vault.key_file, [old, new])
        for key_purpose, version, wrapped in db.execute("SELECT purpose, version, wrapped FROM key").fetchall():
            name = f"{key_purpose}|{version}"
            db.execute(
                "UPDATE key SET wrapped = ? WHERE purpose = ? AND version = ?",
                (new.wrap(old.unwrap(wrapped, name), name), key_purpose, version),
            )
        subjects = db.execute("SELECT subject, wrapped FROM subject").fetchall()
        db.executemany(
            "UPDATE subject SET wrapped = ? WHERE subject = ?",
            (
                (new.wrap(old.unwrap(wrapped, f"subject|{subject}"), f"subject|{subject}"), subject)
                for subject, wrapped in subjects
            ),
        )
        for erasure, wrapped in db.execute("SELECT erasure, trail FROM erasing").fetchall():
            name = f"erasing|{erasure}"
            trail = new.wrap(old.unwrap(wrapped, name), name)
            db.execute("UPDATE erasing SET trail = ? WHERE erasure = ?", (trail, erasure))
        store.state(db, "master_key", new.id)
        vault.next_generation()
    vault.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with vault.changing():  # nobody changes the key again meanwhile
        vault.load_keys()
        master.write(vault.key_file, [vault.master])
    return new.id


def rotate_tokens(vault: Vault, purpose: str) -> int:
    """Gives every value a new token, made with a new key; returns how many. No clear value is read for it.

    Former tokens stay known to the vault: landing holds them for ever, and published tables until
    `spark_jobs.retokenise` has rewritten them.
    """
    vault.log.add("rotate tokens", [f"version {vault.token_version + 1}"], purpose)
    with vault.changing() as db:
        vault.load_keys()
        version = vault.token_version + 1
        wrapped = vault.master.wrap(os.urandom(32), f"token|{version}")
        db.execute("INSERT INTO key VALUES ('token', ?, ?)", (version, wrapped))
        vault.next_generation()
        vault.load_keys()
        db.execute("INSERT INTO former_token SELECT token, lookup FROM value")
        held = db.execute("SELECT lookup, kind, secret FROM value").fetchall()
        db.executemany(
            "UPDATE value SET token = ? WHERE lookup = ?",
            ((vault.make_token(kind, secret, version), lookup) for lookup, kind, secret in held),
        )
    return len(held)
