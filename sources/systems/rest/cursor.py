"""Opaque cursors: a position, signed, bound to the list and filters it came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

MAX_LENGTH = 400
PATTERN = r"^[A-Za-z0-9_-]+$"


def pack(position: list, scope: str, key: str) -> str:
    """A cursor for a position in the list named by `scope`."""
    body = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_sign(body, scope, key) + body).decode().rstrip("=")


def unpack(cursor: str, scope: str, key: str) -> list | None:
    """The position of a cursor; None if it is no cursor of this list and these filters."""
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    signature, body = raw[:12], raw[12:]
    if not hmac.compare_digest(signature, _sign(body, scope, key)):
        return None
    return json.loads(body)


def _sign(body: bytes, scope: str, key: str) -> bytes:
    return hmac.new(key.encode(), scope.encode() + b"\0" + body, hashlib.sha256).digest()[:12]
