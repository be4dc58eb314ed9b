"""`vinelake identity`: who a key is and was, which names wait for a person, and what a person says of them."""

from __future__ import annotations

from datetime import UTC, date

import click

from lakehouse.cli.output import json_option, show
from lakehouse.errors import ConfigError

KEY_COLUMNS = ("system", "department", "key", "version_no", "enterprise_id", "method", "linked", "known_at")
REVIEW_COLUMNS = ("department", "local_key", "name", "code", "candidate_id", "candidate_weight", "reason", "known_at")
CORRECTION_COLUMNS = ("department", "local_key", "enterprise_id", "effective_from", "withdrawn", "author", "reason",
                      "made_at")  # fmt: skip


@click.group()
def identity() -> None:
    """Which names and keys of departments are which enterprise, and a person's corrections of it."""


@identity.command()
@click.option("--limit", default=50, show_default=True)
@json_option
def review(limit: int, as_json: bool) -> None:
    """Names that nothing links by itself, the likeliest first: what they may be and why they wait."""
    from lakehouse import engine, query

    with engine.session() as spark:
        _published(spark, "silver.identity_review")
        frame = query.in_business_time(_table(spark, "silver.identity_review").select(*REVIEW_COLUMNS))
        rows = frame.orderBy(frame["candidate_weight"].desc_nulls_last(), "local_key").limit(limit).collect()
    show(REVIEW_COLUMNS, rows, as_json)


@identity.command("show")
@click.argument("word")
@json_option
def show_(word: str, as_json: bool) -> None:
    """Every version of a key's link, or of all keys of an enterprise: WORD is a department's key or an enterprise."""
    from lakehouse import engine, query

    with engine.session() as spark:
        _published(spark, "silver.enterprise_key")
        keys = _table(spark, "silver.enterprise_key").select(*KEY_COLUMNS)
        found = query.in_business_time(keys.where((keys["key"] == word) | (keys["enterprise_id"] == word)))
        rows = found.orderBy("department", "key", "version_no").collect()
    show(KEY_COLUMNS, rows, as_json)


@identity.command()
@click.option("--department", required=True)
@click.option("--key", required=True, help="The key as that department writes it.")
@click.option("--enterprise", help="The enterprise it belongs to.")
@click.option("--nobody", is_flag=True, help="It belongs to no enterprise known.")
@click.option("--withdraw", is_flag=True, help="Take back what was said of this key.")
@click.option("--from", "since", metavar="DATE", help="The day on which the key passes to the enterprise.")
@click.option("--author", required=True)
@click.option("--reason", required=True)
def correct(
    department: str, key: str, enterprise: str | None, nobody: bool, withdraw: bool, since: str | None, author: str,
    reason: str,
) -> None:  # fmt: skip
    """Say who a key is. It holds from now on, over every rule and rerun, until the next word on the same key."""
    from lakehouse.time import parse_partition, utc_now
    from spark_jobs.identity import corrections, departments, job

    if [bool(enterprise), nobody, withdraw].count(True) != 1:
        raise ConfigError(
            "one of them", where="--enterprise, --nobody, --withdraw", remedy="say who it is, or take back"
        )
    day: date | None = parse_partition(since) if since else None
    system = departments.SYSTEMS.get(department, department)
    made_at = utc_now().replace(tzinfo=None)
    entry = corrections.entry(system, department, key, enterprise, author, reason, made_at, day, withdraw)
    job.correct(entry)
    click.echo(entry.column("correction_id")[0].as_py())


@identity.command("corrections")
@json_option
def corrections_(as_json: bool) -> None:
    """Everything that was corrected, by whom and why, oldest first."""
    from lakehouse.time import in_business_time
    from spark_jobs.identity import job

    told = job.corrections().to_pylist()
    rows = [{**row, "made_at": in_business_time(row["made_at"].replace(tzinfo=UTC))} for row in told]
    show(CORRECTION_COLUMNS, [[row[column] for column in CORRECTION_COLUMNS] for row in rows], as_json)


def _published(spark, table: str) -> None:
    from lakehouse import tables

    if not tables.is_published(spark, table):
        raise ConfigError(f"{table} is not published yet", remedy="build silver first; `vinelake tables` lists tables")


def _table(spark, table: str):
    from lakehouse import tables

    return tables.read(spark, table)
