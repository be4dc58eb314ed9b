"""`vinelake contract`: draft contracts, check them, tell whom a change breaks, write what is generated from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lakehouse.cli.output import json_option, show
from lakehouse.settings import get_settings


@click.group()
def contract() -> None:
    """Data contracts: one file per source entity."""


@contract.command()
@click.argument("sample")
@click.option("--id", "contract_id", help="The contract's id, <source>__<entity>; from the sample's name by default.")
@click.option("--connection", help="For a file: the connection in whose folder such files arrive, to be pulled.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the feed; a.b=1 nests.")
@click.option("--rows", type=click.IntRange(min=1), default=10_000, show_default=True, help="Most records to look at.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; an existing one stays.")
def infer(
    sample: str, contract_id: str | None, connection: str | None, options: tuple[str, ...], rows: int, out: Path | None
) -> None:
    """Draft a contract from a SAMPLE: a file (CSV, JSON, JSON lines, Parquet), or CONNECTION:PATH.

    PATH is a table (`payments:payments.payment`), an endpoint (`market:/v1/prices`), a topic
    (`platform:platform.orders`) or a pattern of files (`field:remote_sensing/*.csv`). The draft goes to standard
    output, or to --out; what a sample cannot tell is marked TODO.
    """
    from contracting import draft as drafts
    from contracting import remote
    from contracting import sample as samples
    from lakehouse import contracts
    from lakehouse.errors import ConfigError

    if Path(sample).is_file():
        found = samples.of_file(Path(sample), rows, connection)
        name = Path(sample).name.partition(".")[0]
    elif ":" in sample:
        source, _, path = sample.partition(":")
        found = remote.of_connection(source, path, _options(options), rows)
        name = f"{source}__{path.rstrip('/').rsplit('/', 1)[-1].rpartition('.')[2]}"
    else:
        raise ConfigError(
            f"{sample!r} is neither a file nor CONNECTION:PATH", remedy="see vinelake contract infer --help"
        )
    folder = get_settings().contracts_dir
    known = contracts.load_all(folder).values() if any(folder.glob("*.yaml")) else ()
    text = drafts.draft(found, out.stem if out else contract_id or _id(name), known)
    if out is None:
        click.echo(text, nl=False)
        return
    if out.exists():
        raise ConfigError(f"{out} is there already", remedy="write the draft elsewhere, and compare")
    out.write_text(text, encoding="utf-8")
    click.echo(f"{out}: {len(found.records):,} records looked at, {len(drafts.open_items(text))} TODOs")


@contract.command()
@click.argument("names", nargs=-1, metavar="[ID]…")
@click.option("--against", metavar="GITREF|FILE", help="What to compare with: HEAD by default where IDs are given.")
@click.option("--models/--no-models", default=True, help="Ask the registry which models take the features reached.")
@json_option
def check(names: tuple[str, ...], against: str | None, models: bool, as_json: bool) -> None:
    """Read contracts strictly; tell what a change of them breaks, and for whom.

    A fault is named with file, line, field and remedy. With IDs or --against, each contract is compared with how it
    stands at a git reference (or in another file), and every change is listed with those who read the column: tables
    of silver, gates, dbt models, features, labels, registered models. Ends with 1 if readers break, if the version's
    number does not fit the change, or if a draft's TODO is still open.
    """
    from contracting import check as checks
    from lakehouse import contracts

    folder = get_settings().contracts_dir
    known = contracts.load_all(folder)
    chosen = checks.chosen(known, names, against)
    todos = checks.todos(folder, names or known)
    if names or against:
        report = checks.compare_all(known, chosen, against or "HEAD", models)
        columns = ["contract", "column", "change", "verdict", "read by"]
        show(columns, [[r.contract, r.column, r.change, r.verdict, _readers(r, as_json)] for r in report.rows], as_json)
        for note in report.notes:
            click.echo(note, err=True)
        failed = report.breaks or bool(report.faults)
        for fault in report.faults:
            click.echo(f"error: {fault}", err=True)
        if not report.rows:
            click.echo(f"nothing changes against {against or 'HEAD'}", err=True)
    else:
        _list(known, as_json)
        failed = False
    for place, what in todos:
        click.echo(f"error: {place}: still to do: {what}", err=True)
    if failed or todos:
        raise SystemExit(1)


@contract.command()
def generate() -> None:
    """Write the data dictionary of the sources (docs/reference/sources.md) from the contracts."""
    from lakehouse import dictionary

    click.echo(f"written: {dictionary.write()}")


def _list(known: dict[str, Any], as_json: bool) -> None:
    columns = ["contract", "version", "from", "columns", "keys", "row rules"]
    rows = [
        (
            c.id,
            c.version,
            f"{c.feed.connection} {c.feed.path}" if c.feed else c.file_pattern,
            len(c.columns),
            ", ".join(c.keys),
            ", ".join(r.name for r in c.row_rules),
        )
        for c in known.values()
    ]
    show(columns, rows, as_json)


def _readers(row: Any, as_json: bool) -> Any:
    if as_json:
        return [{"kind": r.kind, "name": r.name, "columns": list(r.columns)} for r in row.readers]
    by_kind: dict[str, list[str]] = {}
    for reader in row.readers:
        by_kind.setdefault(reader.kind, []).append(reader.name)
    return "\n".join(f"{kind}: {_few(found)}" for kind, found in by_kind.items()) or None


def _few(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more (--json lists all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _id(name: str) -> str:
    import re

    parts = [re.sub(r"[^a-z0-9]+", "_", part.lower()).strip("_") for part in name.split("__")]
    plain = "__".join(part for part in parts if part)
    return plain if "__" in plain else f"source__{plain or 'entity'}"


def _options(given: tuple[str, ...]) -> dict[str, Any]:
    """Options of a feed from NAME=VALUE; values are YAML, dots nest."""
    from lakehouse import plain_yaml
    from lakehouse.errors import ConfigError

    found: dict[str, Any] = {}
    for entry in given:
        name, sign, value = entry.partition("=")
        if not sign or not name:
            raise ConfigError(f"{entry!r} is no option", remedy="write NAME=VALUE, for example records=data")
        *levels, last = name.split(".")
        place = found
        for level in levels:
            place = place.setdefault(level, {})
        place[last] = plain_yaml.load(value)
    return found
