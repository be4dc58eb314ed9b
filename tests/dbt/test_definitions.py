"""The written definitions: complete, named by their unit, and what the reference page says."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from lakehouse.errors import ConfigError
from spark_jobs import feature_docs, features

UNITS = {"cny", "ratio", "days", "months", "count", "log", "kwh", "m3", "hours", "kw"}
WINDOWS = re.compile(r"\d+m|\d+d|all|now|to the day")
REASONS = {"short_history", "no_sales", "no_purchases", "no_activity", "no_variation", "no_record", "no_equity"}
# What the catalogue of credit features marks as computable from invoices: 1 to 26, and 27 by number match.
FROM_INVOICES = set(range(1, 28))


def test_there_are_enough_features_in_the_named_groups() -> None:
    known = feature_docs.definitions()
    names = [feature.name for feature in known]
    assert len(names) == len(set(names)) >= 75
    assert {feature.group for feature in known} >= {
        "scale", "growth", "trend", "seasonality", "volatility", "void", "red_letter", "balance_margin",
        "customer", "supplier", "churn", "recency", "gaps", "tax", "ticket", "timing",
    }  # fmt: skip


def test_every_invoice_feature_of_the_catalogue_is_there() -> None:
    assert {feature.source_feature for feature in feature_docs.definitions()} >= FROM_INVOICES


@pytest.mark.parametrize("feature", feature_docs.definitions(), ids=lambda feature: feature.name)
def test_a_definition_is_complete(feature: feature_docs.Feature) -> None:
    assert feature.name.rsplit("_", 1)[-1] == feature.unit
    assert feature.unit in UNITS
    assert WINDOWS.fullmatch(feature.window)
    assert set(feature.null_reason) <= REASONS
    assert len(feature.bounds) == 2
    # A NULL has a reason, and a reason is spelled out in the text.
    by_reference = "as in" in feature.description
    assert by_reference or all(reason in feature.description for reason in feature.null_reason)
    assert bool(feature.null_reason) == ("NULL" in feature.description)
    if feature.unit in ("count", "months"):
        assert feature.data_type in ("bigint", "int")


def test_the_reference_page_is_generated_from_the_definitions() -> None:
    committed = feature_docs.page_path().read_text(encoding="utf-8")
    assert committed == feature_docs.page(), "run `python -m spark_jobs.feature_docs` and commit the page"


def test_observation_dates_of_undated_outcomes_are_half_years() -> None:
    rule = features.observation_rule("undated")
    dates = features.dates_by_rule(date(2016, 10, 4), date(2020, 3, 1), rule)
    assert dates == [date(2019, 1, 1), date(2019, 7, 1), date(2020, 1, 1)]


def test_observation_dates_of_dated_outcomes_are_months_up_to_the_drop() -> None:
    rule = features.observation_rule("dated")
    dates = features.dates_by_rule(date(2021, 1, 5), date(2024, 1, 20), rule)
    assert len(dates) == 25
    assert (dates[0], dates[1], dates[-1]) == (date(2022, 1, 1), date(2022, 2, 1), date(2024, 1, 1))
    assert features.dates_by_rule(date(2021, 1, 5), date(2021, 12, 31), rule) == []


def test_only_the_latest_observation_dates_are_kept() -> None:
    rule = {"every_months": 1, "history_months": 1, "max_dates": 2}
    assert features.dates_by_rule(date(2021, 1, 5), date(2024, 1, 20), rule) == [date(2023, 12, 1), date(2024, 1, 1)]


def test_a_rule_without_a_number_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = "dated_outcomes: {every_months: quarterly, history_months: 12}\nmax_dates: 3\n"
    (tmp_path / "observation.yml").write_text(rule)
    monkeypatch.setattr(features.dbt_run, "project_dir", lambda: tmp_path)
    with pytest.raises(ConfigError, match="dated_outcomes needs a positive whole number for every_months") as caught:
        features.observation_rule("dated")
    assert str(tmp_path) in str(caught.value)
