"""The connections file of a simulated world: every loaded system, reachable as its protocol needs, private."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from lakehouse import connections as of_the_lakehouse
from sources.systems import connections
from sources.systems.banking import cluster
from sources.systems.rest.credentials import ensure_credentials, read_clients


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """State of a government platform, a market, banks and a drop folder; nothing runs."""
    home = tmp_path / "sources"
    for system in ("government", "market", "banking", "industrial", "field"):
        (home / system).mkdir(parents=True)
    ensure_credentials(home / "government", {"lakehouse": ["courts:read"], "tax_office": []})
    ensure_credentials(home / "market", {"lakehouse": ["prices"]})
    return home


def test_every_loaded_system_can_be_reached_with_what_the_file_says(home: Path) -> None:
    target = home.parent / "deep" / "connections.json"
    names = connections.write(home, target)
    known = of_the_lakehouse.load(target)
    assert set(names) == set(known) == {"government", "market", "payments", "core_bank", "platform", "field"}
    assert (
        known["government"].need("auth")["client_secret"]
        == read_clients(home / "government")["lakehouse"].client_secret
    )
    assert known["market"].need("auth") == {
        "key": read_clients(home / "market")["lakehouse"].client_secret, "header": "X-Api-Key",
    }  # fmt: skip
    assert known["platform"].need("bootstrap").startswith("127.0.0.1:")
    assert Path(known["field"].need("folder")) == home / "field" / "drop"
    password = cluster.password(home, cluster.PULLER)
    assert f"puller:{password}@" in known["core_bank"].need("dsn").replace("%2D", "-").replace("%5F", "_")


def test_only_its_owner_may_read_the_file_even_when_it_is_written_over(home: Path) -> None:
    target = home.parent / "connections.json"
    target.write_text("{}")
    target.chmod(0o644)
    connections.write(home, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not [path for path in target.parent.iterdir() if path.name.endswith(".draft")]


def test_a_running_server_is_named_at_the_port_it_took(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "market.json").write_text(json.dumps({"pid": 1, "created": 1.0, "port": 23456}))
    assert connections.connections(home)["market"]["url"] == "http://127.0.0.1:23456"
