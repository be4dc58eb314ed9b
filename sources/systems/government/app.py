"""The REST service of the government data platform."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from fastapi.security import OAuth2
from starlette.concurrency import run_in_threadpool

from sources.systems.clock import Clock
from sources.systems.government import events, openapi
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.history import HistoryFile, history_folder, read_manifest, select_list
from sources.systems.government.model import Dataset, Department
from sources.systems.government.projection import log_file
from sources.systems.rest import cursor as cursors
from sources.systems.rest import docs_page, tokens
from sources.systems.rest.answers import ApiError, cached, matches
from sources.systems.rest.application import add_pages, application
from sources.systems.rest.credentials import read_clients, signing_key
from sources.systems.rest.limits import Buckets
from sources.systems.settings import get_settings
from sources.systems.world import connect, records

MAX_PAGE = 1000
SINCE = re.compile(r"\d{4}-\d{2}-\d{2}([Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})?)?")
LOCAL = timezone(timedelta(hours=8))
RECORD_PATTERN = r"^[A-Z][0-9a-f]{15}$"
FILE_PATTERN = r"^[a-z_]+-\d{4}-\d{2}\.(csv\.gz|parquet)$"
START = datetime(1900, 1, 1)

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Records on a page.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=cursors.MAX_LENGTH,
        pattern=cursors.PATTERN,
        description="`next_cursor` of the page before; bound to the list and its filters.",
    ),
]
Since = Annotated[
    str | None,
    Query(
        max_length=40,
        description="Only what was published at or after this day or time; without an offset it is UTC+8.",
        json_schema_extra={
            "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
            "examples": ["2019-03-01", "2019-03-01T00:00:00+08:00"],
        },
    ),
]
Key = Annotated[
    str | None,
    Query(min_length=1, max_length=40, pattern=r"^[0-9A-Za-z-]+$", description="Only of the department's own key."),
]
Known = Annotated[str | None, Header(max_length=400, description="Entity tags that the client has.")]

BEARER = OAuth2(
    scheme_name="client_credentials",
    flows={
        "clientCredentials": {
            "tokenUrl": "/oauth/token",
            "scopes": {department.scope: f"read {department.title}" for department in DEPARTMENTS},
        }
    },
    auto_error=False,
)


class Platform:
    """What the service knows: the clock, the clients, the logs."""

    def __init__(self, home: Path) -> None:
        settings = get_settings()
        self.folder, self.clock = home / "government", Clock(home)
        self.key = signing_key(self.folder)
        clients = read_clients(self.folder)
        self.tokens = tokens.TokenService(clients, self.key, "government-platform", settings.token_seconds)
        self.buckets = Buckets(settings.rate_per_second, settings.rate_burst)
        self.database = connect(settings.memory_mb, threads=1)
        self.manifests = {d.name: read_manifest(self.folder, d.name) for d in DEPARTMENTS}

    def admit(self, header: str | None, scope: str | None) -> str:
        """The client behind a token, if it may go on."""
        grant = self.tokens.check(header)
        if grant is None:
            raise ApiError(401, "invalid_token", "send a valid bearer token", WWW_Authenticate="Bearer")
        self.buckets.admit(grant.client_id)
        if scope and scope not in grant.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise ApiError(403, "insufficient_scope", f"the token lacks {scope}", WWW_Authenticate=challenge)
        return grant.client_id

    def check_service(self, department: str) -> None:
        """Refuses while the department's outage lasts."""
        now = self.clock.read()
        if outage := events.outage(department, now.today, now.first_day):
            last = outage.last(now.first_day)
            raise ApiError(503, "unavailable", f"{outage.about}; until {last}", Retry_After="3600")

    def fields(self, department: Department, dataset: Dataset):
        """Fields and number of the schema in force today."""
        now = self.clock.read()
        return events.fields_on(department.name, dataset.name, now.today, now.first_day)

    def records(
        self, department: Department, dataset: Dataset, where: list[str], values: list, limit: int
    ) -> list[dict]:
        """Published records in the order of publication; `_time` and `_record` are their position."""
        tomorrow = datetime.combine(self.clock.today() + timedelta(days=1), datetime.min.time())
        columns = select_list(dataset, self.fields(department, dataset)[0])
        conditions = " AND ".join(["published_at < ?", *where])
        log = log_file(self.folder, department.name, dataset.name)
        query = f"""
            SELECT epoch_us(published_at) AS _time, record AS _record, {columns}
            FROM (SELECT * FROM read_parquet('{log}') WHERE {conditions} LIMIT {limit})"""
        return records(self.database, query, [tomorrow, *values])


