"""How good, how sure: discrimination, calibration, stability, each with its uncertainty.

`is_bad` is 0/1 per row, `risk` any number that rises with risk (PD, logit, minus score).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from lakehouse.errors import ModelError

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)

    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def _split(is_bad: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    is_bad, risk = np.asarray(is_bad).astype(bool), np.asarray(risk, dtype=float)
    bads, goods = risk[is_bad], risk[~is_bad]
    if len(bads) == 0 or len(goods) == 0:
        raise ModelError(
            "quality cannot be measured without both goods and bads", where=f"{len(goods)} goods, {len(bads)} bads"
        )
    return bads, goods


def auc(is_bad: np.ndarray, risk: np.ndarray) -> float:
    """Share of (bad, good) pairs in which the bad has the higher risk; ties count half (Mann–Whitney)."""
    bads, goods = _split(is_bad, risk)
    ranks = stats.rankdata(np.concatenate([bads, goods]))
    return float((ranks[: len(bads)].sum() - len(bads) * (len(bads) + 1) / 2) / (len(bads) * len(goods)))


def gini(is_bad: np.ndarray, risk: np.ndarray) -> float:
    """2·AUC − 1."""
    return 2 * auc(is_bad, risk) - 1


def ks(is_bad: np.ndarray, risk: np.ndarray) -> float:
    """Largest gap between the distribution functions of goods and bads (two-sided)."""
    bads, goods = _split(is_bad, risk)
    cuts = np.unique(np.concatenate([bads, goods]))
    return float(
        np.max(
            np.abs(
                np.searchsorted(np.sort(goods), cuts, "right") / len(goods)
                - np.searchsorted(np.sort(bads), cuts, "right") / len(bads)
            )
        )
    )


def _placements(is_bad: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each bad's and each good's share of correctly ordered pairs (DeLong's structural components)."""
    bads, goods = _split(is_bad, risk)
    both = stats.rankdata(np.concatenate([bads, goods]))
    of_bads = (both[: len(bads)] - stats.rankdata(bads)) / len(goods)
    of_goods = 1 - (both[len(bads) :] - stats.rankdata(goods)) / len(bads)
    return of_bads, of_goods


def auc_delong(is_bad: np.ndarray, risk: np.ndarray, confidence: float = 0.95) -> Interval:
    """AUC with DeLong's interval on the logit scale, so that it stays within (0, 1).

    Source: DeLong, DeLong, Clarke-Pearson 1988; fast ranks by Sun and Xu 2014.
    """
    of_bads, of_goods = _placements(is_bad, risk)
    value = float(of_bads.mean())
    variance = (np.var(of_bads, ddof=1) / len(of_bads) if len(of_bads) > 1 else 0.25) + (
        np.var(of_goods, ddof=1) / len(of_goods) if len(of_goods) > 1 else 0.25
    )
    if value in (0.0, 1.0) or variance == 0:
        return Interval(value, value, value)
    z = stats.norm.ppf(0.5 + confidence / 2)
    logit, width = np.log(value / (1 - value)), z * np.sqrt(variance) / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-np.array([logit - width, logit + width])))
    return Interval(value, float(low), float(high))


