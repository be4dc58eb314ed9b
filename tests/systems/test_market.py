"""The commodity market: published prices only, gaps and stale quotes as the world has them."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from rest_client import all_pages, set_day, step

from sources.systems.market.app import create_app


@pytest.fixture
def http(home: Path, settings) -> TestClient:
    return client(home)


def client(home: Path) -> TestClient:
    key = json.loads((home / "market" / "credentials.json").read_text())["clients"][0]["client_secret"]
    http = TestClient(create_app(home))
    http.headers["X-Api-Key"] = key
    return http


@pytest.fixture(scope="module")
def prices(world: Path) -> pd.DataFrame:
    return pd.read_parquet(world / "commodity_price.parquet")


def test_every_published_price_comes_once_and_no_other(http: TestClient, home: Path, prices: pd.DataFrame) -> None:
    set_day(home, date(2019, 8, 1))
    rows = all_pages(http, "/v1/prices", limit=37)
    expected = prices[prices["published_at"] < "2019-08-02"]
    assert sorted((r["good"], r["day"], round(float(r["price"]) * 100)) for r in rows) == sorted(
        (r.good, str(r.day), r.price_fen) for r in expected.itertuples()
    )
    assert [r["published_at"] for r in rows] == sorted(r["published_at"] for r in rows)


def test_a_late_price_appears_on_the_day_it_is_published(http: TestClient, home: Path, prices: pd.DataFrame) -> None:
    late = prices[prices["published_at"].dt.date > prices["day"]].iloc[5]
    query = {"good": late["good"], "since": str(late["day"]), "until": str(late["day"])}
    set_day(home, late["published_at"].date() - timedelta(days=1))
    assert all_pages(http, "/v1/prices", **query) == []
    step(home)
    assert [row["day"] for row in all_pages(http, "/v1/prices", **query)] == [str(late["day"])]


def test_a_gap_day_has_no_price_and_a_stale_one_repeats_the_last(http: TestClient, prices: pd.DataFrame) -> None:
    rows = sorted(all_pages(http, "/v1/prices", good="steel"), key=lambda row: row["day"])
    days = {date.fromisoformat(row["day"]) for row in rows}
    workdays = {d.date() for d in pd.bdate_range(min(days), max(days))}
    assert workdays - days
    stale = [k for k, row in enumerate(rows) if row["stale"] and k]
    assert stale
    assert all(rows[k]["price"] == rows[k - 1]["price"] for k in stale)


def test_rows_come_once_while_the_clock_moves(http: TestClient, home: Path, prices: pd.DataFrame) -> None:
    set_day(home, date(2019, 3, 1))
    rows = all_pages(http, "/v1/prices", limit=20, between=lambda: step(home, 3))
    seen = [(row["good"], row["day"]) for row in rows]
    assert len(seen) == len(set(seen))


def test_the_last_quote_of_each_good(http: TestClient, home: Path, prices: pd.DataFrame) -> None:
    set_day(home, date(2019, 8, 1))
    shown = {row["good"]: row["day"] for row in http.get("/v1/goods").json()["goods"]}
    known = prices[prices["published_at"] < "2019-08-02"]
    assert shown == known.groupby("good")["day"].max().astype(str).to_dict()


def test_the_key_is_needed_and_too_many_requests_are_refused(home: Path, settings) -> None:
    settings(rate_per_second=1, rate_burst=2)
    http = client(home)
    assert http.get("/v1/goods", headers={"X-Api-Key": "wrong"}).status_code == 401
    statuses = [http.get("/v1/goods").status_code for _ in range(4)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


def test_a_copy_that_is_current_is_not_sent_again(http: TestClient) -> None:
    tag = http.get("/v1/goods").headers["ETag"]
    assert http.get("/v1/goods", headers={"If-None-Match": tag}).status_code == 304
