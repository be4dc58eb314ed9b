"""The local stack: PostgreSQL, the engine, MLflow and Airflow, started together and stopped together."""

from __future__ import annotations

import contextlib
import fcntl
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from lakehouse import engine
from lakehouse.errors import ServiceError
from lakehouse.services import airflow, mlflow, postgres, source_world
from lakehouse.services.process import (
    Process,
    noted_process,
    port_holder,
    port_is_open,
    read_note,
    stop_noted,
)
from lakehouse.settings import get_settings

LOCK_SECONDS = 300
Report = Callable[[str, float], None]  # service, seconds it took


def processes() -> list[Process]:
    """All supervised processes of this lakehouse, in the order they are started."""
    own_engine = [engine.process()] if get_settings().spark_remote is None else []
    return [postgres.process(), *own_engine, mlflow.process(), *airflow.processes()]


def supervisor() -> Process:
    """The small loop that starts again what died by itself."""
    return Process(
        name="supervisor",
        command=[sys.executable, "-m", "lakehouse.services.supervisor"],
        env=airflow.environment(),
        cwd=get_settings().project_dir,
        spares_children=True,
    )


def up(report: Report = lambda service, seconds: None) -> None:
    """Starts what is not running and waits until all of it serves.

    Services of another lakehouse that hold the same ports are stopped first. What does not need each other
    starts at the same time. Raises ServiceError that names the service, the cause and its log.
    """
    with lock():
        stop_rivals()
        check_ports(processes())
        with ThreadPoolExecutor(4) as lanes:
            lanes_of_work = [lanes.submit(_timed, "engine", engine.start, report)]
            try:
                _timed("postgres", postgres.start, report)
                lanes_of_work.append(lanes.submit(_timed, "mlflow", _start_mlflow, report))
                lanes_of_work.append(lanes.submit(_timed, "airflow", _start_airflow, report))
            finally:
                errors = [lane.exception() for lane in lanes_of_work]
        _raise_first([error for error in errors if error])
        supervisor().spawn()


def down(report: Report = lambda service, seconds: None) -> list[str]:
    """Stops what was started for this lakehouse, and nothing else; returns the names of what it stopped.

    Source systems that a demo started go with it.
    """
    with lock():
        stopped, begun = stop_all(get_settings().run_dir, report), time.monotonic()
        if source_world.stop_systems():
            stopped.append("source systems")
            report("source systems", time.monotonic() - begun)
        return stopped


def status() -> list[dict]:
    """One row a process: name, state (`up`, `starting`, `down`, `crashed`), pid, port, memory in MB, log."""
    rows = []
    for process in [*processes(), supervisor()]:
        running = process.running()
        state = "crashed" if process.crashed() else process.status()
        rows.append(
            {
                "service": process.name,
                "state": state,
                "pid": running.pid if running else None,
                "port": process.port,
                "memory_mb": _memory(running) if running else None,
                "log": str(process.log_file),
            }
        )
    return rows


def addresses() -> dict[str, str]:
    """The pages to open in a browser."""
    return {"Airflow": airflow.base_url(), "MLflow": get_settings().mlflow_uri}


def check_ports(wanted: list[Process]) -> None:
    """Raises ServiceError if somebody else holds a port that a service still needs."""
    for process in wanted:
        if process.port and process.running() is None and port_is_open(process.port):
            setting = process.port_setting or f"VINELAKE_{process.name.upper()}_PORT"
            raise ServiceError(
                f"{process.name} cannot start: port {process.port} is held by {port_holder(process.port)}",
                remedy=f"stop that program, or choose another port with {setting}=…",
            )


def stop_rivals() -> None:
    """Stops lakehouses beside this one that hold its ports, so that switching between them just works."""
    home = get_settings().home
    ports = {process.port for process in processes() if process.port}
    for run_dir in home.parent.glob("*/run"):
        if run_dir.parent.resolve() == home:
            continue
        pid_files = list(run_dir.glob("*.json"))
        if any(read_note(file).get("port") in ports and noted_process(file) for file in pid_files):
            stop_all(run_dir)


def stop_all(run_dir: Path, report: Report = lambda service, seconds: None) -> list[str]:
    """Stops every process noted in a folder: the supervisor first, PostgreSQL last, the rest together."""
    pid_files = {file.stem: file for file in sorted(run_dir.glob("*.json"))}
    first, last = pid_files.pop("supervisor", None), pid_files.pop("postgres", None)
    stopped = []

    def stop(file: Path | None) -> None:
        begun = time.monotonic()
        if file and stop_noted(file):
            stopped.append(file.stem)
            report(file.stem, time.monotonic() - begun)

    stop(first)
    with ThreadPoolExecutor(8) as lanes:
        list(lanes.map(stop, pid_files.values()))
    stop(last)
    return stopped


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """One start or stop at a time for a lakehouse. Raises ServiceError after `LOCK_SECONDS`."""
    path = get_settings().run_dir / "stack.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_SECONDS
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServiceError(
                        "another start or stop of these services is still under way",
                        where=str(path),
                        remedy="wait for it, or end that `vinelake` process",
                    ) from None
                time.sleep(0.2)
        yield


def _timed(name: str, start: Callable[[], None], report: Report) -> None:
    begun = time.monotonic()
    start()
    report(name, time.monotonic() - begun)


def _start_mlflow() -> None:
    mlflow.prepare()
    mlflow.process().start()


def _start_airflow() -> None:
    airflow.write_configuration()
    airflow.migrate()
    components = airflow.processes()
    for component in components:
        component.spawn()
    for component in components:
        component.wait_ready()
    airflow.ensure_pools()


def _raise_first(errors: list[BaseException]) -> None:
    """Raises the first error; the others' facts are added to its `where`, so that none is lost."""
    if not errors:
        return
    first, *others = errors
    for other in others:
        first.add_note(f"also: {other}")
    raise first


def _memory(process: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return round(total / 2**20)
