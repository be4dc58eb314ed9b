"""The source systems by name, and what each package of one offers.

A system is a package with three functions:

- `load(home, world)`: prepares state in `home/<system>/` that needs no running server (projections, an empty
  database cluster, a formatted log). May be called again and then does only what is missing or outdated.
- `processes(home, world)`: its servers, in the order of their start.
- `advance(home, world, until)`: called after its servers have started and after every move of the clock; makes
  visible everything published up to and including the day `until`. Does nothing when that is done already.

`addresses(home)` is optional: name to URL or path, shown by `vinelake sources status`.
"""

from __future__ import annotations

from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from sources.systems.errors import SourcesError
from sources.systems.process import Process

# In the order of start; stopped the other way round.
NAMES = ("government", "bureau", "market", "banking", "industrial", "field")


class System(Protocol):
    """What a system's package offers."""

    def load(self, home: Path, world: Path) -> None: ...

    def processes(self, home: Path, world: Path) -> list[Process]: ...

    def advance(self, home: Path, world: Path, until: date) -> None: ...


def available() -> list[str]:
    """The names of the systems that are installed."""
    found = {name: find_spec(f"sources.systems.{name}") for name in NAMES}
    return [name for name, spec in found.items() if spec and spec.origin]


def system(name: str) -> System:
    """The package of a system."""
    if name not in available():
        raise SourcesError(f"there is no system {name!r}", remedy=f"choose from {', '.join(available())}")
    return import_module(f"sources.systems.{name}")
