"""`vinelake sources …`: start, stop and advance the source systems."""

from __future__ import annotations

import click


@click.group()
def sources() -> None:
    """Run the source systems of a simulated world."""
