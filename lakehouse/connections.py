"""Where source systems answer and with which secrets: one file beside the data, never a contract.

`connections.json` maps a connection's name, which contracts use, to its address and secrets. It is written by whoever
runs the systems (for the simulated world: `vinelake sources connections`) and readable by its owner alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings


@dataclass(frozen=True)
class Connection:
    """One source system. `settings` holds what its protocol needs: `url` and `auth`, `dsn`, `bootstrap`, `folder`."""

    name: str
    settings: Mapping[str, Any] = field(repr=False)

    def need(self, key: str) -> Any:
        """A setting of the connection; a ConfigError that names it where it is missing."""
        if key not in self.settings:
            raise ConfigError(
                f"connection {self.name!r} lacks {key!r}",
                where=str(get_settings().connections_file),
                remedy=f"add {key} there",
            )
        return self.settings[key]


def connection(name: str) -> Connection:
    """The connection of that name; a ConfigError that says where to state it otherwise."""
    path = get_settings().connections_file
    known = load(path)
    if name not in known:
        raise ConfigError(
            f"no connection {name!r}" + (f"; there are {', '.join(sorted(known))}" if known else ""),
            where=str(path),
            remedy="add its address and secrets there, or set VINELAKE_CONNECTIONS_FILE",
        )
    return known[name]


def load(path: Path) -> dict[str, Connection]:
    """All connections of a file; none where there is no file."""
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: Connection(name, dict(entry)) for name, entry in entries.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"the connections file is not readable: {error}", where=str(path), remedy="mend its JSON"
        ) from error
