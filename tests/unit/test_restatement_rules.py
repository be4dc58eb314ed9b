"""Which rows restate, how far a restatement reaches, and when it needs a person's word; the queries run in DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
import pytest
import sqlglot

from expectations import restatement, restating
from expectations.restatement import Impact, Move
from expectations.restating import Fact, Restated, Sides
from lakehouse import contracts, gate_policy, restatements
from lakehouse.gate_policy import OFF, SHARE, WARNING, GatePolicy, Tolerance
from lakehouse.restatements import OfSource
from lakehouse.settings import PROJECT_DIR
from lakehouse.waivers import Waiver
from spark_jobs.source_features import catalogue
from tests import silver_world

RETURN = Fact("silver.tax_return", ("taxpayer_id", "period_start"), "period_start", "gone", ("sales",), ("owner",))
EVENT = replace(RETURN, by_event=True)
READ = datetime(2020, 7, 10, tzinfo=UTC)


def row(
    firm: str, month: int, sales: float | None = 100, *, version: int = 1, batch: str = "old", **cells: Any
) -> dict:
    """A version of a firm's return of a month of 2020."""
    known = READ if batch == "old" else READ + timedelta(days=30)
    told = {"taxpayer_id": firm, "period_start": date(2020, month, 1), "sales": sales, "owner": f"O{firm}",
            "gone": False, "version_no": version, "batch_id": batch, "known_at": known}  # fmt: skip
    return told | cells


# Readers have January to June of two firms; the feed has reached June.
PUBLISHED = [row(firm, month) for firm in ("A", "B") for month in range(1, 7)]


def kinds(*new: dict, fact: Fact = RETURN, published: list[dict] | None = None) -> dict[tuple[str, int, int], str]:
    """The kind of each restating row (firm, month, version) among rows that come to the published ones."""
    published = PUBLISHED if published is None else published
    with duckdb.connect() as connection:
        for name, rows in (("published", published), ("candidate", [*published, *new])):
            connection.register(f"{name}_rows", pd.DataFrame(rows))
            connection.execute(f"CREATE TABLE {name} AS SELECT * REPLACE (period_start::DATE AS period_start) "
                               f"FROM {name}_rows")  # fmt: skip
        query = sqlglot.transpile(restating.statement(fact, Sides("candidate", "published")), "spark", "duckdb")[0]
        found = connection.execute(query).df()
    return {
        (r["taxpayer_id"], pd.Timestamp(r["period_start"]).month, r["version_no"]): r["kind"]
        for r in found.to_dict("records")
    }


@pytest.mark.parametrize(
    ("new", "kind"),
    [
        (row("A", 2, 150, version=2, batch="new"), "restated"),
        (row("A", 2, version=2, batch="new", owner="OB"), "restated"),  # whose it is was told otherwise
        (row("A", 2, version=2, batch="new", gone=True), "deleted"),
        (row("A", 2, 100, version=2, batch="new"), None),  # told again
        (row("A", 6, 150, version=2, batch="new"), None),  # the month that the feed has reached is not past
        (row("C", 2, batch="new"), "late"),  # more than a quarter before June
        (row("C", 3, batch="new"), None),  # a quarter's return, reported with its last month
        (row("C", 7, batch="new"), None),
        (row("C", 2, batch="new", gone=True), None),  # never told, and gone already
        (row("A", 2, 150, version=2), None),  # of a batch that readers have: a change of code, not of history
    ],
)
def test_what_a_row_does_to_history(new: dict, kind: str | None) -> None:
    assert list(kinds(new).values()) == ([kind] if kind else [])


def test_what_fills_in_a_blank_is_life_going_on_and_what_replaces_it_is_not() -> None:
    blank = [row("A", 2, None), row("A", 3, 0), *PUBLISHED[2:]]
    paid = [row("A", 2, 150, version=2, batch="new"), row("A", 3, 150, version=2, batch="new")]
    assert kinds(*paid, published=blank) == {}
    later = [row("A", month, 90, version=3, batch="newer") for month in (2, 3)]
    assert set(kinds(*later, published=[*blank, *paid]).values()) == {"restated"}


def test_versions_out_of_order_restate_only_what_they_change() -> None:
    # Readers have the last version; the one before it comes late and pushes the number of the last one up.
    published = [row("A", 2, 100), row("A", 2, 150, version=2), *PUBLISHED[2:]]
    with_gap = [row("A", 2, 100), row("A", 2, 150, version=3), *PUBLISHED[2:]]
    assert kinds(row("A", 2, 120, version=2, batch="new"), published=with_gap) == {}
    assert kinds(row("A", 2, 120, version=3, batch="new"), published=published) == {("A", 2, 3): "restated"}


