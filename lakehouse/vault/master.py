"""The master key: one file outside the vault that wraps every key in it. Whoever lacks the file reads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lakehouse.errors import VaultError

KEY_BYTES = 32
NONCE_BYTES = 12


class MasterKey:
    """A master key by its id (which tells nothing of it)."""

    def __init__(self, key: bytes) -> None:
        self.id = hashlib.sha256(b"vinelake master key|" + key).hexdigest()[:16]
        self.key, self._cipher = key, AESGCM(key)

    def wrap(self, key: bytes, name: str) -> bytes:
        """A key made unreadable; `name` says which one it is, so that no two can be exchanged."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, name.encode())

    def unwrap(self, wrapped: bytes, name: str) -> bytes:
        """The key again; a VaultError where it was changed or was wrapped by another master key."""
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise VaultError(
                f"the vault's key {name.split('|')[0]} cannot be unwrapped: it was changed, or another key wrapped it",
                remedy="restore vault and master key of the same day",
            ) from error


def new_key() -> MasterKey:
    """A random key."""
    return MasterKey(os.urandom(KEY_BYTES))


def read(path: Path) -> dict[str, MasterKey]:
    """The keys of a file by id, newest last; none where there is no file. While a key is changed there are two."""
    if not path.exists():
        return {}
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise VaultError(
            "others can read the master key", where=str(path), remedy=f"chmod 600 {path}, and rotate it if they did"
        )
    try:
        encoded = json.loads(path.read_text(encoding="ascii"))["keys"]
        keys = [MasterKey(base64.b64decode(text, validate=True)) for text in encoded]
    except (ValueError, KeyError, TypeError) as error:
        raise VaultError("the master key's file is not readable", where=str(path), remedy="restore it") from error
    return {key.id: key for key in keys}


def write(path: Path, keys: list[MasterKey]) -> None:
    """Replaces the file in one step; it is never readable by anyone else."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        json.dump({"keys": [base64.b64encode(key.key).decode() for key in keys]}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
