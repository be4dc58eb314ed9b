"""Quality and stability figures against golden values, hand counts, other libraries and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from lakehouse.errors import ModelError
from ml.stability import psi_limit, psi_mean_without_drift, psi_of_counts, stability
from ml.validation import (
    auc,
    auc_delong,
    binomial_by_grade,
    bootstrap,
    bootstrap_weights,
    brier,
    gini,
    hosmer_lemeshow,
    ks,
    paired_auc_gain,
    weighted_auc,
    weighted_ks,
)

samples = st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=4, max_size=60).filter(
    lambda rows: 0 < sum(bad for bad, _ in rows) < len(rows)
)


def test_auc_and_ks_by_hand():
    is_bad, risk = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.4, 0.4, 0.3, 0.1])
    # pairs: first bad beats 3 of 3, second beats 2 and ties 1 → 5.5 of 6
    assert auc(is_bad, risk) == pytest.approx(5.5 / 6)
    assert gini(is_bad, risk) == pytest.approx(2 * 5.5 / 6 - 1)
    # at 0.3: 2 of 3 goods, no bad below or at
    assert ks(is_bad, risk) == pytest.approx(2 / 3)
    assert brier([1, 0], [0.75, 0.5]) == pytest.approx((0.0625 + 0.25) / 2)


@settings(deadline=None)
@given(samples)
def test_auc_equals_sklearn_and_ks_equals_scipy(rows):
    is_bad, risk = np.array([bad for bad, _ in rows]).astype(int), np.array([value for _, value in rows], float)
    assert auc(is_bad, risk) == pytest.approx(roc_auc_score(is_bad, risk))
    assert ks(is_bad, risk) == pytest.approx(
        stats.ks_2samp(risk[is_bad == 1], risk[is_bad == 0], method="asymp").statistic
    )


@settings(deadline=None)
@given(samples, st.randoms(use_true_random=False))
def test_whole_weights_equal_repeated_rows(rows, random):
    is_bad, risk = np.array([bad for bad, _ in rows]).astype(int), np.array([value for _, value in rows], float)
    weight = np.array([random.randint(1, 3) for _ in rows])
    repeated = np.repeat(np.arange(len(rows)), weight)
    assert weighted_auc(is_bad, risk, weight)[0] == pytest.approx(auc(is_bad[repeated], risk[repeated]))
    assert weighted_ks(is_bad, risk, weight)[0] == pytest.approx(ks(is_bad[repeated], risk[repeated]))


@settings(deadline=None)
@given(samples)
def test_order_alone_matters(rows):
    is_bad, risk = np.array([bad for bad, _ in rows]).astype(int), np.array([value for _, value in rows], float)
    assert auc(is_bad, np.exp(risk)) == pytest.approx(auc(is_bad, risk))
    assert auc(is_bad, -risk) == pytest.approx(1 - auc(is_bad, risk))


def test_one_class_alone_is_an_error():
    with pytest.raises(ModelError, match="goods and bads"):
        auc(np.zeros(5), np.arange(5))


def test_delong_and_bootstrap_cover_the_known_auc():
    """Two normals one standard deviation apart have AUC Φ(1/√2); about 95 % of intervals hold it."""
    truth, rng, hits = stats.norm.cdf(1 / np.sqrt(2)), np.random.default_rng(2), {"delong": 0, "bootstrap": 0}
    for run in range(200):
        is_bad = np.r_[np.ones(30, int), np.zeros(120, int)]
        risk = np.r_[rng.normal(1, 1, 30), rng.normal(0, 1, 120)]
        found = {
            "delong": auc_delong(is_bad, risk),
            "bootstrap": bootstrap(weighted_auc, is_bad, risk, bootstrap_weights(is_bad, 300, run)),
        }
        for name, interval in found.items():
            hits[name] += interval.low <= truth <= interval.high
    assert 182 <= hits["delong"] <= 199
    assert 176 <= hits["bootstrap"] <= 199


def test_bootstrap_draws_borrowers_whole_and_strata_apart():
    is_bad, groups = np.array([1, 0, 0, 0, 1]), np.array(["a", "a", "b", "c", "d"])
    weights = bootstrap_weights(is_bad, 50, 1, groups)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, [0, 4]].sum(axis=1) == 2).all()
    assert (weights[:, [2, 3]].sum(axis=1) == 2).all()


def test_paired_gain_of_equal_models_is_zero_and_of_noise_is_no_claim():
    rng = np.random.default_rng(4)
    is_bad = np.r_[np.ones(27, int), np.zeros(96, int)]
    risk = is_bad + rng.normal(size=123)
    weights = bootstrap_weights(is_bad, 400, 1)
    same = paired_auc_gain(is_bad, risk, np.exp(risk), weights)
    assert (same.gain.value, same.gain.low, same.gain.high) == (0, 0, 0)
    assert same.verdict == "no difference shown"
    assert paired_auc_gain(is_bad, risk, risk + rng.normal(scale=0.1, size=123), weights).verdict == (
        "no difference shown"
    )
    assert paired_auc_gain(is_bad, risk, rng.normal(size=123), weights).verdict == "better"


def test_hosmer_lemeshow_by_hand_and_under_the_truth():
    pd_value = np.repeat([0.1, 0.2, 0.4], 10)
    is_bad = np.r_[[1] + [0] * 9, [1] * 4 + [0] * 6, [1] * 4 + [0] * 6]
    # groups: (1−1)²/0.9 + (4−2)²/1.6 + (4−4)²/2.4 = 2.5 on 3 degrees of freedom
    found = hosmer_lemeshow(is_bad, pd_value, groups=3)
    assert found.statistic == pytest.approx(2.5)
    assert found.p_value == pytest.approx(stats.chi2.sf(2.5, 3))
    rng = np.random.default_rng(6)
    small = 0
    for _ in range(200):
        truth = rng.uniform(0.05, 0.5, 400)
        small += hosmer_lemeshow(rng.uniform(size=400) < truth, truth).p_value < 0.05
    assert small <= 20


def test_binomial_test_by_grade():
    is_bad = [0] * 20 + [1] * 10 + [0] * 10
    [first, second] = binomial_by_grade(is_bad, [0.02] * 20 + [0.1] * 20, ["A"] * 20 + ["B"] * 20)
    assert (first.grade, first.rows, first.bads, first.light) == ("A", 20, 0, "green")
    assert second.light == "red"
    assert second.p_value == pytest.approx(stats.binomtest(10, 20, 0.1).pvalue)


def test_psi_golden_values():
    assert psi_mean_without_drift(1000, 500, 10) == pytest.approx(0.0270, abs=5e-5)
    assert psi_limit(1000, 500, 10) == pytest.approx(0.0508, abs=5e-5)
    assert psi_limit(123, 100, 5) == pytest.approx(0.172, abs=3e-3)
    assert psi_of_counts([50, 50], [50, 50]) == 0
    assert psi_of_counts([50, 50], [25, 75]) == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))


def test_psi_sounds_few_false_alarms_and_sees_a_shift():
    rng = np.random.default_rng(9)
    alarms = sum(stability(rng.normal(size=1000), rng.normal(size=500)).drifted for _ in range(300))
    assert 3 <= alarms <= 30
    assert stability(rng.normal(size=1000), rng.normal(0.5, 1, size=500)).drifted


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=40, max_size=80), st.lists(st.integers(0, 3), min_size=40, max_size=80))
def test_psi_is_never_negative_and_takes_repeated_values(before, now):
    found = stability(np.array(before, float), np.array(now, float))
    assert found.psi >= 0 and found.limit > 0
