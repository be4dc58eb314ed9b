"""`vinelake erase`: a person's, or an enterprise's, personal data removed on request, with a certificate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import IO, Any

import click

from lakehouse.cli.output import json_option, show
from lakehouse.errors import ConfigError, IntegrityError

values_option = click.option(
    "--values",
    type=click.File(encoding="utf-8"),
    default="-",
    help="File with the identifiers, one a line; standard input where it is left out.",
)


def request_options(command: Callable) -> Callable:
    """The options of an erasure: whose, for real or not, why and on what ground."""
    for option in (
        json_option,
        click.option("--ground", default="", help="The legal ground, for example `PIPL art. 47 (1)`."),
        click.option("--reason", default="", help="Why; kept in certificate and access log. Never name the subject."),
        click.option("--confirm", is_flag=True, help="Erase; without it, only what would go is shown."),
        values_option,
    ):
        command = option(command)
    return command


@click.group()
def erase() -> None:
    """Remove personal data on request. Identifiers are read from a file or standard input: command lines are seen."""


@erase.command("person")
@request_options
def person(values: IO[str], confirm: bool, reason: str, ground: str, as_json: bool) -> None:
    """Erase a natural person, by the numbers that identify the person in contracts (`dataSubject`)."""
    _erase("person", values, confirm, reason, ground, as_json)


@erase.command("enterprise")
@request_options
def enterprise(values: IO[str], confirm: bool, reason: str, ground: str, as_json: bool) -> None:
    """Erase what is sealed under an enterprise: contacts, consents' tokens. Its public number and trade stay."""
    _erase("enterprise", values, confirm, reason, ground, as_json)


@erase.command()
def resume() -> None:
    """Finish erasures that were killed."""
    from ml import erasure as samples
    from spark_jobs import erasure

    for body in erasure.resume(samples.strip, samples.models):
        _told(body)


@erase.command()
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Retention that ended before this day; else today.")
@click.option("--confirm", is_flag=True, help="Erase; without it, only how many are concerned is shown.")
@json_option
def expired(day: datetime | None, confirm: bool, as_json: bool) -> None:
    """Erase the personal data that no contract keeps any longer (`retention` in `slaProperties`)."""
    from lakehouse.time import business_today
    from ml import erasure as samples
    from spark_jobs import expiry

    until = day.date() if day else business_today()
    found = expiry.expired(until)
    if not confirm:
        show(["who", "identified by", "subjects", "oldest last record"], expiry.tally(found), as_json)
        return
    if not found:
        click.echo(f"nobody's retention ended before {until}; nothing was changed")
    for body in expiry.erase(found, until, samples.strip, samples.models):
        _told(body)


@erase.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every certificate, after the chain of their hashes was checked."""
    from lakehouse.erasure import certificate

    held = certificate.verified()
    columns = ["seq", "erasure", "issued_at", "who", "author", "reason", "ground", "is_complete"]
    show(columns, [[body.get(c) for c in columns] for body in held], as_json)


@erase.command()
@click.argument("certificate")
@values_option
@json_option
def verify(certificate: str, values: IO[str], as_json: bool) -> None:
    """Search everything for the values of an erased subject: every file, version and database, every key tried.

    Fails where one is found, and names the places.
    """
    from lakehouse.erasure import certificate as certificates
    from spark_jobs import erasure

    certificates.read(certificate)
    search = erasure.verify(_lines(values))
    show(["file", "part", "form"], [[str(f.path), f.part, f.form] for f in search.findings], as_json)
    if search.findings or search.unread:
        raise IntegrityError(
            f"{len(search.findings)} places still yield a value, {len(search.unread)} files could not be read",
            where=str((search.unread or [search.findings[0].path])[0]),
            remedy="`vinelake erase resume`; what other people share with the subject (a name) may stand for them",
        )
    click.echo(f"{search.files:,} files, {search.bytes:,} bytes searched: none yields a value")


def _erase(who: str, values: IO[str], confirm: bool, reason: str, ground: str, as_json: bool) -> None:
    from lakehouse.settings import get_settings
    from ml import erasure as samples
    from spark_jobs import erasure

    named = _lines(values)
    if not confirm:
        found = erasure.preview(who, named, samples.count)
        show(["what", "held"], (found or {"keys": 0}).items(), as_json)
        return
    request = {"author": get_settings().author, "reason": reason, "ground": ground}
    body = erasure.erase(who, named, request, samples.strip, samples.models)
    if body is None:
        click.echo("nothing is held of this subject; nothing was changed")
    else:
        _told(body)


def _lines(values: IO[str]) -> list[str]:
    lines = [line.strip() for line in values if line.strip()]
    if not lines:
        raise ConfigError("no identifier was given", remedy="one a line, on standard input or by --values FILE")
    return lines


def _told(body: dict[str, Any]) -> None:
    from lakehouse.erasure import certificate

    state = "complete" if body["is_complete"] else "NOT complete: see what remains"
    click.echo(f"certificate {body['erasure']}, {state}: {certificate.folder() / body['erasure']}.md")
