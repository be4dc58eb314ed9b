"""Contradictions by hand: a liar, who looks like one and an honest firm; what is known when; what statements read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import sqlglot
from sqlglot import exp

from lakehouse import contracts, known
from lakehouse.errors import ConfigError
from lakehouse.settings import PROJECT_DIR
from spark_jobs.contradictions import catalogue, statement
from tests.duck_dialect import prepare

KINDS = {kind.name: kind for kind in catalogue.load()}
CONFORMED = {
    "enterprise_key": {"system": "string", "department": "string", "key": "string", "enterprise_id": "string"},
    "equipment_reading": {
        "event_id": "string", "read_at": "timestamp", "machine_id": "string", "running_minutes": "int",
        "output_units": "bigint", "energy_kwh": "decimal(18,3)",
    },
    "department_subject": {"department": "string", "department_key": "string", "code": "string"},
}  # fmt: skip
TYPES = {"string": "varchar", "int": "integer", "boolean": "boolean"}
LIAR, ALIKE, HONEST, OTHER = (f"91330100MA2{n:07d}" for n in (1, 2, 3, 4))
FIRMS = (LIAR, ALIKE, HONEST, OTHER)


def columns_of(table: str) -> dict[str, str]:
    """Columns of a table of silver, by its contract, and those that every versioned table has."""
    trace = {"version_no": "int", "known_at": "timestamp"}
    if table in CONFORMED:
        return CONFORMED[table] | trace
    of = contracts.load_all(PROJECT_DIR / "contracts").values()
    contract = next(c for c in of if c.silver and c.silver.table == f"silver.{table}")
    return {c.name: c.spark_type for c in contract.columns} | trace


class Silver:
    """Tables of silver in DuckDB, made of the rows a test gives; what a row does not say is empty."""

    def __init__(self, rows: Mapping[str, list[dict[str, Any]]]) -> None:
        self.db = duckdb.connect()
        prepare(self.db)
        for table, given in rows.items():
            kinds = columns_of(table)
            cells = ", ".join(f"{name} {TYPES.get(kind, kind)}" for name, kind in kinds.items())
            self.db.execute(f"create table {table} ({cells})")
            for row in given:
                assert set(row) <= set(kinds), (table, set(row) - set(kinds))
                told = {"version_no": 1, **row}
                marks = ", ".join("?" for _ in told)
                self.db.execute(f"insert into {table} ({', '.join(told)}) values ({marks})", list(told.values()))
        self.relations = {f"silver.{table}": table for table in rows}

    def found(self, kind: str) -> pd.DataFrame:
        plan = statement.plan([KINDS[kind]], self.relations)
        assert not plan.left_out, plan.left_out
        for step in (*plan.facts, *plan.figures.values()):
            self.db.execute(f"create or replace view {step.view} as {step.sql}")
        return self.db.sql(statement.findings(KINDS[kind], plan.figures[kind].view, plan.registered)).df()


def at(day: date, hour: int = 9) -> datetime:
    return datetime(day.year, day.month, day.day, hour)


def identities() -> dict[str, list[dict[str, Any]]]:
    """Four firms of the register, and their numbers at every department that a test uses."""
    known_at = datetime(2018, 12, 1)
    keys = [
        {"system": d, "department": d, "key": f"{d}-{firm}", "enterprise_id": firm, "known_at": known_at}
        for d in ("land", "platform", "core_bank", "payments", "social_insurance", "field")
        for firm in FIRMS
    ]
    registered = [
        {"enterprise_key": f"r-{firm}", "uscc": firm, "name": f"firm {firm}", "address": f"street {firm}",
         "legal_person_number": f"person {firm}", "known_at": known_at}
        for firm in FIRMS
    ]  # fmt: skip
    return {"enterprise_key": keys, "registered_enterprise": registered}


# A farm that claims more than is seen; one that leases from neighbours; one that does neither


def farms(claims: Mapping[str, tuple[float, float]]) -> dict[str, list[dict[str, Any]]]:
    plots, seen = [], []
    for firm, (claimed, registered) in claims.items():
        for year in (2019, 2020):
            lies = claimed if year == 2020 else min(claimed, 100.0)
            plots.append({
                "plot_number": f"DK{firm}", "holder_number": f"land-{firm}", "plot_year": year, "land_use": "farm",
                "claimed_area_mu": lies, "registered_area_mu": registered, "known_at": at(date(year, 2, 20)),
            })  # fmt: skip
            for turn in range(12):
                day = date(year, 1, 10) + timedelta(days=16 * turn)
                area = None if turn % 4 == 3 else 100.0 + (-1) ** turn
                seen.append({"plot_number": f"DK{firm}", "observed_on": day, "sensed_area_mu": area,
                             "known_at": at(day + timedelta(days=4))})  # fmt: skip
    return identities() | {"land_plot": plots, "plot_observation": seen}


def test_a_farm_that_claims_more_than_is_seen_is_found_and_one_that_leases_is_not() -> None:
    silver = Silver(farms({LIAR: (150.0, 149.0), ALIKE: (100.0, 60.0), HONEST: (101.0, 100.0)}))
    found = silver.found("farm_area")
    assert list(found["enterprise_id"]) == [LIAR]
    row = found.iloc[0]
    # Four clear passes of 2020 are known on 5 March: it is told on the first of the next month.
    assert row["found_on"].date() == date(2020, 4, 1)
    assert row["claimed_above_sensed"] == pytest.approx(1.5, rel=0.02)
    assert row["claimed_above_before"] == pytest.approx(1.5)
    assert row["claimed_above_registered"] == pytest.approx(150 / 149)


def test_what_came_later_moves_no_finding() -> None:
    rows = farms({LIAR: (150.0, 149.0), HONEST: (101.0, 100.0)})
    whole = Silver(rows).found("farm_area")
    cut = {table: [r for r in given if r["known_at"] <= datetime(2020, 4, 1)] for table, given in rows.items()}
    assert Silver(cut).found("farm_area").equals(whole)
    later = {table: [r for r in given if r["known_at"] <= datetime(2020, 3, 1)] for table, given in rows.items()}
    assert Silver(later).found("farm_area").empty


# One heap under two receipts; a lot split in two; two lots


def warehouse(twins: Mapping[str, tuple[int, int, float, str, str]]) -> dict[str, list[dict[str, Any]]]:
    """`twins`: firm → quantities of its two receipts, how far the second heap reads off, and their lot codes."""
    receipts, sensors = [], []
    start = date(2020, 3, 2)
    for firm, (first, second, off, code, other_code) in twins.items():
        for number, quantity, lot, bank in ((1, first, code, "B01"), (2, second, other_code, "B02")):
            name = f"WR{number}{firm}"
            receipts.append({
                "event_id": name, "event_type": "receipt_issued", "event_at": at(start), "receipt_number": name,
                "owner_member_id": f"platform-{firm}", "good": "steel", "quantity_units": quantity, "lot_code": lot,
                "pledged_to_institution": bank, "known_at": at(start, 10),
            })  # fmt: skip
            for turn in range(7):
                day = start + timedelta(days=turn)
                volume = round(quantity * 0.02 * (1 + 0.01 * (-1) ** turn) + (number - 1) * off, 3)
                for sensor, reading in (
                    ("volume_m3", volume),
                    ("weight_kg", volume * 600),
                    ("camera_boxes", volume * 12),
                ):
                    sensors.append({
                        "event_id": f"{name}{sensor}{turn}", "event_at": at(day, 21), "receipt_number": name,
                        "sensor": sensor, "reading": reading, "door_openings": 1, "known_at": at(day, 22),
                    })  # fmt: skip
    return identities() | {"platform_warehouse_receipt": receipts, "platform_warehouse_sensor": sensors}


def test_one_heap_under_two_receipts_is_found_on_the_fifth_day() -> None:
    twins = {
        LIAR: (1000, 1000, 0.0, "A1", "A7"), ALIKE: (600, 400, 0.0, "B1", "B1"), HONEST: (900, 900, 0.4, "C1", "D1"),
    }  # fmt: skip
    found = Silver(warehouse(twins)).found("double_pledge")
    assert list(found["enterprise_id"]) == [LIAR]
    # Five days are read by the evening of 6 March, so that it can be told on the 7th.
    assert found.iloc[0]["found_on"].date() == date(2020, 3, 7)
    assert found.iloc[0]["same_lot_code"] == 0 and found.iloc[0]["broken_checks"] == 2


def test_a_receipt_for_more_than_there_is_is_found_by_its_peers() -> None:
    rows = warehouse({firm: (1000 + 100 * n, 700, 0.3, f"A{n}", f"B{n}") for n, firm in enumerate(FIRMS)})
    for receipt in rows["platform_warehouse_receipt"]:
        if receipt["receipt_number"] == f"WR1{LIAR}":
            receipt["quantity_units"] = 2 * receipt["quantity_units"]
    found = Silver(rows).found("false_receipt")
    assert list(found["enterprise_id"]) == [LIAR]
    assert found.iloc[0]["volume_below_receipt"] < 0.6


# One device behind strangers' applications; an office park; one owner's firms


def applications(device: Mapping[str, str], phone: Mapping[str, str], day: Mapping[str, date]) -> dict[str, Any]:
    told = [
        {"application_number": f"AP{firm}", "customer_number": f"core_bank-{firm}", "applied_on": day[firm],
         "device_id": device[firm], "contact_phone": phone[firm], "known_at": at(day[firm], 11)}
        for firm in device
    ]  # fmt: skip
    return identities() | {"bank_application": told, "shareholder": []}


def test_strangers_that_apply_from_one_device_are_found_and_sister_firms_are_not() -> None:
    days = dict(zip(FIRMS, (date(2020, 5, d) for d in (4, 6, 5, 7)), strict=True))
    phones = dict.fromkeys(FIRMS, "same telephone")
    rows = applications(dict(zip(FIRMS, ("one", "one", "two", "two"), strict=True)), phones, days)
    for row in rows["registered_enterprise"]:
        if row["uscc"] in (HONEST, OTHER):
            row["legal_person_number"] = "one owner"
    found = Silver(rows).found("application_ring")
    assert set(found["enterprise_id"]) == {LIAR, ALIKE}
    assert {d.date() for d in found["found_on"]} == {date(2020, 5, 7)}  # the second came on the 6th
    park = applications(dict(zip(FIRMS, "abcd", strict=True)), phones, days)
    assert Silver(park).found("application_ring").empty


# Rules of the mechanism itself


def figures(rows: list[tuple[str, str, float | None, float | None]]) -> pd.DataFrame:
    """Findings of a made-up kind with two checks, from (enterprise, day, up, down)."""
    checks = (
        catalogue.Check("up", 1.5, False, "ratio", "", ""), catalogue.Check("down", 0.5, True, "ratio", "", ""),
    )  # fmt: skip
    kind = catalogue.Kind("made_up", "", "", "", "", "", 2, ("up",), 6, checks)
    db = duckdb.connect()
    prepare(db)
    db.execute("create table registered as select unnest(['a', 'b']) as enterprise_id")
    db.execute("create table told (enterprise_id varchar, period_from date, period_to date, found_on date, up double, "
               "down double)")  # fmt: skip
    for who, day, up, down in rows:
        db.execute("insert into told values (?, ?, ?, ?, ?, ?)", [who, day, day, day, up, down])
    return db.sql(statement.findings(kind, "told", "registered")).df()


def test_one_broken_check_is_no_contradiction_and_an_unknown_figure_breaks_nothing() -> None:
    assert figures([("a", "2020-01-01", 9.0, 0.6), ("b", "2020-01-01", 9.0, None)]).empty
    assert list(figures([("a", "2020-01-01", 1.5, 0.5)])["broken_checks"]) == [2]
    assert figures([("nobody", "2020-01-01", 9.0, 0.1)]).empty


def test_a_run_of_broken_figures_is_one_finding_and_a_later_one_another() -> None:
    days = ["2020-01-01", "2020-02-01", "2020-06-01", "2021-03-01", "2021-03-01"]
    found = figures([("a", day, 2.0 + n, 0.1) for n, day in enumerate(days)])
    assert [str(d.date()) for d in found["found_on"].sort_values()] == ["2020-01-01", "2021-03-01"]


def test_kinds_without_their_sources_are_left_out_with_a_reason() -> None:
    plan = statement.plan(list(KINDS.values()), {"silver.enterprise_key": "k", "silver.registered_enterprise": "r"})
    assert not plan.figures and len(plan.left_out) == len(KINDS) == 18
    assert plan.left_out["double_pledge"] == "silver.platform_warehouse_receipt is not there"


def test_a_fault_in_the_catalogue_is_named(tmp_path: Path) -> None:
    good = (catalogue.folder() / "catalogue.yaml").read_text(encoding="utf-8")
    for wrong, told in (
        (good.replace("  must: [invoice_circle]", "  must: [circle]"), "invoice_ring must break"),
        (
            good.replace("      at_least: 0.25\n", "      about: 0.25\n", 1),
            "check receipts_go_back_next_day of pos_ring",
        ),
        (good.replace("  needs: 3\n", "  needs: 1\n", 1), "a contradiction needs two"),
    ):
        (tmp_path / "catalogue.yaml").write_text(wrong, encoding="utf-8")
        with pytest.raises(ConfigError) as raised:
            catalogue.load(tmp_path)
        assert told in f"{raised.value}"


# What statements read: columns of contracts, nothing that the truth marks


@pytest.fixture(scope="module")
def steps() -> list[statement.Step]:
    read = set(re.findall(r"(?:silver|versions)\('(\w+)'\)", "".join(p.read_text() for p in all_statements())))
    relations = {f"silver.{table}": f"silver_{table}" for table in read}
    plan = statement.plan(list(KINDS.values()), relations)
    assert not plan.left_out
    return [*plan.facts, *plan.figures.values()]


def all_statements() -> Iterator[Path]:
    yield from sorted(catalogue.folder().glob("*/*.sql"))


def test_statements_read_only_columns_that_contracts_tell() -> None:
    """Over tables with the contracts' columns and no other, every statement can be bound, and finds nothing."""
    read = re.findall(r"(?:silver|versions)\('(\w+)'\)", "".join(p.read_text() for p in all_statements()))
    silver = Silver({table: [] for table in read})
    for kind in KINDS:
        assert silver.found(kind).empty, kind
    silver.db.execute("alter table field_visit drop column note")
    with pytest.raises(duckdb.Error, match="note"):
        silver.found("stock_shown")


