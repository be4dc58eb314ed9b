"""`vinelake ingest`, `batch` and `quarantine`: drops by hand, their accounts, and what was held back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from lakehouse.cli.output import json_option, show
from lakehouse.settings import get_settings


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--received", "partition", required=True, metavar="DATE", help="Date the drop was received.")
@click.option("--features/--no-features", default=True, show_default=True, help="Also build silver and features.")
def ingest(folder: Path, partition: str, features: bool) -> None:
    """Take in a drop without the scheduler: land, parse, gate, conform, gate, build features, gate."""
    from spark_jobs import landing

    click.echo(f"land: {landing.land(partition, folder)}")
    for name, step in build_steps(partition, silver=features, features=features):
        click.echo(f"{name}: {step()}")


def build_steps(partition: str, silver: bool, features: bool) -> list[tuple[str, Callable[[], object]]]:
    """What the DAGs do with landed batches, each layer followed by its gate: (name, step) in order."""
    from expectations.gate import gate
    from spark_jobs import bronze
    from spark_jobs import features as feature_job
    from spark_jobs import silver as silver_job

    steps: list[tuple[str, Callable[[], object]]] = [
        ("bronze", lambda: bronze.build(partition)),
        ("gate bronze", lambda: gate("bronze", partition)),
    ]
    if silver:
        steps += [
            ("silver", lambda: silver_job.build(partition)),
            ("gate silver", lambda: gate("silver", partition)),
        ]
    if features:
        steps += [
            ("features", lambda: feature_job.build(partition)),
            ("gate gold", lambda: gate("gold", partition)),
        ]
    return steps


@click.group()
def batch() -> None:
    """Batches: what came in and what became of it."""


@batch.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every batch with its rows in = accepted + quarantined + duplicates."""
    from lakehouse import ledger

    columns = "batch_id contract partition files bytes rows_in rows_accepted rows_quarantined rows_duplicate reasons"
    rows = sorted(ledger.booked(), key=lambda row: (row["recorded_at"], row["contract"]))
    show(columns.split(), [[row[column] for column in columns.split()] for row in rows], as_json)


@batch.command()
@click.argument("batch_ids", nargs=-1, required=True)
@click.option("--why", required=True, help="The reason, kept in the run ledger.")
def reject(batch_ids: tuple[str, ...], why: str) -> None:
    """Close landed batches that must never be published; their bytes stay in landing."""
    from spark_jobs import quarantine as job

    done = job.reject_batches(batch_ids, get_settings().author, why)
    click.echo(f"batch {', '.join(done['batches'])} rejected: {done['rows']:,} rows counted as quarantined")


@click.group()
def quarantine() -> None:
    """Rows that broke a rule: look at them, and let them in again after a fix."""


@quarantine.command("list")
@click.option("--contract", help="Only rows of this contract.")
@click.option("--reason", help="Only rows with this reason code.")
@click.option("--limit", default=50, show_default=True)
@json_option
def list_held(contract: str | None, reason: str | None, limit: int, as_json: bool) -> None:
    """Rows still held back, with reasons and raw values."""
    from lakehouse import engine
    from spark_jobs import quarantine as job

    columns = ["contract", "source_file", "row_number", "reasons", "raw"]
    with engine.session() as spark:
        rows = job.held(spark, contract, reason).select(*columns).limit(limit).collect()
    show(columns, rows, as_json)


@quarantine.command()
@click.argument("contract")
@click.option("--received", "partition", required=True, metavar="DATE", help="Date from which the rows are known.")
@click.option("--why", required=True, help="What was mended; kept with each row.")
@click.option("--reason", help="Only rows with this reason code.")
def release(contract: str, partition: str, why: str, reason: str | None) -> None:
    """Write held rows of CONTRACT into the drop of a date, to be ingested there under today's contract."""
    from spark_jobs import quarantine as job

    done = job.release(contract, partition, get_settings().author, why, reason)
    if not done["rows"]:
        click.echo("nothing is held back that fits")
    else:
        click.echo(f"{done['rows']:,} rows written to {done['file']}; now run ingest_file_drop for {partition}")
