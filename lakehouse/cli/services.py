"""`vinelake up`, `down` and `status`: the local services."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table


def _say(console: Console, verb: str):
    return lambda service, seconds: console.print(f"  {service:<22} {verb} in {seconds:.1f} s", highlight=False)


@click.command()
def up() -> None:
    """Start the local services: PostgreSQL, the Spark engine, MLflow and Airflow."""
    from lakehouse.services import stack
    from lakehouse.services.airflow import passwords_file

    console = Console()
    with console.status("starting services; the first time takes a minute"):
        stack.up(_say(console, "up"))
    for name, address in stack.addresses().items():
        console.print(f"  {name:<22} {address}", highlight=False)
    console.print(f"  {'users and passwords':<22} {passwords_file()}", highlight=False, soft_wrap=True)


@click.command()
def down() -> None:
    """Stop the local services that were started here, and nothing else."""
    from lakehouse.services import stack

    console = Console()
    with console.status("stopping services"):
        stopped = stack.down(_say(console, "stopped"))
    if not stopped:
        console.print("  nothing was running")


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(yes: bool) -> None:
    """Remove all data: tables, landing, runs, models. Services that run go on running, empty."""
    from lakehouse.services import clearing
    from lakehouse.settings import get_settings

    if not yes:
        click.confirm(f"Remove all data of {get_settings().home.parent}?", abort=True)
    console = Console()
    with console.status("removing data"):
        kept = clearing.clear()
    console.print(f"  all data removed; services {'are kept running' if kept else 'are down'}", highlight=False)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print rows for machines.")
def status(as_json: bool) -> None:
    """Show what runs, where it answers and where its log is; exit 1 unless all is up."""
    from lakehouse.services import stack

    rows = stack.status()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        table = Table(box=None)
        for column in ("service", "state", "pid", "port", "memory_mb", "log"):
            table.add_column(column, justify="right" if column in ("pid", "port", "memory_mb") else "left")
        for row in rows:
            colour = {"up": "green", "down": "dim"}.get(row["state"], "yellow")
            cells = ["" if value is None else str(value) for value in row.values()]
            cells[1] = f"[{colour}]{cells[1]}[/]"
            table.add_row(*cells)
        Console().print(table)
    raise SystemExit(0 if all(row["state"] == "up" for row in rows) else 1)
