"""`vinelake features`: features of some firms at a date, training sets, and the check that none sees the future."""

from __future__ import annotations

from pathlib import Path

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


@features.command("training-set")
@click.argument("spine", type=click.Path(path_type=Path))
@click.option("--as-of", required=True, metavar="DATE", help="The date by which the labels must be mature.")
@click.option("--features", "names", metavar="X,Y", help="Features, by comma; all of them otherwise.")
@json_option
def training_set(spine: Path, as_of: str, names: str | None, as_json: bool) -> None:
    """Joins a SPINE (CSV or Parquet: enterprise_id, as_of, is_bad) with features as known at each row's own date, and
    freezes the rows with a manifest. Equal rows and features give the same set."""
    import pandas as pd

    from lakehouse import tables
    from lakehouse.time import parse_partition
    from ml import training, training_set
    from ml.configuration import get_config
    from spark_jobs import feature_access

    day = parse_partition(as_of)
    rows, target = training_set.read_spine(spine), get_config().target
    manifest = tables.current_manifest()
    joined = feature_access.on_spine(training_set.to_arrow(rows), _listed(names), manifest)
    versions = {table: manifest.versions[table] for table in feature_access.TABLES if table in manifest.versions}
    read = {"manifest_id": manifest.manifest_id, "feature_versions": versions}
    frozen = training_set.make(rows, joined, target, pd.Timestamp(day), read, training.datasets_dir())
    told = {
        "training set": frozen.snapshot_id,
        "rows": frozen.manifest["rows"],
        "bads": frozen.manifest["bads"],
        "not known by then": frozen.manifest["not_known_by_then"],
        "features": len(frozen.manifest["features"]),
        "folder": str(frozen.path),
    }
    show(["what", "value"], [[name, value] for name, value in told.items()], as_json)


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
