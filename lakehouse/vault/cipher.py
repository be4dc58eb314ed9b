"""How one value of one person is encrypted: AES-256-GCM, with a nonce that follows from what is sealed."""

from __future__ import annotations

import hmac
import os
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HALF, NONCE_BYTES = 32, 12


class Subject(NamedTuple):
    """A person's random id and key, in two halves: one encrypts, one derives nonces."""

    id: str
    cipher: AESGCM
    nonce_key: bytes


def new_key() -> bytes:
    """A random key of a person."""
    return os.urandom(2 * HALF)


def subject(id_: str, key: bytes) -> Subject:
    """A person with the key as it was made."""
    return Subject(id_, AESGCM(key[:HALF]), key[HALF:])


def encrypt(person: Subject, kind: str, value: str) -> bytes:
    """Nonce and ciphertext. The nonce is a keyed digest of what is sealed: two contents never share one."""
    plain, bound = value.encode("utf-8", "surrogatepass"), _bound_to(person, kind)
    nonce = hmac.digest(person.nonce_key, bound + b"|" + plain, "sha256")[:NONCE_BYTES]
    return nonce + person.cipher.encrypt(nonce, plain, bound)


def decrypt(person: Subject, kind: str, body: bytes) -> str:
    """The value again; InvalidTag or ValueError where the body is not this person's value of this kind."""
    plain = person.cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], _bound_to(person, kind))
    return plain.decode("utf-8", "surrogatepass")


def _bound_to(person: Subject, kind: str) -> bytes:
    return f"{person.id}|{kind}".encode()
