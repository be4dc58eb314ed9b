"""The bank's own databases: payments and accounts, and the core bank, on one PostgreSQL cluster."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sources.systems.banking import cluster, loader
from sources.systems.process import Process
from sources.systems.projection import renew


def load(home: Path, world: Path) -> None:
    """Makes the empty cluster with its passwords, if there is none for this world."""
    renew(home / "banking", world, Path(__file__).parent, "data", cluster.process(home).running() is not None)
    cluster.initialise(home)


def processes(home: Path, world: Path) -> list[Process]:
    """The PostgreSQL server."""
    return [cluster.process(home)]


def advance(home: Path, world: Path, until: date) -> None:
    """Books everything up to and including the day `until`, in both databases."""
    loader.advance(home, world, until)


def addresses(home: Path) -> dict[str, str]:
    """Addresses of both databases; user and password of the puller are in the named file."""
    return {name: f"{cluster.address(name)} (password: {cluster.secrets_file(home)})" for name in cluster.DATABASES}
