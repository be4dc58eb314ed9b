"""Enquiries at a credit bureau: one a subject, under a live consent for the purpose, for a fee that is paid once.

The consent is checked on our side first, and what is to be asked is noted in the log of enquiries before it is sent.
A request's idempotency key follows from feed, subject, purpose and partition: a pull that is killed at any point and
run again sends the same key, and gets the report that was paid for. Every answer is a part of its own, kept before the
next subject is asked, so whatever ends a pull (the day's quota, an empty account, an outage) leaves all paid answers.

Options of the feed
purpose       what the enquiries are for, as the bureau names it
everyDays     a subject is asked again once its last report is this old (90)
consentsPath  where consents are registered (/v1/consents)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lakehouse import consents, journal
from lakehouse.consents import Consent
from lakehouse.contracts import Contract
from lakehouse.errors import ContractError, SourceError
from lakehouse.settings import get_settings
from lakehouse.time import utc_now
from spark_jobs import landing
from spark_jobs.pull.part import Part, Pull
from spark_jobs.pull.rest_client import Reply, RestSource

KNOWN_OPTIONS = {
    "purpose",
    "everyDays",
    "consentsPath",
    "subjects",
    "idempotencyKey",
    "ignore",
    "acceptedVersions",
    "ownLender",  # read by silver: whose loans the bureau shows that are our own
}
# What a bureau says of a consent that will not do there, however often it is offered.
UNUSABLE = {"wrong_name", "too_long", "invalid_parameter", "no_consent", "consent_expired", "wrong_purpose"}
REVOKED = "consent_revoked"
ANSWERS = (200, 201, 402, 403, 404, 409, 422, 429)


@dataclass(frozen=True)
class Case:
    """One subject to ask about: its consents, best first, and the idempotency key of this partition."""

    subject: str
    consents: list[Consent]
    key: str


class EnquiryConnector:
    """Pulls reports; `is_whole`: an answer is landed whatever befalls those after it."""

    is_whole = True

    def fetch(self, pull: Pull) -> Iterator[Part]:
        """One part a subject that is due; ends early when the day's quota is used up. See `Connector`."""
        options = _options(pull.contract)
        with RestSource(pull.connection) as bureau:
            withdraw(bureau, options["consentsPath"])
            number = pull.number
            for case in due(pull, options):
                enquiry = _Enquiry(pull, bureau, options, case)
                reply = enquiry.ask()
                if reply is None:
                    continue
                if reply.status == 429:
                    return  # the rest is due tomorrow
                number += 1
                yield _part(pull, case, reply)
                enquiry.log("answered" if reply.status == 201 else "answered_again", reply)


def due(pull: Pull, options: dict[str, Any]) -> list[Case]:
    """Subjects with a live consent whose last report is old enough, in an order that is the same on every try."""
    day, purpose = pull.until, options["purpose"]
    asked = _answered(pull.contract, pull.until - timedelta(days=options["everyDays"]))
    done = (pull.cursor or {}).get("after", "") if (pull.cursor or {}).get("partition") == str(day) else ""
    cases = []
    for subject, held in consents.live(purpose, day).items():
        usable = [c for c in held if pull.connection.name not in c.refused]
        key = idempotency_key(pull.contract.id, subject, purpose, str(day))
        recently = any(
            idempotency_key(pull.contract.id, subject, purpose, d)[:32] in names for d, names in asked.items()
        )
        if usable and key > done and not recently:
            cases.append(Case(subject, usable, key))
    return sorted(cases, key=lambda case: case.key)


def idempotency_key(feed: str, subject: str, purpose: str, partition: str) -> str:
    """The key of an enquiry: the same on every try of a partition, and telling nothing of the subject."""
    return hashlib.sha256(f"{feed}|{subject}|{purpose}|{partition}".encode()).hexdigest()[:40]


def withdraw(bureau: RestSource, path: str) -> int:
    """Tells the bureau of every consent that was revoked since; returns how many."""
    told = 0
    for consent in consents.known():
        held = consent.registered.get(bureau.name)
        if consent.revoked_on and held and not held.withdrawn:
            bureau.request(f"{path}/{held.number}", method="DELETE", accept=(204, 200, 404))
            consents.note_withdrawn(consent, bureau.name)
            told += 1
    return told


