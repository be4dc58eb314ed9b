"""Candidates on the same folds: repeated stratified cross-validation, and out of time where dated.

Selection, binning and fitting happen inside every fold. With few outcomes (27 bads) a single split says
little: predictions out of fold of several repeats are kept, and figures are means over repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.candidates import Candidate
from ml.configuration import CrossValidation
from ml.scorecard import probability
from ml.validation import (
    Interval,
    PairedGain,
    auc_delong,
    bootstrap,
    bootstrap_weights,
    paired_auc_gain,
    weighted_auc,
    weighted_ks,
)

Factories = Mapping[str, Callable[[], Candidate]]


@dataclass(frozen=True)
class OutOfFold:
    """Predictions out of fold: per model a matrix repeats × rows of ln odds of bad, and fold numbers alike."""

    is_bad: np.ndarray
    groups: np.ndarray
    logits: dict[str, np.ndarray]
    folds: np.ndarray

    def firms_mean(self, model: str) -> np.ndarray:
        """Mean ln odds per row over repeats."""
        return self.logits[model].mean(axis=0)


@dataclass(frozen=True)
class Quality:
    """Discrimination of one model; intervals are over firms."""

    model: str
    auc: Interval
    ks: Interval
    auc_spread_over_repeats: float


def repeats_for(is_bad: np.ndarray, config: CrossValidation) -> int:
    """How often the split is repeated: often where bads are few."""
    few = int(np.sum(is_bad)) < config.enough_bads
    return config.repeats if few else config.repeats_with_enough_bads


def stratified_folds(is_bad: np.ndarray, groups: np.ndarray, config: CrossValidation) -> Iterator[np.ndarray]:
    """One array of fold numbers per repeat; rows of one group (borrower) share a fold, bads are spread evenly."""
    is_bad, groups = np.asarray(is_bad).astype(int), np.asarray(groups)
    names, member = np.unique(groups, return_inverse=True)
    group_bad = np.zeros(len(names), int)
    np.maximum.at(group_bad, member, is_bad)
    for repeat in range(repeats_for(is_bad, config)):
        rng = np.random.default_rng(config.seed + repeat)
        fold = np.empty(len(names), int)
        for value in (1, 0):
            inside = rng.permutation(np.flatnonzero(group_bad == value))
            # goods are dealt from the other end, so that folds differ by one row at most
            deal = np.arange(len(inside)) % config.folds
            fold[inside] = deal if value else config.folds - 1 - deal
        yield fold[member]


def cross_validate(
    frame: pd.DataFrame,
    is_bad: np.ndarray,
    groups: np.ndarray,
    factories: Factories,
    config: CrossValidation,
    progress: Callable[[str], None] | None = None,
) -> OutOfFold:
    """Fit every candidate on every fold's training rows and keep its predictions on the rest."""
    is_bad = np.asarray(is_bad).astype(int)
    repeats = repeats_for(is_bad, config)
    logits = {name: np.full((repeats, len(frame)), np.nan) for name in factories}
    folds = []
    for repeat, fold in enumerate(stratified_folds(is_bad, groups, config)):
        folds.append(fold)
        for number in range(config.folds):
            train, test = fold != number, fold == number
            for name, factory in factories.items():
                model = factory().fit(frame[train], is_bad[train])
                logits[name][repeat, test] = model.logit(frame[test])
        if progress:
            progress(f"cross-validation: repeat {repeat + 1} of {repeats}")
    return OutOfFold(is_bad, np.asarray(groups), logits, np.array(folds))


def qualities(result: OutOfFold, config: CrossValidation) -> dict[str, Quality]:
    """AUC and KS of every model, means over repeats, with bootstrap intervals over borrowers."""
    weights = bootstrap_weights(result.is_bad, config.bootstrap, config.seed, result.groups)
    once = np.ones((1, len(result.is_bad)))
    return {
        name: Quality(
            name,
            bootstrap(weighted_auc, result.is_bad, logits, weights),
            bootstrap(weighted_ks, result.is_bad, logits, weights),
            float(np.std([weighted_auc(result.is_bad, run, once)[0] for run in logits])),
        )
        for name, logits in result.logits.items()
    }


def gains(result: OutOfFold, pairs: list[tuple[str, str]], config: CrossValidation) -> dict[str, PairedGain]:
    """AUC gain of the first of each pair over the second, on the same folds and the same drawn borrowers."""
    weights = bootstrap_weights(result.is_bad, config.bootstrap, config.seed, result.groups)
    return {
        f"{ours} over {theirs}": paired_auc_gain(result.is_bad, result.logits[ours], result.logits[theirs], weights)
        for ours, theirs in pairs
    }


def pooled(result: OutOfFold, model: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All repeats as one long sample: ln odds, outcome, weight (each firm weighs one in total)."""
    logits = result.logits[model]
    repeats = logits.shape[0]
    return logits.ravel(), np.tile(result.is_bad, repeats), np.full(logits.size, 1 / repeats)


@dataclass(frozen=True)
class OutOfTime:
    """Fitted on early observation dates of some borrowers, judged on later dates of others."""

    cut: pd.Timestamp
    train_rows: int
    test_rows: int
    test_bads: int
    test_index: np.ndarray
    logits: dict[str, np.ndarray]
    auc: dict[str, Interval]


def out_of_time(
    frame: pd.DataFrame, is_bad: np.ndarray, cut: pd.Timestamp, factories: Factories, config: CrossValidation
) -> OutOfTime | None:
    """Rows observed from `cut` on, each predicted by a model fitted on earlier rows of other borrowers.

    Windows of neighbouring dates overlap, so the same default of one borrower is an outcome of several rows: a
    split by date alone would test on defaults that were learned. Folds of borrowers part them; `train_rows` is the
    mean over folds. None where a side lacks goods or bads.
    """
    is_bad = np.asarray(is_bad).astype(int)
    later = (pd.to_datetime(frame["as_of"]) >= cut).to_numpy()
    fold = next(stratified_folds(is_bad, frame["enterprise_id"].to_numpy(), config))
    sides = [(~later & (fold != number), later & (fold == number)) for number in range(config.folds)]
    if any(len(np.unique(is_bad[train])) < 2 for train, _ in sides) or len(np.unique(is_bad[later])) < 2:
        return None
    logits = {name: np.full(len(frame), np.nan) for name in factories}
    for train, test in sides:
        for name, factory in factories.items():
            if test.any():
                logits[name][test] = factory().fit(frame[train], is_bad[train]).logit(frame[test])
    intervals = {name: auc_delong(is_bad[later], values[later]) for name, values in logits.items()}
    return OutOfTime(
        cut,
        round(float(np.mean([train.sum() for train, _ in sides]))),
        int(later.sum()),
        int(is_bad[later].sum()),
        np.flatnonzero(later),
        {name: values[later] for name, values in logits.items()},
        intervals,
    )


def pd_out_of_fold(result: OutOfFold, model: str, slope: float, intercept: float) -> np.ndarray:
    """Calibrated PD per row: mean ln odds out of fold, calibrated."""
    return np.asarray(probability(slope * result.firms_mean(model) + intercept))
