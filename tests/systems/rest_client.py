"""Helpers of the REST systems' tests: a client with a token, all pages of a list, and a clock that tests may turn."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from sources.systems.clock import Clock


def set_day(home: Path, day: date) -> None:
    """Puts the clock on a day, also back: only tests may."""
    file = home / "clock.json"
    note = json.loads(file.read_text()) | {"today": str(day)}
    draft = home / "clock.json.draft"
    draft.write_text(json.dumps(note))
    draft.replace(file)


def step(home: Path, days: int = 1) -> None:
    """Moves the clock on."""
    set_day(home, Clock(home).today() + timedelta(days=days))


def client_of(app: FastAPI, folder: Path, name: str = "lakehouse") -> TestClient:
    """A client with a token for all that it is registered for."""
    clients = json.loads((folder / "credentials.json").read_text())["clients"]
    known = next(client for client in clients if client["client_id"] == name)
    http = TestClient(app)
    asked = {"grant_type": "client_credentials", "client_id": name, "client_secret": known["client_secret"]}
    answer = http.post("/oauth/token", data=asked)
    assert answer.status_code == 200, answer.text
    http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return http


def all_pages(
    http: TestClient, path: str, limit: int = 500, between: Callable[[], None] | None = None, **query
) -> list:
    """Every record of a list; `between` runs after each page."""
    rows, cursor = [], None
    while True:
        page = http.get(path, params={"limit": limit} | query | ({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200, page.text
        body = page.json()
        rows += body["data"]
        cursor = body["next_cursor"]
        if not body["has_more"]:
            return rows
        if between:
            between()


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing uses at this moment."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found