class _Enquiry:
    """One subject's enquiry: registers the consent where needed, logs, asks."""

    def __init__(self, pull: Pull, bureau: RestSource, options: dict[str, Any], case: Case) -> None:
        self.pull, self.bureau, self.options, self.case = pull, bureau, options, case
        self.consent: Consent | None = None

    def ask(self) -> Reply | None:
        """The report, or the 429 of a used-up quota; None where the bureau has a reason against this subject alone."""
        for consent in self.case.consents:
            self.consent = consent
            if self.bureau.name not in consent.registered and not self._register(consent):
                continue
            reply = self._send()
            if reply.status in (200, 201, 429):
                return reply
            self._judge(reply)
        return None

    def log(self, event: str, reply: Reply | None = None) -> None:
        """A line in the log of enquiries."""
        consent = self.consent.id if self.consent else None
        entry = {
            "at": utc_now().isoformat(),
            "by": get_settings().author,
            "feed": self.pull.contract.id,
            "partition": str(self.pull.until),
            "event": event,
            "purpose": self.options["purpose"],
            "subject": self.case.subject,
            "consent": consent,
            "key": self.case.key,
        }
        if reply is not None:
            entry |= {"status": reply.status} | ({"code": reply.code} if reply.status >= 400 else {})
        journal.append(log_path(self.pull.contract.id), entry, private=True)

    def _register(self, consent: Consent) -> bool:
        """Registers the consent at the bureau; False where it will not have it."""
        body = {
            "subject_code": consent.subject_code,
            "subject_name": consent.subject_name,
            "purposes": list(consent.purposes),
            "given_on": str(consent.given_on),
            "valid_until": str(consent.valid_until),
            "channel": consent.channel,
            "evidence": consent.evidence,
        }
        reply = self.bureau.request(
            self.options["consentsPath"], method="POST", json_body=body, accept=(200, 201, 404, 409, 422)
        )
        if reply.status >= 400:
            if reply.code in UNUSABLE:
                consents.note_refused(consent, self.bureau.name, reply.code)
            self.log("consent_refused", reply)
            return False
        answer = _object(reply)
        number, token = answer.get("consent_id"), answer.get("consent_token")
        if not isinstance(number, str) or not isinstance(token, str) or not number or not token:
            raise SourceError("the bureau registered a consent and gave no token for it", where=reply.path)
        self.consent = consents.note_registered(consent, self.bureau.name, number, token)
        return True

    def _send(self) -> Reply:
        body = {
            "subject_code": self.case.subject,
            "purpose": self.options["purpose"],
            "consent_token": consents.token(self.consent, self.bureau.name, f"enquiry {self.options['purpose']}"),
        }
        self.log("sent")
        return self.bureau.request(
            self.pull.contract.feed.path,
            method="POST",
            json_body=body,
            headers={"Idempotency-Key": self.case.key},
            accept=ANSWERS,
        )

    def _judge(self, reply: Reply) -> None:
        """Notes a refusal that concerns this subject or consent; raises one that concerns us all."""
        self.log("refused", reply)
        if reply.status == 402:
            raise SourceError(
                "the balance at the bureau does not cover a further enquiry",
                where=self.bureau.base,
                remedy="top up the account; what was answered so far is landed, the rest is asked in the next run",
            )
        if reply.status == 403 and reply.code == REVOKED:
            consents.revoke(self.consent.id, self.pull.until, "the bureau says that the subject revoked it")
            consents.note_withdrawn(self.consent, self.bureau.name)
        elif reply.status == 403 and reply.code in UNUSABLE:
            consents.note_refused(self.consent, self.bureau.name, reply.code)
        elif reply.status not in (404, 409, 422):
            raise SourceError(
                f"the bureau refuses our enquiries: {reply.status} {reply.code}",
                where=self.bureau.base,
                remedy="check the connection's credentials and what they are allowed",
            )


def log_path(contract_id: str) -> Any:
    """The log of a feed's enquiries: every one is noted before it is sent, and what became of it afterwards."""
    return get_settings().landing_dir / "enquiries" / f"{contract_id}.jsonl"


def _part(pull: Pull, case: Case, reply: Reply) -> Part:
    report = _object(reply)
    if report.get("subject_code") != case.subject:
        raise SourceError(
            "the bureau answered with the report of another subject", where=reply.path, remedy="ask those who run it"
        )
    return Part(
        name=f"enquiry-{case.key[:32]}.json",
        body=reply.body,
        format="json" if b"\n" in reply.body.strip() else "jsonl",
        records=1,
        fields=tuple(report),
        cursor={"partition": str(pull.until), "after": case.key},
    )


def _object(reply: Reply) -> dict[str, Any]:
    document = reply.document()
    if not isinstance(document, dict):
        raise SourceError(
            f"the answer is {type(document).__name__}, and no object", where=reply.path, remedy="ask those who run it"
        )
    return document


def _answered(contract: Contract, since: Any) -> dict[str, set[str]]:
    """Beginnings of the keys of all landed answers of later dates, by date of receipt, which is their partition."""
    found: dict[str, set[str]] = {}
    for batch in landing.landed():
        if batch.contract == contract.id and batch.received_on > since:
            names = {file.name.removeprefix("enquiry-").removesuffix(".json") for file in batch.files}
            found.setdefault(str(batch.received_on), set()).update(names)
    return found


def _options(contract: Contract) -> dict[str, Any]:
    given = {"everyDays": 90, "consentsPath": "/v1/consents", **contract.feed.options}
    wrong = [name for name in given if name not in KNOWN_OPTIONS]
    wrong += [] if isinstance(given.get("purpose"), str) else ["purpose"]
    wrong += [] if isinstance(given["everyDays"], int) and given["everyDays"] > 0 else ["everyDays"]
    if wrong:
        raise ContractError(
            f"option {wrong[0]} of the feed is not usable",
            where=f"contract {contract.id}, feed.options",
            remedy=f"purpose is needed; known are {', '.join(sorted(KNOWN_OPTIONS))}",
        )
    return given


CONNECTOR = EnquiryConnector()
