"""`vinelake sql`, `tables` and `verify`: what is published, and whether what was received is intact."""

from __future__ import annotations

import click

from lakehouse.cli.output import json_option, show
from lakehouse.errors import ConfigError, IntegrityError


@click.command()
@click.argument("statement")
@click.option("--as-of", metavar="DATE", help="Read every table as it was known at 00:00 of this date.")
@click.option("--limit", default=100, show_default=True, help="Most rows to print; 0 for all.")
@json_option
def sql(statement: str, as_of: str | None, limit: int, as_json: bool) -> None:
    """Ask any published table: vinelake sql "select grade, count(*) from gold.enterprise_score group by 1"."""
    from pyspark.errors import PySparkException

    from lakehouse import engine, query
    from lakehouse.time import parse_partition

    with engine.session() as spark:
        try:
            frame = query.in_business_time(query.run(spark, statement, parse_partition(as_of) if as_of else None))
            rows = (frame.limit(limit + 1) if limit else frame).collect()
        except PySparkException as error:
            raise ConfigError(
                f"the query cannot run: {str(error).strip().splitlines()[0][:400]}",
                remedy="`vinelake tables` lists tables and columns",
            ) from error
        show(frame.columns, rows[:limit] if limit else rows, as_json)
        if limit and len(rows) > limit:
            click.echo(f"… more than {limit} rows; --limit 0 prints all", err=True)


@click.command()
@json_option
def tables(as_json: bool) -> None:
    """List every published table with its version and columns."""
    from lakehouse import engine, query
    from lakehouse import tables as store

    with engine.session() as spark:
        store.ensure_schemas(spark)
        listed = [(name, version, ", ".join(columns)) for name, version, columns in query.listing(spark)]
    show(["table", "version", "columns"], listed, as_json)


@click.command()
@click.option("--offline", is_flag=True, help="Do not compare with the batch ledger.")
@json_option
def verify(offline: bool, as_json: bool) -> None:
    """Check every received byte and the chain of manifests; say which batch, file and bytes differ."""
    from lakehouse import ledger
    from spark_jobs import verify as checks

    recorded = {} if offline else {row["batch_id"]: row["manifest_hash"] for row in ledger.booked()}
    findings, batches, size = checks.verify(recorded)
    if findings:
        show(["batch", "where", "what"], [(f.batch_id, f.where, f.what) for f in findings], as_json)
        raise IntegrityError(
            f"{len(findings)} differences in {batches} batches",
            remedy="restore the named files from a backup; tables already built from them are not changed",
        )
    show(["batches", "bytes", "differences"], [(batches, size, 0)], as_json)