def test_statements_name_nothing_of_the_truth(steps: list[statement.Step]) -> None:
    """Hidden columns of a world, its own numbers, and the words of its marks occur in no statement."""
    forbidden = {"planted_id", "look_alike", "knows_rule", "firm_id", "true_units", "true_sales_fen", "diverted_ratio",
                 "true_area_mu", "true_revenue_fen", "honesty", "skill", "identity_map", "record_id_order"}  # fmt: skip
    for step in steps:
        words = set(re.findall(r"[a-z_]+", step.sql.lower()))
        assert not words & forbidden, step.name


def test_no_statement_orders_by_a_number_of_the_source(steps: list[statement.Step]) -> None:
    """An order by a row's own number would read the order in which a world was written."""
    numbers = re.compile(r"(?:number|_id|record_id)$")
    for step in steps:
        for order in sqlglot.parse_one(step.sql, dialect="spark").find_all(exp.Ordered):
            column = order.this
            if isinstance(column, exp.Column) and numbers.search(column.name):
                assert column.name in ("enterprise_id", "receipt_number"), (step.name, column.name)


def test_every_kind_is_told_in_full() -> None:
    for kind in KINDS.values():
        assert kind.title and kind.meaning and kind.spares and kind.misses and kind.victim, kind.name
        assert all(check.meaning and check.reason for check in kind.checks), kind.name
        figures_of = (catalogue.folder() / "kinds" / f"{kind.name}.sql").read_text(encoding="utf-8")
        assert all(check.name in figures_of for check in kind.checks), kind.name
    assert known.record_keys("silver.enterprise_key") == ("system", "department", "key")
