"""Contradictions by hand: a liar, who looks like one and an honest firm; what is known when; what statements read."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import sqlglot
from sqlglot import exp

from lakehouse import known
from lakehouse.errors import ConfigError
from spark_jobs.contradictions import catalogue, statement
from tests.contradiction_cases import (
    ALIKE,
    FIRMS,
    HONEST,
    KINDS,
    LIAR,
    OTHER,
    Silver,
    applications,
    farms,
    receivables,
    tables_read,
    warehouse,
)
from tests.duck_dialect import prepare

# A farm that claims more than is seen; one that leases from neighbours; one that does neither


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


# An invoice at two lenders; one off by a digit; one that the first lender had let go; one that is let go too late


def test_an_invoice_at_two_lenders_at_once_is_found_also_under_another_number() -> None:
    second = {
        LIAR: ("3100001", None), OTHER: ("3100099", None), ALIKE: ("3100021", date(2020, 5, 8)),
        HONEST: ("3100031", date(2020, 5, 10)),
    }  # fmt: skip
    found = Silver(receivables(second)).found("double_financed_receivable").set_index("enterprise_id")
    assert set(found.index) == {LIAR, OTHER}
    assert {day.date() for day in found["found_on"]} == {date(2020, 7, 1)}  # its month closes with June
    assert found["registered_above_invoice"].tolist() == [2.0, 2.0]
    assert found["same_invoice_number"].to_dict() == {LIAR: 1, OTHER: 0}
    assert found["number_like_another_invoice"].to_dict() == {LIAR: 0, OTHER: 1}


def test_a_lender_that_is_known_later_accuses_nobody_before() -> None:
    rows = receivables({LIAR: ("3100001", None)})
    first = next(row for row in rows["receivable_registration"] if row["record_id"].startswith("V1"))
    first["known_at"] = datetime(2020, 7, 2)
    assert Silver(rows).found("double_financed_receivable").empty


# One device behind strangers' applications; an office park; one owner's firms


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
    db.execute("create table registered as select unnest(['a', 'b']) as enterprise_id, date '2019-01-01' as known_on")
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
    relations = {f"silver.{table}": f"silver_{table}" for table in tables_read()}
    plan = statement.plan(list(KINDS.values()), relations)
    assert not plan.left_out
    return [*plan.facts, *plan.figures.values()]


def test_statements_read_only_columns_that_contracts_tell() -> None:
    """Over tables with the contracts' columns and no other, every statement can be bound, and finds nothing."""
    silver = Silver({table: [] for table in tables_read()})
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
