"""How a client reaches every system that is loaded here: addresses and secrets, as one private file.

The file maps a connection's name to what its protocol needs: `url` and `auth`, `dsn`, `bootstrap`, `folder`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sources.systems.banking import cluster
from sources.systems.field import drop
from sources.systems.process import read_note
from sources.systems.rest.credentials import read_clients
from sources.systems.settings import HOST, get_settings

CLIENT = "lakehouse"


def connections(home: Path) -> dict[str, dict[str, Any]]:
    """The connections of all systems with state in `home`, by name; a running server's port is the one it took."""
    found: dict[str, dict[str, Any]] = {}
    for system, describe in _SYSTEMS.items():
        if (home / system).is_dir():
            found |= describe(home)
    return found


def write(home: Path, target: Path) -> list[str]:
    """Writes the connections to a file that only its owner may read, in one step; returns their names."""
    found = connections(home)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(found, out, indent=1, ensure_ascii=False)
        out.write("\n")
    draft.replace(target)
    return list(found)


def _oauth(system: str) -> Callable[[Path], dict[str, dict[str, Any]]]:
    def describe(home: Path) -> dict[str, dict[str, Any]]:
        client = read_clients(home / system)[CLIENT]
        auth = {"client_id": client.client_id, "client_secret": client.client_secret, "token_url": "/oauth/token"}
        return {system: {"url": _url(home, system), "auth": auth}}

    return describe


def _market(home: Path) -> dict[str, dict[str, Any]]:
    key = read_clients(home / "market")[CLIENT].client_secret
    return {"market": {"url": _url(home, "market"), "auth": {"key": key, "header": "X-Api-Key"}}}


def _banking(home: Path) -> dict[str, dict[str, Any]]:
    secret = quote(cluster.password(home, cluster.PULLER), safe="")
    place = f"{cluster.PULLER}:{secret}@{HOST}:{_port(home, 'banking')}"
    return {name: {"dsn": f"postgresql://{place}/{name}"} for name in cluster.DATABASES}


def _industrial(home: Path) -> dict[str, dict[str, Any]]:
    client = {"broker.address.family": "v4"}
    return {"platform": {"bootstrap": f"{HOST}:{_port(home, 'industrial')}", "client": client}}


def _field(home: Path) -> dict[str, dict[str, Any]]:
    return {"field": {"folder": str(drop.folder(home))}}


_SYSTEMS = {
    "government": _oauth("government"),
    "bureau": _oauth("bureau"),
    "market": _market,
    "banking": _banking,
    "industrial": _industrial,
    "field": _field,
}


def _url(home: Path, system: str) -> str:
    return f"http://{HOST}:{_port(home, system)}"


def _port(home: Path, system: str) -> int:
    """The port that a running server noted, else the one it would take."""
    noted = read_note(home / "run" / f"{system}.json").get("port")
    return noted or getattr(get_settings(), f"{system}_port")