def test_an_event_of_a_thing_counts_for_itself() -> None:
    new = [row("A", 2, 150, version=2, batch="new"), row("A", 7, 10, version=3, batch="new")]
    assert kinds(*new, fact=EVENT) == {("A", 2, 2): "late"}


def test_without_its_restating_rows_a_record_is_what_readers_have() -> None:
    new = [row("A", 2, 150, version=2, batch="new"), row("A", 7, 10, batch="new")]
    with duckdb.connect() as connection:
        for name, rows in (("candidate", [*PUBLISHED, *new]), ("restating", new[:1])):
            connection.register(name, pd.DataFrame(rows))
        query = sqlglot.transpile(restating.without(RETURN, "candidate", "restating"), "spark", "duckdb")[0]
        left = connection.execute(query).df()
    assert len(left) == len(PUBLISHED) + 1 and set(left[left["batch_id"] == "new"]["period_start"].dt.month) == {7}


def test_facts_follow_from_catalogue_and_contracts() -> None:
    families = catalogue.load()
    names = {source.table for family in families for source in family.sources} | {"silver.vat_invoice"}
    columns: Mapping = {t: silver_world.columns_of(t) for t in names - {"silver.vat_invoice"}} | {
        "silver.vat_invoice": {}
    }
    found = restating.facts(families, columns)
    assert "silver.payment_account" not in found and "silver.enterprise" not in found  # states of the present
    assert {name for name, fact in found.items() if fact.by_event} == {
        "silver.platform_order",
        "silver.platform_waybill",
    }
    assert set(found["silver.tax_return"].figures) == {
        "declared_sales_cny", "output_tax_cny", "input_tax_cny", "payable_tax_cny", "paid_tax_cny",
    }  # fmt: skip
    assert found["silver.customs_declaration"].owners == ("customs_code",)
    assert found["silver.vat_invoice"].gone == "status = 'void'"


def test_families_that_share_a_feature_are_computed_together() -> None:
    families = catalogue.load()

    def names(*tables: str) -> set[str]:
        return {family.name for family in restatement.concerned(families, set(tables))}

    assert names("silver.penalty_decision") == {"penalties"}
    # Energy of machines over metered electricity is made of both.
    assert names("silver.electricity_daily_usage") == names("silver.equipment_reading") == {"energy", "equipment"}
    assert names("silver.vat_invoice") >= {"tax", "bureau", "network", "loans"} and names() == set()


def source(**facts: Any) -> OfSource:
    told = {"run_id": "r", "partition": "2020-08-10", "as_of": date(2020, 8, 10), "table_name": "silver.tax_return",
            "contract": "tax_returns__return", "department": "tax_returns", "batch_id": "b1", "restated": 9,
            "deleted": 0, "late": 1, "touched": 30, "moved": 10, "band_moves": 1, "enterprises": 100, "outcome": "",
            "waived": None, "checked_at": READ}  # fmt: skip
    return OfSource(**told | facts)


def test_up_to_its_limit_a_restatement_passes_and_beyond_it_a_person_is_asked() -> None:
    passes = restatement.within_limit(source(), GatePolicy(), ())
    assert passes.passed and passes.checked == 10
    for beyond in (source(moved=11), source(band_moves=2)):
        held = restatement.within_limit(beyond, GatePolicy(), ())
        assert held.holds_back and held.rule == "restatement_within_limit" and held.batch_id == "b1"
    assert restatement.within_limit(source(band_moves=None), GatePolicy(), ()).passed


def test_a_contract_says_how_much_and_a_waiver_whose_word_it_is() -> None:
    def policy(amount: float, severity: str) -> GatePolicy:
        return GatePolicy({**gate_policy.DEFAULTS, "restatement": Tolerance(amount, SHARE, severity)})

    wide = source(moved=40)
    assert restatement.within_limit(wide, policy(0.5, "blocking"), ()).passed
    assert restatement.within_limit(wide, policy(0.1, WARNING), ()).outcome == "warning"
    assert restatement.within_limit(wide, policy(0.1, OFF), ()).passed
    word = Waiver("w", "silver.tax_return", restatement.RULE, "b1", "anna", "resent", date(2099, 1, 1), READ)
    assert restatement.within_limit(wide, GatePolicy(), [word]).outcome == "waived"
    assert restatement.within_limit(replace(wide, batch_id="b2"), GatePolicy(), [word]).holds_back


