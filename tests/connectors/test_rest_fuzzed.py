"""A source that misbehaves in every way we could think of: a named cause each time, never half a batch, never no end.

After each fault the source behaves again, and the next try of the same day lands every record once.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.errors import SourceError, SourceUnavailable
from spark_jobs import landing
from spark_jobs.pull import ledger, rest_auth, runner
from tests.connectors.feed_contracts import contract_document, make_place
from tests.connectors.kill_runs import landed_rows
from tests.connectors.rest_server import Answer, Asked, serving

DAY, RECORDS, MONTHS = "2024-03-02", 12, ("2024-01", "2024-02")
LIMITS = {
    "attempts": 2,
    "first_wait_seconds": 0.001,
    "longest_wait_seconds": 0.02,
    "connect_seconds": 1,
    "read_seconds": 0.3,
    "reply_seconds": 0.5,
    "reply_bytes": 100_000,
}
LONGEST_SECONDS = 5
OPTIONS = {
    "records": "data",
    "cursor": "next",
    "more": "more",
    "published": "published",
    "schemaVersionHeader": "X-Version",
    "maxPages": 20,
    "history": {"path": "/history", "dataset": "things"},
}


class Source:
    """Files of two months, then a list of four pages, behind tokens. `fault` changes the answer to one request."""

    def __init__(self) -> None:
        self.records = [
            {"id": f"r{k:02d}", "value": "v", "published": f"2024-03-01T{k:02d}:00:00+08:00"} for k in range(RECORDS)
        ]
        self.files = {f"things-{month}.csv.gz": self._file(month) for month in MONTHS}
        self.fault: Callable[[Answer, Asked], Answer] | None = None
        self.where, self.at, self.lasting, self.seen = "/list", 1, False, 0

    def ids(self) -> list[str]:
        return [record["id"] for record in self.records] + [f"h{month}-{k}" for month in MONTHS for k in range(5)]

    @staticmethod
    def _file(month: str) -> bytes:
        lines = [f'h{month}-{k},"line one\nline two",{month}-03T00:00:00+08:00' for k in range(5)]
        return gzip.compress("\n".join(["id,value,published", *lines, ""]).encode(), mtime=0)

    def break_at(self, where: str, at: int, fault: Callable, lasting: bool = True) -> None:
        """From now on, requests to `where` get the fault: from the `at`-th on, or that one alone."""
        self.fault, self.where, self.at, self.lasting, self.seen = fault, where, at, lasting, 0
        rest_auth._TOKENS.clear()

    def answer(self, request: Asked) -> Answer:
        good = self._good(request)
        if self.fault and request.path.startswith(self.where):
            self.seen += 1
            if self.seen == self.at or (self.lasting and self.seen > self.at):
                return self.fault(good, request)
        return good

    def _good(self, request: Asked) -> Answer:
        if request.path == "/oauth/token":
            return Answer({"access_token": "token", "expires_in": 600})
        if request.headers.get("authorization") != "Bearer token":
            return Answer({"code": "invalid_token"}, 401)
        if request.path == "/history":
            return Answer(self._manifest())
        if request.path.startswith("/history/"):
            return Answer(content=self.files[request.path.removeprefix("/history/")])
        start = int(request.query.get("cursor", 0))
        document = {"data": self.records[start : start + 3], "more": start + 3 < RECORDS, "next": str(start + 3)}
        return Answer(document, headers={"X-Version": "1"})

    def _manifest(self) -> dict[str, Any]:
        entries = [
            {"dataset": "things", "month": name[7:14], "file": name, "url": f"/history/{name}", "rows": 5}
            | {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "schema_version": 1}
            for name, content in self.files.items()
        ]
        return {
            "files": [*entries, {"dataset": "others", "month": "2024-01"}],
            "resume": [{"dataset": "things", "after_month": "2024-02", "cursor": "0"}],
        }


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Source, Callable]]:
    """The source, and a function that pulls it into an empty lakehouse and checks what came of it."""
    folder, numbers, source = tmp_path_factory.mktemp("fuzzed"), itertools.count(), Source()
    feed = {"connection": "made_up", "protocol": "rest", "path": "/list", "options": OPTIONS}
    document = contract_document("made_up__thing", ["id", "value", "published"], feed)
    with serving(lambda request: source.answer(request)) as server:
        auth = {"client_id": "us", "client_secret": "s"}
        connections = {"made_up": {"url": server.url, "auth": auth, "limits": LIMITS}}

        def check(repair: Callable[[], None] = lambda: None) -> runner.Outcome:
            place = make_place(folder, [document], connections, f"home-{next(numbers)}")
            with place.entered():
                contract = runner.departments()["made_up"][0]
                begun = time.monotonic()
                outcome = runner.pull(DAY, contract)
                assert time.monotonic() - begun < LONGEST_SECONDS, "it took too long"
                if outcome.error is None:
                    return outcome
                assert isinstance(outcome.error, SourceError) and outcome.error.what and outcome.error.where
                assert (outcome.batches, landing.landed()) == ((), []), "half a batch was landed"
                source.fault = None
                repair()
                assert runner.pull(DAY, contract).error is None
            ids = [json.loads(row)["id"] for _, row in landed_rows(place, "made_up__thing")]
            assert sorted(ids) == sorted(source.ids())
            return outcome

        yield source, check


def test_without_a_fault_all_is_landed(bench: tuple) -> None:
    source, check = bench
    source.fault = None
    outcome = check()
    assert (outcome.outcome, outcome.records) == (ledger.LANDED, RECORDS + 10)


# Faults of a page


def content(make: Callable[[bytes], bytes], **headers: str) -> Callable:
    """Replaces the body by what is made of it."""

    def fault(good: Answer, _: Asked) -> Answer:
        made = make(good.content if good.content is not None else json.dumps(good.document).encode())
        return Answer(content=made, headers=good.headers | headers)

    return fault


def change(**members: Any) -> Callable:
    """Replaces members of the page."""
    return lambda good, _: Answer(good.document | members, headers=good.headers)


def status(code: int, **headers: str) -> Callable:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda good, _: Answer({"code": "made_up"}, code, named)


def raw(data: bytes, pause: float = 0, times: int = 1) -> Callable:
    """Writes bytes to the connection, again and again with pauses."""

    def write(file: Any) -> None:
        for _ in range(times):
            file.write(data)
            file.flush()
            time.sleep(pause)

    return lambda good, _: Answer(raw=write)


def endless(good: Answer, request: Asked) -> Answer:
    """A list that goes on for ever with other records each time."""
    number = int(request.query.get("cursor", 0)) + 1
    record = {"id": f"x{number}", "value": "v", "published": "2024-03-01T00:00:00+08:00"}
    return Answer({"data": [record], "more": True, "next": str(number)}, headers=good.headers)


def without_records(good: Answer, request: Asked) -> Answer:
    return Answer({"data": [], "more": True, "next": str(int(request.query["cursor"]) + 1)}, headers=good.headers)


DEEP = b'{"data": ' + b"[" * 40_000 + b"]" * 40_000 + b', "more": false, "next": "1"}'
HEAD = b"HTTP/1.1 200 OK\r\nX-Version: 1\r\n"
PAGE_FAULTS = {
    "empty body": (content(lambda body: b""), "no JSON"),
    "cut": (content(lambda body: body[:-7]), "no JSON"),
    "html": (content(lambda body: b"<html>Bad gateway</html>"), "no JSON"),
    "not UTF-8": (content(lambda body: body.replace(b'"v"', b'"\xff"')), "no JSON"),
    "UTF-16": (content(lambda body: body.decode().encode("utf-16")), "no JSON"),
    "NaN": (content(lambda body: body.replace(b'"v"', b"NaN")), "NaN is no number"),
    "half a surrogate pair": (content(lambda body: body.replace(b'"v"', b'"\\ud800"')), "no JSON"),
    "too deep": (content(lambda body: DEEP), "no JSON"),
    "number without end": (content(lambda body: body.replace(b'"v"', b"9" * 5000)), "no JSON"),
    "no records": (content(lambda body: b"{}"), "nothing where its list"),
    "records as object": (change(data={"0": {}}), "dict where its list"),
    "records as null": (change(data=None), "NoneType where its list"),
    "record as text": (change(data=["r00"]), "a record is str"),
    "a list for a page": (content(lambda body: b"[1]"), "nothing where its list"),
    "flag as text": (change(more="yes"), "not true or false"),
    "flag missing": (change(more=None), "not true or false"),
    "cursor as object": (change(next={"a": 1}), "no reference"),
    "cursor missing": (change(next=None, more=True), "and not where"),
    "cursor too long": (change(next="x" * 5000), "no reference"),
    "cursor with a line break": (change(next="1\r\nX: y"), "no reference"),
    "page repeats": (change(data=[{"id": "x", "value": "v", "published": ""}], more=True, next="7"), "never end"),
    "cursor leads back": (lambda good, asked: change(more=True, next="3")(good, asked), "never end"),
    "list without end": (endless, "not ended after 20 pages"),
    "pages without records for ever": (without_records, "not ended after 20 pages"),
    "huge": (content(lambda body: body + b" " * 200_000), "more than 100,000 bytes"),
    "gzip bomb": (content(lambda body: gzip.compress(b" " * 3_000_000), Content_Encoding="gzip"), None),
    "version missing": (lambda good, _: Answer(good.document), "X-Version is None"),
    "version is no number": (lambda good, _: Answer(good.document, headers={"X-Version": "new"}), "'new'"),
    "404": (status(404), "404 made_up"),
    "418": (status(418), "418 made_up"),
    "204": (status(204), "204"),
    "304 unasked": (status(304), "304"),
    "401 always": (status(401), "401 made_up"),
    "redirect to itself": (status(302, Location="/list"), "302"),
    "redirect elsewhere": (status(301, Location="http://127.0.0.2/"), "301"),
}
LATER = "Wed, 21 Oct 2099 07:28:00 GMT"
AWAY = {
    "500": status(500),
    "503, come back in an hour": status(503, Retry_After="3600"),
    "503, come back on a date": status(503, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),
    "429": status(429, Retry_After="0"),
    "503 by a clock years ahead": status(503, Retry_After=LATER, Date=LATER),
    "503, nonsense": status(503, Retry_After="soon"),
    "503, number without end": status(503, Retry_After="9" * 400),
    "503, before now": status(503, Retry_After="Wed, 21 Oct 1999 07:28:00 GMT"),
    "closed at once": raw(b""),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "head only": raw(HEAD + b"Content-Length: 10\r\n\r\n"),
    "shorter than it says": raw(HEAD + b'Content-Length: 500\r\n\r\n{"data": []}'),
    "chunks cut": raw(HEAD + b'Transfer-Encoding: chunked\r\n\r\n50\r\n{"data"'),
    "chunks of no size": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "broken gzip": raw(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde"),
    "silence": raw(HEAD, 1),
    "slow bytes": raw(HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 4, 0.05, 60),
    "slow head": raw(b"H", 0.05, 60),
    "head without end": raw(HEAD + b"X-A: b\r\n" * 20_000),
}


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("name", PAGE_FAULTS)
def test_a_page_that_is_wrong_has_a_named_cause(bench: tuple, name: str, at: int) -> None:
    source, check = bench
    fault, said = PAGE_FAULTS[name]
    source.break_at("/list", max(at, 2) if fault is without_records else at, fault)
    outcome = check()
    assert outcome.error is not None and (said is None or said in str(outcome.error)), outcome.error
    assert outcome.outcome == (ledger.UNREACHABLE if isinstance(outcome.error, SourceUnavailable) else ledger.REFUSED)


@pytest.mark.parametrize("name", AWAY)
def test_a_source_that_is_away_is_asked_again_in_another_run(bench: tuple, name: str) -> None:
    source, check = bench
    source.break_at("/list", 2, AWAY[name])
    outcome = check()
    assert isinstance(outcome.error, SourceUnavailable), outcome.error
    assert outcome.outcome == ledger.UNREACHABLE


@pytest.mark.parametrize("name", ["500", "429", "503, before now", "503, nonsense", "closed at once", "chunks cut"])
@pytest.mark.parametrize("where", ["/list", "/history/", "/oauth"])
def test_one_fault_in_passing_is_overcome(bench: tuple, name: str, where: str) -> None:
    source, check = bench
    source.break_at(where, 1, AWAY[name], lasting=False)
    assert check().records == RECORDS + 10


def test_a_token_that_is_refused_in_mid_list_is_renewed(bench: tuple) -> None:
    source, check = bench
    source.break_at("/list", 3, status(401), lasting=False)
    assert check().records == RECORDS + 10


# Faults of the token service, and of history

TOKEN_FAULTS = {
    "no JSON": content(lambda body: b"token"),
    "a list": content(lambda body: b"[]"),
    "no token": content(lambda body: b"{}"),
    "token as number": content(lambda body: b'{"access_token": 5, "expires_in": 60}'),
    "token with a line break": content(lambda body: b'{"access_token": "a\\r\\nX: y", "expires_in": 60}'),
    "life as text": content(lambda body: b'{"access_token": "token", "expires_in": "long"}'),
    "refused": status(401),
    "away": status(503),
    "redirect": status(302, Location="/oauth/token"),
}


@pytest.mark.parametrize("name", TOKEN_FAULTS)
def test_a_token_service_that_is_wrong_has_a_named_cause(bench: tuple, name: str) -> None:
    source, check = bench
    source.break_at("/oauth", 1, TOKEN_FAULTS[name])
    assert check().error is not None
    rest_auth._TOKENS.clear()


@pytest.mark.parametrize("life", [-5, 0, 1, 10**30])
def test_any_life_of_a_token_will_do(bench: tuple, life: int) -> None:
    source, check = bench
    reply = {"access_token": "token", "expires_in": life}
    source.break_at("/oauth", 1, lambda good, _: Answer(reply))
    assert check().error is None


def entry(**members: Any) -> Callable:
    """Changes the first file's entry in the manifest."""

    def fault(good: Answer, _: Asked) -> Answer:
        first, *others = good.document["files"]
        return Answer(good.document | {"files": [first | members, *others]})

    return fault