def create_app(home: Path) -> FastAPI:
    """The application over the state in `home/government`."""
    platform = Platform(home)
    app = application(
        "Government data platform", "Thirteen departments, each with its own keys, formats, lateness and outages."
    )
    app.middleware("http")(_dated(platform))
    _common_routes(app, platform)
    for department in DEPARTMENTS:
        for dataset in department.datasets:
            _list_route(app, platform, department, dataset)
            _record_route(app, platform, department, dataset)
        _history_routes(app, platform, department)
    return app


def _dated(platform: Platform) -> Callable:
    async def add_date(request: Request, call_next: Callable) -> Response:
        response = await call_next(request)
        response.headers["X-Platform-Date"] = str(platform.clock.today())
        return response

    return add_date


def _guard(platform: Platform, department: Department) -> Any:
    """The dependency that lets a request pass: token, rate, scope, service."""

    def check(request: Request, _: Annotated[str | None, Depends(BEARER)]) -> str:
        client = platform.admit(request.headers.get("authorization"), department.scope)
        platform.check_service(department.name)
        return client

    return Depends(check)


def _common_routes(app: FastAPI, platform: Platform) -> None:
    @app.post(
        "/oauth/token",
        tags=["access"],
        summary="Get an access token",
        responses=openapi.token_responses(),
        openapi_extra=tokens.TOKEN_BODY,
    )
    async def token(request: Request) -> Response:
        """OAuth2 client credentials, in the form or by HTTP Basic."""
        await run_in_threadpool(platform.buckets.admit, "token")
        platform.check_service("token")
        return await platform.tokens.answer(request)

    @app.get("/v1/departments", tags=["catalogue"], summary="Departments", responses=openapi.departments_responses())
    def departments(request: Request, known: Annotated[Known, Header(alias="If-None-Match")] = None) -> Response:
        """What each department offers, how late it is, and whether it answers today. Needs no token."""
        return cached(request, {"departments": _catalogue(platform)})

    @app.get("/v1/notices", tags=["catalogue"], summary="Notices", responses=openapi.notices_responses())
    def notices(request: Request, known: Annotated[Known, Header(alias="If-None-Match")] = None) -> Response:
        """Outages so far and schema changes so far or announced. Needs no token."""
        return cached(request, {"notices": notices_on(platform.clock.today(), platform.clock.read().first_day)})

    def intro() -> str:
        entries = notices_on(platform.clock.today(), platform.clock.read().first_day)
        rows = [[e["kind"], e["department"], e["from"], e["until"] or "", e["about"]] for e in entries]
        return "<h2>notices</h2>" + docs_page.table(["kind", "department", "from", "until", "what"], rows)

    add_pages(app, platform.clock, lambda: _description(app, platform), intro)


def _catalogue(platform: Platform) -> list[dict]:
    now = platform.clock.read()
    return [
        {
            "department": department.name,
            "title": department.title,
            "about": department.about,
            "scope": department.scope,
            "history_format": department.bulk,
            "available": events.outage(department.name, now.today, now.first_day) is None,
            "datasets": [
                {
                    "dataset": dataset.name,
                    "about": dataset.about,
                    "grain": dataset.grain,
                    "lag": dataset.lag.text(),
                    "schema_version": platform.fields(department, dataset)[1],
                    "url": f"/v1/{department.name}/{dataset.name}",
                }
                for dataset in department.datasets
            ],
        }
        for department in DEPARTMENTS
    ]


