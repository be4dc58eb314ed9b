"""`vinelake runs` and `maintain`: the ledger of runs, and upkeep."""

from __future__ import annotations

import click

from lakehouse.cli.output import json_option, show


@click.command()
@click.option("--job", help="Only this job.")
@click.option("--failed", is_flag=True, help="Only runs that failed.")
@click.option("--limit", default=30, show_default=True)
@json_option
def runs(job: str | None, failed: bool, limit: int, as_json: bool) -> None:
    """The latest runs: job, partition, state, seconds, details, error."""
    from lakehouse import ledger
    from lakehouse.time import in_business_time

    columns = ["started_at", "job", "partition", "state", "seconds", "details", "error"]
    found = [row for row in ledger.past_runs() if job in (None, row["job"])]
    newest = [row for row in found if row["state"] == "failed" or not failed][:limit]
    rows = [{**row, "started_at": in_business_time(row["started_at"])} for row in newest]
    show(columns, [[row[column] for column in columns] for row in rows], as_json)


@click.group()
def maintain() -> None:
    """Upkeep that the weekly schedule also does."""


@maintain.command()
def compact() -> None:
    """Rewrite tables of many small files into few."""
    from lakehouse import maintenance

    click.echo(maintenance.compact() or "nothing to compact")


@maintain.command()
def retention() -> None:
    """Remove files that only versions older than the retention time need."""
    from lakehouse import maintenance

    click.echo(maintenance.apply_retention())
