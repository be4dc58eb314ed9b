"""The industrial platform: a Kafka log of machines, production, orders, logistics and warehouses."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sources.systems.industrial import broker, publisher
from sources.systems.process import Process
from sources.systems.projection import renew


def load(home: Path, world: Path) -> None:
    """Fetches Kafka's jars on first use and formats the log's storage, if there is none for this world."""
    renew(home / "industrial", world, Path(__file__).parent, "log", broker.process(home).running() is not None)
    if broker.process(home).running() is None:
        broker.prepare(home)


def processes(home: Path, world: Path) -> list[Process]:
    """The broker, which is its own controller."""
    return [broker.process(home)]


def advance(home: Path, world: Path, until: date) -> None:
    """Publishes every message that the platform received up to and including the day `until`."""
    publisher.advance(home, world, until)


def addresses(home: Path) -> dict[str, str]:
    """The broker's address; consumers should read committed messages only."""
    return {"industrial platform (Kafka)": broker.bootstrap()}
