"""A local process of the stack: started once, known by its pid file, stopped only by who started it."""

from __future__ import annotations

import contextlib
import json
import os
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
    """Who listens on a port, as `pid (command)`; `an unknown process` where the system does not tell."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "an unknown process"


@dataclass
class Process:
    """One supervised program.

    `ready` returns true once the program serves; it is asked until `start_timeout` seconds have passed.
    The pid file holds pid and creation time, so that a recycled pid is never taken for ours.
    """

    name: str
    command: Sequence[str]
    port: int | None = None
    ready: Callable[[], bool] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    start_timeout: float = 120
    port_setting: str | None = None

    @property
    def pid_file(self) -> Path:
        return get_settings().run_dir / f"{self.name}.json"

    @property
    def log_file(self) -> Path:
        return get_settings().log_dir / f"{self.name}.log"

    def running(self) -> psutil.Process | None:
        """The process that this pid file names, if it lives; a stale pid file is removed."""
        try:
            noted = json.loads(self.pid_file.read_text())
            process = psutil.Process(noted["pid"])
            alive = abs(process.create_time() - noted["created"]) < 1 and (
                process.status() != psutil.STATUS_ZOMBIE
            )
        except FileNotFoundError:
            return None
        except (psutil.Error, ValueError, KeyError, TypeError):
            alive = False
        if alive:
            return process
        self.pid_file.unlink(missing_ok=True)
        return None

    def status(self) -> str:
        """`up`, `starting` (lives, does not serve yet) or `down`."""
        if self.running() is None:
            return "down"
        return "up" if self._is_ready() else "starting"

    def spawn(self) -> psutil.Process:
        """Starts the program unless it runs, without waiting until it serves."""
        if process := self.running():
            return process
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
            )
        process = psutil.Process(child.pid)
        self.pid_file.write_text(json.dumps({"pid": child.pid, "created": process.create_time()}))
        return process

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
        """Ends the program and its children: TERM, ten seconds, KILL. True if there was one to end."""
        process = self.running()
        if process is None:
            return False
        family = [process]
        with contextlib.suppress(psutil.Error):
            family += process.children(recursive=True)
        end_processes(family)
        self.pid_file.unlink(missing_ok=True)
        return True

    def _is_ready(self) -> bool:
        if self.ready is not None:
            return self.ready()
        return self.port is None or port_is_open(self.port)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log_file.read_text(errors="replace").strip().splitlines()
            return lines[-1][:300] if lines else "its log is empty"
        return "it left no log"


def end_processes(family: list[psutil.Process]) -> None:
    """TERM to all, KILL to those that still live after the grace time."""
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_GRACE_SECONDS)
    for member in alive:
        with contextlib.suppress(psutil.Error):
            member.kill()
    psutil.wait_procs(alive, timeout=5)
