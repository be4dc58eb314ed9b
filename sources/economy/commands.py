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


@click.command()
@click.option("--firms", default=400_000, show_default=True, type=click.IntRange(1, 2_000_000))
@click.option("--months", default=24, show_default=True, type=click.IntRange(1, 58))
@click.option("--seed", default=1, show_default=True)
@click.option("--format", "style", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option(
    "--from-month",
    default=1,
    show_default=True,
    help="Number of the first month to write; goes on where a run stopped.",
)
@click.option("--out", required=True, type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bulk(firms: int, months: int, seed: int, style: str, from_month: int, out: Path, as_json: bool) -> None:
    """Write the government feeds of a whole region as bulk files, month by month."""
    from sources.economy import bulk as feeds
    from sources.economy import bulk_files

    if not 1 <= from_month <= months:
        raise click.BadParameter(f"there are months 1 to {months}", param_hint="--from-month")
    region = feeds.draw_region(firms, months, seed)
    say = (lambda _: None) if as_json else click.echo
    facts = bulk_files.write(region, out, style, from_month - 1, say)
    if as_json:
        click.echo(json.dumps(facts))
        return
    rate, megabytes = facts["rows"] / facts["seconds"], facts["bytes"] / 1e6
    click.echo(
        f"{facts['rows']:,} rows, {megabytes:,.0f} MB in {facts['seconds']:,.1f} s: {rate:,.0f} rows/s, "
        f"{megabytes / facts['seconds']:,.1f} MB/s"
    )
