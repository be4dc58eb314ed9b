"""Values as literals in the engine's SQL, where they cannot be handed over as parameters."""

from __future__ import annotations


def quoted(text: str) -> str:
    """A text as a literal of Spark SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
