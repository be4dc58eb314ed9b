"""Field evidence: a drop folder with a subfolder a day for visits, owners' documents and satellite statistics."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sources.systems.field import drop
from sources.systems.process import Process
from sources.systems.projection import renew


def load(home: Path, world: Path) -> None:
    """Makes the empty drop folder, if there is none for this world."""
    renew(home / "field", world, Path(__file__).parent, "drop", False)
    drop.folder(home).mkdir(parents=True, exist_ok=True)


def processes(home: Path, world: Path) -> list[Process]:
    """None: people and couriers put files there."""
    return []


def advance(home: Path, world: Path, until: date) -> None:
    """Drops the files of every day that is missing up to and including `until`."""
    drop.advance(home, world, until)


def addresses(home: Path) -> dict[str, str]:
    """The drop folder."""
    return {"field evidence": str(drop.folder(home))}
