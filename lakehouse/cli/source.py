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


@source.command()
@click.option("--partition", required=True, metavar="DATE", help="The date up to which feeds were pulled.")
@click.option("--features/--no-features", default=False, show_default=True, help="Also build features.")
def build(partition: str, features: bool) -> None:
    """Build what was pulled, without the scheduler: bronze, gate, silver, gate (features, gate)."""
    from lakehouse.cli.batches import build_steps

    for name, step in build_steps(partition, silver=True, features=features):
        click.echo(f"{name}: {step()}")


@source.command("test")
@click.argument("name")
@click.option("--partition", metavar="DATE", help="Take what was published before this date; tomorrow by default.")
@click.option("--parts", type=click.IntRange(min=1, max=100), default=1, show_default=True, help="Most parts to fetch.")
@json_option
def test_feed(name: str, partition: str | None, parts: int, as_json: bool) -> None:
    """Make one dry pull of the contract NAME: rows, fields and types beside the contract, would-be quarantine reasons.

    Nothing is kept, and the feed's cursor does not move. Ends with 1 if more records would be quarantined than the
    contract tolerates, or if fields differ from it. A feed that pays for its answers is not asked.
    """
    from datetime import timedelta

    from contracting import trial
    from lakehouse import contracts
    from lakehouse.errors import ConfigError
    from lakehouse.settings import get_settings
    from lakehouse.time import parse_partition, utc_now

    known = contracts.load_all(get_settings().contracts_dir)
    if name not in known:
        raise ConfigError(f"there is no contract {name!r}", remedy="see vinelake contract check")
    contract = known[name]
    if contract.feed and contract.feed.protocol == "enquiry":
        raise ConfigError(
            f"{name} is asked for a fee, one subject at a time", remedy="vinelake source pull, with consent"
        )
    until = parse_partition(partition) if partition else utc_now().date() + timedelta(days=1)
    found = trial.run(contract, until, parts)
    if as_json:
        rows = [[f.column, f.source_name, f.stated, f.found, f.share, f.example] for f in found.fits]
        show(["column", "sent_as", "stated", "found", "filled", "example"], rows, True)
    else:
        rows = [[f.column, f.source_name, f.stated, f.found, f"{f.share:.0%}", f.example] for f in found.fits]
        show(["column", "sent as", "in the contract", "in the records", "filled", "example"], rows, False)
    summary = [["parts", found.parts], ["records", found.records], ["would be quarantined", found.quarantined]]
    summary += [["schema versions", ", ".join(map(str, found.schema_versions))]]
    summary += [["fields that differ", ", ".join(found.differences) or "none"]]
    show(["", "fact"] if not as_json else ["fact", "value"], summary, as_json)
    if found.reasons:
        show(["reason", "records"], [[reason, n] for reason, n in found.reasons.most_common()], as_json)
    if found.differences or found.quarantined > contract.max_quarantined_ratio * found.records:
        raise SystemExit(1)
