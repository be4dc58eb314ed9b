"""`vinelake sources …`: load, start, stop and advance the source systems."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import date, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from sources.systems import registry
from sources.systems.clock import Clock
from sources.systems.errors import SourcesError
from sources.systems.process import Process, noted_process, read_note, stop_noted
from sources.systems.settings import get_settings

AT_ONCE = 2  # systems that are loaded or published


def _home_option(command: Callable) -> Callable:
    return click.option(
        "--home", type=click.Path(file_okay=False, path_type=Path), help="State folder (SOURCES_HOME)."
    )(command)


def _world_option(command: Callable) -> Callable:
    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    return click.option("--world", type=kind, help="Folder of the generated world (SOURCES_WORLD).")(command)


def _systems_option(command: Callable) -> Callable:
    return click.option("--systems", help="Names parted by commas; all by default.")(command)


@click.group()
def sources() -> None:
    """Run the source systems of a simulated world."""


def _today_option(command: Callable) -> Callable:
    kind = click.DateTime(["%Y-%m-%d"])
    return click.option("--today", type=kind, help="Day at which a new clock starts; 30 days before the end.")(command)


@sources.command()
@_world_option
@_home_option
@_systems_option
@_today_option
def load(world: Path | None, home: Path | None, systems: str | None, today: datetime | None) -> None:
    """Load the systems from a world up to the clock's today; `up` does it too when it is missing.

    Databases and logs are started for it and stopped again, unless they run already.
    """
    home, names = _home(home), _names(systems)
    world = _world(world, home)
    with _alone(home):
        _prepare(home, world, names, today)
        started = _start(_processes(home, world, names))
        try:
            _catch_up(home, world, names)
        finally:
            _stop(started)


@sources.command()
@_world_option
@_home_option
@_systems_option
@_today_option
def up(world: Path | None, home: Path | None, systems: str | None, today: datetime | None) -> None:
    """Start the systems; those that run already stay as they are."""
    home, names = _home(home), _names(systems)
    world = _world(world, home)
    with _alone(home):
        _prepare(home, world, names, today)
        begin = time.monotonic()
        processes = _processes(home, world, names)
        _start(processes)
        click.echo(f"{len(processes)} processes serve after {time.monotonic() - begin:.1f} s")
        _catch_up(home, world, names)
    reading = Clock(home).read()
    click.echo(f"today is {reading.today} (world: {reading.first_day} to {reading.last_day})")


@sources.command()
def fetch() -> None:
    """Fetch what the systems need from elsewhere, unless it is here; `load` and `up` do it too."""
    from sources.systems.industrial import jars

    jars.ensure()


def _processes(home: Path, world: Path, names: list[str]) -> list[Process]:
    return [process for name in names for process in registry.system(name).processes(home, world)]


def _start(processes: list[Process]) -> list[Process]:
    """Starts those that do not run and waits for all; returns whom it started. If one fails, none of them stays."""
    idle = [process for process in processes if process.running() is None]
    try:
        for process in idle:
            process.spawn()
        for process in processes:
            process.wait()
    except BaseException:
        _stop(idle)
        raise
    return idle


def _stop(processes: list[Process]) -> None:
    for process in reversed(processes):
        process.stop()


def _prepare(home: Path, world: Path, names: list[str], today: datetime | None) -> None:
    """Sets the clock and loads what is missing."""
    Clock(home).start(world, today.date() if today else None)
    with _pool() as pool:
        running = {pool.submit(_seconds, name, "load", home, world): name for name in names}
        for done in as_completed(running):
            _told(f"{running[done]}: loaded", done.result(), quiet_below=2)


def _seconds(name: str, step: str, *given: Any) -> float:
    """Has one system `load` or `advance`; the seconds it took."""
    begin = time.monotonic()
    getattr(registry.system(name), step)(*given)
    return time.monotonic() - begin


def _pool() -> ProcessPoolExecutor:
    """Processes for what keeps a core busy for long, the first time."""
    return ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn"))


@sources.command()
@_home_option
def down(home: Path | None) -> None:
    """Stop everything that `up` started here."""
    home = _home(home)
    with _alone(home):
        stopped = _stop_all(home)
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def _stop_all(home: Path) -> list[str]:
    """Stops every server that has a pid file here, the last started first; returns their names."""
    order = {name: number for number, name in enumerate(registry.NAMES)}
    files = sorted((home / "run").glob("*.json"), key=lambda file: order.get(file.stem.split("-")[0], 99), reverse=True)
    return [file.stem for file in files if stop_noted(file)]


@sources.command()
@_home_option
@click.confirmation_option(prompt="Remove all state of the source systems, secrets and logs too?")
def clear(home: Path | None) -> None:
    """Remove the systems' state, so that another world can be loaded; the world itself stays."""
    home = _home(home)
    if running := _running(home):
        raise SourcesError(f"still running: {', '.join(running)}", remedy="vinelake sources down")
    for name in (*registry.NAMES, "run", "logs", "clock.json", "clock.lock", "command.lock"):
        path = home / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    click.echo(f"{home} holds no systems any more")


