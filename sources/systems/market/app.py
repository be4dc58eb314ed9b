"""The REST service of the commodity market; a client shows its key in `X-Api-Key`."""

from __future__ import annotations

import hmac
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, Field

from sources.systems.clock import Clock
from sources.systems.rest import cursor as cursors
from sources.systems.rest.answers import ApiError, cached
from sources.systems.rest.application import add_pages, application, describe
from sources.systems.rest.credentials import read_clients, signing_key
from sources.systems.rest.limits import Buckets
from sources.systems.settings import get_settings
from sources.systems.world import connect, records

API_KEY = APIKeyHeader(name="X-Api-Key", scheme_name="api_key", auto_error=False)
DAY = r"^\d{4}-\d{2}-\d{2}$"
A_DAY = {"anyOf": [{"type": "string", "format": "date"}]}
GOOD = r"^[0-9A-Za-z_ -]+$"


class Closed(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class Price(Closed):
    """One quote. On a gap day there is none; a stale quote repeats the price of an earlier day."""

    good: str
    day: Annotated[str, Field(pattern=DAY, description="trading day")]
    price: Annotated[str, Field(pattern=r"^\d+\.\d{2}$", description="CNY a unit, without tax")]
    published_at: Annotated[str, Field(description="when the exchange published it, UTC+8; may be days after `day`")]
    stale: Annotated[bool, Field(description="nothing was traded; the last price is repeated")]


class PricePage(Closed):
    """Quotes in the order of publication."""

    data: list[Price]
    has_more: bool
    next_cursor: str | None


class Goods(Closed):
    """The goods quoted so far, with their last quote."""

    goods: list[Price]


class Error(Closed):
    """Any refusal."""

    code: str
    message: str


class Market:
    """What the service knows: the clock, the keys, the prices."""

    def __init__(self, home: Path) -> None:
        settings, folder = get_settings(), home / "market"
        self.clock, self.file = Clock(home), folder / "price.parquet"
        self.clients, self.key = read_clients(folder), signing_key(folder)
        self.buckets = Buckets(settings.rate_per_second, settings.rate_burst)
        self.database = connect(settings.memory_mb, threads=1)

    def check(self, given: Annotated[str | None, Depends(API_KEY)]) -> None:
        """Refuses a request without a valid key, or of a client that asks too often."""
        keys = {name: client.client_secret for name, client in self.clients.items()}
        client = next((n for n, key in keys.items() if hmac.compare_digest(key.encode(), (given or "").encode())), None)
        if client is None:
            raise ApiError(401, "invalid_key", "send a valid key in X-Api-Key", WWW_Authenticate="ApiKey")
        self.buckets.admit(client)

    def rows(self, where: list[str], values: list, end: str) -> list[dict]:
        """Quotes published by the end of today."""
        tomorrow = datetime.combine(self.clock.today() + timedelta(days=1), datetime.min.time())
        query = f"""
            SELECT number, good, day::VARCHAR AS day, (price_fen / 100.0)::DECIMAL(18, 2)::VARCHAR AS price,
                   strftime(published_at, '%Y-%m-%dT%H:%M:%S+08:00') AS published_at, stale
            FROM (SELECT * FROM read_parquet('{self.file}') WHERE {" AND ".join(["published_at < ?", *where])} {end})"""
        return records(self.database, query, [tomorrow, *values])


REFUSALS: dict[int | str, Any] = {
    401: {
        "model": Error,
        "description": "No valid key",
        "headers": {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    },
    422: {"model": Error, "description": "A parameter is invalid"},
    429: {
        "model": Error,
        "description": "Too many requests; wait as long as Retry-After says",
        "headers": {"Retry-After": {"schema": {"type": "string"}, "required": True}},
    },
    304: {"description": "The client's copy is current"},
}
Known = Annotated[str | None, Header(alias="If-None-Match", max_length=400)]


def create_app(home: Path) -> FastAPI:
    """The application over the state in `home/market`."""
    market = Market(home)
    app = application(
        "Commodity market", "Daily prices of goods. Days without a quote are gaps; stale quotes are marked."
    )
    _price_routes(app, market)
    add_pages(app, market.clock, lambda: describe(app))
    return app


def _price_routes(app: FastAPI, market: Market) -> None:
    guard = [Depends(market.check)]

    @app.get(
        "/v1/goods",
        tags=["prices"],
        summary="Goods and their last quote",
        dependencies=guard,
        response_model=Goods,
        responses=REFUSALS,
    )
    def goods(request: Request, known: Known = None) -> Any:
        """Every good quoted so far, with the quote of its newest trading day."""
        last = "QUALIFY row_number() OVER (PARTITION BY good ORDER BY day DESC, number DESC) = 1"
        found = sorted(market.rows([], [], last), key=lambda row: row["good"])
        return cached(request, {"goods": [_shown(row) for row in found]})

    @app.get(
        "/v1/prices",
        tags=["prices"],
        summary="Prices",
        dependencies=guard,
        response_model=PricePage,
        responses=REFUSALS | {400: {"model": Error, "description": "Cursor of another list or filter"}},
    )
    def prices(
        request: Request,
        good: Annotated[str | None, Query(max_length=60, pattern=GOOD)] = None,
        since: Annotated[str | None, Query(description="first trading day", json_schema_extra=A_DAY)] = None,
        until: Annotated[str | None, Query(description="last trading day", json_schema_extra=A_DAY)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        cursor: Annotated[str | None, Query(max_length=cursors.MAX_LENGTH, pattern=cursors.PATTERN)] = None,
        known: Known = None,
    ) -> Any:
        """In the order of publication; keep the last cursor and go on from it another day."""
        filters = f"prices|{good or ''}|{since or ''}|{until or ''}"
        where, values = [], []
        for condition, value in (("good = ?", good), ("day >= ?", _day(since)), ("day <= ?", _day(until))):
            if value is not None:
                where.append(condition)
                values.append(value)
        if cursor is not None:
            position = cursors.unpack(cursor, filters, market.key)
            if position is None:
                raise ApiError(400, "invalid_cursor", "the cursor is not of this list with these filters")
            where.append("number > ?")
            values.append(position[0])
        found = market.rows(where, values, f"ORDER BY number LIMIT {limit + 1}")
        rows = found[:limit]
        following = cursors.pack([rows[-1]["number"]], filters, market.key) if rows else cursor
        body = {"data": [_shown(row) for row in rows], "has_more": len(found) > limit, "next_cursor": following}
        return cached(request, body)


def _shown(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "number"}


def _day(text: str | None) -> date | None:
    try:
        if text is not None and not re.fullmatch(DAY, text):
            raise ValueError("write a day as 2019-03-05")
        return date.fromisoformat(text) if text is not None else None
    except ValueError as error:
        raise ApiError(422, "invalid_parameter", str(error)) from error