def notices_on(today: date, first_day: date) -> list[dict]:
    """Outages that have begun, and schema changes from their announcement on; by day."""
    found = []
    for outage in events.OUTAGES:
        first = outage.first(first_day)
        if first <= today:
            until = str(outage.last(first_day))
            found.append({"kind": "outage", "department": outage.department, "dataset": None, "from": str(first)})
            found[-1] |= {"until": until, "about": outage.about}
    for change in events.SCHEMA_CHANGES:
        day = change.date(first_day)
        if day - timedelta(days=events.NOTICE_DAYS) <= today:
            found.append({"kind": change.kind, "department": change.department, "dataset": change.dataset})
            found[-1] |= {"from": str(day), "until": None, "about": change.about}
    return sorted(found, key=lambda notice: notice["from"])


def _description(app: FastAPI, platform: Platform) -> dict:
    """The OpenAPI description with the schemas in force today."""
    versions = {(d.name, s.name): platform.fields(d, s) for d in DEPARTMENTS for s in d.datasets}
    return openapi.describe(app, versions)


def _list_route(app: FastAPI, platform: Platform, department: Department, dataset: Dataset) -> None:
    scope = f"{department.name}.{dataset.name}"

    @app.get(
        f"/v1/{department.name}/{dataset.name}",
        tags=[department.title],
        summary=f"List {dataset.name}",
        description=f"{dataset.about} Grain: {dataset.grain}. Published after {dataset.lag.text()}. "
        "In the order of publication; keep the last cursor and go on from it another day.",
        responses=openapi.list_responses(department, dataset),
        operation_id=f"list_{department.name}_{dataset.name}",
        dependencies=[_guard(platform, department)],
    )
    def listed(
        request: Request,
        limit: Limit = 200,
        cursor: Cursor = None,
        updated_since: Since = None,
        key: Key = None,
        known: Annotated[Known, Header(alias="If-None-Match")] = None,
    ) -> Response:
        filters = f"{scope}|{updated_since or ''}|{key or ''}"
        where, values = _conditions(platform, dataset, filters, cursor, updated_since, key)
        found = platform.records(department, dataset, where, values, limit + 1)
        more, rows = len(found) > limit, found[:limit]
        position = [rows[-1]["_time"], rows[-1]["_record"]] if rows else None
        following = cursors.pack(position, filters, platform.key) if position else cursor
        data = [{name: value for name, value in row.items() if name[0] != "_"} for row in rows]
        body = {"data": data, "has_more": more, "next_cursor": following}
        return cached(request, body, {"X-Schema-Version": str(platform.fields(department, dataset)[1])})


def _record_route(app: FastAPI, platform: Platform, department: Department, dataset: Dataset) -> None:
    @app.get(
        f"/v1/{department.name}/{dataset.name}/{{record_id}}",
        tags=[department.title],
        summary=f"One record of {dataset.name}",
        description="The newest revision published by today.",
        responses=openapi.record_responses(department, dataset),
        operation_id=f"get_{department.name}_{dataset.name}",
        dependencies=[_guard(platform, department)],
    )
    def one(
        request: Request,
        record_id: Annotated[str, PathParameter(pattern=RECORD_PATTERN)],
        known: Annotated[Known, Header(alias="If-None-Match")] = None,
    ) -> Response:
        found = []
        if record_id[0] == dataset.prefix:
            found = platform.records(department, dataset, ["record = ?"], [int(record_id[1:], 16)], 1000)
        if not found:
            raise ApiError(404, "not_found", f"{dataset.name} holds no published record {record_id}")
        newest = max(found, key=lambda row: row["revision"])
        body = {name: value for name, value in newest.items() if name[0] != "_"}
        return cached(request, body, {"X-Schema-Version": str(platform.fields(department, dataset)[1])})