MANIFEST_FAULTS = {
    "no list": (content(lambda body: b'{"files": {}}'), "no list"),
    "a list of numbers": (content(lambda body: b'{"files": [1]}'), "no list"),
    "name climbs": (entry(file="../../etc/passwd.csv"), "no name"),
    "name of another kind": (entry(file="things.exe"), "no name"),
    "name twice": (entry(file="things-2024-02.csv.gz"), "twice"),
    "month is none": (entry(month="2024-13"), "no period"),
    "digest is none": (entry(sha256="abc"), "no SHA-256"),
    "other digest": (entry(sha256="0" * 64), "differs from its manifest"),
    "fewer bytes": (entry(bytes=10), "more than 10 bytes"),
    "more bytes": (entry(bytes=10_000), "and not 10,000"),
    "other rows": (entry(rows=6), "5 records and not 6"),
    "rows as text": (entry(rows="5"), "no number"),
    "other host": (entry(url="http://127.0.0.2/x"), "another host"),
    "no such file": (entry(url="/nothing"), None),
}


@pytest.mark.parametrize("name", MANIFEST_FAULTS)
def test_a_manifest_that_is_wrong_has_a_named_cause(bench: tuple, name: str) -> None:
    source, check = bench
    fault, said = MANIFEST_FAULTS[name]
    source.break_at("/history", 1, lambda good, asked: fault(good, asked) if asked.path == "/history" else good)
    outcome = check()
    assert outcome.error is not None and (said is None or said in str(outcome.error)), outcome.error


