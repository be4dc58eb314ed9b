"""`vinelake backfill`: days of the past, pulled and built one after another or together, through the same DAGs."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import click
from rich.console import Console


@click.command()
@click.option("--from", "first", required=True, type=click.DateTime(["%Y-%m-%d"]), help="First day.")
@click.option("--to", "last", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--every", default=1, show_default=True, type=click.IntRange(min=1), help="Days from one to the next.")
@click.option("--files", is_flag=True, help="Drops of files in the inbox instead of what is pulled.")
@click.option("--together", is_flag=True, help="Bring in all days first and build once, for the last of them.")
def backfill(first: datetime, last: datetime, every: int, files: bool, together: bool) -> None:
    """Pull and build a range of days, the oldest first, each to its scores before the next begins.

    With --together the days land one after another and one build takes them in: the same tables, with features and
    scores of the last day and of the models' observation dates alone.

    Knowledge cannot be put in before what is in already: a feed that was pulled up to a later day has nothing for an
    earlier one. Training and promotion follow by themselves and are not waited for. Broken off, the same command goes
    on from where it was.
    """
    from lakehouse.demo import steps
    from lakehouse.demo.watch import BUILDING, DROP, Route
    from lakehouse.errors import ConfigError

    if last < first:
        raise ConfigError("the last day is before the first", remedy="--from is the older one")
    days = _days(first.date(), last.date(), every, files)
    begins, console = DROP if files else steps.pulled(), Console()
    for day in days:
        console.print(f"[bold]{day}[/]", highlight=False)
        if together and day != days[-1]:
            with steps.bronze_held() as hold:
                watch = steps.follow(console, str(day), Route(begins, ()), ask=True, prepare=hold)
        else:
            watch = steps.follow(console, str(day), Route(begins, BUILDING), ask=True)
        for remark in watch.remarks.values():
            console.print(f"  [yellow]note[/] {remark}", highlight=False, markup=True, soft_wrap=True)


def _days(first: date, last: date, every: int, files: bool) -> list[date]:
    """The days of the range; with files, those that have a drop in the inbox."""
    from lakehouse.settings import get_settings

    days = [first + timedelta(days=n) for n in range(0, (last - first).days + 1, every)]
    return [day for day in days if not files or (get_settings().inbox_dir / str(day)).is_dir()]
