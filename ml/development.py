"""From a sample to a calibrated card and the evidence about it; pure, in memory, no tracking.

Order: all candidates on the same folds → calibration of the scorecard on its predictions out of fold →
final fit on all rows → out of time where observation dates allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.binning import BinCounts, count_prebins, prebin_edges, solve_bins
from ml.candidates import BoosterCandidate, standard_candidates
from ml.catalogue import size_features, usable_features
from ml.configuration import ModelConfig
from ml.experiments import (
    OutOfFold,
    OutOfTime,
    Quality,
    cross_validate,
    gains,
    out_of_time,
    pd_out_of_fold,
    pooled,
    qualities,
)
from ml.scorecard import Scorecard, fit_from_bins, grade_of, platt
from ml.selection import Selected, select
from ml.validation import (
    GradeTest,
    HosmerLemeshow,
    PairedGain,
    binomial_by_grade,
    brier,
    hosmer_lemeshow,
)

Counter = Callable[[pd.DataFrame, np.ndarray, Mapping[str, np.ndarray]], dict[str, BinCounts]]
Progress = Callable[[str], None]

PAIRS = [
    ("scorecard", "size_only"),
    ("scorecard", "plain_regression"),
    ("plain_regression", "size_only"),
    ("booster", "scorecard"),
    ("booster", "size_only"),
]


@dataclass(frozen=True)
class CalibrationCheck:
    """Whether PDs out of fold are true on average and over the range."""

    mean_pd: float
    bad_rate: float
    brier: float
    brier_of_constant: float
    hosmer_lemeshow: HosmerLemeshow
    by_grade: list[GradeTest]
    slope: float
    intercept: float

    @property
    def gap(self) -> float:
        return abs(self.mean_pd - self.bad_rate)


@dataclass(frozen=True)
class Development:
    """A fitted card with its evidence; what reports and the gate read."""

    card: Scorecard
    selected: Selected
    booster: BoosterCandidate
    features: list[str]
    size_features: list[str]
    dropped_groups: list[str]
    folds: OutOfFold
    qualities: dict[str, Quality]
    gains: dict[str, PairedGain]
    calibration: CalibrationCheck
    pd_out_of_fold: np.ndarray
    out_of_time: OutOfTime | None


def candidate_features(
    rows: pd.DataFrame, groups: Mapping[str, str], config: ModelConfig, drop_groups: list[str]
) -> list[str]:
    """Numeric columns of the sample that are features and may be used."""
    numeric = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name])]
    return usable_features(numeric, groups, config.features, drop_groups)


def evaluate(
    rows: pd.DataFrame,
    groups: Mapping[str, str],
    config: ModelConfig,
    drop_groups: list[str],
    progress: Progress | None = None,
) -> tuple[OutOfFold, dict[str, Quality], dict[str, PairedGain]]:
    """All standard candidates on the same folds: predictions out of fold, quality, gains."""
    features = candidate_features(rows, groups, config, drop_groups)
    factories = standard_candidates(features, size_features(rows.columns, config.features), config)
    folds = cross_validate(
        rows,
        rows["is_bad"].to_numpy(),
        rows["enterprise_id"].to_numpy(),
        factories,
        config.scorecard.crossval,
        progress,
    )
    return folds, qualities(folds, config.scorecard.crossval), gains(folds, PAIRS, config.scorecard.crossval)


def fit_final(
    rows: pd.DataFrame, features: list[str], config: ModelConfig, counter: Counter = count_prebins
) -> tuple[Scorecard, Selected]:
    """The card on all rows, uncalibrated; `counter` counts the fine bins (in memory, or by the engine)."""
    is_bad = rows["is_bad"].to_numpy()
    chosen = select(rows, is_bad, features, config.scorecard.selection)
    edges = {
        name: prebin_edges(rows[name].to_numpy(float, na_value=np.nan), config.scorecard.binning.prebins)
        for name in chosen.features
    }
    counts = counter(rows, is_bad, edges)
    bins = [solve_bins(name, counts[name], config.scorecard.binning) for name in chosen.features]
    return fit_from_bins(rows, is_bad, bins, config.scorecard), chosen


def check_calibration(folds: OutOfFold, card: Scorecard, slope: float, intercept: float) -> CalibrationCheck:
    """Calibrated PDs out of fold against outcomes: in the large, by group, by grade."""
    pd_value = pd_out_of_fold(folds, "scorecard", slope, intercept)
    grades = np.array([grade_of(value, card.grades) for value in pd_value])
    rate = float(folds.is_bad.mean())
    return CalibrationCheck(
        float(pd_value.mean()),
        rate,
        brier(folds.is_bad, pd_value),
        rate * (1 - rate),
        hosmer_lemeshow(folds.is_bad, pd_value),
        binomial_by_grade(folds.is_bad, pd_value, grades),
        slope,
        intercept,
    )


def time_cut(rows: pd.DataFrame, share: float) -> pd.Timestamp | None:
    """The date from which the latest `share` of observation dates begins; None where there are fewer than three."""
    days = np.sort(pd.to_datetime(rows["as_of"]).unique())
    if len(days) < 3:
        return None
    return pd.Timestamp(days[-max(1, round(len(days) * share))])


def develop(
    rows: pd.DataFrame,
    groups: Mapping[str, str],
    config: ModelConfig,
    drop_groups: list[str],
    counter: Counter = count_prebins,
    progress: Progress | None = None,
) -> Development:
    """The whole of model development on one frozen sample; deterministic for equal rows and policy."""
    folds, quality, gain = evaluate(rows, groups, config, drop_groups, progress)
    logit, outcome, weight = pooled(folds, "scorecard")
    fitted = platt(logit, outcome, config.scorecard.calibration.method, weight)
    features = candidate_features(rows, groups, config, drop_groups)
    size = size_features(rows.columns, config.features)
    raw, chosen = fit_final(rows, features, config, counter)
    card = raw.calibrated(fitted["slope"], fitted["intercept"])
    booster = BoosterCandidate(features).fit(rows, rows["is_bad"].to_numpy())
    cut = time_cut(rows, config.target.out_of_time_share)
    later = None
    if cut is not None:
        later = out_of_time(
            rows,
            rows["is_bad"].to_numpy(),
            cut,
            standard_candidates(features, size, config),
            config.scorecard.crossval,
        )
    return Development(
        card,
        chosen,
        booster,
        features,
        size,
        list(drop_groups),
        folds,
        quality,
        gain,
        check_calibration(folds, card, fitted["slope"], fitted["intercept"]),
        pd_out_of_fold(folds, "scorecard", fitted["slope"], fitted["intercept"]),
        later,
    )
