"""`vinelake vault`: who is asked for, why, and with which keys. Clear values are read from it for a stated purpose."""

from __future__ import annotations

import click

from lakehouse.cli.output import json_option, show
from lakehouse.errors import ConfigError, IntegrityError

purpose_option = click.option(
    "--purpose", required=True, help="What the clear value is needed for; kept in the access log."
)


@click.group()
def vault() -> None:
    """Personal values: tokens stand for them in every table, the vault opens them and notes who asked."""


@vault.command()
@json_option
def status(as_json: bool) -> None:
    """Where the vault is, what it holds, and whether its access log is whole."""
    from lakehouse.vault import open_vault

    with open_vault() as opened:
        entries, faults = opened.log.entries(), opened.log.faults()
        facts = {"folder": str(opened.folder), "master_key_file": str(opened.key_file), "master_key": opened.master.id}
        facts |= opened.counts() | {"log_entries": len(entries), "log_faults": len(faults)}
    show(["fact", "value"], facts.items(), as_json)
    if faults:
        raise IntegrityError(
            f"{len(faults)} entries of the access log do not follow from those before them",
            where=f"entry {faults[0]} and after",
            remedy="compare with a backup of the log; who can write the vault's folder could change it",
        )


@vault.command()
@click.argument("tokens", nargs=-1, required=True)
@purpose_option
@json_option
def reveal(tokens: tuple[str, ...], purpose: str, as_json: bool) -> None:
    """Print the clear values of TOKENS. Each is noted in the access log first."""
    from lakehouse.vault import open_vault

    with open_vault() as opened:
        values = opened.reveal(tokens, purpose)
    show(["token", "value"], zip(tokens, values, strict=True), as_json)


@vault.command()
@click.argument("kind")
@purpose_option
def find(kind: str, purpose: str) -> None:
    """Print the token of a clear value of KIND, read from standard input: a command line is seen by others."""
    from lakehouse.vault import open_vault

    value = click.prompt("value", hide_input=True, prompt_suffix=": ", err=True)
    with open_vault() as opened:
        token = opened.find(kind, value, purpose)
    if token is None:
        raise ConfigError(f"no {kind} of that value was ever sealed", remedy="kinds are the contracts' tokenKind")
    click.echo(token)


@vault.command()
@click.option("--limit", default=50, show_default=True, help="Most entries to print, the newest.")
@json_option
def log(limit: int, as_json: bool) -> None:
    """The access log: who asked for what, when and why."""
    from lakehouse.vault import open_vault

    with open_vault() as opened:
        entries = opened.log.entries()[-limit:]
    columns = ["number", "at", "who", "action", "what", "purpose"]
    show(columns, [[getattr(entry, c) for c in columns] for entry in entries], as_json)


@vault.command("rotate-master")
@purpose_option
def rotate_master(purpose: str) -> None:
    """Wrap every key under a new master key; the old one is destroyed."""
    from lakehouse.vault import open_vault, rotation

    with open_vault() as opened:
        key = rotation.rotate_master(opened, purpose)
        click.echo(f"the master key is now {key}, in {opened.key_file}: back it up, apart from the vault")


@vault.command("rotate-tokens")
@purpose_option
@click.option("--tables/--no-tables", default=True, show_default=True, help="Also rewrite published tables.")
def rotate_tokens(purpose: str, tables: bool) -> None:
    """Give every value a new token, and rewrite the tables that hold the old ones."""
    from lakehouse.vault import open_vault, rotation

    with open_vault() as opened:
        click.echo(f"{rotation.rotate_tokens(opened, purpose):,} values have new tokens")
    if tables:
        _retokenise()


@vault.command()
def retokenise() -> None:
    """Rewrite former tokens in published tables: batches sealed before a rotation may have been built after it."""
    _retokenise()


def _retokenise() -> None:
    from lakehouse.time import utc_now
    from spark_jobs import retokenise as job

    done = job.build(utc_now().date().isoformat())
    show(["table", "cells"], done["tables"].items(), False)
