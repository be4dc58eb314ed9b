"""The best AUC that any model could reach, from forked futures: pure functions, no files.

A firm's true PD is the chance that it defaults within a year of the fork. Ranked by true PD, the expected AUC is

    A = sum over pairs i, j of p_i (1 - p_j) [p_i > p_j] / sum over pairs of p_i (1 - p_j)

where a tie counts one half and no outcome is drawn. With K futures only k_i of K is seen, not p_i:

- the *plug-in* ranks and weighs by the same k_i / K. A firm that was unlucky in the futures is then ranked high and
  counted as bad for the same reason, so it is biased upwards.
- *split halves* rank by m of the futures and weigh by the others. The weights are unbiased and independent of the rank,
  but the rank is noisy, so it is biased downwards, less so as m grows.
- the *bound* adds to split halves what the noise of the rank costs. That cost follows from the distribution of p over
  firms, fitted to the counts (Efron 2016, "Empirical Bayes deconvolution estimates": a binomial mixture whose log
  density is a smooth spline on the logit scale). Only this correction rests on the fit, not the level itself. In
  simulations at 3,000 firms and 64 futures its bias is below .003 for smooth distributions of p; when p takes only a
  few separate values, which a smooth density cannot follow, it comes out up to .03 too high.

Averaged over all ways to split, every quantity depends on the firms through the counts of k = 0 … K alone, so the
bootstrap over firms resamples that histogram.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from scipy.stats import binom, hypergeom

LOGIT_GRID = np.linspace(-9.0, 7.0, 161)
SPLINE_PIECES = 6
SPLINE_PENALTY = 0.5  # on curvature of the log density; keeps the tails, where counts say little, plain


@dataclass(frozen=True)
class Bound:
    """Expected AUC of the perfect ranking with its parts; errors are standard errors, all shares of one.

    `error_firms` is the bootstrap over firms, `error_futures` a jackknife over blocks of futures, which also sees
    what all firms of a future share. `logit_spread` is the standard deviation of logit(true PD) that the fit gives.
    """

    auc: float
    error_firms: float
    error_futures: float
    split_halves: float
    plug_in: float
    mixture: float
    logit_spread: float
    mean_pd: float
    firms: int
    futures: int

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def auc_under_pd(score: np.ndarray, pd: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Expected AUC of a score when firm i defaults with chance pd[i], independently; nan when nothing can be ranked.

    weight: how often each firm counts (the bootstrap gives whole numbers). A firm is never paired with itself.
    """
    numerator, denominator = pair_sums(score, pd, weight)
    return float(numerator / denominator) if denominator > 0 else float("nan")


def pair_sums(score: np.ndarray, pd: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, float]:
    """The two sums over ordered pairs i ≠ j: of p_i (1 - p_j) times [s_i > s_j] (ties one half), and without it."""
    score, pd = np.asarray(score, float), np.asarray(pd, float)
    weight = np.ones(len(pd)) if weight is None else np.asarray(weight, float)
    values, place = np.unique(score, return_inverse=True)
    bad = np.bincount(place, weight * pd, len(values))
    good = np.bincount(place, weight * (1 - pd), len(values))
    own = float(np.sum(weight * pd * (1 - pd)))
    return _wins(bad, good) - own / 2, bad.sum() * good.sum() - own


