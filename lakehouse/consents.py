"""The register of consents: which enterprise allowed which enquiries, from when to when, and on what evidence.

It lies beside landing and is only ever added to: consents given and revoked, and what a bureau said of them. The id of
a consent follows from what was signed, so that taking in the same paper twice adds nothing. The token under which a
bureau knows it is sealed by the vault before it is noted, under the key of the enterprise.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from lakehouse import journal
from lakehouse.errors import ConsentError
from lakehouse.settings import get_settings
from lakehouse.time import utc_now
from lakehouse.vault import Item, open_vault

COLUMNS = ("subject_code", "subject_name", "purposes", "given_on", "valid_until", "channel", "evidence")
CODE = re.compile(r"[0-9A-Z]{15,20}", re.ASCII)
WORD = re.compile(r"[a-z][a-z_]{0,39}", re.ASCII)


@dataclass(frozen=True)
class Registration:
    """Under which number and sealed token a bureau knows a consent; `withdrawn` once it was told of the end."""

    number: str
    sealed_token: str = field(repr=False)
    withdrawn: bool = False


@dataclass(frozen=True)
class Consent:
    """What an enterprise signed. `registered` and `refused` are by connection: what bureaus made of it, or why not."""

    id: str
    subject_code: str
    subject_name: str
    purposes: tuple[str, ...]
    given_on: date
    valid_until: date
    channel: str
    evidence: str
    revoked_on: date | None = None
    registered: Mapping[str, Registration] = field(default_factory=dict, hash=False)
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)

    def covers(self, purpose: str, day: date) -> bool:
        """Whether it allows an enquiry for a purpose on a day."""
        lives = self.given_on <= day <= self.valid_until and (self.revoked_on is None or day < self.revoked_on)
        return lives and purpose in self.purposes


def give(paper: Mapping[str, Any]) -> Consent:
    """Notes a consent, described as a row of `COLUMNS`; the one that is there already if it is the same paper."""
    consent = _read(paper, "the consent")
    held = {c.id: c for c in known()}
    if consent.id in held:
        return held[consent.id]
    _note("given", consent.id, **_plain(consent))
    return consent


def give_all(papers: Iterable[Mapping[str, Any]]) -> int:
    """Notes many consents; returns how many are new."""
    held, new = {c.id for c in known()}, 0
    for paper in papers:
        consent = _read(paper, "the consent")
        if consent.id not in held:
            _note("given", consent.id, **_plain(consent))
            held.add(consent.id)
            new += 1
    return new


def import_file(path: Path) -> tuple[int, int]:
    """Takes in a CSV file with the columns `COLUMNS` (UTF-8; purposes parted by blanks): (new, known before).

    Either every line is a consent or none is taken: a ConsentError names the first line that is not.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if set(reader.fieldnames or ()) != set(COLUMNS):
            raise ConsentError(
                "the file's header is not that of consents", where=str(path), remedy=f"columns: {', '.join(COLUMNS)}"
            )
        try:
            papers = [dict(row) for row in reader]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConsentError(f"the file is not readable as CSV: {error}", where=str(path)) from error
    for number, paper in enumerate(papers, 2):
        _read(paper, f"{path.name}, record {number - 1}")
    new = give_all(papers)
    return new, len(papers) - new


def revoke(consent_id: str, on: date, why: str) -> Consent:
    """Ends a consent: nothing is asked under it from that day on. Bureaus that know it are told by the next pull."""
    held = {c.id: c for c in known()}
    if consent_id not in held:
        raise ConsentError(f"there is no consent {consent_id!r}", remedy="`vinelake consent list` names them")
    if held[consent_id].revoked_on is None:
        _note("revoked", consent_id, on=str(on), why=why)
    return replace(held[consent_id], revoked_on=held[consent_id].revoked_on or on)


def known() -> list[Consent]:
    """Every consent as it stands, in the order in which they were noted."""
    held: dict[str, Consent] = {}
    for entry in journal.entries(_path()):
        _apply(held, entry)
    return list(held.values())


def live(purpose: str, day: date) -> dict[str, list[Consent]]:
    """The consents that allow an enquiry for a purpose on a day, by subject's code; which holds longest comes first."""
    found: dict[str, list[Consent]] = {}
    for consent in sorted(known(), key=lambda c: (c.valid_until, c.id), reverse=True):
        if consent.covers(purpose, day):
            found.setdefault(consent.subject_code, []).append(consent)
    return found


