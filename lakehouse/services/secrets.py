"""Secrets of the local services: generated once, kept in one file that only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

from lakehouse.errors import ServiceError
from lakehouse.settings import get_settings

_MAKERS = {
    "postgres_password": lambda: secrets.token_urlsafe(24),
    "airflow_fernet_key": lambda: Fernet.generate_key().decode(),
    "airflow_jwt_secret": lambda: secrets.token_hex(32),
    "airflow_secret_key": lambda: secrets.token_hex(32),
}


def write_private(path: Path, text: str) -> None:
    """Replaces a file in one step; it is never readable by anyone else, not even while being written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    draft.replace(path)


def secrets_file() -> Path:
    """Where the secrets of this lakehouse are kept."""
    return get_settings().home / "secrets.json"


def read_secrets() -> dict[str, str]:
    """All secrets of this lakehouse by name; missing ones are generated and stored.

    Raises ServiceError when the file is not JSON.
    """
    path = secrets_file()
    try:
        known = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ServiceError(
            "the file with the services' secrets is damaged",
            where=str(path),
            remedy="restore it from a backup; without it the databases beside it cannot be opened",
        ) from error
    missing = {name: make() for name, make in _MAKERS.items() if name not in known}
    if missing:
        known |= missing
        write_private(path, json.dumps(known, indent=2) + "\n")
    return known
