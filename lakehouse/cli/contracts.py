"""`vinelake contract`: check the contracts and write what is generated from them."""

from __future__ import annotations

import click

from lakehouse.cli.output import json_option, show
from lakehouse.settings import get_settings


@click.group()
def contract() -> None:
    """Data contracts: one file per source entity."""


@contract.command()
@json_option
def check(as_json: bool) -> None:
    """Read every contract strictly; a fault is named with file, line, field and remedy."""
    from lakehouse import contracts

    known = contracts.load_all(get_settings().contracts_dir)
    columns = ["contract", "version", "files", "columns", "keys", "row rules"]
    rows = [
        (c.id, c.version, c.file_pattern, len(c.columns), ", ".join(c.keys), ", ".join(r.name for r in c.row_rules))
        for c in known.values()
    ]
    show(columns, rows, as_json)


@contract.command()
def generate() -> None:
    """Write the data dictionary of the sources (docs/reference/sources.md) from the contracts."""
    from lakehouse import dictionary

    click.echo(f"written: {dictionary.write()}")
