"""The bound on any model's AUC: closed form on tiny cases, known spreads of PD, and an independent recount of pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from sources.economy import bound

FUTURES = 64


def pairs_one_by_one(score, pd, weight=None) -> float:
    """The definition, pair by pair; a firm with weight w is there w times."""
    weight = [1] * len(pd) if weight is None else weight
    firms = [i for i, times in enumerate(weight) for _ in range(times)]
    numerator = denominator = 0.0
    for a, b in itertools.permutations(range(len(firms)), 2):
        i, j = firms[a], firms[b]
        chance = pd[i] * (1 - pd[j])
        numerator += chance * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
        denominator += chance
    return numerator / denominator


def drawn(spread: float, firms: int, seed: int, mean: float = 0.04) -> tuple[np.ndarray, np.ndarray]:
    """True PDs with this standard deviation of the logit and mean PD, and their outcomes in 64 futures."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(-6, 6, 2001)
    mass = np.exp(-(grid**2) / 2) / np.exp(-(grid**2) / 2).sum()
    centres = np.linspace(-8, 0, 801)
    means = (expit(centres[:, None] + spread * grid) * mass).sum(axis=1)
    pd = expit(centres[np.argmin(abs(means - mean))] + spread * rng.standard_normal(firms))
    return pd, rng.random((firms, FUTURES)) < pd[:, None]


def test_two_firms_by_hand():
    # Pairs (bad, good): (A, B) has chance .5 × .9, in order; (B, A) .1 × .5, out of order.
    pd = np.array([0.5, 0.1])
    assert bound.auc_under_pd(pd, pd) == pytest.approx(0.45 / 0.50)
    assert bound.auc_under_pd(-pd, pd) == pytest.approx(0.05 / 0.50)
    assert bound.auc_under_pd(np.zeros(2), pd) == pytest.approx(0.5)


def test_certain_outcomes_rank_perfectly():
    pd = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    assert bound.auc_under_pd(pd, pd) == 1
    default = np.repeat(pd[:, None] > 0, FUTURES, axis=1)
    assert bound.split_auc(bound.histogram(default), 32) == 1


def test_nothing_to_rank_is_not_a_number():
    assert np.isnan(bound.auc_under_pd(np.arange(3), np.zeros(3)))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0.01, 0.99), st.integers(0, 2)), min_size=2, max_size=7).filter(
        lambda rows: sum(row[2] for row in rows) >= 2
    )
)
@settings(max_examples=60, deadline=None)
def test_equals_the_definition_pair_by_pair(rows):
    score, pd, weight = (list(column) for column in zip(*rows, strict=True))
    assert bound.auc_under_pd(score, pd, weight) == pytest.approx(pairs_one_by_one(score, pd, weight))


def test_split_halves_equal_the_mean_over_every_split():
    default = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    splits = list(itertools.combinations(range(4), 2))
    numerator = denominator = 0.0
    for i, j in itertools.permutations(range(3), 2):
        for first, second in itertools.product(splits, splits):  # each firm is split alone
            rest_i = [f for f in range(4) if f not in first]
            rest_j = [f for f in range(4) if f not in second]
            chance = default[i, rest_i].mean() * (1 - default[j, rest_j].mean())
            score_i, score_j = default[i, list(first)].sum(), default[j, list(second)].sum()
            numerator += chance * (1.0 if score_i > score_j else 0.5 if score_i == score_j else 0.0)
            denominator += chance
    assert bound.split_auc(bound.histogram(default), 2) == pytest.approx(numerator / denominator)


@pytest.mark.parametrize(("spread", "auc"), [(1.0, 0.755), (1.2, 0.793), (1.6, 0.853)])
def test_a_known_spread_gives_its_known_bound(spread, auc):
    true, found = [], []
    for seed in range(6):
        pd, default = drawn(spread, 3000, seed)
        true.append(bound.auc_under_pd(pd, pd))
        found.append(bound.corrected(bound.histogram(default))[0])
    assert np.mean(true) == pytest.approx(auc, abs=0.006)
    assert np.mean(np.subtract(found, true)) == pytest.approx(0, abs=0.005)  # nearly unbiased at 64 futures


def test_the_simple_estimates_err_to_known_sides():
    pd, default = drawn(1.2, 3000, 1)
    counts = bound.histogram(default)
    true = bound.auc_under_pd(pd, pd)
    assert bound.split_auc(counts, 8) < bound.split_auc(counts, 32) < true - 0.03
    assert bound.plug_in(counts) > true + 0.02


def test_nearly_unbiased_where_the_spread_is_not_normal():
    errors = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        pd = np.where(rng.random(3000) < 0.7, rng.beta(1, 99, 3000), rng.beta(2, 16, 3000))
        default = rng.random((3000, FUTURES)) < pd[:, None]
        errors.append(bound.corrected(bound.histogram(default))[0] - bound.auc_under_pd(pd, pd))
    assert np.mean(errors) == pytest.approx(0, abs=0.008)


def test_the_bootstrap_error_matches_the_scatter_over_samples():
    found, errors = [], []
    for seed in range(8):
        _, default = drawn(1.2, 800, seed)
        estimate = bound.bound(default, repeats=15, seed=seed)
        found.append(estimate.auc)
        errors.append(estimate.error_firms)
    assert 0.4 < np.mean(errors) / np.std(found, ddof=1) < 2.5
    assert estimate.firms == 800
    assert estimate.futures == FUTURES


def test_too_little_to_go_on_is_refused():
    with pytest.raises(ValueError, match="too few to split"):
        bound.bound(np.zeros((5, 4), bool))
    with pytest.raises(ValueError, match="nothing to rank"):
        bound.bound(np.zeros((5, 16), bool))
