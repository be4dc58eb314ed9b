"""Reference learners: how much of the bound a set of features holds, scored out of sample under true PD."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from sources.economy import bound

FOLDS = 5
LEARNERS = ("boosting", "logistic")


@dataclass(frozen=True)
class Learned:
    """One feature block and learner: AUC under true PD, its distance from the bound, and their standard errors."""

    block: str
    learner: str
    features: int
    auc: float
    error: float
    gap: float
    gap_error: float

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def out_of_sample(
    features: pd.DataFrame, target: np.ndarray, learner: str, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of firms that the fit has not seen, and each firm's fold; scores compare only within a fold.

    target: share of futures in default, or the realised outcome as 0 and 1; [firms].
    """
    values = features.to_numpy(float)
    values[~np.isfinite(values)] = np.nan
    score, fold = np.empty(len(values)), np.empty(len(values), int)
    for number, (train, test) in enumerate(KFold(FOLDS, shuffle=True, random_state=seed).split(values)):
        score[test] = _fit_and_score(values[train], target[train], values[test], learner)
        fold[test] = number
    return score, fold


def _fit_and_score(values: np.ndarray, target: np.ndarray, unseen: np.ndarray, learner: str) -> np.ndarray:
    # A share is learned as two rows of one firm, one bad and one good, weighted by the share.
    rows = np.concatenate([values, values])
    outcome = np.repeat([1, 0], len(values))
    weight = np.concatenate([target, 1 - target])
    used = weight > 0
    if len(np.unique(outcome[used])) < 2:
        return np.zeros(len(unseen))
    told = np.nanmax(values, axis=0, initial=-np.inf) > np.nanmin(values, axis=0, initial=np.inf)
    if not told.any():
        return np.zeros(len(unseen))
    values, unseen = values[:, told], unseen[:, told]
    rows, outcome, weight = rows[used][:, told], outcome[used], weight[used]
    if learner == "boosting":
        model = HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.04, max_leaf_nodes=6, min_samples_leaf=30, l2_regularization=3.0,
            max_features=0.4, random_state=0,
        )  # fmt: skip
        return model.fit(rows, outcome, sample_weight=weight).decision_function(unseen)
    prepare = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        QuantileTransformer(output_distribution="normal", n_quantiles=min(200, len(values)), subsample=None),
        StandardScaler(),
    ).fit(values)
    model = LogisticRegression(C=0.02, max_iter=500).fit(prepare.transform(rows), outcome, sample_weight=weight)
    return model.decision_function(prepare.transform(unseen))


def within_folds(score: np.ndarray, fold: np.ndarray, pd_: np.ndarray, weight: np.ndarray | None = None) -> float:
    """AUC under true PD over the pairs inside each fold."""
    weight = np.ones(len(score)) if weight is None else weight
    sums = [bound.pair_sums(score[fold == f], pd_[fold == f], weight[fold == f]) for f in np.unique(fold)]
    numerator, denominator = np.sum(sums, axis=0)
    return float(numerator / denominator) if denominator > 0 else float("nan")


def compare(
    blocks: dict[str, pd.DataFrame],
    default: np.ndarray,
    realised: np.ndarray | None = None,
    repeats: int = 100,
    seed: int = 0,
) -> list[Learned]:
    """Every block with every learner beside the bound; errors by one bootstrap over firms, so gaps are paired.

    default: [firms, futures] bool. realised: [firms] bool to train on what happened; None trains on the futures.
    A held-out firm's futures are never seen by the fit, so its share of defaults weighs pairs without bias.
    """
    default = np.asarray(default, bool)
    count, pd_ = default.sum(axis=1), default.mean(axis=1)
    target = pd_ if realised is None else np.asarray(realised, float)
    with threadpool_limits(1):
        best, _, start = bound.corrected(bound.histogram(default))
        scored = {
            (block, learner): out_of_sample(frame, target, learner, seed)
            for block, frame in blocks.items()
            for learner in LEARNERS
        }
        for block in blocks:
            scored[block, "both"] = _mean_rank(scored[block, "boosting"], scored[block, "logistic"])
        draws = np.random.default_rng(seed).multinomial(len(pd_), np.full(len(pd_), 1 / len(pd_)), size=repeats)
        bounds = np.array(
            [bound.corrected(np.bincount(count, w, default.shape[1] + 1), start)[0] for w in draws.astype(float)]
        )
        found = []
        for (block, learner), (score, fold) in scored.items():
            auc = within_folds(score, fold, pd_)
            resampled = np.array([within_folds(score, fold, pd_, w) for w in draws.astype(float)])
            found.append(
                Learned(
                    block,
                    learner,
                    blocks[block].shape[1],
                    auc,
                    float(np.nanstd(resampled, ddof=1)),
                    best - auc,
                    float(np.nanstd(bounds - resampled, ddof=1)),
                )
            )
    return found


def _mean_rank(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of two scores' ranks within each fold; both were scored on the same folds."""
    fold = first[1]
    score = np.empty(len(fold))
    for number in np.unique(fold):
        here = fold == number
        ranks = [pd.Series(s[here]).rank().to_numpy() for s in (first[0], second[0])]
        score[here] = (ranks[0] + ranks[1]) / 2
    return score, fold