def _wins(bad: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Pairs in the right order, from masses of bad and good at rising ranks (last axis); ties count one half."""
    below = np.cumsum(good, axis=-1) - good
    return np.sum(bad * (below + good / 2), axis=-1)


def histogram(default: np.ndarray) -> np.ndarray:
    """[K + 1] firms by the number of futures in which they default; `default` is firm × future, bool."""
    return np.bincount(np.asarray(default, bool).sum(axis=1), minlength=default.shape[1] + 1).astype(float)


def plug_in(firms_by_count: np.ndarray) -> float:
    """Ranks and weighs by the same futures: biased upwards."""
    count = np.arange(len(firms_by_count))
    return auc_under_pd(count, count / count[-1], firms_by_count)


def realised_auc(default: np.ndarray, happened: np.ndarray) -> float:
    """AUC of the share of futures in default against what happened in the world; the futures do not hold that one."""
    return auc_under_pd(np.asarray(default, bool).mean(axis=1), np.asarray(happened, float))


def split_auc(firms_by_count: np.ndarray, ranking_futures: int) -> float:
    """Ranks by `ranking_futures` of the futures, weighs by the rest; mean over all splits of each firm."""
    futures = len(firms_by_count) - 1
    if not 0 < ranking_futures < futures:
        raise ValueError(f"{ranking_futures} of {futures} futures cannot rank: give 1 to {futures - 1}")
    rest = futures - ranking_futures
    count, ranked = np.arange(futures + 1)[:, None], np.arange(ranking_futures + 1)[None, :]
    chance = hypergeom.pmf(ranked, futures, count, ranking_futures)
    share_bad = np.clip((count - ranked) / rest, 0, 1)
    bad, good = chance * share_bad, chance * (1 - share_bad)  # of a firm with this count, by its rank
    own = firms_by_count @ _wins(bad, good)
    own_pairs = firms_by_count @ (bad.sum(axis=1) * good.sum(axis=1))
    all_bad, all_good = firms_by_count @ bad, firms_by_count @ good
    pairs = all_bad.sum() * all_good.sum() - own_pairs
    return float((_wins(all_bad, all_good) - own) / pairs) if pairs > 0 else float("nan")


def mixture_auc(density: np.ndarray, pd: np.ndarray, ranking_futures: int | None = None) -> float:
    """Expected AUC over firms whose PD is pd[g] with chance density[g]: of the true rank, or of a noisy one."""
    bad, good = density * pd, density * (1 - pd)
    if ranking_futures is not None:
        chance = binom.pmf(np.arange(ranking_futures + 1)[None, :], ranking_futures, pd[:, None])
        bad, good = bad @ chance, good @ chance
    return float(_wins(bad, good) / (bad.sum() * good.sum()))


def fit_mixture(firms_by_count: np.ndarray, start: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Density over LOGIT_GRID that makes the counts likely, and its coefficients (to start the next fit)."""
    futures = len(firms_by_count) - 1
    seen = np.nonzero(firms_by_count)[0]
    mass = firms_by_count[seen]
    log_chance = binom.logpmf(seen[:, None], futures, expit(LOGIT_GRID)[None, :])
    basis = _spline_basis(LOGIT_GRID, SPLINE_PIECES)

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        log_density = basis @ coefficients
        log_density = log_density - logsumexp(log_density)
        joint = log_chance + log_density
        likely = logsumexp(joint, axis=1)
        bend = np.diff(coefficients, 3)
        # Gradient: what the data think of each grid point, less what the density thinks of it.
        gradient = basis.T @ (mass @ np.exp(joint - likely[:, None]) - mass.sum() * np.exp(log_density))
        bend_gradient = np.zeros_like(coefficients)
        for shift, factor in enumerate((-1.0, 3.0, -3.0, 1.0)):
            bend_gradient[shift : shift + len(bend)] += factor * bend
        value = -(mass @ likely) + SPLINE_PENALTY * bend @ bend
        return float(value), -gradient + 2 * SPLINE_PENALTY * bend_gradient

    first = -0.1 * (np.linspace(-3, 3, basis.shape[1]) + 0.8) ** 2 if start is None else start
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    log_density = basis @ found.x
    return np.exp(log_density - logsumexp(log_density)), found.x


def _spline_basis(grid: np.ndarray, pieces: int) -> np.ndarray:
    inner = np.linspace(grid[0], grid[-1], pieces + 1)
    knots = np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3])
    return BSpline.design_matrix(np.clip(grid, grid[0], grid[-1]), knots, 3).toarray()


def corrected(firms_by_count: np.ndarray, start: np.ndarray | None = None) -> tuple[float, np.ndarray, np.ndarray]:
    """Split halves plus what their noisy rank costs under the fitted mixture; also the density and coefficients."""
    half = (len(firms_by_count) - 1) // 2
    density, coefficients = fit_mixture(firms_by_count, start)
    pd = expit(LOGIT_GRID)
    cost = mixture_auc(density, pd) - mixture_auc(density, pd, half)
    return split_auc(firms_by_count, half) + cost, density, coefficients


def bound(default: np.ndarray, repeats: int = 200, seed: int = 0) -> Bound:
    """The bound with its errors. default: [firms, futures] bool, only firms at risk at the fork.

    Raises ValueError with fewer than 8 futures, or when no firm or every firm defaults everywhere.
    """
    default = np.asarray(default, bool)
    firms, futures = default.shape
    if futures < 8:
        raise ValueError(f"{futures} futures are too few to split: fork at least 8, better 64")
    if not 0 < default.mean() < 1:
        raise ValueError(f"{int(default.sum())} defaults in {default.size} firm futures: there is nothing to rank")
    counts = histogram(default)
    auc, density, coefficients = corrected(counts)
    rng = np.random.default_rng(seed)
    resampled = [
        corrected(draw.astype(float), coefficients)[0]
        for draw in rng.multinomial(firms, counts / firms, size=repeats)
        if draw[1:].any() and draw[:-1].any()
    ]
    mean = density @ LOGIT_GRID
    return Bound(
        auc=auc,
        error_firms=float(np.nanstd(resampled, ddof=1)),
        error_futures=_jackknife_futures(default, coefficients),
        split_halves=split_auc(counts, futures // 2),
        plug_in=plug_in(counts),
        mixture=mixture_auc(density, expit(LOGIT_GRID)),
        logit_spread=float(np.sqrt(density @ (LOGIT_GRID - mean) ** 2)),
        mean_pd=float(default.mean()),
        firms=firms,
        futures=futures,
    )


def _jackknife_futures(default: np.ndarray, start: np.ndarray, blocks: int = 8) -> float:
    """Standard error over futures: each of the blocks of futures left out in turn."""
    block = np.arange(default.shape[1]) * blocks // default.shape[1]
    left = [corrected(histogram(default[:, block != b]), start)[0] for b in range(blocks)]
    return float(np.sqrt((blocks - 1) / blocks * np.sum((left - np.mean(left)) ** 2)))
