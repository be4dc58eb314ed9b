"""The simulated economy that a demo runs on, and its source systems: programs of their own, spoken to by command.

The world lies under `var/worlds/`, the systems' state under `var/sources/`, beside the lakehouse and not in it. What a
demo started, `vinelake down` stops; systems that somebody else started are used as they are and left running.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError, VinelakeError
from lakehouse.services.secrets import write_private
from lakehouse.settings import get_settings

NOTE = "started_by_the_lakehouse"
Say = Callable[[str], None]


@dataclass(frozen=True)
class World:
    """A simulated economy: how many firms on its first day, for how many years, from which seed.

    The lender whose systems are read is the main bank of the region, with `lender_share` of all applications: a small
    economy holds too few defaults for a model of any smaller lender. The default size is for a quarter of an hour on
    two cores; so few firms hardly ever default often enough for a model to be promoted.
    """

    firms: int = 140
    years: int = 3
    seed: int = 1
    lender_share: float = 0.6

    @property
    def folder(self) -> Path:
        size = f"{self.firms}_firms_{self.years}_years_seed_{self.seed}_lender_{round(self.lender_share * 100)}"
        return get_settings().home.parent / "worlds" / size

    @property
    def draft(self) -> Path:
        """Where it is written until it is complete."""
        return self.folder.with_name(f"{self.folder.name}.draft")


def sources_home() -> Path:
    """State of the source systems: beside the lakehouses, or where SOURCES_HOME says."""
    given = os.environ.get("SOURCES_HOME")
    return Path(given).resolve() if given else get_settings().home.parent / "sources"


def start_fetching() -> subprocess.Popen:
    """Fetches what the systems need from elsewhere, beside whatever else is done until they are started."""
    with _log("sources-fetch").open("wb") as output:
        command = _command("sources", "fetch")
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=_environment())


def start_generating(world: World) -> subprocess.Popen | None:
    """Starts writing the world beside the services; None when it is there already."""
    if world.folder.is_dir():
        return None
    world.draft.parent.mkdir(parents=True, exist_ok=True)
    size = ("--firms", str(world.firms), "--years", str(world.years), "--seed", str(world.seed))
    lender = ("--first-bank-share", str(world.lender_share))
    with _log("world").open("wb") as output:
        return subprocess.Popen(
            _command("economy", "generate", *size, *lender, "--out", str(world.draft)),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )


def finish_generating(generator: subprocess.Popen, world: World) -> None:
    """Waits for the world and puts it in place."""
    if generator.wait():
        raise _failed("the simulated economy could not be generated", _log("world"))
    world.draft.rename(world.folder)


def status() -> dict[str, Any]:
    """World, today, processes and addresses of the source systems; no processes where nothing was loaded."""
    return json.loads(_run("sources", "status", "--json", "--home", str(sources_home())))


def is_up(found: dict[str, Any]) -> bool:
    """Whether every system serves."""
    return bool(found["processes"]) and all(row["status"] == "up" for row in found["processes"])


def start_systems(world: World, say: Say) -> dict[str, Any]:
    """Loads and starts the systems of a world, telling every line they say; returns their status.

    Systems that run already are used, if they show the same world; ConfigError if they show another.
    """
    found = status()
    if found["world"] and Path(found["world"]).resolve() != world.folder.resolve():
        if any(row["status"] == "up" for row in found["processes"]) and not _note().exists():
            raise ConfigError(
                f"the source systems show another world: {found['world']}",
                where=str(sources_home()),
                remedy="stop them with `vinelake sources down`, then run the demo again",
            )
        stop_systems()
        found["processes"] = []
        _run("sources", "clear", "--yes", "--home", str(sources_home()))
    if not is_up(found):
        _note().parent.mkdir(parents=True, exist_ok=True)
        _note().touch()
    _follow(("sources", "up", "--world", str(world.folder), "--home", str(sources_home())), "sources", say)
    return status()


def advance(days: int, say: Say) -> dict[str, Any]:
    """Moves the world's today and publishes what falls due; returns the systems' status."""
    _follow(("sources", "advance", "--days", str(days), "--home", str(sources_home())), "sources", say)
    return status()


def write_connections() -> Path:
    """Writes addresses and secrets of the systems for the lakehouse, marked as simulated; returns the file."""
    path = get_settings().connections_file
    path.parent.mkdir(parents=True, exist_ok=True)
    _run("sources", "connections", "--home", str(sources_home()), "--out", str(path))
    found = {name: entry | {"simulated": True} for name, entry in json.loads(path.read_text("utf-8")).items()}
    write_private(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return path


def pull(departments: tuple[str, ...], partition: str) -> None:
    """Pulls single departments without the scheduler."""
    _run("source", "pull", *departments, "--partition", partition)


def stop_systems() -> bool:
    """Stops the systems that were started here; whether there were any."""
    if not _note().exists():
        return False
    _run("sources", "down", "--home", str(sources_home()))
    _note().unlink(missing_ok=True)
    return True


def _note() -> Path:
    """Says that the systems were started from a lakehouse, and not by somebody for himself."""
    return sources_home() / NOTE


def _command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from lakehouse.cli import main; main()", *words]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(get_settings().project_dir)}


def _run(*words: str) -> str:
    """One command of the source systems; its output. VinelakeError with its own words when it fails."""
    done = subprocess.run(_command(*words), capture_output=True, text=True, env=_environment())
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise VinelakeError(f"`vinelake {' '.join(words[:2])}` failed: {said[-800:]}", where=str(sources_home()))
    return done.stdout


def _follow(words: tuple[str, ...], name: str, say: Say) -> None:
    """Runs a command that takes long and passes on every line; VinelakeError when it fails."""
    log = _log(name)
    process = subprocess.Popen(
        _command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment()
    )
    reader = threading.Thread(target=_pass_on, args=(process, log, say))
    reader.start()
    try:
        failed = process.wait()
    except BaseException:
        process.terminate()
        raise
    finally:
        reader.join()
    if failed:
        raise _failed(f"`vinelake {' '.join(words[:2])}` failed", log)


def _pass_on(process: subprocess.Popen, log: Path, say: Say) -> None:
    with log.open("a", encoding="utf-8") as kept:
        for line in process.stdout or ():
            kept.write(line)
            kept.flush()
            if line.strip():
                say(line.strip())


def _failed(what: str, log: Path) -> VinelakeError:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else "no message"
    return VinelakeError(f"{what}: {last}", where=str(log), remedy="read its log, then run the demo again")


def _log(name: str) -> Path:
    path = get_settings().log_dir / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
