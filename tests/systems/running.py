"""What tests of running systems share: free ports, dumps of all text, and a search for what must not show."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import psutil
import pytest

from sources.systems.settings import PROJECT_DIR, get_settings

# Numbers of firms, people, planted rows and records of the small world, and its hidden amounts.
SECRETS = re.compile(
    r"(?<!\d)(73100\d\d|55200\d\d|666\d\d\d|88000\d{6}|98765\d{7,}|98765\.43\d*|987654321|2055-05-05)(?!\d)"
)


@contextmanager
def own_ports(*names: str) -> Iterator[None]:
    """Settings with a free port for each named setting."""
    patch = pytest.MonkeyPatch()
    for name in names:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            patch.setenv(f"SOURCES_{name.upper()}", str(probe.getsockname()[1]))
    get_settings.cache_clear()
    try:
        yield
    finally:
        patch.undo()
        get_settings.cache_clear()


def secrets_in(text: str) -> set[str]:
    """What of the economy's own numbers and of the truth appears in a text."""
    return {found if isinstance(found, str) else found[0] for found in SECRETS.findall(text)}


def advance_and_kill(system: str, home: Path, world: Path, until: date, begun: Callable[[], bool]) -> None:
    """Advances a system in a process of its own and kills that as soon as part of the work is done."""
    code = (
        f"from sources.systems import {system} as s; from pathlib import Path; from datetime import date;"
        f"s.advance(Path({str(home)!r}), Path({str(world)!r}), date.fromisoformat({str(until)!r}))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT_DIR)
    try:
        while child.poll() is None and not begun():
            time.sleep(0.02)
        assert child.poll() is None, "it ended before it could be killed"
    finally:
        child.kill()
        child.wait()


def listens_on(process: psutil.Process) -> set[str]:
    """The addresses on which a process and its children listen."""
    family = [process, *process.children(recursive=True)]
    listening = [c for member in family for c in member.net_connections() if c.status == psutil.CONN_LISTEN]
    return {connection.laddr.ip for connection in listening}
