"""The training sample: spine of enterprise × observation date × matured label, joined with features as known.

Every row that leaves the sample is counted under the first reason that applies (the waterfall).
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lakehouse.errors import ModelError
from ml.configuration import FeatureConfig, MinimumHistory, Target
from ml.labels import (
    ALREADY_BAD,
    BAD,
    GOOD,
    IMMATURE,
    INDETERMINATE,
    NO_EXPOSURE,
    NO_OUTCOME,
    label_from_credit_records,
    label_from_loans,
    latest_known,
    require_mature,
)

THIN_FILE = "thin_file"
# The order in which rows leave, and what a reader is told.
STEPS = {
    NO_OUTCOME: "no loan or credit record",
    THIN_FILE: "too little history (thin file)",
    NO_EXPOSURE: "no loan outstanding in the window",
    ALREADY_BAD: "bad before the observation date",
    IMMATURE: "performance window or reporting lag not over",
    INDETERMINATE: "indeterminate (31–90 days past due only)",
}


@dataclass(frozen=True)
class Sample:
    """Rows to fit on: features, `is_bad` 0/1, keys; and the account of how they came about."""

    rows: pd.DataFrame
    waterfall: list[dict[str, object]]
    label_source: str
    indeterminate: pd.DataFrame

    @property
    def is_bad(self) -> pd.Series:
        return self.rows["is_bad"]


def observation_dates(as_of: pd.Series, step_months: int) -> list[pd.Timestamp]:
    """Dates to observe at: the latest there is, and earlier ones at least `step_months` apart."""
    kept: list[pd.Timestamp] = []
    for day in sorted(pd.to_datetime(as_of).unique(), reverse=True):
        if not kept or pd.Timestamp(day) <= kept[-1] - pd.DateOffset(months=step_months):
            kept.append(pd.Timestamp(day))
    return sorted(kept)


def is_thin(features: pd.DataFrame, history: MinimumHistory, config: FeatureConfig) -> pd.Series:
    """Whether a firm has too little history to be scored; the rule of training and of scoring alike."""
    months = features[config.history["months"]].astype(float).fillna(0)
    active = features[config.history["active_sale_months"]].astype(float).fillna(0)
    return (months < history.months) | (active < history.active_sale_months)


def waterfall(state: pd.Series) -> list[dict[str, object]]:
    """Rows at the start, leaving at each step with those that remain, and goods and bads at the end."""
    left = len(state)
    account = [{"step": "enterprise × observation date with features", "leaving": 0, "remaining": left}]
    for name, text in STEPS.items():
        leaving = int((state == name).sum())
        left -= leaving
        account.append({"step": text, "leaving": leaving, "remaining": left})
    account.append({"step": "goods", "leaving": 0, "remaining": int((state == GOOD).sum())})
    account.append({"step": "bads", "leaving": 0, "remaining": int((state == BAD).sum())})
    return account


def choose_label_source(loans: pd.DataFrame, records: pd.DataFrame, target: Target) -> str:
    """`loan` (dated) where there are loans, else `credit_record` (undated), unless policy names one."""
    if target.label_source != "auto":
        return target.label_source
    if len(loans):
        return "loan"
    if len(records):
        return "credit_record"
    raise ModelError(
        "there is no outcome to learn from",
        where="silver.loan and silver.credit_record are empty",
        remedy="load a loan ledger or credit records, then build silver again",
    )


def build_sample(
    features: pd.DataFrame,
    loans: pd.DataFrame,
    records: pd.DataFrame,
    target: Target,
    history: MinimumHistory,
    config: FeatureConfig,
    query_date: pd.Timestamp,
) -> Sample:
    """Label the features' rows as known at the query date and keep goods and bads.

    `features`: enterprise × as_of, all dates wanted; `loans`, `records`: all versions. Dated labels use every
    observation date at least `observation_step_months` apart; an undated label uses the latest date alone.
    """
    loans = latest_known(loans, "loan_id", query_date)
    records = latest_known(records, "enterprise_id", query_date)
    source = choose_label_source(loans, records, target)
    features = features.copy()
    features["as_of"] = pd.to_datetime(features["as_of"]).astype("datetime64[ns]")
    features = features[features["as_of"] <= query_date]
    if source == "loan":
        latest = query_date - pd.DateOffset(months=target.performance_window_months, days=target.reporting_lag_days)
        mature = features.loc[features["as_of"] <= latest, "as_of"]
        days = observation_dates(mature, target.observation_step_months)
        days += list(features.loc[features["as_of"] > latest, "as_of"].unique())
    else:
        days = [features["as_of"].max()]
    rows = features[features["as_of"].isin(days)].sort_values(["as_of", "enterprise_id"]).reset_index(drop=True)
    if source == "loan":
        state = label_from_loans(rows, loans, target, query_date)
    else:
        state = label_from_credit_records(rows, records)
    if target.exclusions.thin_file:
        state[is_thin(rows, history, config) & (state != NO_OUTCOME)] = THIN_FILE
    kept = state.isin([GOOD, BAD])
    if source == "loan":
        require_mature(rows[kept], target, query_date)
    sample = rows[kept].assign(is_bad=(state[kept] == BAD).astype("int8")).reset_index(drop=True)
    if sample["is_bad"].nunique() < 2:
        raise ModelError(
            "the sample does not hold both goods and bads",
            where="; ".join(f"{row['step']}: {row['leaving'] or row['remaining']}" for row in waterfall(state)),
            remedy="check label source, maturity and the observation dates built into the features",
        )
    return Sample(sample, waterfall(state), source, rows[state == INDETERMINATE].reset_index(drop=True))
