"""The bureau's own book: consents, enquiries with their fees, disputes, and who asked for what. One SQLite file.

Every change is one transaction, so a fee and the enquiry it pays for are booked together or not at all, and a
repeated request finds the first one's answer.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from sources.systems.rest.answers import ApiError

RESOLVE_DAYS = 20
SCHEMA = """
CREATE TABLE IF NOT EXISTS member (client TEXT PRIMARY KEY, institution TEXT NOT NULL, balance_fen INTEGER NOT NULL
    CHECK (balance_fen >= 0));
CREATE TABLE IF NOT EXISTS consent (consent_id TEXT PRIMARY KEY, client TEXT NOT NULL, token_hash TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL, purposes TEXT NOT NULL, given_on TEXT NOT NULL, valid_until TEXT NOT NULL, channel TEXT,
    evidence TEXT, revoked_on TEXT);
CREATE TABLE IF NOT EXISTS enquiry (enquiry_id TEXT PRIMARY KEY, client TEXT NOT NULL, lender TEXT NOT NULL,
    subject TEXT NOT NULL, purpose TEXT NOT NULL, consent_id TEXT NOT NULL, enquired_on TEXT NOT NULL,
    fee_fen INTEGER NOT NULL, report TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS enquiry_subject ON enquiry (subject, enquired_on);
CREATE INDEX IF NOT EXISTS enquiry_client ON enquiry (client, enquired_on);
CREATE TABLE IF NOT EXISTS seen (client TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (client, key));
CREATE TABLE IF NOT EXISTS dispute (dispute_id TEXT PRIMARY KEY, client TEXT NOT NULL, account TEXT NOT NULL,
    month TEXT NOT NULL, raised_on TEXT NOT NULL, statement TEXT NOT NULL, wrong INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS access_log (number INTEGER PRIMARY KEY, world_day TEXT NOT NULL, client TEXT NOT NULL,
    subject TEXT NOT NULL, purpose TEXT NOT NULL, outcome TEXT NOT NULL);
"""


class Ledger:
    """The book in one file; a connection for each use, since requests come from several threads."""

    def __init__(self, file: Path, fee_fen: int, daily_quota: int) -> None:
        self.file, self.fee_fen, self.daily_quota = file, fee_fen, daily_quota
        with self._write() as book:
            book.executescript(SCHEMA)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one write transaction."""
        book = sqlite3.connect(self.file, timeout=20, isolation_level=None)
        book.row_factory = sqlite3.Row
        try:
            book.execute("BEGIN IMMEDIATE")
            yield book
            book.execute("COMMIT") if book.in_transaction else None
        except BaseException:
            book.execute("ROLLBACK") if book.in_transaction else None
            raise
        finally:
            book.close()

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Rows of a read."""
        book = sqlite3.connect(self.file, timeout=20)
        book.row_factory = sqlite3.Row
        try:
            return book.execute(query, values).fetchall()
        finally:
            book.close()

    def enrol(self, client: str, institution: str, balance_fen: int) -> None:
        """Makes a member with a prepaid balance, unless there is one."""
        with self._write() as book:
            book.execute("INSERT OR IGNORE INTO member VALUES (?, ?, ?)", (client, institution, balance_fen))

    def member(self, client: str, today: date) -> dict:
        """A member's account as of today."""
        found = self.rows("SELECT institution, balance_fen FROM member WHERE client = ?", client)
        if not found:
            raise ApiError(403, "not_a_member", "the client is no member of the bureau")
        counted = self.rows("SELECT count(*) FROM enquiry WHERE client = ? AND enquired_on = ?", client, str(today))
        limits = {"fee_fen": self.fee_fen, "daily_quota": self.daily_quota, "enquiries_today": counted[0][0]}
        return dict(found[0]) | limits

    def top_up(self, client: str, key: str, amount_fen: int) -> None:
        """Adds to the prepaid balance, once for each idempotency key."""
        with self._write() as book:
            request = _digest({"top_up": amount_fen})
            if _seen(book, client, key, request) is None:
                book.execute("UPDATE member SET balance_fen = balance_fen + ? WHERE client = ?", (amount_fen, client))
                book.execute("INSERT INTO seen VALUES (?, ?, ?, '')", (client, key, request))

    # Consents

    def register_consent(self, client: str, consent: dict) -> tuple[str, str]:
        """Stores a consent; returns its id and its token, of which only a digest is kept."""
        consent_id, token = f"C{secrets.token_hex(8)}", secrets.token_urlsafe(24)
        purposes = json.dumps(sorted(consent["purposes"]))
        given = (str(consent["given_on"]), str(consent["valid_until"]), consent["channel"], consent["evidence"])
        with self._write() as book:
            values = (consent_id, client, _digest(token), consent["subject_code"], purposes, *given)
            book.execute("INSERT INTO consent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", values)
        return consent_id, token

    def revoke_consent(self, client: str, consent_id: str, today: date) -> None:
        """Ends a consent; enquiries under it are refused from now on."""
        with self._write() as book:
            done = book.execute(
                "UPDATE consent SET revoked_on = ? WHERE consent_id = ? AND client = ? AND revoked_on IS NULL",
                (str(today), consent_id, client),
            )
            if done.rowcount == 0:
                raise ApiError(404, "not_found", f"there is no live consent {consent_id}")

    # Enquiries

    def enquire(
        self, client: str, key: str, asked: dict, today: date, produce: Callable[[str, str], dict]
    ) -> tuple[dict, bool]:
        """Books an enquiry and its fee, and returns its report; True if it is the answer to an earlier request.

        `produce(enquiry_id, lender)` makes the report. Refusals: 403 without a live consent for the purpose, 429 when
        the day's quota is used up, 402 when the balance does not cover the fee, 409 when the key was used for
        another request. Whatever the outcome, it is logged.
        """
        try:
            with self._write() as book:
                request = _digest(asked)
                if (answer := _seen(book, client, key, request)) is not None:
                    return json.loads(answer), True
                consent_id = _live_consent(book, client, asked, today)
                lender = self._charge(book, client, today)
                enquiry_id = f"E{secrets.token_hex(8)}"
                report = produce(enquiry_id, lender)
                answer = json.dumps(report, default=str, ensure_ascii=False)
                about = (asked["subject_code"], asked["purpose"], consent_id, str(today), self.fee_fen, answer)
                book.execute(
                    "INSERT INTO enquiry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (enquiry_id, client, lender, *about)
                )
                book.execute("INSERT INTO seen VALUES (?, ?, ?, ?)", (client, key, request, answer))
                _log(book, today, client, asked, "answered")
                return json.loads(answer), False
        except ApiError as refusal:
            with self._write() as book:
                _log(book, today, client, asked, refusal.code)
            raise

    def _charge(self, book: sqlite3.Connection, client: str, today: date) -> str:
        member = book.execute("SELECT institution, balance_fen FROM member WHERE client = ?", (client,)).fetchone()
        if member is None:
            raise ApiError(403, "not_a_member", "the client is no member of the bureau")
        counted = "SELECT count(*) FROM enquiry WHERE client = ? AND enquired_on = ?"
        if book.execute(counted, (client, str(today))).fetchone()[0] >= self.daily_quota:
            raise ApiError(
                429, "quota_exhausted", f"{self.daily_quota} enquiries a day; go on tomorrow", Retry_After="86400"
            )
        if member["balance_fen"] < self.fee_fen:
            raise ApiError(402, "balance_too_low", f"an enquiry costs {self.fee_fen} fen; top up the account")
        book.execute("UPDATE member SET balance_fen = balance_fen - ? WHERE client = ?", (self.fee_fen, client))
        return member["institution"]

    def stored_report(self, client: str, enquiry_id: str) -> dict:
        """The report of an earlier enquiry, as it was."""
        found = self.rows("SELECT report FROM enquiry WHERE enquiry_id = ? AND client = ?", enquiry_id, client)
        if not found:
            raise ApiError(404, "not_found", f"there is no enquiry {enquiry_id} of this member")
        return json.loads(found[0]["report"])

    def footprints(self, subject: str, since: date) -> list[dict]:
        """Enquiries made through this service."""
        query = "SELECT lender, enquired_on, purpose FROM enquiry WHERE subject = ? AND enquired_on >= ?"
        return [dict(row) for row in self.rows(query, subject, str(since))]

    # Disputes

    def raise_dispute(self, client: str, asked: dict, wrong: bool, today: date) -> str:
        """Stores a dispute; whether the month is wrong is found out, not told, until it is resolved."""
        dispute_id = f"D{secrets.token_hex(8)}"
        values = (dispute_id, client, asked["account"], asked["month"], str(today), asked["statement"], int(wrong))
        with self._write() as book:
            book.execute("INSERT INTO dispute VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        return dispute_id

    def dispute(self, client: str, dispute_id: str, today: date) -> dict:
        """A dispute as it stands today."""
        found = self.rows("SELECT * FROM dispute WHERE dispute_id = ? AND client = ?", dispute_id, client)
        if not found:
            raise ApiError(404, "not_found", f"there is no dispute {dispute_id} of this member")
        return _state(dict(found[0]), today)

    def disputes_of(self, accounts: list[str], today: date) -> list[dict]:
        """All disputes about some accounts, as they stand today."""
        marks = ", ".join("?" * len(accounts))
        found = self.rows(f"SELECT * FROM dispute WHERE account IN ({marks})", *accounts)
        return [_state(dict(row), today) for row in found]


def _state(dispute: dict, today: date) -> dict:
    resolved = date.fromisoformat(dispute["raised_on"]) + timedelta(days=RESOLVE_DAYS)
    kept = {name: dispute[name] for name in ("dispute_id", "account", "month", "raised_on")}
    if resolved > today:
        return kept | {"state": "open", "resolved_on": None}
    return kept | {"state": "corrected" if dispute["wrong"] else "upheld", "resolved_on": str(resolved)}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _seen(book: sqlite3.Connection, client: str, key: str, request: str) -> str | None:
    """The stored answer of an idempotency key; 409 if it was used for another request."""
    row = book.execute("SELECT request, answer FROM seen WHERE client = ? AND key = ?", (client, key)).fetchone()
    if row is None:
        return None
    if row["request"] != request:
        raise ApiError(409, "key_reused", "the idempotency key was used for another request")
    return row["answer"]


def _live_consent(book: sqlite3.Connection, client: str, asked: dict, today: date) -> str:
    row = book.execute(
        "SELECT * FROM consent WHERE token_hash = ? AND client = ?", (_digest(asked["consent_token"]), client)
    ).fetchone()
    if row is None or row["subject"] != asked["subject_code"]:
        raise ApiError(403, "no_consent", "the subject's consent is not registered; register it first")
    if row["revoked_on"]:
        raise ApiError(403, "consent_revoked", f"the subject revoked the consent on {row['revoked_on']}")
    if not row["given_on"] <= str(today) <= row["valid_until"]:
        raise ApiError(403, "consent_expired", f"the consent holds from {row['given_on']} to {row['valid_until']}")
    if asked["purpose"] not in json.loads(row["purposes"]):
        raise ApiError(403, "wrong_purpose", f"the consent does not cover {asked['purpose']}")
    return row["consent_id"]


def _log(book: sqlite3.Connection, today: date, client: str, asked: dict, outcome: str) -> None:
    about = (str(today), client, asked["subject_code"], asked["purpose"], outcome)
    book.execute("INSERT INTO access_log (world_day, client, subject, purpose, outcome) VALUES (?, ?, ?, ?, ?)", about)
