"""The card's arithmetic: golden values, points that add up, signs, calibration."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_factories import CONFIG, FEATURES, bins, card, portfolio

from lakehouse.errors import ModelError
from ml.configuration import Scaling
from ml.reasons import MAX_REASONS, reason_groups, reasons_of
from ml.scorecard import (
    Scorecard,
    exact_points,
    fit_scorecard,
    grade_of,
    logit_of_score,
    platt,
    probability,
    regress,
    scale_factor,
    scale_offset,
)
from ml.validation import auc

SCALE = Scaling(pdo=20, base_score=600, base_odds=50)


def test_golden_values_of_the_points_scale():
    assert scale_factor(SCALE) == pytest.approx(28.8539, abs=5e-5)
    assert scale_offset(SCALE) == pytest.approx(487.1229, abs=5e-5)
    first = exact_points(-3.2, 0.8, 0.5, 2, SCALE)
    second = exact_points(-3.2, 1.1, -0.3, 2, SCALE)
    assert first == pytest.approx(278.186, abs=5e-4)
    assert second == pytest.approx(299.249, abs=6e-4)
    assert first + second == pytest.approx(577.436, abs=5e-4)
    assert probability(logit_of_score(first + second, SCALE)) == pytest.approx(0.041887, abs=5e-7)


def test_pdo_points_double_the_odds():
    odds = [math.exp(-logit_of_score(score, SCALE)) for score in (600, 620, 640)]
    assert odds == pytest.approx([50, 100, 200])


def small_card() -> Scorecard:
    return card(
        bins("sales_amount_12m_cny", (10.0, 20.0), (0.9, 0.1, -0.8), missing_woe=0.4),
        bins("customer_hhi_12m_ratio", (0.5,), (-0.5, 0.7)),
        bins("customer_top1_12m_ratio", (0.3,), (-0.2, 0.2)),
        betas=(0.8, 1.1, 0.5),
        intercept=-2.0,
    )


def test_scores_by_hand():
    frame = pd.DataFrame(
        {
            "sales_amount_12m_cny": [5, 10, 25, np.nan],
            "customer_hhi_12m_ratio": [0.5, 0.49, 0.1, 0.9],
            "customer_top1_12m_ratio": [0.1, 0.1, 0.1, 0.1],
        }
    )
    points = small_card().points(frame)
    # −(0.8·0.9 − 2/3)·28.8539 + 487.1229/3 = 160.84 for the lowest sales, and so on
    assert points["sales_amount_12m_cny"].tolist() == [161, 179, 200, 172]
    assert small_card().score(frame).tolist() == points.sum(axis=1).tolist()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(-100, 100)), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20
    )
)
def test_points_add_up_and_reasons_are_bounded(rows):
    frame = pd.DataFrame(rows, columns=small_card().features).astype(float)
    scored, points = small_card().score(frame), small_card().points(frame)
    groups, best = reason_groups(small_card(), CONFIG.features), small_card().best_points()
    low, high = small_card().score_range()
    for i in range(len(frame)):
        missing = {name for name in small_card().features if np.isnan(frame.iloc[i][name])}
        reasons = reasons_of(small_card(), groups, points.iloc[i], missing)
        assert points.iloc[i].sum() == scored[i] and low <= scored[i] <= high
        assert len(reasons) <= MAX_REASONS and len({r.code for r in reasons}) == len(reasons)
        present = [name for name in small_card().features if name not in missing]
        assert sum(r.points_lost for r in reasons) == sum(best[n] - points.iloc[i][n] for n in present)
        assert [r.points_lost for r in reasons] == sorted((r.points_lost for r in reasons), reverse=True)


def test_features_with_one_code_give_one_reason():
    frame = pd.DataFrame(
        {"sales_amount_12m_cny": [25.0], "customer_hhi_12m_ratio": [0.9], "customer_top1_12m_ratio": [0.9]}
    )
    points = small_card().points(frame).iloc[0]
    [reason] = reasons_of(small_card(), reason_groups(small_card(), CONFIG.features), points, set())
    assert reason.feature == "customer_hhi_12m_ratio, customer_top1_12m_ratio"
    assert reason.text_en and reason.text_zh


def test_a_missing_value_is_never_a_reason():
    frame = pd.DataFrame(
        {"sales_amount_12m_cny": [np.nan], "customer_hhi_12m_ratio": [0.1], "customer_top1_12m_ratio": [0.1]}
    )
    points = small_card().points(frame).iloc[0]
    groups = reason_groups(small_card(), CONFIG.features)
    assert reasons_of(small_card(), groups, points, {"sales_amount_12m_cny"}) == []


def test_json_round_trip_keeps_every_bit():
    frame = portfolio(300)
    fitted, _ = fit_scorecard(frame, frame["is_bad"].to_numpy(), FEATURES, CONFIG.scorecard)
    again = Scorecard.from_json(fitted.to_json())
    assert again == fitted
    assert (again.logit(frame) == fitted.logit(frame)).all()


def test_a_feature_of_the_wrong_sign_leaves():
    rng = np.random.default_rng(3)
    risk, suppressor = rng.normal(size=(2, 2000))
    is_bad = (rng.uniform(size=2000) < 1 / (1 + np.exp(1 - risk + 0.5 * suppressor))).astype(int)
    _, betas, kept = regress(np.column_stack([risk, suppressor]), is_bad, c=1.0)
    assert kept == [0]
    assert betas[0] > 0


def test_a_feature_without_weight_leaves_and_the_last_one_stays():
    rng = np.random.default_rng(4)
    risk, weak = rng.normal(size=(2, 4000))
    is_bad = (rng.uniform(size=4000) < 1 / (1 + np.exp(1 - risk - 0.1 * weak))).astype(int)
    woe = np.column_stack([risk, weak])
    assert regress(woe, is_bad, 1.0, least_effect=0.0)[2] == [0, 1]
    assert regress(woe, is_bad, 1.0, least_effect=1.5)[2] == [0]
    assert regress(woe, is_bad, 1.0, least_effect=99.0)[2] == [0]


def test_no_feature_of_the_right_sign_is_an_error():
    is_bad = np.array([0, 1] * 50)
    with pytest.raises(ModelError, match="no feature"):
        regress(-is_bad.reshape(-1, 1).astype(float), is_bad, c=1.0)


def test_fit_finds_the_known_drivers_and_ranks_nearly_as_well_as_the_truth():
    frame = portfolio(6000, seed=5)
    train, test = frame[:4000], frame[4000:]
    fitted, chosen = fit_scorecard(train, train["is_bad"].to_numpy(), FEATURES, CONFIG.scorecard)
    assert set(fitted.features[:3]) & {"sales_amount_12m_cny", "sales_invoice_12m_count"}
    assert "customer_hhi_12m_ratio" in fitted.features
    assert not {"since_last_sale_days", "sales_growth_12m_ratio"} & set(fitted.features)
    assert chosen.left_out["since_last_sale_days"].startswith("information value")
    best = auc(test["is_bad"], test["true_logit"])
    assert best - 0.02 < auc(test["is_bad"], fitted.logit(test)) <= best + 0.01


def test_platt_recovers_slope_and_intercept():
    rng = np.random.default_rng(8)
    logit = rng.normal(scale=2, size=40000)
    is_bad = rng.uniform(size=40000) < 1 / (1 + np.exp(-(0.6 * logit - 1.1)))
    found = platt(logit, is_bad, "platt")
    assert found["slope"] == pytest.approx(0.6, abs=0.03)
    assert found["intercept"] == pytest.approx(-1.1, abs=0.05)
    shifted = platt(logit, rng.uniform(size=40000) < 1 / (1 + np.exp(-(logit - 1.1))), "intercept")
    assert shifted["slope"] == 1.0 and shifted["intercept"] == pytest.approx(-1.1, abs=0.06)


def test_calibration_moves_the_logit_and_keeps_the_scale():
    frame = portfolio(500)
    raw, _ = fit_scorecard(frame, frame["is_bad"].to_numpy(), FEATURES, CONFIG.scorecard)
    moved = raw.calibrated(0.7, -0.2)
    assert moved.logit(frame) == pytest.approx(0.7 * raw.logit(frame) - 0.2)
    # the score still stands for the PD, up to half a point of rounding per feature
    exact = scale_offset(SCALE) - scale_factor(SCALE) * moved.logit(frame)
    assert np.abs(moved.score(frame) - exact).max() <= len(moved.bins) / 2 + 1e-9
    with pytest.raises(ModelError, match="slope"):
        raw.calibrated(-0.1, 0)


def test_grades_are_half_open_bands():
    grades = CONFIG.scorecard.grades
    assert [grade_of(value, grades) for value in (0.0, 0.0199, 0.02, 0.05, 0.12, 0.3, 1.0)] == list("AABCDEE")
