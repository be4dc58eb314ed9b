"""`vinelake waiver`: let a broken rule of a gate pass for a while, by somebody's word."""

from __future__ import annotations

import click

from lakehouse.cli.output import json_option, show
from lakehouse.settings import get_settings


@click.group()
def waiver() -> None:
    """Rules of a gate that may be broken for a while, by whose word and why."""


@waiver.command()
@click.argument("table")
@click.argument("rule")
@click.option("--why", required=True, help="What makes the deviation right; shown in every report that uses it.")
@click.option("--until", required=True, metavar="DATE", help="The last day on which it counts.")
@click.option("--batch", "batch_id", metavar="ID", help="Only for this batch.")
def add(table: str, rule: str, why: str, until: str, batch_id: str | None) -> None:
    """Let RULE of TABLE be broken; both are named as in the gate's report, RULE may hold `*`."""
    from lakehouse import waivers

    entry = waivers.add(table, rule, get_settings().author, why, until, batch_id)
    click.echo(f"waiver {entry.waiver_id}: {entry.rule} of {entry.table_name}, by {entry.word}; now run the gate again")


@waiver.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that ended or were withdrawn.")
@json_option
def list_(every: bool, as_json: bool) -> None:
    """Waivers that count today."""
    from lakehouse import waivers

    columns = ["waiver_id", "table_name", "rule", "batch_id", "author", "reason", "ends_on", "withdrawn_by"]
    found = waivers.entries() if every else waivers.live()
    show(columns, [[getattr(w, c) for c in columns] for w in found], as_json)


@waiver.command()
@click.argument("waiver_id")
def withdraw(waiver_id: str) -> None:
    """End a waiver now; it stays on record."""
    from lakehouse import waivers

    entry = waivers.withdraw(waiver_id, get_settings().author)
    click.echo(f"waiver {entry.waiver_id} withdrawn: {entry.rule} of {entry.table_name} holds again")
