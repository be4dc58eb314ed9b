"""A local server of a source system: started once, known by its pid file, stopped only by who started it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from sources.systems.errors import SourcesError
from sources.systems.settings import HOST

GRACE_SECONDS = 10


def port_open(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def port_holder(port: int) -> str:
    """Who listens on a port, as far as the system tells."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                holder = psutil.Process(connection.pid)
                return f"pid {holder.pid} ({holder.name()}, working in {holder.cwd()})"
    return "an unknown process"


@dataclass(frozen=True)
class Process:
    """One server.

    `home` is the systems' state folder: pid files stand in `run/`, logs in `logs/`. `ready` is asked until it is
    true or `start_seconds` have passed; without it an open port is enough. `port_setting` is the environment
    variable that moves the port. `user` is the account to run as. `stop_signal` is what the program takes for a
    quick and orderly end; whatever is left of its process tree afterwards gets TERM, then KILL.
    """

    name: str
    home: Path
    command: Sequence[str]
    port: int | None = None
    port_setting: str = ""
    ready: Callable[[], bool] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: str | None = None
    stop_signal: str = "SIGTERM"
    start_seconds: float = 45

    @property
    def pid_file(self) -> Path:
        return self.home / "run" / f"{self.name}.json"

    @property
    def log_file(self) -> Path:
        return self.home / "logs" / f"{self.name}.log"

    def running(self) -> psutil.Process | None:
        """The living process that the pid file names."""
        return noted_process(read_note(self.pid_file))

    def status(self) -> str:
        """`up`, `starting` (lives, does not serve yet), `crashed` (was not stopped, yet is not there) or `down`."""
        if self.running() is None:
            return "crashed" if self.pid_file.exists() else "down"
        return "up" if self.serves() else "starting"

    def serves(self) -> bool:
        """Whether the program answers."""
        if self.ready is not None:
            return self.ready()
        # A running program listens where it was told to, whatever this command's settings say.
        port = read_note(self.pid_file).get("port", self.port)
        return port is None or port_open(port)

    def spawn(self) -> None:
        """Starts the program unless it runs; does not wait. A stale pid file, and what it left, is cleared."""
        if self.running():
            return
        stop_noted(self.pid_file)
        if self.port and port_open(self.port):
            raise SourcesError(
                f"{self.name} cannot start: port {self.port} is held by {port_holder(self.port)}",
                remedy=f"stop that program, or choose another port with {self.port_setting or 'SOURCES_…_PORT'}=…",
            )
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        account = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        with self.log_file.open("ab") as log:
            child = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                cwd=self.cwd,
                start_new_session=True,
                **account,
            )
        created = psutil.Process(child.pid).create_time()
        note = {"pid": child.pid, "created": created, "port": self.port, "stop_signal": self.stop_signal}
        write_note(self.pid_file, note)

    def wait(self) -> None:
        """Waits until the program serves; names its log when it dies or takes too long."""
        deadline = time.monotonic() + self.start_seconds
        while not self.serves():
            if self.running() is None:
                raise SourcesError(
                    f"{self.name} ended while starting: {last_line(self.log_file)}", where=str(self.log_file)
                )
            if time.monotonic() > deadline:
                raise SourcesError(
                    f"{self.name} did not serve within {self.start_seconds:.0f} s", where=str(self.log_file)
                )
            time.sleep(0.1)

    def start(self) -> None:
        """Starts the program and waits until it serves; does nothing when it does already."""
        self.spawn()
        self.wait()

    def stop(self) -> bool:
        """Ends the program and all it started. True if there was anything to end."""
        return stop_noted(self.pid_file)


def read_note(pid_file: Path) -> dict:
    """What a pid file says; empty if there is none or it is damaged."""
    try:
        note = json.loads(pid_file.read_text())
    except (OSError, ValueError):
        return {}
    sound = isinstance(note, dict) and type(note.get("pid")) is int and isinstance(note.get("created"), int | float)
    return note if sound else {}


def write_note(pid_file: Path, note: dict) -> None:
    """Replaces a pid file in one step, so that nobody reads half of it."""
    draft = pid_file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(note))
    draft.replace(pid_file)


def noted_process(note: dict) -> psutil.Process | None:
    """The living process of a note; None if it ended or its number now belongs to another."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(note["pid"]) if note else None
        if process and abs(process.create_time() - note["created"]) < 1 and _lives(process):
            return process
    return None


def stop_noted(pid_file: Path) -> bool:
    """Ends the program a pid file names with all its offspring, then removes the file; True if any lived."""
    note = read_note(pid_file)
    leader = noted_process(note)
    family = {process.pid: process for process in _session_members(note)}
    if leader:
        with contextlib.suppress(psutil.Error):
            family |= {process.pid: process for process in [leader, *leader.children(recursive=True)]}
            leader.send_signal(signal.Signals[note.get("stop_signal", "SIGTERM")])
            wait_gone([leader], GRACE_SECONDS)
    end_processes([process for process in family.values() if _lives(process)])
    pid_file.unlink(missing_ok=True)
    return bool(family)


def end_processes(family: list[psutil.Process]) -> None:
    """TERM to all, KILL to those that still live after the grace time."""
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in wait_gone(family, GRACE_SECONDS):
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_gone(family, GRACE_SECONDS)


def wait_gone(family: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Waits until all have ended and returns those that have not; a zombie has ended."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in family if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def last_line(log_file: Path) -> str:
    """The last line of a log, for an error message."""
    with contextlib.suppress(OSError):
        lines = log_file.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "its log is empty"
    return "it left no log"


def _session_members(note: dict) -> list[psutil.Process]:
    """Whoever still lives in the session that the noted process opened, also after that process's own end.

    A session's number is not given out again while the session has members, so they are ours unless a process
    of another creation time bears the number.
    """
    if not note:
        return []
    with contextlib.suppress(psutil.Error):
        if abs(psutil.Process(note["pid"]).create_time() - note["created"]) >= 1:
            return []
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == note["pid"] and _lives(process):
                members.append(process)
    return members


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
