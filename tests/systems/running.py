"""What tests of running systems share: free ports, dumps of all text, and a search for what must not show."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
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


DYING = """
import importlib, os, signal, sys
from datetime import date
from pathlib import Path

system, home, world, until, module, function, calls = sys.argv[1:]
target = importlib.import_module(module)
real, left = getattr(target, function), int(calls)

def dying(*arguments):
    global left
    real(*arguments)
    left -= 1
    if left == 0:
        if hasattr(arguments[0], "flush"):
            arguments[0].flush(30)
        os.kill(os.getpid(), signal.SIGKILL)

setattr(target, function, dying)
importlib.import_module(f"sources.systems.{system}").advance(Path(home), Path(world), date.fromisoformat(until))
"""


def advance_and_die(system: str, home: Path, world: Path, until: date, function: str, calls: int) -> None:
    """Advances a system in a process that kills itself (KILL) after so many calls of a function of the system."""
    module, _, name = function.rpartition(".")
    arguments = [system, home, world, until, module, name, calls]
    done = subprocess.run([sys.executable, "-c", DYING, *map(str, arguments)], cwd=PROJECT_DIR)
    assert done.returncode == -signal.SIGKILL


def listens_on(process: psutil.Process) -> set[str]:
    """The addresses on which a process and its children listen."""
    found = set()
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # servers end their helpers at any time
            found |= {c.laddr.ip for c in member.net_connections() if c.status == psutil.CONN_LISTEN}
    return found
