"""Which features a scorecard may use: informative, filled, and not telling the same story twice.

Selection is part of fitting: in cross-validation it runs inside every fold, on the training rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ml.binning import count_prebins, information_value, prebin_edges
from ml.configuration import Selection

_RANKING_BINS = 5


@dataclass(frozen=True)
class Selected:
    """Features kept, best first, and why every other one was left out."""

    features: list[str]
    iv: dict[str, float]
    left_out: dict[str, str]


def ranking_iv(frame: pd.DataFrame, is_bad: np.ndarray, features: list[str]) -> dict[str, float]:
    """Information value per feature on five quantile bins plus missing, smoothed; fast, for ranking only."""
    edges = {name: prebin_edges(frame[name].to_numpy(float, na_value=np.nan), _RANKING_BINS) for name in features}
    counts = count_prebins(frame, is_bad, edges)
    return {
        name: information_value(np.append(c.goods, c.missing_goods), np.append(c.bads, c.missing_bads))
        for name, c in counts.items()
    }


def rank_correlation(frame: pd.DataFrame) -> np.ndarray:
    """Spearman correlations; a missing value takes the middle rank, so that it neither joins nor parts."""
    columns = []
    for name in frame.columns:
        values = frame[name].to_numpy(float, na_value=np.nan)
        present = ~np.isnan(values)
        ranks = np.full(len(values), (present.sum() + 1) / 2)
        ranks[present] = rankdata(values[present])
        columns.append(ranks)
    ranks = np.column_stack(columns)
    ranks = ranks - ranks.mean(axis=0)
    scale = np.sqrt((ranks**2).sum(axis=0))
    scale[scale == 0] = 1.0
    return (ranks / scale).T @ (ranks / scale)


def select(frame: pd.DataFrame, is_bad: np.ndarray, features: list[str], config: Selection) -> Selected:
    """Rank by information value, then walk down, skipping whatever a kept feature already tells.

    Ties in information value are broken by name, so the same data give the same list.
    """
    left_out: dict[str, str] = {}
    filled = frame[features].notna().mean()
    usable = []
    for name in features:
        if filled[name] < config.min_filled_share:
            left_out[name] = f"filled in {filled[name]:.0%} of rows only"
        elif frame[name].nunique(dropna=True) < 2:
            left_out[name] = "constant"
        else:
            usable.append(name)
    iv = ranking_iv(frame, is_bad, usable)
    ranked = sorted(usable, key=lambda name: (-round(iv[name], 10), name))
    informative = [name for name in ranked if iv[name] >= config.min_iv]
    left_out |= {name: f"information value {iv[name]:.3f}" for name in ranked if iv[name] < config.min_iv}
    kept: list[str] = []
    if informative:
        correlation = np.abs(rank_correlation(frame[informative]))
        position = {name: i for i, name in enumerate(informative)}
    for name in informative:
        twin = next((k for k in kept if correlation[position[name], position[k]] > config.max_correlation), None)
        if twin:
            left_out[name] = f"rank correlation {correlation[position[name], position[twin]]:.2f} with {twin}"
        elif len(kept) >= config.max_features:
            left_out[name] = f"beyond the first {config.max_features} features"
        else:
            kept.append(name)
    return Selected(kept, iv, left_out)
