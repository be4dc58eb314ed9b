"""`vinelake economy …`: generate a world, fork it, calibrate it."""

from __future__ import annotations

import click


@click.group()
def economy() -> None:
    """Generate and study the simulated economy."""
