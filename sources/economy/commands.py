"""Commands of `vinelake economy` that study a world or write bulk feeds; the work is imported when it is asked for."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--world", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--at", required=True, type=DAY, help="The date of the fork.")
@click.option("--train", type=click.Choice(["futures", "realised"]), default="futures", show_default=True)
@click.option("--repeats", default=200, show_default=True, help="Resamples of the firms for the errors.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bound(world: Path, at: datetime, train: str, repeats: int, as_json: bool) -> None:
    """The best AUC any model could reach at a fork, and what the sources hold of it."""
    from sources.economy import information

    try:
        found = information.study(world, at.date(), train, repeats)
    except (FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    information.write(world, found)
    click.echo(json.dumps(found, indent=1) if as_json else information.as_text(found))
