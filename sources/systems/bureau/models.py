"""What is sent to the bureau and what it answers."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Code = Annotated[str, Field(pattern=r"^[0-9A-Z]{15,20}$", examples=["91330106MA2K00001X"])]
Fen = Annotated[int, Field(description="money in fen")]


class Closed(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class Purpose(StrEnum):
    """What an enquiry is for."""

    LOAN_APPROVAL = "loan_approval"
    POST_LOAN = "post_loan_management"
    GUARANTEE_REVIEW = "guarantee_review"


class Channel(StrEnum):
    """How the subject consented."""

    SIGNED_PAPER = "signed_paper"
    ELECTRONIC_SIGNATURE = "electronic_signature"
    COUNTER = "counter"


class ConsentRequest(Closed):
    """A consent as the subject gave it."""

    subject_code: Code
    subject_name: Annotated[str, Field(min_length=2, max_length=100)]
    purposes: Annotated[list[Purpose], Field(min_length=1, max_length=3)]
    given_on: Annotated[date, Field(strict=False, description="not after today, not before the subject's founding")]
    valid_until: Annotated[date, Field(description="at most two years after it was given")]
    channel: Channel
    evidence: Annotated[str, Field(min_length=1, max_length=200, description="number of the signed document")]


class Consent(Closed):
    """A registered consent; the token is shown once."""

    consent_id: str
    consent_token: str
    subject_code: str
    purposes: list[Purpose]
    valid_until: date


class EnquiryRequest(Closed):
    """One enquiry on one subject."""

    subject_code: Code
    purpose: Purpose
    consent_token: Annotated[str, Field(min_length=1, max_length=100)]


class Month(Closed):
    """An account at a month's end."""

    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]
    balance_fen: Fen
    days_past_due: int
    classification: str


class Account(Closed):
    """A loan at one of the members."""

    account: str
    lender: str
    product: str | None
    principal_fen: Fen
    balance_fen: Annotated[int | None, Field(description="at the last month reported, in fen")]
    days_past_due: int | None
    classification: str | None
    started_on: date
    matures_on: date | None
    closed_on: date | None
    security: str | None
    under_dispute: bool
    months: Annotated[list[Month], Field(description="the last 24 months reported, newest first")]


class GuaranteeGiven(Closed):
    """A guarantee that the subject gave for another's loan."""

    guarantee: str
    debtor_code: str
    account: str | None
    amount_fen: Fen
    from_on: date
    to_on: date | None
    called_on: date | None
    paid_fen: Fen | None


class Adverse(Closed):
    """An adverse item; it is not shown once five years have passed since its end."""

    kind: Annotated[str, Field(description="overdue, enforcement or guarantee_called")]
    reference: Annotated[str, Field(description="account, guarantee or case number")]
    since: date
    until: Annotated[date | None, Field(description="none while it lasts")]
    worst_days_past_due: int | None
    amount_fen: int | None


class Footprint(Closed):
    """An earlier enquiry."""

    lender: str
    enquired_on: date
    purpose: str


class Summary(Closed):
    """The report in figures."""

    open_accounts: int
    lenders: int
    balance_fen: Fen
    overdue_accounts: int
    guarantees_fen: Fen
    adverse_items: int
    enquiries_90_days: int


class Report(Closed):
    """What the bureau knew of the subject on the day of the enquiry."""

    enquiry_id: str
    subject_code: str
    subject_name: str
    card_number: str | None
    produced_on: date
    purpose: Purpose
    result: Annotated[str, Field(pattern="^(report|no_record)$", description="no_record: no credit business is known")]
    fee_fen: Fen
    summary: Summary
    accounts: list[Account]
    guarantees_given: list[GuaranteeGiven]
    adverse: list[Adverse]
    enquiries: Annotated[list[Footprint], Field(description="of the last two years, newest first")]


class DisputeRequest(Closed):
    """The subject says that an account's month is wrong."""

    subject_code: Code
    account: Annotated[str, Field(pattern=r"^K[0-9]{10,20}$")]
    month: Annotated[str, Field(pattern=r"^(19|20)\d{2}-(0[1-9]|1[0-2])$")]
    statement: Annotated[str, Field(min_length=1, max_length=500)]


class Dispute(Closed):
    """A dispute; it is answered twenty days after it was raised."""

    dispute_id: str
    account: str
    month: str
    raised_on: date
    state: Annotated[str, Field(pattern="^(open|corrected|upheld)$")]
    resolved_on: date | None


class Member(Closed):
    """The client's account with the bureau."""

    institution: str
    balance_fen: Fen
    fee_fen: Fen
    daily_quota: int
    enquiries_today: int


class TopUp(Closed):
    """A payment to the prepaid account."""

    amount_fen: Annotated[int, Field(ge=1, le=10_000_000_000)]


class Error(Closed):
    """Any refusal."""

    code: str
    message: str
