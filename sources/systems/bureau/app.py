"""The REST service of the credit bureau: consent, enquiry, dispute."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi import Path as PathParameter
from fastapi.security import OAuth2

from sources.systems.bureau import models
from sources.systems.bureau.ledger import Ledger
from sources.systems.bureau.report import Files, report
from sources.systems.clock import Clock
from sources.systems.rest import tokens
from sources.systems.rest.answers import ApiError, json_response
from sources.systems.rest.application import add_pages, application, describe
from sources.systems.rest.credentials import read_clients, signing_key
from sources.systems.rest.limits import Buckets
from sources.systems.settings import get_settings
from sources.systems.world import connect

SCOPES = {
    "consents": "register and revoke subjects' consents",
    "enquiries": "enquire on subjects, for a fee",
    "disputes": "raise disputes for subjects",
    "account": "read and top up the member's account",
}
INSTITUTIONS = {"lakehouse": "B00", "poor_member": "B01"}
CONSENT_DAYS = 731

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=80,
        pattern=r"^[0-9A-Za-z_-]+$",
        description="The same key for every repetition of one request: it is booked and charged once.",
    ),
]
Id = Annotated[str, PathParameter(pattern=r"^[CED][0-9a-f]{16}$")]
BEARER = OAuth2(
    scheme_name="client_credentials",
    flows={"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": SCOPES}},
    auto_error=False,
)
ABOUT = {
    400: "The request is no JSON",
    401: "No valid token",
    402: "The prepaid balance does not cover the fee",
    403: "The token lacks the scope, or there is no live consent for this purpose",
    404: "Not known here",
    409: "The idempotency key was used for another request",
    422: "A parameter or field is invalid",
    429: "Too many requests, or the day's quota is used up; wait as long as Retry-After says",
}


class Bureau:
    """What the service knows: the clock, the members, the files and the book."""

    def __init__(self, home: Path) -> None:
        settings = get_settings()
        folder = home / "bureau"
        self.clock = Clock(home)
        clients = read_clients(folder)
        self.tokens = tokens.TokenService(clients, signing_key(folder), "credit-bureau", settings.token_seconds)
        self.buckets = Buckets(settings.rate_per_second, settings.rate_burst)
        self.files = Files(folder, connect(settings.memory_mb, threads=1))
        self.ledger = Ledger(folder / "ledger.sqlite", settings.bureau_fee_fen, settings.bureau_daily_quota)
        self.ledger.enrol("lakehouse", INSTITUTIONS["lakehouse"], settings.bureau_balance_fen)
        self.ledger.enrol("poor_member", INSTITUTIONS["poor_member"], 0)

    def guard(self, scope: str) -> Any:
        """The dependency that names the client of a request, or refuses it."""

        def check(request: Request, _: Annotated[str | None, Depends(BEARER)]) -> str:
            grant = self.tokens.check(request.headers.get("authorization"))
            if grant is None:
                raise ApiError(401, "invalid_token", "send a valid bearer token", WWW_Authenticate="Bearer")
            self.buckets.admit(grant.client_id)
            if scope not in grant.scopes:
                raise ApiError(403, "insufficient_scope", f"the token lacks {scope}")
            return grant.client_id

        return Depends(check)

    def known_subject(self, code: str) -> dict:
        """The subject of a credit code; 404 if there is no such firm, or none yet."""
        subject = self.files.subject(code, self.clock.today())
        if subject is None:
            raise ApiError(404, "unknown_subject", f"no enterprise bears the code {code}")
        return subject

    def produce(self, subject: dict, asked: dict, enquiry_id: str, today: date) -> dict:
        """The report of an enquiry."""
        code = subject["subject"]
        accounts = [row["account"] for row in self.files.rows("credit", code, today=today)]
        disputes = self.ledger.disputes_of(accounts, today) if accounts else []
        footprints = self.ledger.footprints(code, today - timedelta(days=CONSENT_DAYS))
        content = report(self.files, subject, today, footprints, disputes)
        known = content["result"] == "report"
        head = {
            "enquiry_id": enquiry_id,
            "subject_code": code,
            "subject_name": subject["name"],
            "card_number": subject["card"] if known else None,
            "produced_on": today,
            "purpose": asked["purpose"],
            "fee_fen": self.ledger.fee_fen,
        }
        return models.Report(**head, **content).model_dump(mode="json")


def create_app(home: Path) -> FastAPI:
    """The application over the state in `home/bureau`."""
    bureau = Bureau(home)
    app = application(
        "Credit bureau",
        "One enquiry a subject, with the subject's consent, for a purpose, a fee and within a daily quota.",
    )
    _common_routes(app, bureau)
    _consent_routes(app, bureau)
    _enquiry_routes(app, bureau)
    _dispute_routes(app, bureau)
    return app


def _refusals(*statuses: int) -> dict[int | str, Any]:
    found: dict[int | str, Any] = {}
    for status in statuses:
        found[status] = {"model": models.Error, "description": ABOUT[status]}
        if status == 429:
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "string"}, "required": True}}
    return found


def _common_routes(app: FastAPI, bureau: Bureau) -> None:
    refused = {"$ref": "#/components/schemas/TokenError"}
    answers: dict[int | str, Any] = {
        200: json_response("The token", {"$ref": "#/components/schemas/Token"}),
        400: json_response("The request is wrong", refused),
        401: json_response("Client or secret is wrong", refused, "WWW-Authenticate"),
    }

    @app.post(
        "/oauth/token",
        tags=["access"],
        summary="Get an access token",
        responses=answers | _refusals(429),
        openapi_extra=tokens.TOKEN_BODY,
    )
    async def token(request: Request) -> Response:
        """OAuth2 client credentials, in the form or by HTTP Basic."""
        bureau.buckets.admit("token")
        return await bureau.tokens.answer(request)

    def description() -> dict:
        api = describe(app)
        api["components"]["schemas"] |= tokens.TOKEN_SCHEMAS
        return api

    add_pages(app, bureau.clock, description)


def _consent_routes(app: FastAPI, bureau: Bureau) -> None:
    consents = bureau.guard("consents")

    @app.post(
        "/v1/consents",
        tags=["consents"],
        summary="Register a subject's consent",
        status_code=201,
        response_model=models.Consent,
        responses=_refusals(400, 401, 403, 404, 409, 422, 429),
    )
    def register(body: models.ConsentRequest, client: str = consents) -> Any:
        """Stores what the subject signed and returns the token that enquiries must carry. The name must be one
        that the code has borne, at the registry or at the bureau."""
        subject, today = bureau.known_subject(body.subject_code), bureau.clock.today()
        if body.subject_name not in subject["names"]:
            raise ApiError(409, "wrong_name", "this code never belonged to that name")
        if not body.given_on <= today <= body.valid_until:
            raise ApiError(409, "not_in_force", f"the consent must hold today, {today}")
        if (body.valid_until - body.given_on).days > CONSENT_DAYS:
            raise ApiError(409, "too_long", "a consent holds for two years at most")
        consent_id, token = bureau.ledger.register_consent(client, body.model_dump())
        shown = {"subject_code": body.subject_code, "purposes": body.purposes, "valid_until": body.valid_until}
        return {"consent_id": consent_id, "consent_token": token} | shown

    @app.delete(
        "/v1/consents/{consent_id}",
        tags=["consents"],
        summary="Revoke a consent",
        status_code=204,
        response_class=Response,
        responses=_refusals(401, 403, 404, 422, 429),
    )
    def revoke(consent_id: Id, client: str = consents) -> None:
        """The subject withdraws; enquiries under this consent are refused from now on."""
        bureau.ledger.revoke_consent(client, consent_id, bureau.clock.today())


def _enquiry_routes(app: FastAPI, bureau: Bureau) -> None:
    enquiries = bureau.guard("enquiries")
    own_account = bureau.guard("account")

    @app.post(
        "/v1/enquiries",
        tags=["enquiries"],
        summary="Enquire on a subject",
        status_code=201,
        response_model=models.Report,
        responses={200: {"model": models.Report, "description": "The answer to an earlier request with this key"}}
        | _refusals(400, 401, 402, 403, 404, 409, 422, 429),
    )
    def enquire(body: models.EnquiryRequest, response: Response, key: Key, client: str = enquiries) -> Any:
        """One report, as known on the world's today. Costs the fee and counts against the daily quota; a repetition
        with the same key costs nothing. Later enquiries show this one."""
        subject, today = bureau.known_subject(body.subject_code), bureau.clock.today()
        asked = body.model_dump(mode="json")
        answer, replayed = bureau.ledger.enquire(
            client, key, asked, today, lambda number, lender: bureau.produce(subject, asked, number, today)
        )
        response.status_code = 200 if replayed else 201
        return answer

    @app.get(
        "/v1/enquiries/{enquiry_id}",
        tags=["enquiries"],
        summary="Read an earlier report again",
        response_model=models.Report,
        responses=_refusals(401, 403, 404, 422, 429),
    )
    def again(enquiry_id: Id, client: str = enquiries) -> Any:
        """The report as it was, without a fee."""
        return bureau.ledger.stored_report(client, enquiry_id)

    @app.get(
        "/v1/account",
        tags=["account"],
        summary="The member's account",
        response_model=models.Member,
        responses=_refusals(401, 403, 429),
    )
    def account(client: str = own_account) -> Any:
        """Balance, fee, quota, and enquiries made today."""
        return bureau.ledger.member(client, bureau.clock.today())

    @app.post(
        "/v1/account/top-ups",
        tags=["account"],
        summary="Pay into the account",
        status_code=201,
        response_model=models.Member,
        responses=_refusals(400, 401, 403, 409, 422, 429),
    )
    def top_up(body: models.TopUp, key: Key, client: str = own_account) -> Any:
        """Adds to the prepaid balance, once for each key."""
        bureau.ledger.top_up(client, key, body.amount_fen)
        return bureau.ledger.member(client, bureau.clock.today())


def _dispute_routes(app: FastAPI, bureau: Bureau) -> None:
    disputes = bureau.guard("disputes")

    @app.post(
        "/v1/disputes",
        tags=["disputes"],
        summary="Dispute a month of an account",
        status_code=202,
        response_model=models.Dispute,
        responses=_refusals(400, 401, 403, 404, 422, 429),
    )
    def dispute(body: models.DisputeRequest, client: str = disputes) -> Any:
        """The bureau asks the lender and answers after twenty days; a wrong month is then shown right."""
        bureau.known_subject(body.subject_code)
        today = bureau.clock.today()
        month = bureau.files.account_owner(body.subject_code, body.account, body.month, today)
        if month is None:
            raise ApiError(404, "not_found", "the subject has no such account with this month reported")
        number = bureau.ledger.raise_dispute(client, body.model_dump(), month["wrong"], today)
        return bureau.ledger.dispute(client, number, today)

    @app.get(
        "/v1/disputes/{dispute_id}",
        tags=["disputes"],
        summary="A dispute as it stands",
        response_model=models.Dispute,
        responses=_refusals(401, 403, 404, 422, 429),
    )
    def dispute_state(dispute_id: Id, client: str = disputes) -> Any:
        """Open, corrected or upheld."""
        return bureau.ledger.dispute(client, dispute_id, bureau.clock.today())
