"""`vinelake restatement`: what the gate of silver found changed of the past, and what that moves."""

from __future__ import annotations

import click

from lakehouse.cli.output import json_option, show

COLUMNS = {
    "sources": ("table_name", "contract", "department", "batch_id", "restated", "deleted", "late", "touched", "moved",
                "band_moves", "outcome", "waived"),
    "features": ("feature", "enterprises", "median_change", "largest_change"),
    "enterprises": ("enterprise_id", "features", "largest_feature", "largest_change", "band_before", "band_after",
                    "score_before", "score_after"),
}  # fmt: skip


@click.group()
def restatement() -> None:
    """History that changed: by which source, and which features, enterprises and bands move."""


@restatement.command("show")
@click.option("--partition", metavar="DATE", help="The last report of this partition; the newest of all otherwise.")
@click.option("--part", type=click.Choice(list(COLUMNS)), help="Only this part of the report.")
@click.option("--limit", default=30, show_default=True, help="Features and enterprises to list, the most moved first.")
@json_option
def show_(partition: str | None, part: str | None, limit: int, as_json: bool) -> None:
    """The report of a restatement; with --json every row of it, one a line."""
    from lakehouse import restatements

    found = dict(zip(COLUMNS, restatements.last(partition), strict=True))
    first = found["sources"][0]
    if not as_json:
        told = f"restatement of partition {first.partition}: features as known at {first.as_of}, "
        click.echo(f"{told}{first.enterprises:,} enterprises known")
    for name, columns in COLUMNS.items():
        if part not in (None, name):
            continue
        rows = [[getattr(row, column) for column in columns] for row in found[name]]
        if as_json:
            show(("part", *columns), [[name, *row] for row in rows], as_json)
        else:
            listed = rows if name == "sources" else rows[:limit]
            show(columns, listed, as_json, title=f"{name} ({len(listed):,} of {len(rows):,})")