@sources.command()
@_home_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def status(home: Path | None, as_json: bool) -> None:
    """Show the clock, the systems' processes and their addresses."""
    home = _home(home)
    report = _report(home)
    if as_json:
        click.echo(json.dumps(report, default=str, indent=1))
        return
    if not report["processes"]:
        click.echo("nothing was loaded here; start with: vinelake sources up --world DIR")
        return
    click.echo(f"today is {report['today']} (world {report['world']}, {report['first_day']} to {report['last_day']})")
    table = Table("process", "status", "pid", "port", "log")
    for row in report["processes"]:
        table.add_row(row["name"], row["status"], str(row["pid"] or ""), str(row["port"] or ""), row["log"])
    Console().print(table)
    for name, address in report["addresses"].items():
        click.echo(f"{name}: {address}")


@sources.command()
@_home_option
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
def connections(home: Path | None, out: Path) -> None:
    """Write addresses and secrets of the loaded systems for a client; only the file's owner may read it."""
    from sources.systems import connections as all_connections

    home = _home(home)
    if not Clock(home).exists():
        raise SourcesError("no system is loaded", where=str(home), remedy="vinelake sources up --world DIR")
    click.echo(f"{out}: {', '.join(all_connections.write(home, out))}")


@sources.command()
@_home_option
@click.option("--days", type=click.IntRange(min=1), default=1, show_default=True)
def advance(home: Path | None, days: int) -> None:
    """Move the world's today; running systems show the new days at once."""
    home = _home(home)
    with _alone(home):
        reading = Clock(home).advance(days)
        names = [name for name in registry.available() if (home / name).exists()]
        _catch_up(home, Path(reading.world), names)
    click.echo(f"today is {reading.today}")


def _catch_up(home: Path, world: Path, names: list[str]) -> None:
    """Publishes up to today wherever the servers run; a system that fails does not keep the others from it."""
    until, failed = Clock(home).today(), []
    ready = [n for n in names if all(p.status() == "up" for p in registry.system(n).processes(home, world))]
    for name, error, trace in _published(home, world, until, ready):
        log = home / "logs" / f"{name}-publishing.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(trace)
        failed.append(f"{name}: {error} ({log})")
    if failed:
        raise SourcesError(f"not published to {until}: " + "; ".join(failed), remedy="mend the cause, then up again")


def _published(home: Path, world: Path, until: date, names: list[str]) -> list[tuple[str, str, str]]:
    """Publishes systems; of those that failed the name, the error in a line, and its trace."""
    failed = []
    with _pool() as pool:
        running = {pool.submit(_seconds, name, "advance", home, world, until): name for name in names}
        for done in as_completed(running):
            name = running[done]
            try:
                _told(f"{name}: published to {until}", done.result(), quiet_below=2)
            except Exception as error:
                first = str(error).strip().partition("\n")[0]
                failed.append((name, f"{type(error).__name__}: {first}", "".join(traceback.format_exception(error))))
    return failed


def _report(home: Path) -> dict:
    clock = Clock(home)
    report = {"home": home, "world": None, "today": None, "processes": [], "addresses": {}}
    if not clock.exists():
        return report
    reading = clock.read()
    report |= vars(reading)
    for name in registry.available():
        system = registry.system(name)
        report["processes"] += [_line(process) for process in system.processes(home, Path(reading.world))]
        if hasattr(system, "addresses"):
            report["addresses"] |= system.addresses(home)
    return report


def _line(process: Process) -> dict:
    running = process.running()
    pid = running.pid if running else None
    port = read_note(process.pid_file).get("port", process.port)
    return {
        "name": process.name,
        "status": process.status(),
        "pid": pid,
        "port": port,
        "log": str(process.log_file),
    }


def _running(home: Path) -> list[str]:
    return [file.stem for file in (home / "run").glob("*.json") if noted_process(read_note(file))]


def _home(home: Path | None) -> Path:
    return (home or get_settings().home).resolve()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Waits until no other command changes this state folder."""
    if not home.exists():
        home.mkdir(parents=True)
    with (home / "command.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _world(world: Path | None, home: Path) -> Path:
    """The world that was given, else the one set by environment, else the one the clock belongs to."""
    chosen = world or get_settings().world
    if chosen is None and Clock(home).exists():
        chosen = Path(Clock(home).read().world)
    if chosen is None:
        raise SourcesError(
            "no world was named", remedy="give --world DIR, made by: vinelake economy generate --out DIR"
        )
    return chosen.resolve()


def _names(systems: str | None) -> list[str]:
    names = [name.strip() for name in systems.split(",")] if systems else registry.available()
    for name in names:
        registry.system(name)
    return [name for name in registry.NAMES if name in names]


def _told(what: str, seconds: float, quiet_below: float = 0) -> None:
    if seconds >= quiet_below:
        click.echo(f"{what} in {seconds:.1f} s")
