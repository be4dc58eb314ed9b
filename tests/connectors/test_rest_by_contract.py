"""REST feeds of made-up sources by contract alone: every way of paging, of signing, of going on another day."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from lakehouse.cli import main
from lakehouse.errors import ContractError
from spark_jobs import landing
from spark_jobs.pull import ledger, runner
from tests.connectors.feed_contracts import contract_document, make_place
from tests.connectors.kill_runs import Place, landed_rows
from tests.connectors.rest_server import Answer, Asked, Server, serving

DAY, NEXT_DAY, THIRD_DAY = "2024-03-02", "2024-03-03", "2024-03-04"
QUICK = {"first_wait_seconds": 0.001, "longest_wait_seconds": 2, "attempts": 3, "reply_seconds": 2, "read_seconds": 1}


class Api:
    """A source with a list of records that grows; it pages in every way that sources do."""

    def __init__(self, records: int = 7) -> None:
        self.records = [self.record(k) for k in range(records)]
        self.size, self.headers = 3, {}

    @staticmethod
    def record(number: int) -> dict[str, Any]:
        return {"id": f"r{number:02d}", "value": number, "published": f"2024-03-01T{number % 24:02d}:00:00+08:00"}

    def answer(self, request: Asked) -> Answer:
        query, size = request.query, int(request.query.get("limit", self.size))
        rows = [r for r in self.records if r["published"] >= query.get("since", "")]
        start = int(query.get("offset") or query.get("cursor") or 0)
        if "page" in query:
            start = (int(query["page"]) - 1) * size
        if request.path == "/whole":
            tag = f'"{len(rows)}"'
            if request.headers.get("if-none-match") == tag:
                return Answer(status=304)
            return Answer(rows, headers={"ETag": tag})
        page, end = rows[start : start + size], start + size
        more = end < len(rows)
        url = f"{request.path}?cursor={end}&since={quote(query.get('since', ''))}"
        document = {
            "meta": {"next": str(min(end, len(rows))), "more": more, "total": len(rows), "url": url if more else None},
            "result": {"rows": page},
        }
        if request.path == "/ends":
            document["meta"]["next"] = str(end) if more else None
        headers = {"Link": f'<{url}>; rel="next"'} if more else {}
        return Answer(document, headers=headers | self.headers)


OPTIONS = {"records": "result.rows", "published": "published"}
WAYS = {
    "cursor": ("/list", {"cursor": "meta.next", "more": "meta.more"}),
    "cursor-without-flag": ("/list", {"cursor": "meta.next"}),
    "cursor-that-ends": ("/ends", {"cursor": "meta.next", "pageSize": 2}),
    "cursor-since": ("/ends", {"cursor": "meta.next", "updatedSince": "since"}),
    "offset": ("/list", {"paginator": "offset", "pageSize": 3}),
    "offset-total": ("/list", {"paginator": "offset", "total": "meta.total"}),
    "page": ("/list", {"paginator": "page", "more": "meta.more"}),
    "link": ("/list", {"paginator": "link"}),
    "next": ("/list", {"paginator": "next", "next": "meta.url"}),
    "next-since": ("/list", {"paginator": "next", "next": "meta.url", "updatedSince": "since"}),
    "single": ("/whole", {"records": None}),
}


@contextlib.contextmanager
def lakehouse(
    folder: Path, api: Api, path: str, options: dict[str, Any], auth: dict | None = None
) -> Iterator[tuple[Place, Server]]:
    """A lakehouse with one feed of the API."""
    feed = {"connection": "made_up", "protocol": "rest", "path": path, "options": _without_none(OPTIONS | options)}
    document = contract_document("made_up__thing", ["id", "value", "published"], feed)
    with serving(lambda request: api.answer(request)) as server:
        connection = {"url": server.url, "limits": QUICK} | ({"auth": auth} if auth else {})
        place = make_place(folder, [document], {"made_up": connection})
        with place.entered():
            yield place, server


def _without_none(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if v is not None}


def pull(partition: str) -> runner.Outcome:
    return runner.pull(partition, runner.departments()["made_up"][0])


def ids(place: Place) -> list[str]:
    return [json.loads(row)["id"] for _, row in landed_rows(place, "made_up__thing")]


@pytest.mark.parametrize("way", WAYS)
def test_every_record_comes_once_and_quiet_days_bring_nothing(tmp_path: Path, way: str) -> None:
    path, options = WAYS[way]
    api = Api()
    with lakehouse(tmp_path, api, path, options) as (place, server):
        assert pull(DAY).records == 7
        assert ids(place) == [r["id"] for r in api.records]
        for quiet in (NEXT_DAY, THIRD_DAY):
            server.asked.clear()
            outcome = pull(quiet)
            if not (way.endswith("since") and quiet == NEXT_DAY):  # asked from the last record on, that one comes again
                assert (outcome.outcome, outcome.batches) == (ledger.NOTHING, ()), outcome
            assert len(server.asked) == 1
        before = len(ids(place))
        api.records += [api.record(k) for k in range(7, 12)]
        assert pull("2024-03-05").outcome == ledger.LANDED
        assert list(dict.fromkeys(ids(place))) == [r["id"] for r in api.records]
        exact = way.startswith(("cursor", "offset")) and way not in ("cursor-that-ends", "cursor-since")
        assert len(ids(place)) - before == 5 or not exact


def test_a_stored_place_that_the_source_no_longer_takes_is_found_again_by_time(tmp_path: Path) -> None:
    api = Api()
    answer = api.answer
    options = {"cursor": "meta.next", "more": "meta.more", "updatedSince": "since"}
    with lakehouse(tmp_path, api, "/list", options) as (place, _):
        pull(DAY)
        api.records += [api.record(k) for k in range(7, 9)]
        api.answer = lambda request: (
            Answer({"code": "invalid_cursor"}, 400) if request.query.get("cursor") == "7" else answer(request)
        )
        assert pull(NEXT_DAY).outcome == ledger.LANDED
        assert list(dict.fromkeys(ids(place))) == [r["id"] for r in api.records]
        assert len(ids(place)) == 10  # the one at which it was found again comes twice


def test_pages_are_landed_as_they_were_sent(tmp_path: Path) -> None:
    api = Api(2)
    with lakehouse(tmp_path, api, "/list", {"cursor": "meta.next"}):
        pull(DAY)
        batch = landing.landed()[0]
        sent = json.dumps(api.answer(Asked("GET", "/list", {}, {}, b"")).document).encode()
        assert (batch.folder / "page-000001.json").read_bytes() == sent
        assert batch.files[0].header == ("id", "value", "published")


def test_a_pull_ends_with_the_page_that_reaches_midnight(tmp_path: Path) -> None:
    """Midnight is China's; a page that begins after it is left for the next day."""
    api = Api(9)
    for number, record in enumerate(api.records):
        record["published"] = f"2024-03-{1 + number // 4:02d}T15:59:00Z"  # one minute before midnight there
    with lakehouse(tmp_path, api, "/list", {"cursor": "meta.next"}) as (place, _):
        assert [pull(f"2024-03-{day:02d}").records for day in (1, 2, 3, 4, 5)] == [0, 6, 3, 0, 0]
        assert ids(place) == [r["id"] for r in api.records]


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"key": "k1"}, "x-api-key", "k1"),
        ({"key": "k1", "header": "Token"}, "token", "k1"),
        ({"token": "t1"}, "authorization", "Bearer t1"),
        ({"user": "u", "password": "p"}, "authorization", "Basic dTpw"),
    ],
)
def test_requests_are_signed_as_the_connection_says(tmp_path: Path, auth: dict, header: str, value: str) -> None:
    with lakehouse(tmp_path, Api(), "/list", {"cursor": "meta.next"}, auth) as (_, server):
        assert pull(DAY).error is None
        assert {request.headers.get(header) for request in server.asked} == {value}


