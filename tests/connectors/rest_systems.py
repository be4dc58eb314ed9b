"""The REST systems of a small world, running: government platform, bureau and market on ports of their own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from sources.systems import bureau, connections, government, market
from sources.systems.clock import Clock
from sources.systems.settings import get_settings as sources_settings
from tests.connectors.kill_runs import Place
from tests.systems.rest_client import free_ports, set_day
from tests.systems.small_world import write_small_world

SYSTEMS = {"government": government, "bureau": bureau, "market": market}


@dataclass(frozen=True)
class Systems:
    """Running systems: their state folder and their world."""

    home: Path
    world: Path

    def today(self, day: str) -> None:
        """Sets the world's today; the servers read it at each request."""
        set_day(self.home, date.fromisoformat(day))

    def place(self, folder: Path, name: str) -> Place:
        """A lakehouse with the project's own contracts, connected to the systems."""
        path = folder / f"{name}-connections.json"
        found = connections.connections(self.home)
        for connection in found.values():
            connection["limits"] = {"first_wait_seconds": 0.01, "attempts": 4}
        path.write_text(json.dumps(found), encoding="utf-8")
        return Place(folder / name, PROJECT_DIR, path)


@contextlib.contextmanager
def running(folder: Path, *names: str, today: str = "2019-03-05", **settings: object) -> Iterator[Systems]:
    """Loads and starts systems over a small world of 17 months from 2019-01-01; ends them with the block.

    `settings` are those of the systems (`bureau_daily_quota`); their rate limit is out of the way.
    """
    world = folder / "world"
    if not world.exists():
        write_small_world(world, days=520)
    home = folder / ("sources-" + "-".join(names))
    with pytest.MonkeyPatch.context() as patch:
        ports = {f"{name}_port": port for name, port in zip(names, free_ports(len(names)), strict=True)}
        for name, value in ({"rate_per_second": 1e6, "rate_burst": 10**6} | ports | settings).items():
            patch.setenv(f"SOURCES_{name.upper()}", str(value))
        sources_settings.cache_clear()
        Clock(home).start(world, date.fromisoformat(today))
        processes = []
        try:
            for name in names:
                SYSTEMS[name].load(home, world)
                processes += SYSTEMS[name].processes(home, world)
            for process in processes:
                process.spawn()
            for process in processes:
                process.wait()
            yield Systems(home, world)
        finally:
            for process in processes:
                process.stop()
            sources_settings.cache_clear()
