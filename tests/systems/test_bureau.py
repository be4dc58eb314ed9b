"""The credit bureau: consent, purpose, fee, quota, corrections, the five-year rule, and footprints."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from rest_client import client_of, set_day, step
from small_world import FIRST_FIRM, FIRST_PLANTED, FIRST_RECORD

from sources.systems.bureau import report as reports
from sources.systems.bureau.app import create_app
from sources.systems.clock import Clock

CODE = "91330100MA20000000"
NAME = "Hangzhou Sample Works No. 0 Co., Ltd."


@pytest.fixture
def http(home: Path, settings) -> TestClient:
    return client_of(create_app(home), home / "bureau")


def consent(http: TestClient, home: Path, code: str = CODE, name: str = NAME, **changed) -> dict:
    today = Clock(home).today()
    body = {
        "subject_code": code,
        "subject_name": name,
        "purposes": ["loan_approval"],
        "given_on": str(today),
        "valid_until": str(today + timedelta(days=60)),
        "channel": "counter",
        "evidence": "paper 1",
    }
    answer = http.post("/v1/consents", json=body | changed)
    return answer.json() | {"status": answer.status_code}


def enquire(http: TestClient, token: str, key: str = "request-1", code: str = CODE, purpose: str = "loan_approval"):
    body = {"subject_code": code, "purpose": purpose, "consent_token": token}
    return http.post("/v1/enquiries", json=body, headers={"Idempotency-Key": key})


def report_of(http: TestClient, home: Path, code: str, name: str, key: str) -> dict:
    answer = enquire(http, consent(http, home, code, name)["consent_token"], key, code)
    assert answer.status_code == 201, answer.text
    return answer.json()


# Consent


def test_there_is_no_report_without_consent(http: TestClient) -> None:
    refused = enquire(http, "made-up-token")
    assert (refused.status_code, refused.json()["code"]) == (403, "no_consent")


def test_a_consent_is_for_its_subject_purpose_and_time(http: TestClient, home: Path) -> None:
    token = consent(http, home)["consent_token"]
    assert enquire(http, token, "other-subject", code="91330100MA20000002").json()["code"] == "no_consent"
    assert enquire(http, token, "other-purpose", purpose="post_loan_management").json()["code"] == "wrong_purpose"
    assert enquire(http, token, "the-right-one").status_code == 201
    set_day(home, Clock(home).today() + timedelta(days=61))
    expired = enquire(http, token, "sixty-one-days-later")
    assert (expired.status_code, expired.json()["code"]) == (403, "consent_expired")


def test_a_revoked_consent_is_dead(http: TestClient, home: Path) -> None:
    given = consent(http, home)
    assert http.delete(f"/v1/consents/{given['consent_id']}").status_code == 204
    assert enquire(http, given["consent_token"]).json()["code"] == "consent_revoked"
    assert http.delete(f"/v1/consents/{given['consent_id']}").status_code == 404


def test_another_members_consent_is_none(http: TestClient, home: Path) -> None:
    token = consent(http, home)["consent_token"]
    other = client_of(create_app(home), home / "bureau", "poor_member")
    assert enquire(other, token).json()["code"] == "no_consent"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"subject_name": "Somebody Else Co., Ltd."}, 409),
        ({"subject_code": "91330100MA29999999"}, 404),
        ({"given_on": "2030-01-01", "valid_until": "2030-02-01"}, 409),
        ({"given_on": "2019-01-01", "valid_until": "2021-06-01"}, 409),
        ({"purposes": ["curiosity"]}, 422),
        ({"purposes": []}, 422),
    ],
)
def test_a_consent_that_does_not_hold_is_refused(http: TestClient, home: Path, changed: dict, status: int) -> None:
    assert consent(http, home, **changed)["status"] == status


def test_a_renamed_firm_may_consent_under_either_name(http: TestClient, home: Path, world: Path) -> None:
    change = table(world, "firm_change").query("kind == 'renamed'").iloc[0]
    code = subjects(world).uscc[change["firm_id"]]
    set_day(home, change["changed_on"] - timedelta(days=1))
    assert consent(http, home, code, change["new_value"])["status"] == 409
    step(home)
    assert consent(http, home, code, change["new_value"])["status"] == 201
    assert consent(http, home, code, change["old_value"])["status"] == 201


# Fee and quota


def test_the_fee_is_charged_once_however_often_the_request_is_repeated(http: TestClient, home: Path) -> None:
    token = consent(http, home)["consent_token"]
    before = http.get("/v1/account").json()["balance_fen"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: enquire(http, token), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len({answer.text for answer in answers}) == 1
    after = http.get("/v1/account").json()
    assert before - after["balance_fen"] == after["fee_fen"] == 2500
    assert after["enquiries_today"] == 1


def test_a_key_is_for_one_request(http: TestClient, home: Path) -> None:
    first, second = consent(http, home), consent(http, home)
    assert enquire(http, first["consent_token"]).status_code == 201
    assert enquire(http, second["consent_token"]).json()["code"] == "key_reused"


def test_a_request_without_a_key_is_invalid(http: TestClient) -> None:
    body = {"subject_code": CODE, "purpose": "loan_approval", "consent_token": "x"}
    assert http.post("/v1/enquiries", json=body).status_code == 422


def test_an_empty_account_is_refused_until_it_is_topped_up(home: Path, settings) -> None:
    http = client_of(create_app(home), home / "bureau", "poor_member")
    token = consent(http, home)["consent_token"]
    refused = enquire(http, token)
    assert (refused.status_code, refused.json()["code"]) == (402, "balance_too_low")
    for _ in range(3):
        paid = http.post("/v1/account/top-ups", json={"amount_fen": 3000}, headers={"Idempotency-Key": "pay-once"})
        assert paid.json()["balance_fen"] == 3000
    assert enquire(http, token).status_code == 201
    assert http.get("/v1/account").json()["balance_fen"] == 500


def test_the_quota_is_for_a_day_of_the_world(home: Path, settings) -> None:
    settings(bureau_daily_quota=2)
    http = client_of(create_app(home), home / "bureau")
    token = consent(http, home)["consent_token"]
    assert [enquire(http, token, f"request-{k}").status_code for k in range(3)] == [201, 201, 429]
    refused = enquire(http, token, "request-3")
    assert (refused.json()["code"], refused.headers["Retry-After"]) == ("quota_exhausted", "86400")
    assert enquire(http, token, "request-1").status_code == 200
    assert http.get("/v1/account").json()["balance_fen"] == 100_000_000 - 2 * 2500
    step(home)
    assert enquire(http, token, "request-3").status_code == 201


def test_every_attempt_is_logged(http: TestClient, home: Path) -> None:
    import sqlite3

    enquire(http, "made-up-token")
    enquire(http, consent(http, home)["consent_token"])
    with sqlite3.connect(home / "bureau" / "ledger.sqlite") as book:
        rows = book.execute("SELECT client, subject, outcome FROM access_log ORDER BY number").fetchall()
    assert rows == [("lakehouse", CODE, "no_consent"), ("lakehouse", CODE, "answered")]


# The report


def table(world: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(world / f"{name}.parquet")


def subjects(world: Path) -> pd.DataFrame:
    return table(world, "firm").set_index("firm_id")


def test_an_enquiry_leaves_a_footprint_that_later_ones_show(http: TestClient, home: Path) -> None:
    today = Clock(home).today()
    first = report_of(http, home, CODE, NAME, "request-1")
    second = report_of(http, home, CODE, NAME, "request-2")
    added = {"lender": "B00", "enquired_on": str(today), "purpose": "loan_approval"}
    assert second["enquiries"].count(added) == first["enquiries"].count(added) + 1
    assert http.get(f"/v1/enquiries/{first['enquiry_id']}").json() == first


def test_debts_at_all_banks_are_shown_as_reported_by_today(http: TestClient, home: Path, world: Path) -> None:
    firms, loans = subjects(world), table(world, "loan")
    firm = loans.groupby("firm_id")["bank_id"].nunique().idxmax()
    mine = loans[loans["firm_id"] == firm]
    set_day(home, min(mine["started_on"]))
    none = report_of(http, home, firms.uscc[firm], firms.name[firm], "too-early")
    assert none["accounts"] == []
    set_day(home, max(mine["started_on"]) + timedelta(days=7))
    shown = report_of(http, home, firms.uscc[firm], firms.name[firm], "afterwards")
    assert len(shown["accounts"]) == len(mine)
    assert {account["lender"] for account in shown["accounts"]} == {f"B{-100 - bank:02d}" for bank in mine["bank_id"]}
    today = str(Clock(home).today())
    assert all(month["month"] < today[:7] for account in shown["accounts"] for month in account["months"])


def test_a_month_is_known_only_after_the_lender_reported_it(home: Path) -> None:
    rows = duckdb.sql(f"SELECT reported_on - month AS days FROM '{home}/bureau/credit_month.parquet'").df()["days"]
    assert rows.between(8, 12).all()


def test_a_firm_without_credit_has_no_record(http: TestClient, home: Path, world: Path) -> None:
    firms = subjects(world)
    touched = {*table(world, "loan")["firm_id"], *table(world, "guarantee")["guarantor_id"]}
    firm = next(firm for firm in firms.index if firm not in touched)
    shown = report_of(http, home, firms.uscc[firm], firms.name[firm], "request-1")
    assert (shown["result"], shown["accounts"], shown["card_number"]) == ("no_record", [], None)


def test_a_called_guarantee_is_adverse_for_the_guarantor(http: TestClient, home: Path, world: Path) -> None:
    firms, given = subjects(world), table(world, "guarantee")
    today = Clock(home).today()
    called = given[given["called_on"].notna()].iloc[0]
    assert called["called_on"] < today
    firm = called["guarantor_id"]
    shown = report_of(http, home, firms.uscc[firm], firms.name[firm], "request-1")
    items = [item for item in shown["adverse"] if item["kind"] == "guarantee_called"]
    assert str(called["called_on"]) in [item["since"] for item in items]
    before = called["called_on"] - timedelta(days=1)
    set_day(home, before)
    shown = report_of(http, home, firms.uscc[firm], firms.name[firm], "the-day-before")
    assert all(item["since"] <= str(before) for item in shown["adverse"])


def test_an_adverse_item_is_gone_five_years_after_its_end() -> None:
    class Fixed:
        """One overdue spell that ended on the last of June 2014."""

        def rows(self, table: str, subject: str, known: str = "", today: date | None = None) -> list[dict]:
            month = {"account": "K1", "balance_fen": 100, "class": "substandard", "wrong": False}
            days = {date(2014, 4, 30): 40, date(2014, 5, 31): 70, date(2014, 6, 30): 0}
            if table == "credit_month":
                return [month | {"month": day, "days_past_due": late} for day, late in days.items()]
            return []

    def adverse(today: date) -> list[dict]:
        return reports.report(Fixed(), {"subject": "X"}, today, [], [])["adverse"]

    spell = {"kind": "overdue", "reference": "K1", "since": date(2014, 4, 30), "until": date(2014, 6, 30)}
    assert adverse(date(2019, 6, 29)) == [spell | {"worst_days_past_due": 70, "amount_fen": 100}]
    assert adverse(date(2019, 6, 30)) == []


def test_five_years_before_a_leap_day() -> None:
    assert reports.years_before(date(2020, 2, 29), 5) == date(2015, 2, 28)
    assert reports.years_before(date(2020, 3, 1), 5) == date(2015, 3, 1)


def test_a_wrong_month_is_put_right_after_a_dispute(home: Path, world: Path, settings) -> None:
    months = f"'{home}/bureau/credit_month.parquet'"
    # One account's month is made wrong here, since mistakes are rare in a small world.
    right = f"SELECT account, month, subject FROM {months} WHERE days_past_due = 0 AND NOT wrong"
    account, month, code = duckdb.sql(f"{right} ORDER BY account, month LIMIT 1").fetchall()[0]
    duckdb.execute(f"""
        COPY (SELECT * REPLACE (wrong OR (account = '{account}' AND month = DATE '{month}') AS wrong) FROM {months})
        TO '{home}/bureau/changed.parquet'""")
    (home / "bureau" / "changed.parquet").replace(home / "bureau" / "credit_month.parquet")
    set_day(home, month + timedelta(days=40))
    http = client_of(create_app(home), home / "bureau")
    name = duckdb.sql(f"SELECT name FROM '{home}/bureau/subject_name.parquet' WHERE subject = '{code}'").fetchall()[0][
        0
    ]
    dispute = {"subject_code": code, "account": account, "month": f"{month:%Y-%m}", "statement": "We paid in time."}

    def shown(key: str) -> tuple[int, bool]:
        found = next(a for a in report_of(http, home, code, name, key)["accounts"] if a["account"] == account)
        late = next(m["days_past_due"] for m in found["months"] if m["month"] == f"{month:%Y-%m}")
        return late, found["under_dispute"]

    assert shown("request-1") == (35, False)
    raised = http.post("/v1/disputes", json=dispute)
    assert (raised.status_code, raised.json()["state"]) == (202, "open")
    assert shown("request-2") == (35, True)
    step(home, 20)
    assert http.get(f"/v1/disputes/{raised.json()['dispute_id']}").json()["state"] == "corrected"
    assert shown("request-3") == (0, False)


def test_a_dispute_of_a_right_month_is_upheld(http: TestClient, home: Path, world: Path) -> None:
    months = f"'{home}/bureau/credit_month.parquet'"
    right = f"SELECT subject, account, strftime(month, '%Y-%m') FROM {months} WHERE NOT wrong LIMIT 1"
    row = duckdb.sql(right).fetchall()[0]
    body = dict(zip(("subject_code", "account", "month"), row, strict=True)) | {"statement": "No."}
    raised = http.post("/v1/disputes", json=body).json()
    step(home, 20)
    assert http.get(f"/v1/disputes/{raised['dispute_id']}").json()["state"] == "upheld"
    assert http.post("/v1/disputes", json=body | {"month": "1999-01"}).status_code == 404


def test_a_report_holds_no_number_of_the_world(http: TestClient, home: Path, world: Path) -> None:
    firms = subjects(world)
    secrets = {str(FIRST_FIRM + 3 * k) for k in range(len(firms))} | {str(FIRST_PLANTED + k) for k in range(97)}
    secrets |= {str(FIRST_RECORD + 7 * k) for k in range(1, 20_000)}
    for number, firm in enumerate(firms.itertuples()):
        shown = report_of(http, home, firm.uscc, firm.name, f"request-{number}")
        words = set(re.split(r"[^0-9A-Za-z_]+", str(shown)))
        assert not words & (secrets | {"planted_id", "firm_id", "true_units", "secret_cause"})
