"""`vinelake freshness` and `vinelake outages`: how old every feed is, and what became of outages and changes."""

from __future__ import annotations

from datetime import datetime

import click

from lakehouse.cli.output import json_option, show


@click.command()
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Day to count up to; the newest pull's otherwise.")
@click.option("--stale", "only_stale", is_flag=True, help="Only feeds older than their contracts allow.")
@json_option
def freshness(as_of: datetime | None, only_stale: bool, as_json: bool) -> None:
    """Age of every feed against its contract; exit 1 when one is too old."""
    from spark_jobs import freshness as ages

    day = as_of.date() if as_of else ages.newest_pull()
    if day is None:
        click.echo("nothing was pulled yet", err=True)
        return
    found = ages.of_feeds(day)
    columns = ("feed", "last whole pull", "days", "allowed", "stale", "then scores", "newest attempt")
    rows = [
        (
            f.contract,
            f.last_success_on,
            f.stale_days,
            f.allowed_days,
            f.is_breached,
            f.effect_on_scores,
            f.last_outcome,
        )
        for f in found
        if f.is_breached or not only_stale
    ]
    show(columns, rows, as_json, title=f"feeds on {day}")
    if any(f.is_breached for f in found):
        raise SystemExit(1)


@click.command()
@click.option("--markdown", is_flag=True, help="Print the report as Markdown.")
@json_option
def outages(markdown: bool, as_json: bool) -> None:
    """Every outage and schema change that pulls met, with how it ended; writes the page as well."""
    from spark_jobs import outages_report as report

    gone, changed = report.outages(), report.changes()
    if markdown:
        click.echo(report.markdown(gone, changed), nl=False)
        return
    show(report.OUTAGE_COLUMNS, map(report.outage_row, gone), as_json, title="outages")
    show(report.CHANGE_COLUMNS, map(report.change_row, changed), as_json, title="schema changes")
    if not as_json:
        click.echo(f"page: {report.write_page()}")
