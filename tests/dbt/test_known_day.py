"""Features built twice, before and after a later drop: what was known earlier does not change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from lakehouse import engine, tables
from lakehouse.cli import main
from lakehouse.errors import ConfigError, EngineError, GateFailed
from lakehouse.settings import get_settings
from spark_jobs import dbt_run, feature_access, feature_docs, features, invoice_features
from spark_jobs.source_features import leakage
from tests.invoice_silver import FIRST, built_features, invoice, months, put_silver

pytestmark = pytest.mark.engine

SECOND = "2020-05-01"
# E1 sells 1,000 and buys 500 every month from January 2018 to February 2020.
FIRST_DROP = [
    *(invoice(day, 1000) for day in months(date(2018, 1, 1), 26)),
    *(invoice(day, 500, direction="purchase", partner="A1") for day in months(date(2018, 1, 1), 26)),
]
# What a drop of 1 April changes: February voided, January's amount corrected, and a sale of March.
SECOND_DROP = [
    invoice(date(2020, 2, 15), 1000, version=2, known="2020-04-01", status="void"),
    invoice(date(2020, 1, 15), 1500, version=2, known="2020-04-01"),
    invoice(date(2020, 3, 10), 700, partner="B2", known="2020-04-01"),
]


@dataclass
class Builds:
    """Features after each drop, and what the second build reported."""

    before: pd.DataFrame
    after: pd.DataFrame
    report: dict


@pytest.fixture(scope="module")
def builds(running_engine: None) -> Iterator[Builds]:
    patch = pytest.MonkeyPatch()
    patch.setenv("VINELAKE_ENVIRONMENT", "known")
    get_settings.cache_clear()
    put_silver(FIRST_DROP, {"E1": "2018-01-01", "E2": FIRST})
    features.build(FIRST)
    before = built_features()
    put_silver([*FIRST_DROP, *SECOND_DROP], {"E1": "2018-01-01", "E2": FIRST})
    report = features.build(SECOND)
    yield Builds(before, built_features(), report)
    patch.undo()
    get_settings.cache_clear()


def row(frame: pd.DataFrame, as_of: str, firm: str = "E1") -> pd.Series:
    found = frame[(frame.as_of == date.fromisoformat(as_of)) & (frame.enterprise_id == firm)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_columns_are_the_defined_features(builds: Builds) -> None:
    keys = {"as_of", "enterprise_id", "history_months", "known_at_is_assumed"}
    assert set(builds.before.columns) - keys == {feature.name for feature in feature_docs.invoice_features()}


def test_dates_are_the_drop_the_observations_and_what_readers_have(builds: Builds) -> None:
    assert [str(day) for day in sorted(set(builds.after.as_of))] == ["2020-01-01", FIRST, SECOND]
    assert builds.report["rows"] == len(builds.after) == 5  # E2 is unknown on 1 January


def test_dates_by_which_nothing_else_is_known_are_kept_and_equal_those_built_anew(builds: Builds) -> None:
    assert builds.report["as_of"] == [SECOND] and builds.report["kept"] == 2
    with engine.session("test_features") as spark:
        kept = {table: tables.content_hash(tables.read(spark, table)) for table in features.TABLES}
    again = features.build(SECOND)  # nothing new at all
    assert again["as_of"] == [] and again["kept"] == 3 and again["models"] == 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "DEFINED_IN", ("dbt_project.yml",))  # as another release's definitions would
        whole = features.build(SECOND)
    assert whole["as_of"] == ["2020-01-01", FIRST, SECOND] and whole["kept"] == 0
    with engine.session("test_features") as spark:
        assert kept == {t: tables.content_hash(spark.table(tables.build_name(t))) for t in features.TABLES}


def test_a_read_as_of_before_the_drop_is_unchanged(builds: Builds) -> None:
    old = builds.after[builds.after.as_of <= date.fromisoformat(FIRST)].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, builds.before, check_exact=True)


def test_before_the_drop_nothing_of_it_counts(builds: Builds) -> None:
    first = row(builds.before, FIRST)
    assert first.history_months == 26
    assert first.sales_amount_12m_cny == 12_000
    assert first.purchase_to_sales_24m_ratio == 0.5
    assert first.sales_void_count_12m_ratio == 0
    assert first.since_last_sale_days == 15
    assert first.sales_growth_12m_ratio == 0
    assert first.customer_12m_count == 1
    assert first.known_at_is_assumed


def test_after_the_drop_its_corrections_count(builds: Builds) -> None:
    # Months of May 2019 to April 2020: eight of 1,000, 1,500 in January, none in February, 700 in March.
    second = row(builds.after, SECOND)
    assert second.sales_amount_12m_cny == 8 * 1000 + 1500 + 700
    assert second.sales_invoice_12m_count == 10
    assert second.sales_void_count_12m_ratio == pytest.approx(1 / 11, rel=1e-15)
    assert second.sales_active_12m_months == 10
    assert second.customer_12m_count == 2
    assert second.customer_top1_12m_ratio == pytest.approx(9500 / 10200, rel=1e-15)
    assert second.since_last_sale_days == (date(2020, 5, 1) - date(2020, 3, 10)).days
    assert second.sales_max_gap_12m_days == (date(2020, 3, 10) - date(2020, 1, 15)).days - 1


def test_a_firm_without_invoices_has_zeros_and_nulls(builds: Builds) -> None:
    silent = row(builds.after, SECOND, "E2")
    assert silent.history_months == 0 and not silent.known_at_is_assumed
    assert silent.sales_amount_12m_cny == silent.customer_12m_count == silent.sales_active_12m_months == 0
    reasons = {feature.name: feature.null_reason for feature in feature_docs.invoice_features()}
    for name, reason in reasons.items():
        assert pd.isna(silent[name]) == bool(reason), name


def test_features_are_got_by_firm_and_name(builds: Builds) -> None:
    names = ["sales_amount_12m_cny", "loan_open_count", "loan_coverage", "firm_age_months"]
    told = feature_access.arrow(SECOND, ["E1", "E2"], names).to_pylist()
    assert [(row["enterprise_id"], row["sales_amount_12m_cny"]) for row in told] == [("E1", 10_200), ("E2", 0)]
    assert {row["loan_coverage"] for row in told} == {"no_source"} and {row["loan_open_count"] for row in told} == {
        None
    }
    assert [row["firm_age_months"] for row in told] == [28, 28]
    everything = feature_access.arrow(SECOND)
    assert everything.num_rows == 2 and everything.num_columns > 400
    asked = CliRunner().invoke(main, ["features", "get", "--as-of", SECOND, "--ids", "E1", "--json"])
    assert asked.exit_code == 0 and json.loads(asked.output)["customer_12m_count"] == 2
    for arguments, told_so in (
        ([SECOND, ["E1", "E7"]], "no features at 2020-05-01 for E7"),
        ([SECOND, [], ["sales_amont_12m_cny"]], "did you mean sales_amount_12m_cny"),
        (["2020-05-02"], "no features were built for 2020-05-02"),
        (["2020-05-02", ["E1"]], "ask for one of 2020-01-01, 2020-03-01, 2020-05-01"),
    ):
        with pytest.raises(ConfigError) as caught:
            feature_access.arrow(*arguments)
        assert told_so in str(caught.value)
    with engine.session("test_features") as spark:
        assert leakage.check(spark, date.fromisoformat(SECOND)) == 2


def test_what_was_known_earlier_than_thought_builds_the_dates_since(builds: Builds) -> None:
    firms = {"E1": "2018-01-01", "E2": FIRST}
    # Told later, but known by 20 February: as a feed's first delivery, or a party that is found.
    early = invoice(date(2020, 2, 10), 300, partner="B3", known="2020-02-20")
    try:
        put_silver([*FIRST_DROP, *SECOND_DROP, early], firms)
        report = features.build(SECOND)
        built = built_features(publish=False)
    finally:
        put_silver([*FIRST_DROP, *SECOND_DROP], firms)
    assert report["as_of"] == [FIRST, SECOND] and report["kept"] == 1
    assert row(built, FIRST).sales_amount_12m_cny == 12_300 == row(builds.before, FIRST).sales_amount_12m_cny + 300
    old = builds.before[builds.before.as_of < date.fromisoformat(FIRST)].reset_index(drop=True)
    pd.testing.assert_frame_equal(built[built.as_of < date.fromisoformat(FIRST)].reset_index(drop=True), old)


def test_the_models_give_the_same_without_dbt_from_relations_that_are_named(builds: Builds) -> None:
    dates = [date.fromisoformat(FIRST), date.fromisoformat(SECOND)]
    with engine.session("test_features") as spark:
        silver = {name: tables.published_name(name) for name in ("silver.vat_invoice", "silver.enterprise")}
        made = invoice_features.compute(spark, dates, silver, "again").toPandas()
        invoice_features.release(spark, "again")
    made = made.sort_values(["as_of", "enterprise_id"]).reset_index(drop=True)
    built = builds.after[builds.after.as_of.isin(dates)].reset_index(drop=True)
    assert len(built) > 2
    pd.testing.assert_frame_equal(made, built)


def test_the_unit_tests_of_the_models_pass(builds: Builds) -> None:
    with engine.session("test_features"):
        results = dbt_run.invoke("test", ["--select", "test_type:unit"], {"as_of_dates": [FIRST]})
    assert len(results) >= 13
    assert {str(result.status) for result in results} == {"pass"}


def test_a_failing_test_is_named_with_the_log(builds: Builds) -> None:
    put_silver(FIRST_DROP, {"E2": FIRST})
    with engine.session("test_features"), pytest.raises(GateFailed, match="relationships_enterprise_feat") as caught:
        dbt_run.invoke("test", ["--select", "enterprise_features,test_name:relationships"], {"as_of_dates": [FIRST]})
    log = Path(str(caught.value).split("log ")[1].splitlines()[0])
    assert "relationships_enterprise_features" in log.read_text(encoding="utf-8")


def test_a_failing_model_is_named_without_a_java_stack(builds: Builds) -> None:
    with engine.session("test_features"), pytest.raises(EngineError, match="no as_of_dates were given") as caught:
        dbt_run.invoke("run", ["--select", "int_as_of"], {"as_of_dates": []})
    assert "int_as_of" in str(caught.value) and "\tat " not in str(caught.value)
