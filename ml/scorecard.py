"""The scorecard: bins → weights of evidence → logistic regression → points that add up to the score.

With logit = ln odds of bad = α + Σ β·woe, factor = PDO / ln 2 and offset = base − factor·ln(base odds):
points of a bin = −(β·woe + α/n)·factor + offset/n, rounded to whole points; the score is the sum of the
rounded points (rounded points do not sum to the rounded score). Source: Siddiqi, Credit Risk Scorecards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lakehouse.errors import ModelError
from ml.binning import FeatureBins, bin_index, count_prebins, prebin_edges, solve_bins, woe_values
from ml.configuration import Grades, Scaling, ScorecardConfig
from ml.selection import Selected, select


def scale_factor(scaling: Scaling) -> float:
    """Points per unit of ln odds."""
    return scaling.pdo / math.log(2)


def scale_offset(scaling: Scaling) -> float:
    """The score at even odds."""
    return scaling.base_score - scale_factor(scaling) * math.log(scaling.base_odds)


def exact_points(intercept: float, beta: float, woe: float, features: int, scaling: Scaling) -> float:
    """Points of one bin before rounding, for a card of so many features."""
    share = scale_offset(scaling) / features
    return -(beta * woe + intercept / features) * scale_factor(scaling) + share


def logit_of_score(score: np.ndarray | float, scaling: Scaling) -> np.ndarray | float:
    """ln odds of bad that a score stands for."""
    return (scale_offset(scaling) - score) / scale_factor(scaling)


def probability(logit: np.ndarray | float) -> np.ndarray | float:
    """PD from ln odds of bad, without overflow at either end."""
    return 0.5 * (1.0 + np.tanh(np.asarray(logit, dtype=float) / 2.0))


def grade_of(pd_value: float, grades: Grades) -> str:
    """The grade whose PD band holds the value (lower bound included)."""
    return next(band.grade for band in grades.bands if pd_value < band.pd_below)


@dataclass(frozen=True)
class Scorecard:
    """A fitted card; immutable. `bins[i]` belongs to `betas[i]`; `intercept` and betas are calibrated."""

    bins: tuple[FeatureBins, ...]
    betas: tuple[float, ...]
    intercept: float
    scaling: Scaling
    grades: Grades

    @property
    def features(self) -> list[str]:
        return [item.feature for item in self.bins]

    def points_table(self) -> dict[str, tuple[list[int], int]]:
        """Whole points per feature: (one entry per bin, points of a missing value)."""
        n = len(self.bins)
        table = {}
        for item, beta in zip(self.bins, self.betas, strict=True):
            points = [round(exact_points(self.intercept, beta, woe, n, self.scaling)) for woe in item.woe]
            missing = round(exact_points(self.intercept, beta, item.missing_woe, n, self.scaling))
            table[item.feature] = (points, missing)
        return table

    def best_points(self) -> dict[str, int]:
        """The most points a feature can give with a value present: the reference for points lost."""
        return {feature: max(points) for feature, (points, _) in self.points_table().items()}

    def score_range(self) -> tuple[int, int]:
        """Lowest and highest score the card can give."""
        rows = [[*points, missing] for points, missing in self.points_table().values()]
        return sum(min(row) for row in rows), sum(max(row) for row in rows)

    def logit(self, frame: pd.DataFrame) -> np.ndarray:
        """ln odds of bad per row, before points are rounded."""
        total = np.full(len(frame), self.intercept)
        for item, beta in zip(self.bins, self.betas, strict=True):
            total = total + beta * woe_values(item, frame[item.feature].to_numpy(float, na_value=np.nan))
        return total

    def points(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Whole points per row and feature; index as in `frame`."""
        table = self.points_table()
        columns = {}
        for item in self.bins:
            points, missing = table[item.feature]
            index = bin_index(item, frame[item.feature].to_numpy(float, na_value=np.nan))
            columns[item.feature] = np.array([*points, missing])[index]
        return pd.DataFrame(columns, index=frame.index)

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """Score per row: the sum of the rounded points."""
        return self.points(frame).sum(axis=1).to_numpy()

    def pd_of_score(self, score: np.ndarray | float) -> np.ndarray | float:
        """PD within the performance window that a score stands for."""
        return probability(logit_of_score(score, self.scaling))

    def calibrated(self, slope: float, intercept: float) -> Scorecard:
        """The card whose logit is slope·logit + intercept, so that the score scale keeps its meaning."""
        if slope <= 0:
            raise ModelError(
                f"calibration slope {slope:.3f} would turn the ranking round",
                remedy="the out-of-fold predictions do not rank; look at the candidates' AUC first",
            )
        return replace(
            self, betas=tuple(slope * beta for beta in self.betas), intercept=slope * self.intercept + intercept
        )

    def to_json(self) -> str:
        content = {
            "intercept": self.intercept,
            "betas": list(self.betas),
            "scaling": self.scaling.model_dump(),
            "grades": self.grades.model_dump(),
            "bins": [item.to_dict() for item in self.bins],
        }
        return json.dumps(content, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Scorecard:
        content = json.loads(text)
        return cls(
            tuple(FeatureBins.from_dict(item) for item in content["bins"]),
            tuple(content["betas"]),
            content["intercept"],
            Scaling(**content["scaling"]),
            Grades(**content["grades"]),
        )


def regress(
    woe: np.ndarray, is_bad: np.ndarray, c: float, least_effect: float = 0.0
) -> tuple[float, np.ndarray, list[int]]:
    """Logistic regression on woe with an L2 penalty; columns of the wrong sign, or of no weight, leave one by one.

    woe rises with risk, so a coefficient at or below zero says that the feature only corrects another
    one: its points would contradict its bins. `least_effect` is the least difference of logit between a
    column's best and worst value; one column stays whatever its weight. Returns intercept, coefficients, kept
    columns.
    """
    from sklearn.linear_model import LogisticRegression

    spread = woe.max(axis=0) - woe.min(axis=0)
    kept = list(range(woe.shape[1]))
    while kept:
        model = LogisticRegression(C=c, max_iter=1000).fit(woe[:, kept], is_bad)
        effect = model.coef_[0] * spread[kept]
        weakest = int(np.argmin(effect))
        if effect[weakest] > max(least_effect, 1e-9) or (len(kept) == 1 and effect[weakest] > 1e-9):
            return float(model.intercept_[0]), model.coef_[0], kept
        kept.pop(weakest)
    raise ModelError(
        "no feature explains the outcome with the sign its own bins have",
        remedy="check the label and the feature snapshot; see the sample waterfall",
    )


def fit_from_bins(
    frame: pd.DataFrame, is_bad: np.ndarray, bins: list[FeatureBins], config: ScorecardConfig
) -> Scorecard:
    """Regress on the woe of given bins; features without any split or missing effect are left out."""
    usable = [item for item in bins if item.splits or item.missing_woe]
    if not usable:
        raise ModelError(
            "no feature could be binned",
            where=f"{len(frame)} rows, {int(np.sum(is_bad))} bads",
            remedy="lower min_bin_share or check the features' fill rates",
        )
    woe = np.column_stack([woe_values(item, frame[item.feature].to_numpy(float, na_value=np.nan)) for item in usable])
    least = config.regression.min_point_range / scale_factor(config.scaling)
    intercept, betas, kept = regress(woe, is_bad, config.regression.c, least)
    return Scorecard(
        tuple(usable[i] for i in kept), tuple(float(beta) for beta in betas), intercept, config.scaling, config.grades
    )


def fit_scorecard(
    frame: pd.DataFrame, is_bad: np.ndarray, features: list[str], config: ScorecardConfig
) -> tuple[Scorecard, Selected]:
    """Select, bin and regress on the rows given, all in memory; not yet calibrated."""
    chosen = select(frame, is_bad, features, config.selection)
    edges = {
        name: prebin_edges(frame[name].to_numpy(float, na_value=np.nan), config.binning.prebins)
        for name in chosen.features
    }
    counts = count_prebins(frame, is_bad, edges)
    bins = [solve_bins(name, counts[name], config.binning) for name in chosen.features]
    return fit_from_bins(frame, is_bad, bins, config), chosen


def platt(logit: np.ndarray, is_bad: np.ndarray, method: str, weight: np.ndarray | None = None) -> Mapping[str, float]:
    """Slope and intercept that make predictions out of fold true on average (Platt 1999).

    `intercept` keeps the slope at 1. Weights let repeated predictions of one firm count once.
    """
    from scipy.optimize import minimize

    logit, is_bad = np.asarray(logit, float), np.asarray(is_bad, float)
    weight = np.ones_like(logit) if weight is None else np.asarray(weight, float)

    def loss(theta: np.ndarray) -> float:
        slope, shift = (1.0, theta[0]) if method == "intercept" else theta
        z = slope * logit + shift
        return float(np.sum(weight * (np.logaddexp(0.0, z) - is_bad * z)))

    start = [0.0] if method == "intercept" else [1.0, 0.0]
    theta = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}).x
    return (
        {"slope": 1.0, "intercept": float(theta[0])}
        if method == "intercept"
        else {"slope": float(theta[0]), "intercept": float(theta[1])}
    )
