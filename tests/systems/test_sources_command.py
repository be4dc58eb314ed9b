"""`vinelake sources up|down|status|advance` on real servers: repeatable, on loopback only, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from rest_client import free_ports

from sources.systems.process import noted_process, read_note
from sources.systems.settings import PROJECT_DIR

pytestmark = pytest.mark.services
NAMES = ("government", "bureau", "market")
Command = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def env(loaded: Path, tmp_path: Path) -> dict[str, str]:
    """Environment of a state folder and ports of the test's own."""
    shutil.copytree(loaded, tmp_path / "sources")
    listening = (*NAMES, "banking", "industrial", "industrial_controller")
    ports = dict(zip(listening, free_ports(len(listening)), strict=True))
    return {"SOURCES_HOME": str(tmp_path / "sources")} | {f"SOURCES_{n.upper()}_PORT": str(p) for n, p in ports.items()}


@pytest.fixture
def sources(env: dict[str, str], world: Path) -> Iterator[Command]:
    """Runs the command as a user does; whatever a test left running is stopped at the end."""

    def run(*words: str, check: bool = True, **more: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "sources.systems", *words]
        done = subprocess.run(
            command, env={**os.environ, **env, **more}, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    yield run
    run("down", check=False)


def up(sources: Command, world: Path, **more) -> subprocess.CompletedProcess:
    return sources("up", "--world", str(world), "--systems", ",".join(NAMES), **more)


def state(sources: Command) -> dict[str, dict]:
    """What `status --json` says of each server."""
    report = json.loads(sources("status", "--json").stdout)
    return {row["name"]: row for row in report["processes"] if row["name"] in NAMES}


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_up_twice_advance_and_down(sources: Command, world: Path, env: dict[str, str]) -> None:
    up(sources, world)
    first = state(sources)
    assert {name: row["status"] for name, row in first.items()} == dict.fromkeys(NAMES, "up")
    up(sources, world)
    assert state(sources) == first
    pids = [row["pid"] for row in first.values()]

    # The clock moves under running servers.
    url = f"http://127.0.0.1:{env['SOURCES_GOVERNMENT_PORT']}"
    assert httpx.get(f"{url}/health").json()["today"] == "2020-12-30"
    assert "2021-01-04" in sources("advance", "--days", "5").stdout
    assert [httpx.get(f"http://127.0.0.1:{row['port']}/health").json()["today"] for row in first.values()] == [
        "2021-01-04"
    ] * 3

    # Loopback only.
    listening = [
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"] * 3

    family = pids + [child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)]
    sources("down")
    assert living(family) == []
    assert not list((Path(env["SOURCES_HOME"]) / "run").glob("*.json"))
    assert "nothing was running" in sources("down").stdout


def test_all_systems_start_advance_and_stop(sources: Command, world: Path, env: dict[str, str]) -> None:
    """REST, PostgreSQL, Kafka and the drop folder together, from an early day on."""
    sources("up", "--world", str(world), "--today", "2019-01-20")
    report = json.loads(sources("status", "--json").stdout)
    assert {row["name"]: row["status"] for row in report["processes"]} == dict.fromkeys(
        (*NAMES, "banking", "industrial"), "up"
    )
    family = []
    for row in report["processes"]:
        leader = psutil.Process(row["pid"])
        family += [leader, *leader.children(recursive=True)]
    addresses = {
        connection.laddr.ip
        for member in family
        for connection in member.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    sources("advance", "--days", "2")
    assert (Path(env["SOURCES_HOME"]) / "field" / "drop" / "2019-01-22" / "manifest.json").exists()
    sources("down")
    assert living([member.pid for member in family]) == []


def test_a_killed_server_is_seen_and_started_again(sources: Command, world: Path) -> None:
    up(sources, world)
    before = state(sources)
    os.kill(before["bureau"]["pid"], signal.SIGKILL)
    psutil.wait_procs([psutil.Process(before["bureau"]["pid"])] if psutil.pid_exists(before["bureau"]["pid"]) else [])
    assert state(sources)["bureau"]["status"] == "crashed"
    up(sources, world)
    after = state(sources)
    assert after["bureau"]["status"] == "up"
    assert after["government"] == before["government"]


def test_a_port_that_is_taken_is_named_with_its_holder(sources: Command, world: Path, env: dict[str, str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", int(env["SOURCES_MARKET_PORT"])))
        holder.listen()
        refused = sources("up", "--world", str(world), "--systems", "market", check=False)
        assert refused.returncode == 1
        assert f"port {env['SOURCES_MARKET_PORT']} is held by pid {os.getpid()}" in refused.stderr
        assert "SOURCES_MARKET_PORT" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert state(sources)["market"]["status"] == "down"


def test_a_failed_start_leaves_nothing_running(sources: Command, world: Path, env: dict[str, str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", int(env["SOURCES_MARKET_PORT"])))
        holder.listen()
        assert up(sources, world, check=False).returncode == 1
    assert {row["status"] for row in state(sources).values()} == {"down"}


def test_status_knows_the_port_that_a_server_was_given(sources: Command, world: Path, env: dict[str, str]) -> None:
    sources("up", "--world", str(world), "--systems", "market")
    report = json.loads(sources("status", "--json", SOURCES_MARKET_PORT="1").stdout)
    market = next(row for row in report["processes"] if row["name"] == "market")
    assert (market["status"], market["port"]) == ("up", int(env["SOURCES_MARKET_PORT"]))


def test_a_pid_file_of_another_process_is_stale(sources: Command, world: Path, env: dict[str, str]) -> None:
    """The number was given to another program since: that one is left alone."""
    other = subprocess.Popen(["sleep", "60"])
    try:
        file = Path(env["SOURCES_HOME"]) / "run" / "market.json"
        file.parent.mkdir()
        file.write_text(json.dumps({"pid": other.pid, "created": 1.0, "port": 1}))
        assert noted_process(read_note(file)) is None
        sources("up", "--world", str(world), "--systems", "market")
        assert state(sources)["market"]["pid"] != other.pid
        sources("down")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_after_a_load_the_world_need_not_be_named(sources: Command, world: Path) -> None:
    sources("load", "--world", str(world), "--systems", "market", "--today", "2020-05-01")
    assert state(sources)["market"]["status"] == "down"
    assert "today is 2020-05-01" in sources("up", "--systems", "market").stdout
    assert state(sources)["market"]["status"] == "up"


def test_another_world_needs_an_empty_folder(
    sources: Command, world: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    sources("up", "--world", str(world), "--systems", "market")
    other = shutil.copytree(world, tmp_path / "other")
    assert "1 processes serve" in sources("up", "--world", str(other), "--systems", "market").stdout
    (other / "world.json").write_text((other / "world.json").read_text().replace('"seed": 7', '"seed": 8'))
    refused = sources("up", "--world", str(other), "--systems", "market", check=False)
    assert refused.returncode == 1
    assert "holds another world" in refused.stderr
    assert "still running: market" in sources("clear", "--yes", check=False).stderr
    sources("down")
    kept = Path(env["SOURCES_HOME"]) / "not_ours.csv"
    kept.write_text("x")
    sources("clear", "--yes")
    assert list(kept.parent.iterdir()) == [kept]
    sources("up", "--world", str(other), "--systems", "market")


def test_a_folder_without_a_world_is_refused_in_words(sources: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused = sources("up", "--world", str(tmp_path / "empty"), check=False)
    assert refused.returncode == 1
    assert "is no generated world" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_servers_stay_small(sources: Command, world: Path, env: dict[str, str]) -> None:
    up(sources, world)
    found = state(sources)
    for name in NAMES:
        httpx.get(f"http://127.0.0.1:{env[f'SOURCES_{name.upper()}_PORT']}/docs").raise_for_status()
        assert psutil.Process(found[name]["pid"]).memory_info().rss < 400_000_000