@pytest.mark.parametrize(
    ("feature", "was", "now", "change", "matters"),
    [
        ("sales_amount_12m_cny", 1000.0, 900.0, -0.1, True),
        ("sales_amount_12m_cny", 1000.0, 901.0, -0.099, False),
        ("sales_amount_12m_cny", 0.0, 1.0, None, True),
        ("sales_growth_12m_ratio", 0.001, 0.05, 49.0, False),  # a ratio near 0: a tenth of 1
        ("sales_growth_12m_ratio", 0.0, 0.1, None, True),
        ("sales_to_tax_ratio", 3.0, 3.2, 0.0667, False),
        ("sales_amount_12m_log", 13.0, 11.0, -0.1538, True),
        ("sales_growth_12m_ratio", float("nan"), 0.01, None, True),
    ],
)
def test_a_move_matters_by_its_size(feature: str, was: float, now: float, change: float | None, matters: bool) -> None:
    move = restatement.move_of("A", feature, was, now)
    assert move.matters is matters and move.change == (None if change is None else pytest.approx(change, abs=1e-3))


def test_moves_are_relative_to_what_was_and_undefined_from_nothing() -> None:
    before = pd.DataFrame({"a": [100.0, 0.0, None, 5.0], "code": list("wxyz"), "n": [1, 2, 3, 4]}, list("ABCD"))
    after = pd.DataFrame({"a": [95.0, 3.0, 7.0, 5.0], "code": list("WXYZ"), "n": [1, 2, 3, 8]}, list("ABCD"))
    found = restatement.moves(before, after)
    assert sorted((m.enterprise_id, m.feature, m.change, m.matters) for m in found if m.change is not None) == [
        ("A", "a", -0.05, False), ("D", "n", 1.0, True),
    ]  # fmt: skip
    assert [(m.enterprise_id, m.matters) for m in found if m.change is None] == [("B", True), ("C", True)]


IMPACT = Impact(
    date(2020, 8, 10), 50, {("silver.tax_return", "b1"): {"A", "B"}, ("silver.vat_invoice", "b2"): {"B", "C"}},
    [Move("A", "x", 0.5, True), Move("B", "x", -0.8, True), Move("B", "y", None, True), Move("C", "y", 0.01, False)],
    {"A": (500, "B"), "B": (510, "B"), "C": (None, "refer")}, {"A": (540, "A"), "B": (510, "B"), "C": (480, "C")}, "7",
)  # fmt: skip


def test_a_report_counts_enterprises_by_source_and_by_feature() -> None:
    contract = contracts.load(PROJECT_DIR / "contracts" / "tax_returns__return.yaml")
    of = restatement.of_source(
        Restated("silver.tax_return", "b1", {"restated": 4}), IMPACT, contract, "r", "2020-08-10"
    )
    assert (of.department, of.restated, of.deleted, of.touched, of.moved, of.band_moves) == (
        "tax_returns",
        4,
        0,
        2,
        2,
        1,
    )
    other = restatement.of_source(Restated("silver.vat_invoice", "b2", {"late": 1}), IMPACT, None, "r", "2020-08-10")
    assert (other.late, other.touched, other.moved, other.band_moves) == (1, 2, 1, 1)
    x, y = restatement.moves_by_feature(IMPACT, "r", "2020-08-10")
    assert (x.feature, x.enterprises, x.largest_change) == ("x", 2, -0.8) and x.median_change == pytest.approx(-0.15)
    assert (y.enterprises, y.median_change, y.largest_change) == (2, 0.01, 0.01)


def test_a_report_names_enterprises_with_their_bands_and_batches() -> None:
    a, b, c = restatement.by_enterprise(IMPACT, "r", "2020-08-10")
    assert (a.band_before, a.band_after, a.score_before, a.score_after) == ("B", "A", 500, 540)
    assert (b.batches, b.features, b.largest_feature, b.band_before == b.band_after) == (["b1", "b2"], 2, "x", True)
    assert (c.band_before, c.score_before, c.band_after) == ("refer", None, "C")


def test_every_field_of_a_report_has_a_column() -> None:
    for of in restatements.TABLES.values():
        assert restatements.schema(of).startswith("run_id string, partition string")
