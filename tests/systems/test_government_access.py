"""The government platform's door: tokens, scopes, rate limits, entity tags, cursors, errors."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from rest_client import client_of

from sources.systems.government.app import create_app
from sources.systems.rest import cursor
from sources.systems.rest.limits import Buckets

RETURNS = "/v1/tax_returns/returns"


@pytest.fixture
def http(home: Path, settings) -> TestClient:
    return client_of(create_app(home), home / "government")


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "lakehouse", "client_secret": "x"}, 401, "invalid_client"),
    ],
)
def test_a_wrong_token_request_is_refused_as_the_standard_says(http, form: dict, status: int, error: str) -> None:
    answer = http.post("/oauth/token", data=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_no_token_or_a_forged_one_is_refused(home: Path, http: TestClient) -> None:
    bare = TestClient(create_app(home))
    assert bare.get(RETURNS).status_code == 401
    token = http.headers["Authorization"]
    flipped = token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]
    assert bare.get(RETURNS, headers={"Authorization": flipped}).status_code == 401
    assert bare.get(RETURNS, headers={"Authorization": token}).status_code == 200


def test_a_token_expires(home: Path, settings) -> None:
    settings(token_seconds=1)
    http = client_of(create_app(home), home / "government")
    assert http.get(RETURNS).status_code == 200
    time.sleep(2.1)
    assert http.get(RETURNS).status_code == 401


def test_a_scope_opens_its_department_only(home: Path, settings) -> None:
    http = client_of(create_app(home), home / "government", "tax_office")
    assert http.get(RETURNS).status_code == 200
    refused = http.get("/v1/courts/cases")
    assert refused.status_code == 403
    assert 'scope="courts:read"' in refused.headers["WWW-Authenticate"]


def test_a_client_that_asks_too_often_waits_and_goes_on(home: Path, settings) -> None:
    settings(rate_per_second=2, rate_burst=3)
    http = client_of(create_app(home), home / "government")
    statuses = [http.get(RETURNS, params={"limit": 1}).status_code for _ in range(6)]
    assert statuses[:3] == [200] * 3
    assert 429 in statuses
    refused = http.get(RETURNS)
    assert refused.status_code == 429
    time.sleep(int(refused.headers["Retry-After"]))
    assert http.get(RETURNS).status_code == 200


def test_the_bucket_refills_at_its_rate() -> None:
    now = [0.0]
    buckets = Buckets(rate=2, burst=2, now=lambda: now[0])
    assert [buckets.take("a"), buckets.take("a"), buckets.take("a")] == [0, 0, 1]
    assert buckets.take("b") == 0
    now[0] = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 1]


def test_a_copy_that_is_current_is_not_sent_again(http: TestClient) -> None:
    first = http.get(RETURNS)
    again = http.get(RETURNS, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    other = http.get(RETURNS, params={"limit": 3}, headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200


def test_a_cursor_belongs_to_its_list_and_filters(http: TestClient) -> None:
    given = http.get(RETURNS, params={"limit": 2}).json()["next_cursor"]
    assert http.get(RETURNS, params={"cursor": given}).status_code == 200
    for path, query in (("/v1/water/bills", {}), (RETURNS, {"updated_since": "2019-05-01"})):
        refused = http.get(path, params={"cursor": given} | query)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_cursor")


def test_a_tampered_cursor_is_found_out() -> None:
    packed = cursor.pack([1, 2], "list", "key")
    assert cursor.unpack(packed, "list", "key") == [1, 2]
    assert cursor.unpack(packed, "list", "other") is None
    assert all(cursor.unpack(packed[:k] + "_" + packed[k + 1 :], "list", "key") != [9, 9] for k in range(len(packed)))
    assert cursor.unpack(packed[:-1], "list", "key") is None


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"updated_since": "2019-02-31"}, {"key": "a b"}])
def test_wrong_parameters_are_named(http: TestClient, query: dict) -> None:
    answer = http.get(RETURNS, params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")


def test_unknown_paths_and_methods_are_errors_of_the_same_form(http: TestClient) -> None:
    assert http.get("/v1/nowhere").json()["code"] == "not_found"
    refused = http.delete(RETURNS)
    assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
    assert refused.headers["Allow"] == "GET"


def test_the_docs_page_needs_nothing_from_outside(http: TestClient) -> None:
    page = http.get("/docs").text
    assert RETURNS in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page


@given(
    rate=st.floats(0.5, 50),
    burst=st.integers(1, 40),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=120),
)
def test_no_client_gets_more_than_its_burst_and_rate(rate: float, burst: int, pauses: list[float]) -> None:
    """Over any span from the start, at most burst + rate × seconds requests pass; who waits as told is let in."""
    now = [0.0]
    buckets = Buckets(rate, burst, now=lambda: now[0])
    passed = 0
    for pause in pauses:
        now[0] += pause
        wait = buckets.take("a")
        passed += wait == 0
        assert passed <= burst + rate * now[0] + 1e-6
        if wait:
            now[0] += wait
            assert buckets.take("a") == 0
            passed += 1


@given(
    position=st.lists(st.integers(-(2**62), 2**62), max_size=3), scope=st.text(max_size=20), other=st.text(max_size=20)
)
def test_a_cursor_opens_with_its_own_list_only(position: list[int], scope: str, other: str) -> None:
    packed = cursor.pack(position, scope, "key")
    assert cursor.unpack(packed, scope, "key") == position
    assert re.fullmatch(cursor.PATTERN, packed)
    assert len(packed) <= cursor.MAX_LENGTH
    if other != scope:
        assert cursor.unpack(packed, other, "key") is None
