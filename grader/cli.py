"""`vinelake grade`: the lakehouse's answers beside the truth."""

from __future__ import annotations

import click


@click.group()
def grade() -> None:
    """Grade what the lakehouse says against the truth of a simulated world."""