def _conditions(platform: Platform, dataset: Dataset, filters: str, cursor, since, key) -> tuple[list[str], list]:
    """The filters of a list as SQL conditions with their values."""
    where, values = [], []
    if cursor is not None:
        position = cursors.unpack(cursor, filters, platform.key)
        if position is None:
            raise ApiError(
                400, "invalid_cursor", "the cursor is not of this list with these filters; start without one"
            )
        at = datetime(1970, 1, 1) + timedelta(microseconds=position[0])
        where.append("(published_at > ? OR (published_at = ? AND record > ?))")
        values += [at, at, position[1]]
    if since is not None:
        where.append("published_at >= ?")
        values.append(_local_time(since))
    if key is not None:
        where.append("subject_key = ?" if _has_subject(dataset) else "false")
        values += [key] if _has_subject(dataset) else []
    return where, values


def _local_time(text: str) -> datetime:
    """A day or time of a parameter as local time without an offset."""
    try:
        if not SINCE.fullmatch(text):
            raise ValueError("write a day or a time as RFC 3339 does")
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(LOCAL).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise ApiError(422, "invalid_parameter", f"updated_since: {error}") from error


def _has_subject(dataset: Dataset) -> bool:
    return dataset.subject is not None or re.search(r"\bsubject_key\b", dataset.sql) is not None


def _history_routes(app: FastAPI, platform: Platform, department: Department) -> None:
    path = f"/v1/{department.name}/history"
    guard = _guard(platform, department)

    def ready() -> list[HistoryFile]:
        today = str(platform.clock.today())
        return [entry for entry in platform.manifests[department.name] if entry.ready_on <= today]

    @app.get(
        path,
        tags=[department.title],
        summary="Manifest of history files",
        description="One file a dataset and month of publication, ready on the third of the next month, in the schema "
        "in force that day. `resume_cursor` goes on with each list where its last file ends.",
        responses=openapi.manifest_responses(),
        operation_id=f"manifest_{department.name}",
        dependencies=[guard],
    )
    def manifest(request: Request, known: Annotated[Known, Header(alias="If-None-Match")] = None) -> Response:
        files = [vars(entry) | {"url": f"{path}/{entry.file}"} for entry in ready()]
        return cached(request, {"files": files, "resume": _resume(platform, department, ready())})

    @app.get(
        path + "/{file}",
        tags=[department.title],
        summary="Download a history file",
        description=f"Format: {department.bulk}. Ranges are served.",
        responses=openapi.file_responses(department.bulk),
        operation_id=f"download_{department.name}",
        dependencies=[guard],
    )
    def download(
        request: Request,
        file: Annotated[str, PathParameter(pattern=FILE_PATTERN)],
        known: Annotated[Known, Header(alias="If-None-Match")] = None,
    ) -> Response:
        entry = next((entry for entry in ready() if entry.file == file), None)
        if entry is None:
            raise ApiError(404, "not_found", f"{department.name} has no file {file} yet")
        tag = f'"{entry.sha256}"'
        if matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers={"ETag": tag})
        kind = "application/gzip" if file.endswith(".gz") else "application/vnd.apache.parquet"
        target = history_folder(platform.folder, department.name) / file
        return FileResponse(target, media_type=kind, filename=file, headers={"ETag": tag})


def _resume(platform: Platform, department: Department, files: list[HistoryFile]) -> list[dict]:
    """A cursor for each dataset that begins after the last month of its ready files."""
    last: dict[str, str] = {}
    for entry in files:
        last[entry.dataset] = max(last.get(entry.dataset, ""), entry.month)
    found = []
    for dataset, month in sorted(last.items()):
        begin = (datetime.strptime(month, "%Y-%m") + timedelta(days=32)).replace(day=1)
        micros = int((begin - datetime(1970, 1, 1)).total_seconds()) * 1_000_000
        cursor = cursors.pack([micros, 0], f"{department.name}.{dataset}||", platform.key)
        found.append({"dataset": dataset, "after_month": month, "cursor": cursor})
    return found
