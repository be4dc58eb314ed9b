"""`vinelake consent`: who allowed which enquiries at the credit bureau, until when, and on what evidence."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from lakehouse.cli.output import json_option, show

PURPOSES = ("loan_approval", "post_loan_management")


@click.group()
def consent() -> None:
    """Consents to enquiries: without a live one for the purpose, nobody is asked about."""


@consent.command("list")
@click.option("--subject", help="Only those of this credit code.")
@json_option
def list_(subject: str | None, as_json: bool) -> None:
    """Every consent as it stands, with what bureaus made of it."""
    from lakehouse import consents

    columns = ["id", "subject_code", "purposes", "given_on", "valid_until", "revoked_on", "evidence"]
    rows = [
        [
            held.id,
            held.subject_code,
            " ".join(held.purposes),
            held.given_on,
            held.valid_until,
            held.revoked_on,
            held.evidence,
            " ".join(held.registered),
            " ".join(f"{name}:{code}" for name, code in held.refused.items()),
        ]
        for held in consents.known()
        if subject in (None, held.subject_code)
    ]
    show([*columns, "registered", "refused"], rows, as_json)


@consent.command()
@click.option("--subject", required=True, metavar="CODE", help="Credit code of the enterprise.")
@click.option("--name", required=True, help="A name that it bears at the registry or the bureau.")
@click.option("--purpose", "purposes", multiple=True, required=True, help="What it allows; may be repeated.")
@click.option("--given-on", required=True, metavar="DATE")
@click.option("--valid-until", required=True, metavar="DATE")
@click.option("--channel", default="signed_paper", show_default=True, help="How it was given, in the bureau's words.")
@click.option("--evidence", required=True, help="Number of the signed document.")
def give(
    subject: str, name: str, purposes: tuple[str, ...], given_on: str, valid_until: str, channel: str, evidence: str
) -> None:
    """Note a consent as the enterprise signed it. The same paper is noted once."""
    from lakehouse import consents

    facts = (subject, name, purposes, given_on, valid_until, channel, evidence)
    click.echo(consents.give(dict(zip(consents.COLUMNS, facts, strict=True))).id)


@consent.command()
@click.argument("consent_id")
@click.option("--why", required=True, help="The reason, kept in the register.")
@click.option("--on", "day", metavar="DATE", help="From which day; today where it is left out.")
def revoke(consent_id: str, why: str, day: str | None) -> None:
    """End a consent. Nothing is asked under it any more; the next pull tells the bureaus that know it."""
    from lakehouse import consents
    from lakehouse.settings import get_settings
    from lakehouse.time import parse_partition

    today = datetime.now(ZoneInfo(get_settings().timezone)).date()
    ended = consents.revoke(consent_id, parse_partition(day) if day else today, why)
    click.echo(f"{ended.id} ended on {ended.revoked_on}")


@consent.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path) -> None:
    """Note every consent of a CSV FILE, or none if a line is not one.

    Columns: subject_code, subject_name, purposes (parted by blanks), given_on, valid_until, channel, evidence.
    """
    from lakehouse import consents

    new, before = consents.import_file(file)
    click.echo(f"{new:,} consents noted, {before:,} were known")


@consent.command("from-applications")
@click.option("--partition", required=True, metavar="DATE", help="Applications up to this date.")
@click.option("--purpose", "purposes", multiple=True, default=PURPOSES, show_default=True, help="What was signed.")
def from_applications(partition: str, purposes: tuple[str, ...]) -> None:
    """Note the consents that applicants signed with their applications at this bank."""
    from spark_jobs import application_consents

    done = application_consents.record(partition, purposes)
    click.echo(f"{done['applications']:,} applications, {done['new_consents']:,} consents are new")
