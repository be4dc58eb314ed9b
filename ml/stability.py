"""Has the population moved? Population stability index, held against what chance alone gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Stability:
    """PSI of two samples and its limit: the quantile under no drift."""

    psi: float
    limit: float
    bins: int
    rows_before: int
    rows_now: int

    @property
    def drifted(self) -> bool:
        return self.psi > self.limit


def psi_of_counts(before: np.ndarray, now: np.ndarray) -> float:
    """Σ (q − p)·ln(q / p) over bins; an empty bin counts as half an observation."""
    before, now = np.asarray(before, float), np.asarray(now, float)
    p = np.maximum(before, 0.5) / before.sum()
    q = np.maximum(now, 0.5) / now.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def psi_mean_without_drift(before: int, now: int, bins: int) -> float:
    """(1/n + 1/m)·(bins − 1): what PSI is on average when nothing moved."""
    return (1 / before + 1 / now) * (bins - 1)


def psi_limit(before: int, now: int, bins: int, confidence: float = 0.95) -> float:
    """Quantile of PSI under no drift: (1/n + 1/m)·χ²(bins − 1).

    A fixed 0.1 sounds a false alarm one time in four at 123 against 100 rows in five bins.
    """
    return float((1 / before + 1 / now) * stats.chi2.ppf(confidence, bins - 1))


def stability(before: np.ndarray, now: np.ndarray, bins: int = 10, confidence: float = 0.95) -> Stability:
    """PSI of a number between two samples, bins by quantiles of the first (fewer where values repeat).

    Bins are fewer for small samples (about fifteen rows a bin), since the χ² form is asymptotic.
    """
    before, now = (np.asarray(sample, float)[~np.isnan(np.asarray(sample, float))] for sample in (before, now))
    bins = int(max(2, min(bins, min(len(before), len(now)) // 15)))
    edges = np.unique(np.quantile(before, np.arange(1, bins) / bins))
    count = len(edges) + 1
    old = np.bincount(np.digitize(before, edges), minlength=count)
    new = np.bincount(np.digitize(now, edges), minlength=count)
    used = (old + new) > 0
    count = max(2, int(used.sum()))
    return Stability(
        psi_of_counts(old[used], new[used]),
        psi_limit(len(before), len(now), count, confidence),
        count,
        len(before),
        len(now),
    )
