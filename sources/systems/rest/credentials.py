"""Clients of a REST system and their secrets: made once at load, kept in the system's state folder, private."""

from __future__ import annotations

import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Client:
    """A registered client and the scopes it may ask for."""

    client_id: str
    client_secret: str
    scopes: tuple[str, ...]


def credentials_file(folder: Path) -> Path:
    return folder / "credentials.json"


def ensure_credentials(folder: Path, scopes: dict[str, list[str]]) -> None:
    """Registers the clients of `scopes` (name → scopes) with fresh secrets, and a signing key; keeps what is there."""
    file = credentials_file(folder)
    known = json.loads(file.read_text()) if file.exists() else {"signing_key": secrets.token_hex(32), "clients": []}
    kept = {client["client_id"]: client for client in known["clients"]}
    for name, allowed in scopes.items():
        secret = kept.get(name, {}).get("client_secret") or secrets.token_urlsafe(24)
        kept[name] = asdict(Client(name, secret, tuple(allowed)))
    draft = file.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(known | {"clients": list(kept.values())}, out, indent=1)
    draft.replace(file)


def read_clients(folder: Path) -> dict[str, Client]:
    """All registered clients by name."""
    known = json.loads(credentials_file(folder).read_text())
    return {c["client_id"]: Client(c["client_id"], c["client_secret"], tuple(c["scopes"])) for c in known["clients"]}


def signing_key(folder: Path) -> str:
    """The key that signs tokens and cursors."""
    return json.loads(credentials_file(folder).read_text())["signing_key"]


def check_secret(clients: dict[str, Client], client_id: str, client_secret: str) -> Client | None:
    """The client, if its secret is right; takes the same time when it is not."""
    client = clients.get(client_id)
    expected = client.client_secret if client else secrets.token_urlsafe(24)
    return client if hmac.compare_digest(expected.encode(), client_secret.encode()) and client else None
