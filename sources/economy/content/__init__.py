"""Everything that follows from the kernel's daily record, one file a family of sources."""

from __future__ import annotations

from collections.abc import Callable

from sources.economy.interface import WorldData


def derive(world: WorldData, tell: Callable[[str, float], None] | None = None) -> None:
    """Writes every table that follows from the kernel's history; `tell(step, seconds)` hears how long each took."""
    from sources.economy.content import writing

    writing.derive(world, tell)