def note_registered(consent: Consent, connection: str, number: str, token: str) -> Consent:
    """Keeps the number and the token under which a bureau knows a consent."""
    with open_vault() as vault:
        sealed = vault.seal([Item("consent_token", token, "credit_code", consent.subject_code)])[0]
    _note("registered", consent.id, connection=connection, number=number, sealed_token=sealed)
    return replace(consent, registered={**consent.registered, connection: Registration(number, sealed)})


def note_refused(consent: Consent, connection: str, code: str) -> None:
    """Notes that a bureau does not take a consent as it is; it is not offered there again."""
    _note("refused", consent.id, connection=connection, code=code)


def note_withdrawn(consent: Consent, connection: str) -> None:
    """Notes that a bureau was told of a consent's end."""
    _note("withdrawn", consent.id, connection=connection)


def token(consent: Consent, connection: str, purpose: str) -> str:
    """The token of a consent at a bureau; the vault logs that it was read, and for what."""
    if connection not in consent.registered:
        raise ConsentError("the consent is not registered there", where=f"{consent.id}, {connection}")
    with open_vault() as vault:
        return vault.open(consent.registered[connection].sealed_token, purpose)


def _read(paper: Mapping[str, Any], where: str) -> Consent:
    """A consent from its row; a ConsentError that names what is wrong in it."""
    cells = {name: _text(paper.get(name)) for name in COLUMNS}
    purposes = tuple(sorted(set(re.split(r"[\s;,]+", cells["purposes"])) - {""}))
    try:
        given_on, valid_until = date.fromisoformat(cells["given_on"]), date.fromisoformat(cells["valid_until"])
    except ValueError as error:
        raise ConsentError(f"given_on or valid_until is no date: {error}", where, "write YYYY-MM-DD") from error
    wrong = [name for name in ("subject_name", "channel", "evidence") if not cells[name]]
    wrong += [] if CODE.fullmatch(cells["subject_code"]) else ["subject_code"]
    wrong += [] if purposes and all(map(WORD.fullmatch, purposes)) else ["purposes"]
    wrong += [] if given_on <= valid_until else ["valid_until"]
    if wrong:
        raise ConsentError(
            f"{wrong[0]} {cells[wrong[0]]!r} is not usable", where, "a credit code, a name, purposes as words, evidence"
        )
    signed = {**cells, "purposes": list(purposes)}
    digest = hashlib.sha256(json.dumps(signed, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    facts = (cells["subject_code"], cells["subject_name"], purposes, given_on, valid_until)
    return Consent(f"c{digest[:15]}", *facts, cells["channel"], cells["evidence"])


def _text(value: Any) -> str:
    return " ".join(value) if isinstance(value, list | tuple) else str(value or "").strip()


def _plain(consent: Consent) -> dict[str, Any]:
    return {
        "subject_code": consent.subject_code,
        "subject_name": consent.subject_name,
        "purposes": list(consent.purposes),
        "given_on": str(consent.given_on),
        "valid_until": str(consent.valid_until),
        "channel": consent.channel,
        "evidence": consent.evidence,
    }


def _apply(held: dict[str, Consent], entry: Mapping[str, Any]) -> None:
    event, consent_id, there = entry["event"], entry["consent"], entry.get("connection", "")
    if event == "given":
        held[consent_id] = Consent(
            consent_id,
            entry["subject_code"],
            entry["subject_name"],
            tuple(entry["purposes"]),
            date.fromisoformat(entry["given_on"]),
            date.fromisoformat(entry["valid_until"]),
            entry["channel"],
            entry["evidence"],
        )
        return
    consent = held[consent_id]
    if event == "revoked":
        consent = replace(consent, revoked_on=date.fromisoformat(entry["on"]))
    elif event == "registered":
        made = Registration(entry["number"], entry["sealed_token"])
        consent = replace(consent, registered={**consent.registered, there: made})
    elif event == "withdrawn":
        gone = replace(consent.registered[there], withdrawn=True)
        consent = replace(consent, registered={**consent.registered, there: gone})
    elif event == "refused":
        consent = replace(consent, refused={**consent.refused, there: entry["code"]})
    held[consent_id] = consent


def _note(event: str, consent_id: str, **facts: Any) -> None:
    entry = {"event": event, "consent": consent_id, "at": utc_now().isoformat(), "by": get_settings().author, **facts}
    journal.append(_path(), entry, private=True)


def _path() -> Path:
    return get_settings().landing_dir / "consents" / "register.jsonl"
