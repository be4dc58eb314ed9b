"""Bins: counting by engine and in memory agree, weights of evidence by hand, solved bins follow the data."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_factories import CONFIG, FEATURES, portfolio

from lakehouse.errors import ModelError
from ml.binning import (
    BinCounts,
    FeatureBins,
    bin_index,
    count_prebins,
    count_sql,
    counts_from_rows,
    information_value,
    observed_trend,
    prebin_edges,
    solve_bins,
    weight_of_evidence,
    woe_values,
)
from ml.configuration import Binning
from ml.selection import rank_correlation, select

BINNING: Binning = CONFIG.scorecard.binning
values = st.lists(st.one_of(st.none(), st.floats(-50, 50), st.integers(-3, 3)), min_size=2, max_size=40)


def same(left: BinCounts, right: BinCounts) -> bool:
    return (left.goods.tolist(), left.bads.tolist(), left.missing_goods, left.missing_bads) == (
        right.goods.tolist(),
        right.bads.tolist(),
        right.missing_goods,
        right.missing_bads,
    )


@settings(max_examples=60, deadline=None)
@given(values, st.integers(2, 20), st.randoms(use_true_random=False))
def test_engine_sql_counts_equal_counts_in_memory(column, prebins, random):
    frame = pd.DataFrame({"a b": column, "c": column[::-1]}).astype(float)
    frame["is_bad"] = [random.randint(0, 1) for _ in column]
    edges = {name: prebin_edges(frame[name].to_numpy(), prebins) for name in ("a b", "c")}
    rows = duckdb.sql(count_sql("frame", edges, dialect="duckdb")).fetchall()
    ours = count_prebins(frame, frame["is_bad"].to_numpy(), edges)
    theirs = counts_from_rows(rows, edges)
    assert all(same(ours[name], theirs[name]) for name in edges)
    assert all(c.goods.sum() + c.bads.sum() + c.missing_goods + c.missing_bads == len(frame) for c in ours.values())


def test_edges_belong_to_the_upper_bin():
    frame = pd.DataFrame({"x": [1.0, 2.0, 2.0, 3.0, np.nan]})
    counts = count_prebins(frame, np.array([0, 1, 0, 1, 1]), {"x": np.array([2.0, 3.0])})["x"]
    assert counts.goods.tolist() == [1, 1, 0]
    assert counts.bads.tolist() == [0, 1, 1]
    assert (counts.missing_goods, counts.missing_bads) == (0, 1)


def test_quantile_edges_leave_out_repeats_and_the_minimum():
    assert prebin_edges(np.array([0.0, 0, 0, 0, 0, 0, 1, 2]), 4).tolist() == [0.25]
    assert prebin_edges(np.array([np.nan, np.nan]), 4).size == 0
    assert prebin_edges(np.array([5.0, 5.0]), 4).size == 0


def test_weight_of_evidence_by_hand():
    # 10 of 40 goods and 5 of 10 bads: ln(0.5 / 0.25)
    woe = weight_of_evidence(np.array([10, 30]), np.array([5, 5]), 40, 10, smoothing=0)
    assert woe == pytest.approx([np.log(2), np.log(0.5 / 0.75)])
    iv = information_value(np.array([10, 30]), np.array([5, 5]), smoothing=0)
    assert iv == pytest.approx(0.25 * np.log(2) - 0.25 * np.log(0.5 / 0.75))


def test_smoothing_makes_an_empty_bin_neutral_and_a_pure_bin_finite():
    woe = weight_of_evidence(np.array([0, 40]), np.array([0, 10]), 40, 10, smoothing=2)
    assert woe[0] == pytest.approx(0)
    assert np.isfinite(weight_of_evidence(np.array([20, 20]), np.array([0, 10]), 40, 10, smoothing=2)).all()
    with pytest.raises(ModelError):
        weight_of_evidence(np.array([1]), np.array([0]), 1, 0, smoothing=2)


def solved(x: np.ndarray, is_bad: np.ndarray, **changes: object) -> FeatureBins:
    frame = pd.DataFrame({"x": x})
    config = BINNING.model_copy(update=changes)
    counts = count_prebins(frame, is_bad, {"x": prebin_edges(x, config.prebins)})["x"]
    return solve_bins("x", counts, config)


@pytest.mark.parametrize("sign", [1, -1])
def test_bins_follow_whichever_direction_the_data_show(sign):
    rng = np.random.default_rng(1)
    x = rng.normal(size=3000)
    is_bad = rng.uniform(size=3000) < 1 / (1 + np.exp(1.5 - sign * 1.5 * x))
    found = solved(x, is_bad)
    assert found.trend == ("ascending" if sign == 1 else "descending")
    assert (np.diff(found.woe) * sign > 0).all()
    assert 3 <= len(found.woe) <= BINNING.max_bins
    shares = np.add(found.goods, found.bads) / 3000
    assert shares.min() >= BINNING.min_bin_share - 0.001


def test_a_turn_is_found_where_bads_are_many_and_not_claimed_where_they_are_few():
    rng = np.random.default_rng(2)
    x = rng.normal(size=4000)
    is_bad = rng.uniform(size=4000) < np.where(np.abs(x) > 1, 0.4, 0.1)
    assert solved(x, is_bad).trend == "valley"
    few = solved(x[:100], is_bad[:100])
    assert few.trend in ("ascending", "descending", "flat")


def test_missing_values_are_a_bin_of_their_own():
    rng = np.random.default_rng(3)
    x = rng.normal(size=1000)
    is_bad = rng.uniform(size=1000) < 0.2
    x[:100], is_bad[:100] = np.nan, rng.uniform(size=100) < 0.6
    found = solved(x, is_bad)
    assert found.missing_goods + found.missing_bads == 100
    assert found.missing_woe > 0.5
    assert woe_values(found, np.array([np.nan]))[0] == found.missing_woe
    assert bin_index(found, np.array([np.nan, -9e9]))[0] == -1
    x[4:] = np.where(np.isnan(x[4:]), 0.0, x[4:])
    assert solved(x, is_bad).missing_woe == 0.0


def test_counts_are_conserved_by_solving():
    frame = portfolio(700)
    edges = {name: prebin_edges(frame[name].to_numpy(float), 20) for name in FEATURES}
    for name, counts in count_prebins(frame, frame["is_bad"].to_numpy(), edges).items():
        found = solve_bins(name, counts, BINNING)
        assert sum(found.goods) == counts.goods.sum() and sum(found.bads) == counts.bads.sum()


def test_trend_names():
    assert [observed_trend(np.array(r)) for r in ([1, 2, 3], [3, 1], [1, 3, 2], [3, 1, 2], [1, 3, 2, 4], [1])] == [
        "ascending",
        "descending",
        "peak",
        "valley",
        "mixed",
        "flat",
    ]


def test_selection_keeps_one_of_twins_and_says_why():
    frame = portfolio(2000)
    frame["twin"] = frame["sales_amount_12m_cny"] * 2
    frame["constant"], frame["empty"] = 1.0, np.nan
    found = select(
        frame, frame["is_bad"].to_numpy(), [*FEATURES, "twin", "constant", "empty"], CONFIG.scorecard.selection
    )
    assert len({"twin", "sales_amount_12m_cny"} & set(found.features)) == 1
    assert found.left_out["constant"] == "constant"
    assert found.left_out["empty"].startswith("filled in 0%")
    assert found.left_out["twin"].startswith("rank correlation 1.00")


def test_rank_correlation_equals_scipy():
    from scipy.stats import spearmanr

    frame = portfolio(200)[["sales_amount_12m_cny", "customer_hhi_12m_ratio", "sales_growth_12m_ratio"]]
    assert rank_correlation(frame) == pytest.approx(spearmanr(frame).statistic)
