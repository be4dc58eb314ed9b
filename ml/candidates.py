"""The models that compete on the same folds; each fits and predicts in memory.

A candidate is anything with `fit(frame, is_bad)` and `logit(frame)` (ln odds of bad per row). Everything a
model learns from data (selection, bins, medians, scaling) is learned in `fit`, on the rows given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from ml.configuration import ModelConfig, ScorecardConfig
from ml.scorecard import Scorecard, fit_scorecard


class Candidate(Protocol):
    """A model of ln odds of bad."""

    def fit(self, frame: pd.DataFrame, is_bad: np.ndarray) -> Candidate: ...

    def logit(self, frame: pd.DataFrame) -> np.ndarray: ...


class ScorecardCandidate:
    """The scorecard, with selection and binning inside `fit`."""

    def __init__(self, features: list[str], config: ScorecardConfig) -> None:
        self.features, self.config = features, config
        self.card: Scorecard | None = None

    def fit(self, frame: pd.DataFrame, is_bad: np.ndarray) -> ScorecardCandidate:
        self.card, _ = fit_scorecard(frame, is_bad, self.features, self.config)
        return self

    def logit(self, frame: pd.DataFrame) -> np.ndarray:
        return self.card.logit(frame)


def signed_log(values: np.ndarray) -> np.ndarray:
    """sign(x)·ln(1 + |x|): tames amounts in yuan, keeps order and sign, leaves shares almost as they are."""
    return np.sign(values) * np.log1p(np.abs(values))


class RegressionCandidate:
    """Plain logistic regression: signed log, median for missing, standardised, L2 penalty.

    The reference an elaborate model has to match. Used with all features, or with the size features
    alone as the benchmark of the market's first question.
    """

    def __init__(self, features: list[str], c: float = 0.1) -> None:
        self.features, self.c = features, c

    def fit(self, frame: pd.DataFrame, is_bad: np.ndarray) -> RegressionCandidate:
        from sklearn.linear_model import LogisticRegression

        values = self._values(frame)
        self.median = np.array([np.median(col[~np.isnan(col)]) if (~np.isnan(col)).any() else 0.0 for col in values.T])
        filled = self._fill(values)
        self.mean, scale = filled.mean(axis=0), filled.std(axis=0)
        self.scale = np.where(scale > 1e-12, scale, 1.0)
        self.model = LogisticRegression(C=self.c, max_iter=2000).fit((filled - self.mean) / self.scale, is_bad)
        return self

    def logit(self, frame: pd.DataFrame) -> np.ndarray:
        return self.model.decision_function((self._fill(self._values(frame)) - self.mean) / self.scale)

    def _values(self, frame: pd.DataFrame) -> np.ndarray:
        return signed_log(frame[self.features].to_numpy(dtype=float, na_value=np.nan))

    def _fill(self, values: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(values), self.median, values)


class BoosterCandidate:
    """Gradient-boosted trees (xgboost, histogram), fixed and shallow: a challenger, not a tuned contest entry."""

    def __init__(self, features: list[str], seed: int = 7) -> None:
        self.features, self.seed = features, seed

    def fit(self, frame: pd.DataFrame, is_bad: np.ndarray) -> BoosterCandidate:
        from xgboost import XGBClassifier

        self.model = XGBClassifier(
            n_estimators=120,
            max_depth=2,
            learning_rate=0.07,
            subsample=0.8,
            colsample_bytree=0.5,
            min_child_weight=1.0,
            reg_lambda=3.0,
            tree_method="hist",
            n_jobs=1,
            random_state=self.seed,
        ).fit(frame[self.features].to_numpy(dtype=float, na_value=np.nan), is_bad)
        return self

    def logit(self, frame: pd.DataFrame) -> np.ndarray:
        values = frame[self.features].to_numpy(dtype=float, na_value=np.nan)
        return self.model.predict(values, output_margin=True).astype(float)


def standard_candidates(
    features: list[str], size_features: list[str], config: ModelConfig
) -> Mapping[str, Callable[[], Candidate]]:
    """Name → factory of the four models every study compares."""
    return {
        "scorecard": lambda: ScorecardCandidate(features, config.scorecard),
        "plain_regression": lambda: RegressionCandidate(features),
        "size_only": lambda: RegressionCandidate(size_features, c=1.0),
        "booster": lambda: BoosterCandidate(features),
    }
