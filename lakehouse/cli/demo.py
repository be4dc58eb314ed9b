"""`vinelake demo …`: the main job, from source systems or received files to a scored portfolio."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console


@click.group()
def demo() -> None:
    """Run the main job and show what came of it."""


@demo.command()
@click.option("--invoices", type=click.Path(path_type=Path), help="Folder of real invoice files instead.")
@click.option("--built-in", is_flag=True, help="The small built-in portfolio of invoice files instead.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Date on which the files were received.")
@click.option("--firms", type=int, help="Enterprises on the world's first day, or of the built-in portfolio.")
@click.option("--years", type=int, help="Years of the world.")
@click.option("--ask", is_flag=True, help="Leave the approval of the model to you, in the browser.")
def run(
    invoices: Path | None, built_in: bool, as_of: datetime | None, firms: int | None, years: int | None, ask: bool
) -> None:
    """Take a day's news through the whole chain of DAGs and leave everything open to look at.

    By default the news are those of a simulated economy, pulled from its source systems.
    """
    from lakehouse.demo import economy, files

    received = as_of.date() if as_of else None
    if invoices or built_in:
        files.run(Console(), invoices, received, firms or 2000, ask)
    else:
        economy.run(Console(), economy.world(firms, years), ask)


@demo.command()
@click.option("--days", default=7, show_default=True, type=click.IntRange(min=1))
@click.option("--ask", is_flag=True, help="Leave the approval of a model to you, in the browser.")
def advance(days: int, ask: bool) -> None:
    """Let days pass in the simulated economy, then pull and score what they brought."""
    from lakehouse.demo import economy

    economy.advance(Console(), days, ask)


@demo.command("summary")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Day pulled, or date of the drop; else the newest.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures for machines.")
def summary_command(as_of: datetime | None, as_json: bool) -> None:
    """Show what is published: rows, freshness, gates, features, model, portfolio."""
    from lakehouse.demo import show, steps, summary

    facts = summary.collect(as_of.date().isoformat() if as_of else None)
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
        return
    console = Console()
    show.summary(console, facts)
    steps.places(console)
    console.print()
