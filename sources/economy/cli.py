"""`vinelake economy …`: generate a world, fork it, calibrate it."""

from __future__ import annotations

import click

from sources.economy import commands


@click.group()
def economy() -> None:
    """Generate and study the simulated economy."""


economy.add_command(commands.bound)
