"""`vinelake grade`: the lakehouse's answers beside the truth."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from lakehouse.cli.output import json_option, show


@click.command()
@click.option("--world", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Grade what was known at 00:00 of this date; default: everything.",
)
@json_option
def grade(world: Path, as_of: datetime | None, as_json: bool) -> None:
    """Grade what the lakehouse says against the truth of a simulated world."""
    from grader import ask, report
    from grader.truth import World
    from lakehouse import engine

    truth = World.open(world)
    with engine.session() as spark:
        answers = ask.ask_all(spark, as_of.date() if as_of else None)
    rows = report.report(truth, answers, as_of.date() if as_of else day_after(truth.last_day))
    show(report.COLUMNS, rows, as_json, title=None if as_json else f"{world}: what the lakehouse says, graded")


def day_after(day: date) -> date:
    """The first day that the world did not live through: all of it is known then."""
    return date.fromordinal(day.toordinal() + 1)
