"""`vinelake features`: features of some firms at a date, and the check that none of them sees the future."""

from __future__ import annotations

import click

from lakehouse.cli.output import json_option, show


@click.group()
def features() -> None:
    """Features as known at a date."""


@features.command()
@click.option("--as-of", required=True, metavar="DATE", help="The date; it must have been built.")
@click.option("--ids", metavar="A,B", help="Enterprises, by comma; all of the date otherwise.")
@click.option("--features", "names", metavar="X,Y", help="Features, by comma; all of them otherwise.")
@json_option
def get(as_of: str, ids: str | None, names: str | None, as_json: bool) -> None:
    """Features of enterprises at a date, one row each; a single enterprise is shown as a list."""
    from spark_jobs import feature_access

    table = feature_access.arrow(as_of, _listed(ids), _listed(names))
    rows = table.to_pylist()
    if as_json or len(rows) != 1:
        show(table.column_names, [list(row.values()) for row in rows], as_json)
        return
    show(["feature", "value"], [[name, value] for name, value in rows[0].items()], as_json=False)


@features.command()
@click.option("--as-of", required=True, metavar="DATE", help="The date; it must have been built.")
def check(as_of: str) -> None:
    """Computes the source features of a date again from silver cut at it; fails when one comes out otherwise."""
    from lakehouse import engine
    from lakehouse.time import parse_partition
    from spark_jobs.source_features import leakage

    with engine.session("feature_check") as spark:
        rows = leakage.check(spark, parse_partition(as_of))
    click.echo(f"{rows:,} rows as of {as_of}: every source feature comes out the same from silver cut at that date")


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
