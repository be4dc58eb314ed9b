"""What the departments publish: complete, in order, late as declared, revised, and never the hidden truth."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from rest_client import all_pages, client_of, set_day, step
from small_world import FIRST_PERSON, FIRST_PLANTED, FIRST_RECORD, TRUE_F32, TRUE_FEN

from sources.economy.schema import HOUSEHOLDS, TABLES
from sources.systems.clock import Clock
from sources.systems.government.app import create_app
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.events import OUTAGES, SCHEMA_CHANGES, fields_on
from sources.systems.government.projection import load_logs, log_file
from sources.systems.keys import row_keys

FIRST_DAY, LAST_DAY = date(2019, 1, 1), date(2021, 1, 29)
LISTS = [(department, dataset) for department in DEPARTMENTS for dataset in department.datasets]
NAMES = [f"{department.name}/{dataset.name}" for department, dataset in LISTS]


@pytest.fixture
def http(home: Path, settings) -> TestClient:
    return client_of(create_app(home), home / "government")


def published(home: Path, name: str, until: date, since: date = FIRST_DAY) -> int:
    """Publications of a dataset in a span of days, counted beside the service."""
    log = log_file(home / "government", *name.split("/"))
    query = f"SELECT count(*) FROM '{log}' WHERE published_at::DATE BETWEEN DATE '{since}' AND DATE '{until}'"
    return duckdb.sql(query).fetchall()[0][0]


# Completeness and order


@pytest.mark.parametrize("name", NAMES)
def test_every_publication_comes_exactly_once_and_in_order(http: TestClient, home: Path, name: str) -> None:
    rows = all_pages(http, f"/v1/{name}")
    assert len(rows) == published(home, name, Clock(home).today()) > 0
    versions = [(row["record_id"], row["revision"]) for row in rows]
    assert len(set(versions)) == len(versions)
    assert [row["published_at"] for row in rows] == sorted(row["published_at"] for row in rows)


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_are_the_same_whatever_their_size(http: TestClient, limit: int) -> None:
    path = "/v1/customs/declarations"
    assert all_pages(http, path, limit=limit) == all_pages(http, path, limit=50)


def test_rows_come_exactly_once_while_the_clock_moves(http: TestClient, home: Path) -> None:
    set_day(home, date(2019, 6, 1))
    name = "electricity/daily_usage"
    rows = all_pages(http, f"/v1/{name}", limit=300, between=lambda: step(home, 1))
    today = Clock(home).today()
    assert today > date(2019, 6, 5)
    counted = Counter((row["record_id"], row["revision"]) for row in rows)
    assert max(counted.values()) == 1
    assert len(rows) == published(home, name, today)


def test_a_cursor_goes_on_another_day_with_what_is_new(http: TestClient, home: Path) -> None:
    set_day(home, date(2019, 6, 1))
    path, name = "/v1/electricity/daily_usage", "electricity/daily_usage"
    cursor = None
    while True:
        body = http.get(path, params={"limit": 1000} | ({"cursor": cursor} if cursor else {})).json()
        cursor = body["next_cursor"]
        if not body["has_more"]:
            break
    nothing = http.get(path, params={"cursor": cursor}).json()
    assert nothing == {"data": [], "has_more": False, "next_cursor": cursor}
    step(home, 2)
    new = http.get(path, params={"cursor": cursor, "limit": 1000}).json()["data"]
    assert len(new) == published(home, name, date(2019, 6, 3), since=date(2019, 6, 2)) > 0


def test_nothing_is_shown_before_its_day(http: TestClient, home: Path) -> None:
    set_day(home, date(2019, 5, 5))
    for name in NAMES:
        assert all(row["published_at"][:10] <= "2019-05-05" for row in all_pages(http, f"/v1/{name}"))


def test_updated_since_keeps_what_came_at_or_after(http: TestClient) -> None:
    rows = all_pages(http, "/v1/water/bills")
    for since in ("2019-09-01", "2019-09-01T12:00:00", "2019-09-01T12:00:00+08:00"):
        kept = all_pages(http, "/v1/water/bills", updated_since=since)
        assert kept == [row for row in rows if row["published_at"] >= since[:19]]


def test_one_key_gives_its_rows_alone(http: TestClient) -> None:
    rows = all_pages(http, "/v1/water/bills")
    key = rows[0]["khbh"]
    assert all_pages(http, "/v1/water/bills", key=key) == [row for row in rows if row["khbh"] == key]


def test_one_record_is_its_newest_revision(http: TestClient) -> None:
    rows = all_pages(http, "/v1/courts/cases")
    newest = {row["record_id"]: row for row in rows}
    revised = next(row for row in newest.values() if row["revision"] >= 3)
    assert http.get(f"/v1/courts/cases/{revised['record_id']}").json() == revised
    missing = http.get("/v1/courts/cases/A000000000000000")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


# What the world says, said by the departments


def visible(world: Path, table: str) -> pd.DataFrame:
    return pd.read_parquet(world / f"{table}.parquet")


def known_firms(world: Path) -> pd.DataFrame:
    firms = visible(world, "firm")
    return firms[firms["in_region"]]


def test_the_last_revisions_add_up_to_the_world(http: TestClient, home: Path, world: Path) -> None:
    set_day(home, LAST_DAY)
    firms = set(known_firms(world)["firm_id"])
    bills = visible(world, "water")
    bills = bills[bills["firm_id"].isin(firms)]
    newest = {row["record_id"]: row for row in all_pages(http, "/v1/water/bills")}
    shown = pd.DataFrame(newest.values())
    for month, expected in bills[bills["period"] < date(2020, 10, 1)].groupby("period"):
        got = shown[shown["zdyf"] == f"{month:%Y-%m}"]
        assert len(got) == len(expected)
        assert round(got["sf"].sum() * 100) == expected["fee_fen"].sum()


def test_no_later_event_is_known_before_it_happened(http: TestClient) -> None:
    for row in all_pages(http, "/v1/courts/cases"):
        seen = date.fromisoformat(row["published_at"][:10])
        for name in ("larq", "pjrq", "zxrq", "jarq"):
            if row[name]:
                day, month, year = (int(part) for part in row[name].split("."))
                assert date(year, month, day) < seen
    for row in all_pages(http, "/v1/tax_returns/returns"):
        assert row["jkrq"] is None or row["jkrq"] < row["published_at"][:10]
        assert (row["jkrq"] is None) == (row["yjse"] is None)


def test_lateness_is_as_declared(home: Path, world: Path) -> None:
    """Daily energy: one or two days, and a small share up to twelve days later."""
    log = log_file(home / "government", "electricity", "daily_usage")
    days = duckdb.sql(f"SELECT published_at::DATE - day AS days FROM '{log}' WHERE revision = 1").df()["days"]
    days = days.astype(int)
    assert days.min() == 1
    assert days.max() <= 14
    assert (days > 2).mean() == pytest.approx(0.01, abs=0.004)


def test_a_batch_department_publishes_on_its_day(http: TestClient) -> None:
    rows = all_pages(http, "/v1/social_insurance/contributions")
    first = [row for row in rows if row["revision"] == 1]
    assert {row["published_at"][8:10] for row in first} == {"15"}


def test_mistakes_are_few_and_put_right_under_the_same_number(home: Path, world: Path) -> None:
    log = log_file(home / "government", "electricity", "daily_usage")
    rows = duckdb.sql(
        f"SELECT record, revision, energy_kwh, subject_key, day FROM '{log}' ORDER BY record, revision"
    ).df()
    revised = rows[rows["record"].isin(rows.loc[rows["revision"] == 2, "record"])]
    wrong, right = (revised[revised["revision"] == k].set_index("record")["energy_kwh"] for k in (1, 2))
    assert len(right) / rows["record"].nunique() == pytest.approx(0.003, abs=0.002)
    assert (wrong / right).round(3).eq(10).all()
    truth = visible(world, "electricity")
    truth = truth[truth["firm_id"].isin(known_firms(world)["firm_id"])]
    last = rows.groupby("record")["energy_kwh"].last()
    assert sorted(last) == sorted(truth["energy_kwh"])


def test_renames_and_closures_are_revisions_of_the_enterprise(http: TestClient, home: Path, world: Path) -> None:
    set_day(home, LAST_DAY)
    history: dict[str, list[dict]] = {}
    for row in all_pages(http, "/v1/business_registry/enterprises"):
        history.setdefault(row["tyshxydm"], []).append(row)
    names = [row["qymc"] for row in history["91330100MA20000000"]]
    assert names == ["Hangzhou Sample Works No. 0 Co., Ltd.", "Hangzhou Renamed Works No. 0 Co., Ltd."]
    closed = history["91330100MA20000003"][-1]
    assert (closed["djzt"], closed["zxrq"]) == ("2", str(FIRST_DAY + timedelta(days=380)))
    assert history["91330100MA20000003"][0]["zxrq"] is None


def test_a_firm_with_two_meters_has_its_energy_shared_out(home: Path, world: Path, tmp_path: Path) -> None:
    """Two keys of one firm in `department_subject`; a firm that it leaves out is not covered."""
    firms = visible(world, "firm")["firm_id"]
    copy = tmp_path / "two_meters"
    shutil.copytree(world, copy)
    keys = [("A1", firms[0]), ("A2", firms[0]), ("B1", firms[1])]
    rows = [
        {"system": "electricity", "department": "electricity", "key": key, "firm_id": firm, "name": "x"}
        | {"from_on": date(2015, 1, 1), "to_on": None}
        for key, firm in keys
    ]
    schema = TABLES["department_subject"].schema
    pq.write_table(pa.Table.from_pylist(rows, schema), copy / "department_subject.parquet")
    load_logs(tmp_path / "out", copy)
    log = log_file(tmp_path / "out", "electricity", "daily_usage")
    last = f"SELECT * FROM '{log}' QUALIFY row_number() OVER (PARTITION BY record ORDER BY revision DESC) = 1"
    shown = duckdb.sql(last).df().groupby(["subject_key", "day"])["fee_fen"].sum().unstack(0)
    truth = visible(world, "electricity").pivot(index="day", columns="firm_id", values="fee_fen")
    assert (shown["A1"] + shown["A2"]).tolist() == truth[firms[0]].tolist()
    assert shown["A2"].tolist() == (truth[firms[0]] // 4).tolist()
    assert shown["B1"].tolist() == truth[firms[1]].tolist()
    assert set(shown.columns) == {"A1", "A2", "B1"}


def test_sales_to_private_customers_are_in_the_ledger(world: Path, tmp_path: Path) -> None:
    copy = tmp_path / "retail"
    shutil.copytree(world, copy)
    invoices = visible(world, "invoice")
    known = set(known_firms(world)["firm_id"])
    row = invoices[invoices["seller_id"].isin(known)].iloc[0]
    changed = invoices.assign(
        buyer_id=invoices["buyer_id"].where(invoices["invoice_id"] != row["invoice_id"], HOUSEHOLDS)
    )
    pq.write_table(pa.Table.from_pandas(changed, TABLES["invoice"].schema), copy / "invoice.parquet")
    load_logs(tmp_path / "out", copy)
    log = log_file(tmp_path / "out", "vat_invoices", "invoices")
    found = duckdb.sql(f"SELECT buyer_name, buyer_code FROM '{log}' WHERE invoice_number = '{row['invoice_number']}'")
    assert found.fetchall()[0] == ("自然人", None)


def test_firms_of_other_regions_are_not_covered(http: TestClient, world: Path) -> None:
    codes = {row["tyshxydm"] for row in all_pages(http, "/v1/business_registry/enterprises")}
    assert codes == set(known_firms(world)["uscc"])
    assert len(codes) < len(visible(world, "firm"))


# History files


def test_history_files_and_the_list_after_them_are_everything_once(http: TestClient, home: Path) -> None:
    for department in ("courts", "vat_invoices"):
        body = http.get(f"/v1/{department}/history").json()
        name = {"courts": "cases", "vat_invoices": "invoices"}[department]
        found = []
        for entry in (entry for entry in body["files"] if entry["dataset"] == name):
            answer = http.get(entry["url"])
            assert hashlib.sha256(answer.content).hexdigest() == entry["sha256"]
            assert len(answer.content) == entry["bytes"]
            frame = _table(entry["file"], answer.content)
            assert len(frame) == entry["rows"]
            found += list(zip(frame["record_id"], frame["revision"], strict=True))
        resume = next(entry["cursor"] for entry in body["resume"] if entry["dataset"] == name)
        tail = http.get(f"/v1/{department}/{name}", params={"cursor": resume, "limit": 1000}).json()
        assert not tail["has_more"]
        found += [(row["record_id"], row["revision"]) for row in tail["data"]]
        assert len(found) == len(set(found)) == published(home, f"{department}/{name}", Clock(home).today())


def _table(name: str, content: bytes) -> pd.DataFrame:
    if name.endswith(".parquet"):
        return pd.read_parquet(io.BytesIO(content))
    return pd.read_csv(io.BytesIO(gzip.decompress(content)), dtype={"record_id": str})


def test_a_months_file_appears_on_the_third_and_has_an_entity_tag(http: TestClient, home: Path) -> None:
    path = "/v1/courts/history/cases-2019-03.csv.gz"
    set_day(home, date(2019, 4, 2))
    assert http.get(path).status_code == 404
    step(home)
    first = http.get(path)
    assert first.status_code == 200
    assert http.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    part = http.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, first.content[10:20])


# Outages and schema changes


@pytest.mark.parametrize("outage", [o for o in OUTAGES if o.department != "token"], ids=lambda o: o.department)
def test_an_outage_lasts_from_its_first_to_its_last_day(http: TestClient, home: Path, outage) -> None:
    department = "water" if outage.department == "platform" else outage.department
    dataset = next(s.name for d, s in LISTS if d.name == department)
    path = f"/v1/{department}/{dataset}"
    first, last = outage.first(FIRST_DAY), outage.last(FIRST_DAY)
    days = {first - timedelta(days=1): 200, first: 503, last: 503, last + timedelta(days=1): 200}
    for day, status in days.items():
        set_day(home, day)
        answer = http.get(path)
        assert answer.status_code == status, day
    set_day(home, first)
    assert int(http.get(path).headers["Retry-After"]) > 0
    assert http.get("/v1/gas/bills").status_code == (503 if outage.department == "platform" else 200)


def test_the_token_service_has_an_outage_of_its_own(http: TestClient, home: Path) -> None:
    outage = next(entry for entry in OUTAGES if entry.department == "token")
    day = outage.first(FIRST_DAY)
    for today, status in {day: 503, day + timedelta(days=1): 400}.items():
        set_day(home, today)
        assert http.post("/oauth/token").status_code == status
        assert http.get("/v1/gas/bills").status_code == 200


def test_there_are_as_many_events_as_promised() -> None:
    assert len(OUTAGES) == 7
    assert {change.kind for change in SCHEMA_CHANGES} == {
        "field renamed",
        "type changed",
        "new field",
        "unit changed",
        "code list changed",
    }


def test_a_new_field_comes_on_its_day(http: TestClient, home: Path) -> None:
    path = "/v1/social_insurance/contributions"
    set_day(home, date(2019, 6, 30))
    before = http.get(path)
    step(home)
    after = http.get(path)
    assert "jfzt" not in before.json()["data"][0]
    assert after.json()["data"][0]["jfzt"] in ("0", "1", "2")
    assert (before.headers["X-Schema-Version"], after.headers["X-Schema-Version"]) == ("1", "2")


def test_a_field_is_renamed_on_its_day_and_its_old_files_keep_the_old_name(http: TestClient, home: Path) -> None:
    path = "/v1/electricity/daily_usage"
    set_day(home, date(2020, 3, 31))
    before = http.get(path).json()["data"][0]
    step(home)
    after = http.get(path).json()["data"][0]
    assert before["ydl"] == after["zxygdl"]
    assert "ydl" not in after
    set_day(home, date(2020, 6, 1))
    columns = {}
    for month in ("2019-05", "2020-04"):
        content = http.get(f"/v1/electricity/history/daily_usage-{month}.parquet").content
        columns[month] = set(pd.read_parquet(io.BytesIO(content)).columns)
    assert "ydl" in columns["2019-05"] - columns["2020-04"]
    assert "zxygdl" in columns["2020-04"] - columns["2019-05"]


def listed(fields) -> str:
    return ", ".join(f'{field.sql} AS "{field.name}"' for field in fields)


@pytest.mark.parametrize("change", SCHEMA_CHANGES, ids=lambda change: change.kind)
def test_each_change_alters_what_it_says(change, home: Path) -> None:
    day = change.date(FIRST_DAY)
    before, first = fields_on(change.department, change.dataset, day - timedelta(days=1), FIRST_DAY)
    after, second = fields_on(change.department, change.dataset, day, FIRST_DAY)
    assert second == first + 1
    log = log_file(home / "government", change.department, change.dataset)
    old, new = (duckdb.sql(f"SELECT {listed(fields)} FROM '{log}' LIMIT 50").df() for fields in (before, after))
    if change.kind == "field renamed":
        assert (old["ydl"] == new["zxygdl"]).all()
    elif change.kind == "type changed":
        assert (old["ynse"] == new["ynse"].astype(float)).all()
        assert new["ynse"].map(type).eq(str).all()
    elif change.kind == "new field":
        assert set(new) - set(old) == {"jfzt"}
    elif change.kind == "unit changed":
        assert ((old["yjje"] * 100).round() == new["yjje"]).all()
    else:
        assert old["ie_flag"].map({"I": "1", "E": "0"}).tolist() == new["ie_flag"].tolist()


def test_changes_are_announced_and_outages_noted(http: TestClient, home: Path) -> None:
    set_day(home, date(2019, 6, 5))
    found = http.get("/v1/notices").json()["notices"]
    assert [(notice["kind"], notice["from"]) for notice in found] == [
        ("outage", "2019-03-11"),
        ("new field", "2019-07-01"),
    ]


def test_the_description_follows_the_schema_of_the_day(http: TestClient, home: Path) -> None:
    name = "electricity.daily_usage"
    set_day(home, date(2020, 3, 31))
    before = http.get("/openapi.json").json()["components"]["schemas"][name]["properties"]
    step(home)
    after = http.get("/openapi.json").json()["components"]["schemas"][name]["properties"]
    assert set(before) ^ set(after) == {"ydl", "zxygdl"}


# The hidden truth


def values(body: object) -> Iterator[object]:
    """All single values of an answer, and the names of its fields."""
    if isinstance(body, dict):
        yield from body
        for item in body.values():
            yield from values(item)
    elif isinstance(body, list):
        for item in body:
            yield from values(item)
    else:
        yield body


def secrets_of(world: Path) -> set[str]:
    """Numbers that nobody outside may see: of firms, persons, records, planted behaviour, and true amounts."""
    firms = visible(world, "firm")["firm_id"]
    found = {str(firm) for firm in firms} | {str(FIRST_PERSON + k) for k in range(len(firms))}
    found |= {str(FIRST_PLANTED + k) for k in range(97)} | {str(TRUE_F32), "987654321", "2055-05-05", "secret_kind"}
    return found


def test_no_answer_holds_a_number_of_the_world_or_hidden_truth(http: TestClient, home: Path, world: Path) -> None:
    set_day(home, LAST_DAY)
    secrets, hidden = secrets_of(world), {column for table in TABLES.values() for column in table.hidden} | {"firm_id"}
    checked = 0
    paths = [f"/v1/{name}" for name in NAMES]
    for path in paths:
        for value in values(all_pages(http, path)):
            words = re.split(r"[^0-9A-Za-z_.-]+", str(value))
            assert not secrets.intersection(words), (path, value)
            assert not hidden.intersection(words), (path, value)
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert not TRUE_FEN <= value * 100 <= TRUE_FEN + 10**6, (path, value)
                assert not FIRST_RECORD <= value <= FIRST_RECORD + 10**7, (path, value)
            checked += 1
    assert checked > 10_000
    for path in ("/v1/departments", "/v1/notices", "/openapi.json", *(f"/v1/{d.name}/history" for d in DEPARTMENTS)):
        text = set(re.split(r"[^0-9A-Za-z_.-]+", http.get(path).text))
        assert not text & (secrets | hidden), path


@pytest.mark.parametrize(("department", "dataset"), LISTS, ids=NAMES)
def test_no_declared_field_uses_a_hidden_column(department, dataset) -> None:
    words = set(re.findall(r"[a-z_0-9]+", " ".join(field.sql for field in dataset.fields)))
    assert not words & {column for table in TABLES.values() for column in table.hidden}
    assert not words & {
        "firm_id",
        "seller_id",
        "buyer_id",
        "plaintiff_id",
        "defendant_id",
        "owner_id",
        *dataset.key,
    } - {
        "subject_key",
        "period",
        "day",
        "year",
        "from_on",
        "owner_is_firm",
    }


def test_keys_of_departments_are_their_own(http: TestClient) -> None:
    """The same firms, but no number in common between departments that number by themselves."""
    fields = {
        "electricity/accounts": "yhbh",
        "water/accounts": "khbh",
        "gas/accounts": "rqbh",
        "social_insurance/employers": "dwbh",
        "housing_fund/employers": "dwzh",
        "customs/traders": "customs_code",
    }
    keys = {name: {row[field] for row in all_pages(http, f"/v1/{name}")} for name, field in fields.items()}
    assert all(len(found) == 20 for found in keys.values())
    assert len(set.union(*keys.values())) == 20 * len(keys)


# The logs of publications


@pytest.mark.parametrize(("department", "dataset"), LISTS, ids=NAMES)
def test_revisions_of_a_record_count_up_day_by_day(home: Path, department, dataset) -> None:
    """Numbered from one without gaps, each on a later day than the one before, none before the world's first day."""
    log = log_file(home / "government", department.name, dataset.name)
    wrong = duckdb.sql(f"""
        SELECT * FROM (
            SELECT revision, published_at, row_number() OVER records AS number,
                   lag(published_at::DATE) OVER records AS earlier
            FROM '{log}' WINDOW records AS (PARTITION BY record ORDER BY published_at))
        WHERE revision <> number OR published_at::DATE <= earlier OR published_at < TIMESTAMP '{FIRST_DAY}'""")
    assert wrong.fetchall() == []


def test_loading_twice_gives_the_same_logs(world: Path, home: Path, tmp_path: Path) -> None:
    load_logs(tmp_path, world)
    for department, dataset in LISTS:
        first, second = (log_file(folder, department.name, dataset.name) for folder in (home / "government", tmp_path))
        both = [f"SELECT * FROM '{a}' EXCEPT ALL SELECT * FROM '{b}'" for a, b in ((first, second), (second, first))]
        assert [duckdb.sql(query).fetchall() for query in both] == [[], []]


def test_an_order_bears_the_same_number_on_the_platform_and_in_invoices(http: TestClient, world: Path) -> None:
    numbers = set(row_keys("order", visible(world, "trade_order")["order_id"].to_numpy(), 7, "PO"))
    remarks = {row["bz"] for row in all_pages(http, "/v1/vat_invoices/invoices")}
    assert remarks
    assert {remark.removeprefix("合同号 ") for remark in remarks} <= numbers