def bootstrap_weights(is_bad: np.ndarray, draws: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """How often each row is drawn: draws × rows, whole numbers.

    Borrowers (`groups`; each row its own where None) are drawn with all their rows, ever-bad ones and others
    apart, so that repeated observations of one borrower are not counted as independent evidence.
    """
    rng = np.random.default_rng(seed)
    is_bad = np.asarray(is_bad).astype(int)
    member = np.arange(len(is_bad)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    ever_bad = np.zeros(member.max() + 1, int)
    np.maximum.at(ever_bad, member, is_bad)
    counts = np.zeros((draws, len(ever_bad)), dtype=np.int32)
    for stratum in (0, 1):
        inside = np.flatnonzero(ever_bad == stratum)
        if len(inside):
            counts[:, inside] = rng.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=draws)
    return counts[:, member]


def _weighted_curves(is_bad: np.ndarray, risk: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of bads and of goods per distinct risk, ascending: two matrices draws × distinct values."""
    order = np.argsort(risk, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(risk[order]) != 0])
    ordered = weights[:, order].astype(float)
    bad = is_bad[order].astype(bool)
    return (np.add.reduceat(ordered * bad, starts, axis=1), np.add.reduceat(ordered * ~bad, starts, axis=1))


def weighted_auc(is_bad: np.ndarray, risk: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC per row of `weights` (draws × rows); whole weights equal repeating the rows."""
    bads, goods = _weighted_curves(np.asarray(is_bad), np.asarray(risk, float), np.atleast_2d(weights))
    below = np.cumsum(goods, axis=1) - goods / 2
    return (bads * below).sum(axis=1) / (bads.sum(axis=1) * goods.sum(axis=1))


def weighted_ks(is_bad: np.ndarray, risk: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """KS per row of `weights` (draws × rows)."""
    bads, goods = _weighted_curves(np.asarray(is_bad), np.asarray(risk, float), np.atleast_2d(weights))
    gap = np.cumsum(bads, axis=1) / bads.sum(axis=1, keepdims=True) - np.cumsum(goods, axis=1) / goods.sum(
        axis=1, keepdims=True
    )
    return np.abs(gap).max(axis=1)


def mean_over_repeats(measure: Callable, is_bad: np.ndarray, risk: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A weighted measure per draw, averaged over the repeats (rows of `risk`)."""
    # Draws are taken in parts, so that memory does not grow with draws × rows.
    parts = np.array_split(weights, max(1, weights.size // _CELLS_AT_ONCE))
    means = [np.mean([measure(is_bad, run, part) for run in np.atleast_2d(risk)], axis=0) for part in parts]
    return np.concatenate(means)


def percentile_interval(value: float, draws: np.ndarray, confidence: float = 0.95) -> Interval:
    """A figure with the percentile interval of its bootstrap draws (draws without value are left out)."""
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def bootstrap(measure: Callable, is_bad: np.ndarray, risk: np.ndarray, weights: np.ndarray) -> Interval:
    """`weighted_auc` or `weighted_ks` with its percentile interval over the draws in `weights`.

    `risk` may be a matrix repeats × rows of predictions out of fold: figures are then means over repeats,
    so repeats average the chance of the split away and add no evidence. KS is biased upwards in small samples.
    """
    ones = np.ones((1, np.asarray(is_bad).size))
    value = mean_over_repeats(measure, is_bad, risk, ones)[0]
    return percentile_interval(value, mean_over_repeats(measure, is_bad, risk, weights))


def brier(is_bad: np.ndarray, pd_value: np.ndarray) -> float:
    """Mean squared distance of PD and outcome."""
    return float(np.mean((np.asarray(pd_value, float) - np.asarray(is_bad, float)) ** 2))


@dataclass(frozen=True)
class HosmerLemeshow:
    """Goodness of fit over groups of equal size by PD."""

    statistic: float
    p_value: float
    groups: int


def hosmer_lemeshow(
    is_bad: np.ndarray, pd_value: np.ndarray, groups: int = 10, out_of_sample: bool = True
) -> HosmerLemeshow:
    """Σ (observed − expected)² / (n·p·(1 − p)) over groups by PD, against χ².

    Degrees of freedom: groups out of sample, groups − 2 on the fitting sample (Hosmer, Lemeshow 1980).
    Groups are fewer where rows are fewer than ten a group.
    """
    is_bad, pd_value = np.asarray(is_bad, float), np.asarray(pd_value, float)
    groups = max(3, min(groups, len(pd_value) // 10))
    parts = np.array_split(np.argsort(pd_value, kind="stable"), groups)
    statistic = 0.0
    for part in parts:
        expected = pd_value[part].sum()
        variance = expected * (1 - expected / len(part))
        statistic += (is_bad[part].sum() - expected) ** 2 / max(variance, 1e-12)
    degrees = groups if out_of_sample else groups - 2
    return HosmerLemeshow(float(statistic), float(stats.chi2.sf(statistic, degrees)), groups)


@dataclass(frozen=True)
class GradeTest:
    """Observed against expected bads in one grade; p is two-sided binomial."""

    grade: str
    rows: int
    bads: int
    mean_pd: float
    p_value: float
    light: str


def binomial_by_grade(is_bad: np.ndarray, pd_value: np.ndarray, grade: np.ndarray) -> list[GradeTest]:
    """Exact binomial test of every grade's mean PD; traffic light at 5 % and 1 %."""
    is_bad, pd_value, grade = np.asarray(is_bad), np.asarray(pd_value, float), np.asarray(grade)
    tests = []
    for name in sorted(set(grade)):
        inside = grade == name
        bads, rows, mean = int(is_bad[inside].sum()), int(inside.sum()), float(pd_value[inside].mean())
        p_value = float(stats.binomtest(bads, rows, min(max(mean, 0.0), 1.0)).pvalue)
        light = "green" if p_value >= 0.05 else "yellow" if p_value >= 0.01 else "red"
        tests.append(GradeTest(str(name), rows, bads, mean, p_value, light))
    return tests


@dataclass(frozen=True)
class PairedGain:
    """Gain in AUC of one model over another on the same rows, with its interval."""

    gain: Interval
    share_above_zero: float

    @property
    def verdict(self) -> str:
        if not self.gain.excludes_zero():
            return "no difference shown"
        return "better" if self.gain.low > 0 else "worse"


def paired_auc_gain(is_bad: np.ndarray, risk: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> PairedGain:
    """AUC(risk) − AUC(reference) on the same rows and the same drawn borrowers (`bootstrap_weights`).

    Both may be matrices repeats × rows of predictions out of fold, made on the same folds.
    """

    def difference(w: np.ndarray) -> np.ndarray:
        return mean_over_repeats(weighted_auc, is_bad, risk, w) - mean_over_repeats(weighted_auc, is_bad, reference, w)

    draws = difference(weights)
    value = difference(np.ones((1, np.asarray(is_bad).size)))[0]
    return PairedGain(percentile_interval(value, draws), float(np.mean(draws > 0)))