class WithTokens(Api):
    """Issues tokens that last for some requests only."""

    def __init__(self, lasts: int) -> None:
        super().__init__()
        self.lasts, self.left, self.issued = lasts, 0, 0

    def answer(self, request: Asked) -> Answer:
        if request.path == "/oauth/token":
            self.issued, self.left = self.issued + 1, self.lasts
            assert b"grant_type=client_credentials" in request.body
            return Answer({"access_token": f"token{self.issued}", "expires_in": 3600})
        if request.headers.get("authorization") != f"Bearer token{self.issued}" or self.left == 0:
            return Answer({"code": "invalid_token"}, 401)
        self.left -= 1
        return super().answer(request)


def test_an_expired_token_is_renewed_once(tmp_path: Path) -> None:
    api = WithTokens(lasts=2)
    auth = {"client_id": "lakehouse", "client_secret": "s", "token_url": "/oauth/token"}
    with lakehouse(tmp_path, api, "/list", {"cursor": "meta.next", "more": "meta.more"}, auth) as (place, _):
        assert pull(DAY).records == 7
        assert (len(ids(place)), api.issued) == (7, 2)
        api.lasts = api.left = 0
        refused = pull(NEXT_DAY)
        assert refused.outcome == ledger.REFUSED and "401 invalid_token" in str(refused.error)
        assert api.issued == 3


