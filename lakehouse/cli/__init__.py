"""The `vinelake` command line: one group, its commands in files by what they are about.

Jobs, models and services are imported inside the commands, so that `vinelake --help` is instant.
"""

from __future__ import annotations

from importlib.metadata import entry_points

import click
from rich.console import Console

from lakehouse.cli import (
    backfill,
    batches,
    consents,
    contracts,
    data,
    demo,
    erase,
    features,
    freshness,
    identity,
    lineage,
    model,
    restatements,
    runs,
    score,
    services,
    source,
    vault,
    waivers,
)
from lakehouse.errors import VinelakeError

# Programs beside the lakehouse offer their commands under this name; neither side imports the other.
PLUGINS = "vinelake.commands"


class _Group(click.Group):
    """Turns the project's own errors into a message and exit code 1, without a stack trace."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(entry.name for entry in entry_points(group=PLUGINS))})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if own := super().get_command(ctx, name):
            return own
        return next((entry.load() for entry in entry_points(group=PLUGINS, name=name)), None)

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except VinelakeError as error:
            Console(stderr=True).print(f"[bold red]{type(error).__name__}[/]: ", end="")
            click.echo(str(error), err=True)
            raise SystemExit(1) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vinelake", prog_name="vinelake")
def main() -> None:
    """vinelake: from traces of production and trade to credit decisions that can be defended."""


for command in (
    services.up,
    services.down,
    services.status,
    services.clear,
    demo.demo,
    data.sql,
    data.tables,
    data.verify,
    erase.erase,
    batches.ingest,
    batches.batch,
    batches.quarantine,
    backfill.backfill,
    features.features,
    freshness.freshness,
    freshness.outages,
    runs.runs,
    runs.maintain,
    contracts.contract,
    identity.identity,
    lineage.lineage,
    model.model,
    restatements.restatement,
    score.score,
    source.source,
    consents.consent,
    vault.vault,
    waivers.waiver,
):
    main.add_command(command)
