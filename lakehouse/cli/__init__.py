"""The `vinelake` command line: one group, its commands in files by what they are about.

Jobs, models and services are imported inside the commands, so that `vinelake --help` is instant.
"""

from __future__ import annotations

import click
from rich.console import Console

from lakehouse.cli import batches, contracts, data, demo, model, runs, score, services
from lakehouse.errors import VinelakeError


class _Group(click.Group):
    """Turns the project's own errors into a message and exit code 1, without a stack trace."""

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
    demo.demo,
    data.sql,
    data.tables,
    data.verify,
    batches.ingest,
    batches.batch,
    batches.quarantine,
    runs.runs,
    runs.maintain,
    contracts.contract,
    model.model,
    score.score,
):
    main.add_command(command)
