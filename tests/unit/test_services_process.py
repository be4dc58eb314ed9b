"""Supervised processes: started once, found again, and nobody else's process ever touched."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from lakehouse.errors import ServiceError
from lakehouse.services import process as process_module
from lakehouse.services.process import Process, port_is_open
from lakehouse.settings import get_settings

SLEEP = [sys.executable, "-c", "import time; time.sleep(120)"]
LISTEN = (
    "import socket, sys, time; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1);"
    "s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); time.sleep(120)"
)
PARENT = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import signal, time;"
    'signal.signal(signal.SIGTERM, signal.SIG_IGN); print("ready", flush=True); time.sleep(120)\']);'
    "time.sleep(120)"
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A lakehouse of its own, whose processes are all gone afterwards."""
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path / "home"))
    monkeypatch.setattr(process_module, "STOP_GRACE_SECONDS", 1)
    get_settings.cache_clear()
    yield tmp_path / "home"
    for pid_file in get_settings().run_dir.glob("*.json"):
        process_module.stop_noted(pid_file)
    get_settings.cache_clear()


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_start_is_idempotent_and_stop_ends_it():
    port = free_port()
    service = Process("web", [sys.executable, "-c", LISTEN, str(port)], port=port)
    assert service.status() == "down"
    service.start()
    first = service.running().pid
    service.start()
    assert service.running().pid == first
    assert service.status() == "up"
    assert service.stop() is True
    assert service.stop() is False
    assert service.status() == "down"
    assert not port_is_open(port)


def test_a_stale_pid_file_is_survived():
    service = Process("job", SLEEP)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    service.pid_file.parent.mkdir(parents=True)
    service.pid_file.write_text(json.dumps({"pid": ended.pid, "created": time.time() - 60}))
    assert service.running() is None
    service.start()
    assert service.running().pid != ended.pid


@pytest.mark.parametrize("damage", ["", "{", "[]", '"x"', "{}", '{"pid": "a", "created": 1}'])
def test_a_damaged_pid_file_is_survived(damage):
    service = Process("job", SLEEP)
    service.pid_file.parent.mkdir(parents=True)
    service.pid_file.write_text(damage)
    service.start()
    assert service.status() == "up"


def test_a_process_that_inherited_the_number_is_left_alone():
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        service = Process("job", SLEEP)
        service.pid_file.parent.mkdir(parents=True)
        service.pid_file.write_text(json.dumps({"pid": stranger.pid, "created": 1.0}))
        assert service.running() is None
        assert service.stop() is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_occupied_port_is_named_with_its_holder_and_the_remedy():
    with contextlib.closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        service = Process("web", SLEEP, port=port, port_setting="VINELAKE_WEB_PORT")
        with pytest.raises(ServiceError) as caught:
            service.start()
    assert str(port) in caught.value.what
    assert f"pid {os.getpid()}" in caught.value.what
    assert "VINELAKE_WEB_PORT" in caught.value.remedy


def test_one_that_dies_while_starting_tells_its_last_words_and_log():
    service = Process("web", [sys.executable, "-c", "raise SystemExit('no such database')"], port=free_port())
    with pytest.raises(ServiceError, match="no such database") as caught:
        service.start()
    assert caught.value.where.endswith("web.log")


def test_one_that_never_serves_is_reported_after_its_time():
    service = Process("web", SLEEP, port=free_port(), start_timeout=0.5)
    with pytest.raises(ServiceError, match="did not serve"):
        service.start()


def test_children_that_ignore_the_polite_signal_end_too():
    service = Process("tree", [sys.executable, "-c", PARENT])
    service.start()
    assert wait_until(lambda: "ready" in service.log_file.read_text())
    child = service.running().children()[0]
    service.stop()
    assert wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_orphans_of_a_killed_program_are_found_and_ended():
    service = Process("tree", [sys.executable, "-c", PARENT])
    service.start()
    assert wait_until(lambda: "ready" in service.log_file.read_text())
    child = service.running().children()[0]
    os.kill(service.running().pid, signal.SIGKILL)
    assert wait_until(service.crashed)
    assert child.is_running()
    assert service.stop() is True
    assert wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_crash_is_told_from_a_stop():
    service = Process("job", SLEEP)
    assert not service.crashed()
    service.start()
    assert not service.crashed()
    os.kill(service.running().pid, signal.SIGKILL)
    assert wait_until(service.crashed)
    service.start()
    service.stop()
    assert not service.crashed()


def test_its_own_signal_is_sent_before_any_other():
    code = (
        "import signal, sys, time\n"
        "def end(name):\n    print(name, flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGINT, lambda *_: end('INT'))\n"
        "signal.signal(signal.SIGTERM, lambda *_: end('TERM'))\n"
        "print('ready', flush=True); time.sleep(120)\n"
    )
    service = Process("db", [sys.executable, "-c", code], stop_signal="SIGINT")
    service.start()
    assert wait_until(lambda: "ready" in service.log_file.read_text())
    service.stop()
    assert service.log_file.read_text().split() == ["ready", "INT"]
