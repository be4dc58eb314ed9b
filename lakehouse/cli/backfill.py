"""`vinelake backfill`: days of the past, pulled and built one after another through the same DAGs."""

from __future__ import annotations

from datetime import datetime, timedelta

import click
from rich.console import Console


@click.command()
@click.option("--from", "first", required=True, type=click.DateTime(["%Y-%m-%d"]), help="First day.")
@click.option("--to", "last", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--every", default=1, show_default=True, type=click.IntRange(min=1), help="Days from one to the next.")
@click.option("--files", is_flag=True, help="Drops of files in the inbox instead of what is pulled.")
def backfill(first: datetime, last: datetime, every: int, files: bool) -> None:
    """Pull and build a range of days, the oldest first, each to its scores before the next begins.

    Knowledge cannot be put in before what is in already: a feed that was pulled up to a later day has nothing for an
    earlier one. Training and promotion follow by themselves and are not waited for.
    """
    from lakehouse.demo import steps
    from lakehouse.demo.watch import BUILDING, DROP, Route
    from lakehouse.errors import ConfigError
    from lakehouse.settings import get_settings

    if last < first:
        raise ConfigError("the last day is before the first", remedy="--from is the older one")
    route = Route(DROP if files else steps.pulled(), BUILDING)
    console, day = Console(), first.date()
    while day <= last.date():
        if not files or (get_settings().inbox_dir / str(day)).is_dir():
            console.print(f"[bold]{day}[/]", highlight=False)
            watch = steps.follow(console, str(day), route, ask=True)
            for remark in watch.remarks.values():
                console.print(f"  [yellow]note[/] {remark}", highlight=False, markup=True, soft_wrap=True)
        day += timedelta(days=every)
