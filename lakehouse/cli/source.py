"""`vinelake source`: pull feeds by hand."""

from __future__ import annotations

import click

from lakehouse.cli.output import json_option, show


@click.group()
def source() -> None:
    """Feeds of source systems: pull them, try them."""


@source.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--partition", required=True, metavar="DATE", help="Everything published before this date begins.")
@json_option
def pull(names: tuple[str, ...], partition: str, as_json: bool) -> None:
    """Pull departments or single feeds without the scheduler; all of them where no NAME is given.

    NAME is a department (`government__courts`) or a contract (`courts__case`). Nothing is pulled twice: each feed goes
    on where it ended.
    """
    from spark_jobs.pull import runner

    outcomes = [runner.pull(partition, contract) for contract in runner.chosen(names)]
    columns = ["contract", "outcome", "records", "batches", "fields", "error"]
    rows = [
        [o.contract, o.outcome, o.records, " ".join(o.batches), " ".join(o.fields), o.error.what if o.error else None]
        for o in outcomes
    ]
    show(columns, rows, as_json)
    if failed := next((o.error for o in outcomes if o.error), None):
        raise failed