@pytest.mark.parametrize(
    "made",
    [b"", b"\x1f\x8bcut", b"id,value\n1\n", gzip.compress(b"id,value\n1,2,3\n")],
    ids=["empty", "gzip cut short", "row too short", "row too long"],
)
def test_a_file_that_cannot_be_read_has_a_named_cause(bench: tuple, made: bytes) -> None:
    """Also where the manifest agrees with it in size and digest."""
    source, check = bench
    good = source.files["things-2024-02.csv.gz"]
    source.files["things-2024-02.csv.gz"] = made
    source.fault = None
    outcome = check(repair=lambda: source.files.update({"things-2024-02.csv.gz": good}))
    assert outcome.error is not None and "cannot be read as csv" in str(outcome.error)


# Replies made at random

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
QUICKLY = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=False
)


@QUICKLY
@given(where=st.sampled_from(["/list", "/history", "/oauth"]), at=st.integers(1, 4), document=DOCUMENTS)
def test_any_document_in_place_of_a_reply(bench: tuple, where: str, at: int, document: Any) -> None:
    source, check = bench
    source.break_at(where, at, lambda good, _: Answer(document, headers={"X-Version": "1"}))
    check()
    rest_auth._TOKENS.clear()


@QUICKLY
@given(at=st.integers(1, 4), member=st.sampled_from(["data", "more", "next"]), value=DOCUMENTS)
def test_any_value_in_place_of_a_member(bench: tuple, at: int, member: str, value: Any) -> None:
    source, check = bench
    source.break_at("/list", at, change(**{member: value}))
    check()


@QUICKLY
@given(at=st.integers(1, 4), start=st.integers(0, 200), junk=st.binary(max_size=12))
def test_any_bytes_inside_a_reply(bench: tuple, at: int, start: int, junk: bytes) -> None:
    source, check = bench
    source.break_at("/list", at, content(lambda body: body[:start] + junk + body[start + len(junk) :]), lasting=False)
    check()


@QUICKLY
@given(where=st.sampled_from(["/list", "/history/"]), head=st.binary(max_size=60))
def test_any_bytes_in_place_of_http(bench: tuple, where: str, head: bytes) -> None:
    source, check = bench
    source.break_at(where, 1, raw(b"HTTP/1.1 " + head + b"\r\n\r\n"))
    assert check().error is not None
