"""Which feeds there are, by connection and department, read in milliseconds: schedulers ask again and again.

Only a contract's feed is read here, and nothing else of it is checked; `contracts.load` does that where the work is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lakehouse import feeds, plain_yaml
from lakehouse.errors import ContractError
from lakehouse.feeds import Feed


@dataclass(frozen=True)
class Outline:
    """A contract that is pulled: its id, title, owner and feed."""

    contract: str
    title: str
    owner: str
    feed: Feed


@dataclass(frozen=True)
class Family:
    """All feeds of one connection, by department; `departments` maps `Feed.task` to its feeds in order of id."""

    connection: str
    departments: Mapping[str, Sequence[Outline]]

    @property
    def feeds(self) -> list[Outline]:
        return [outline for held in self.departments.values() for outline in held]


def outlines(folder: Path) -> list[Outline]:
    """Every contract of a folder that has a feed, in order of id; ContractError for one that is not readable."""
    found = (_outline(path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.yaml")))
    return [outline for outline in found if outline]


def families(found: Iterable[Outline]) -> list[Family]:
    """The feeds by connection, in order of name."""
    grouped: dict[str, dict[str, list[Outline]]] = {}
    for outline in sorted(found, key=lambda o: (o.feed.connection, o.feed.task, o.contract)):
        grouped.setdefault(outline.feed.connection, {}).setdefault(outline.feed.task, []).append(outline)
    return [Family(connection, departments) for connection, departments in grouped.items()]


@cache
def _outline(path: Path, _changed: int) -> Outline | None:
    try:
        document = plain_yaml.load_file(path)
        own = {entry["property"]: entry.get("value") for entry in document.get("customProperties") or []}
    except (plain_yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
        raise ContractError(
            f"the contract is not readable: {error}", where=path.name, remedy="see `vinelake contract check`"
        ) from error
    feed = feeds.parse_feed(_Faults(path), own)
    team = document.get("team")
    owner = team.get("name", "") if isinstance(team, Mapping) else ""
    return Outline(path.stem, str(document.get("name", path.stem)), owner, feed) if feed else None


class _Faults:
    """Names the contract and the property; the line is told where the contract is loaded in full."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def own(self, name: str) -> list[str | int]:
        return ["customProperties", name]

    def stop(self, what: str, at: Sequence[str | int], remedy: str) -> Any:
        raise ContractError(what, where=f"{self.path.name}, {'.'.join(map(str, at))}", remedy=remedy)