@pytest.mark.parametrize("versions", [("1", "2"), ("v1", "v2")])
def test_a_page_bears_the_schema_version_of_its_own_header(tmp_path: Path, versions: tuple[str, str]) -> None:
    api = Api(7)
    answer = api.answer

    def versioned(request: Asked) -> Answer:
        reply = answer(request)
        reply.headers["X-Schema"] = versions[int(request.query.get("cursor", 0)) >= 6]
        return reply

    api.answer = versioned
    options = {"cursor": "meta.next", "more": "meta.more", "schemaVersionHeader": "X-Schema"}
    with lakehouse(tmp_path, api, "/list", options):
        outcome = pull(DAY)
        assert [f.schema_version for f in landing.landed()[0].files] == [1, 1, 2]
        assert (outcome.fields, outcome.schema_version) == (("v2",), 2)


def test_a_named_version_header_must_come(tmp_path: Path) -> None:
    with lakehouse(tmp_path, Api(), "/list", {"cursor": "meta.next", "schemaVersionHeader": "X-Schema"}):
        assert "X-Schema is None" in str(pull(DAY).error)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.2/list", "another host"),
        ("//127.0.0.2/list", "another host"),
        ("javascript:alert(1)", "another host"),
        ("http://[", "an address that is none"),
        (5, "no reference"),
    ],
)
def test_our_credentials_go_to_no_other_host(tmp_path: Path, address: Any, said: str) -> None:
    api = Api()
    api.answer = lambda _: Answer({"meta": {"url": address}, "result": {"rows": api.records[:1]}})
    with lakehouse(tmp_path, api, "/list", {"paginator": "next", "next": "meta.url"}, {"key": "k"}) as (_, server):
        outcome = pull(DAY)
        assert outcome.outcome == ledger.REFUSED and said in str(outcome.error)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recrods": "data"}, "recrods"),
        ({"paginator": "magic"}, "paginator"),
        ({"paginator": "next"}, "needs the option next"),
        ({"pageSize": "many"}, "pageSize"),
        ({"records": "a..b"}, "records"),
        ({"history": {"dataset": "x"}}, "history.path"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, options: dict, said: str) -> None:
    with lakehouse(tmp_path, Api(), "/list", options), pytest.raises(ContractError, match=said):
        pull(DAY)


def test_feeds_are_pulled_from_the_command_line(tmp_path: Path) -> None:
    api = Api()
    with lakehouse(tmp_path, api, "/list", {"cursor": "meta.next"}):
        for name, outcome in (("made_up", "landed"), ("made_up__thing", "nothing_new")):
            done = CliRunner().invoke(main, ["source", "pull", name, "--partition", DAY, "--json"])
            assert done.exit_code == 0, done.output
            assert json.loads(done.output)["outcome"] == outcome
        assert "no department or feed" in CliRunner().invoke(main, ["source", "pull", "x", "--partition", DAY]).output
        api.answer = lambda request: Answer(status=404)
        failed = CliRunner().invoke(main, ["source", "pull", "--partition", NEXT_DAY])
        assert failed.exit_code == 1 and "SourceError" in failed.output and "refused" in failed.output
