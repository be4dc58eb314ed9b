"""A local process of the stack: started once, known by its pid file, stopped only by who started it."""

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

from lakehouse.errors import ServiceError
from lakehouse.settings import get_settings

STOP_GRACE_SECONDS = 10


def port_is_open(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on a loopback port."""
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def port_holder(port: int) -> str:
    """Who listens on a port, as `pid 1 (command, working in folder)`, if the system tells."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                holder = psutil.Process(connection.pid)
                return f"pid {holder.pid} ({holder.name()}, working in {holder.cwd()})"
    return "an unknown process"


@dataclass
class Process:
    """One supervised program.

    `ready` returns true once the program serves; it is asked until `start_timeout` seconds have passed.
    The pid file holds pid and creation time, so that a recycled pid is never taken for ours. It stays when
    the program dies by itself: that is how a supervisor tells a crash from a stop. `user` is the system
    account to run as; `stop_signal` is what the program takes for a quick, orderly end; `spares_children`
    leaves services alive that the program started for others.
    """

    name: str
    command: Sequence[str]
    port: int | None = None
    ready: Callable[[], bool] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    start_timeout: float = 120
    port_setting: str | None = None
    user: str | None = None
    stop_signal: str = "SIGTERM"
    spares_children: bool = False

    @property
    def pid_file(self) -> Path:
        return get_settings().run_dir / f"{self.name}.json"

    @property
    def log_file(self) -> Path:
        return get_settings().log_dir / f"{self.name}.log"

    def running(self) -> psutil.Process | None:
        """The process that this pid file names, if it lives."""
        return noted_process(self.pid_file)

    def crashed(self) -> bool:
        """Whether the program was started, was not stopped, and yet is not there."""
        note = read_note(self.pid_file)
        return bool(note) and not note.get("stopping") and self.running() is None

    def status(self) -> str:
        """`up`, `starting` (lives, does not serve yet) or `down`."""
        if self.running() is None:
            return "down"
        return "up" if self._is_ready() else "starting"

    def spawn(self) -> psutil.Process:
        """Starts the program unless it runs, without waiting until it serves."""
        if process := self.running():
            return process
        stop_noted(self.pid_file)
        if self.port and port_is_open(self.port):
            setting = self.port_setting or f"VINELAKE_{self.name.upper().replace('-', '_')}_PORT"
            raise ServiceError(
                f"{self.name} cannot start: port {self.port} is held by {port_holder(self.port)}",
                remedy=f"stop that program, or choose another port with {setting}=…",
            )
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            child = subprocess.Popen(
                list(self.command),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.env},
                cwd=self.cwd,
                start_new_session=True,
                **self._account(),
            )
        process = psutil.Process(child.pid)
        note = {"pid": child.pid, "created": process.create_time(), "port": self.port}
        ending = {"stop_signal": self.stop_signal, "spares_children": self.spares_children}
        write_note(self.pid_file, note | ending)
        return process

    def _account(self) -> dict:
        return {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}

    def wait_ready(self) -> None:
        """Waits until the program serves; says where its log is when it dies or takes too long."""
        deadline = time.monotonic() + self.start_timeout
        while not self._is_ready():
            if self.running() is None:
                raise ServiceError(
                    f"{self.name} ended while starting: {self._last_words()}",
                    where=str(self.log_file),
                    remedy="read the log, mend the cause, start again",
                )
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{self.name} did not serve within {self.start_timeout:.0f} s",
                    where=str(self.log_file),
                    remedy="read the log; a slow machine may simply need another `make up`",
                )
            time.sleep(0.2)

    def start(self) -> None:
        """Starts the program and waits until it serves; does nothing when it does already."""
        self.spawn()
        self.wait_ready()

    def stop(self) -> bool:
        """Ends the program and all it started: signal, ten seconds, KILL. True if there was one."""
        return stop_noted(self.pid_file)

    def _is_ready(self) -> bool:
        if self.ready is not None:
            return self.ready()
        return self.port is None or port_is_open(self.port)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log_file.read_text(errors="replace").strip().splitlines()
            return lines[-1][:300] if lines else "its log is empty"
        return "it left no log"


def read_note(pid_file: Path) -> dict:
    """What a pid file says; empty if there is none or it is damaged."""
    try:
        note = json.loads(pid_file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(note, dict) or type(note.get("pid")) is not int:
        return {}
    return note if isinstance(note.get("created"), int | float) else {}


def write_note(pid_file: Path, note: dict) -> None:
    """Replaces a pid file in one step, so that nobody reads half of it."""
    draft = pid_file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(note))
    draft.replace(pid_file)


def noted_process(pid_file: Path) -> psutil.Process | None:
    """The living process a pid file names; None if it ended or its number now belongs to another."""
    note = read_note(pid_file)
    with contextlib.suppress(psutil.Error, ValueError, TypeError):
        process = psutil.Process(note.get("pid", -1))
        same = abs(process.create_time() - note["created"]) < 1
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _session_members(pid_file: Path) -> list[psutil.Process]:
    """Whoever still lives in the session that the noted process opened, also after its own end.

    A session's number is not given out again while the session has members, so the members are ours unless
    a process of another creation time bears the number.
    """
    note = read_note(pid_file)
    leader = note.get("pid")
    if not leader:
        return []
    with contextlib.suppress(psutil.Error):
        if abs(psutil.Process(leader).create_time() - note["created"]) >= 1:
            return []
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def stop_noted(pid_file: Path) -> bool:
    """Ends the program a pid file names and all its offspring, then removes the file.

    Orphans of a program that was killed are found by their session. True if anything was left to end.
    """
    note = read_note(pid_file)
    if not note:
        pid_file.unlink(missing_ok=True)
        return False
    family = {member.pid: member for member in _session_members(pid_file)}
    leader = noted_process(pid_file)
    if leader:
        write_note(pid_file, note | {"stopping": True})
        with contextlib.suppress(psutil.Error):
            offspring = [] if note.get("spares_children") else leader.children(recursive=True)
            family |= {member.pid: member for member in [leader, *offspring]}
        if note.get("stop_signal", "SIGTERM") != "SIGTERM":
            with contextlib.suppress(psutil.Error):
                leader.send_signal(signal.Signals[note["stop_signal"]])
                wait_gone([leader], STOP_GRACE_SECONDS)
    end_processes([member for member in family.values() if _lives(member)])
    pid_file.unlink(missing_ok=True)
    return bool(family)


def end_processes(family: list[psutil.Process]) -> None:
    """TERM to all, KILL to those that still live after the grace time."""
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.terminate()
    alive = wait_gone(family, STOP_GRACE_SECONDS)
    for member in alive:
        with contextlib.suppress(psutil.Error):
            member.kill()
    wait_gone(alive, 5)


def wait_gone(family: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Waits until all have ended and returns those that have not.

    A zombie has ended: in a container nobody may ever collect it.
    """
    deadline = time.monotonic() + seconds
    while alive := [member for member in family if _lives(member)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return alive


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
