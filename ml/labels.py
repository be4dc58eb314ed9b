"""Outcome per borrower and observation date, by the versioned target definition.

A borrower observed at t is bad when the first bad event of any of its loans falls in [t, t + window); days
past due of 31 to 90 alone make it indeterminate. A label counts once t + window + reporting lag has passed
by the query date: earlier, a good may still go bad and only fast bads would be seen.
"""

from __future__ import annotations

import pandas as pd

from lakehouse.errors import ModelError
from ml.configuration import Target

GOOD, BAD, INDETERMINATE = "good", "bad", "indeterminate"
IMMATURE, ALREADY_BAD, NO_EXPOSURE, NO_OUTCOME = "immature", "already_bad", "no_exposure", "no_outcome"


def latest_known(versions: pd.DataFrame, key: str, query_date: pd.Timestamp) -> pd.DataFrame:
    """One row per key: its highest version known by the query date (00:00)."""
    known = pd.to_datetime(versions["known_at"])
    if known.dt.tz is not None:
        known = known.dt.tz_localize(None)
    kept = versions[known.to_numpy() <= query_date]
    return kept.sort_values("version_no", kind="stable").drop_duplicates(key, keep="last")


def _earliest(loans: pd.DataFrame, columns: list[str]) -> pd.Series:
    """The first of the given dates per loan (NaT where none happened)."""
    return loans[columns].apply(pd.to_datetime).min(axis=1)


def label_from_loans(spine: pd.DataFrame, loans: pd.DataFrame, target: Target, query_date: pd.Timestamp) -> pd.Series:
    """State per row of the spine (enterprise_id, as_of), index as in the spine.

    `loans`: one row per loan as known at the query date. Events after the query date are not used even if
    a row holds them.
    """
    dated = pd.DataFrame(
        {
            "enterprise_id": loans["enterprise_id"].to_numpy(),
            "bad_on": _earliest(loans, target.bad_events).to_numpy(),
            "soft_on": _earliest(loans, target.indeterminate_events).to_numpy(),
            "drawn_on": pd.to_datetime(loans["drawn_on"]).to_numpy(),
            "closed_on": pd.to_datetime(loans["closed_on"]).to_numpy(),
        }
    )
    for column in ("bad_on", "soft_on"):
        dated[column] = dated[column].where(dated[column] <= query_date)
    rows = spine[["enterprise_id", "as_of"]].copy()
    rows["row"] = range(len(rows))
    rows["as_of"] = pd.to_datetime(rows["as_of"]).to_numpy()
    rows["until"] = rows["as_of"] + pd.DateOffset(months=target.performance_window_months)
    pairs = rows.merge(dated, on="enterprise_id", how="inner")
    inside = {
        "already": pairs["bad_on"] < pairs["as_of"],
        "bad": (pairs["bad_on"] >= pairs["as_of"]) & (pairs["bad_on"] < pairs["until"]),
        "soft": (pairs["soft_on"] >= pairs["as_of"]) & (pairs["soft_on"] < pairs["until"]),
        "exposed": (pairs["drawn_on"] < pairs["until"])
        & (pairs["closed_on"].isna() | (pairs["closed_on"] > pairs["as_of"])),
    }
    flags = pd.DataFrame({"row": pairs["row"], **inside}).groupby("row").any()
    flags = flags.reindex(range(len(rows)), fill_value=False)
    has_loan = rows["enterprise_id"].isin(set(dated["enterprise_id"])).to_numpy()
    mature = (rows["until"] + pd.Timedelta(days=target.reporting_lag_days) <= query_date).to_numpy()
    return _states(flags, has_loan, mature, target).set_axis(spine.index)


def require_mature(rows: pd.DataFrame, target: Target, query_date: pd.Timestamp) -> None:
    """Stops where a labelled row's window and the reporting lag are not over by the query date (ModelError).

    `rows`: as_of of the rows a model is to learn from. Whatever gave the labels, an outcome that cannot be known yet
    must not count as a good one.
    """
    over = pd.to_datetime(rows["as_of"]) + pd.DateOffset(months=target.performance_window_months)
    early = over + pd.Timedelta(days=target.reporting_lag_days) > query_date
    if early.any():
        first = pd.to_datetime(rows.loc[early, "as_of"]).min()
        raise ModelError(
            f"{int(early.sum())} labels are not mature on {query_date.date()}",
            where=f"observation dates from {first.date()} on",
            remedy="leave these rows out until the performance window and the reporting lag are over",
        )


def _states(flags: pd.DataFrame, has_loan, mature, target: Target) -> pd.Series:
    """The first condition that applies names the state; exclusions switched off by policy do not apply."""
    state = pd.Series(GOOD, index=flags.index)
    state[flags["soft"].to_numpy()] = INDETERMINATE
    state[flags["bad"].to_numpy()] = BAD
    state[~mature] = IMMATURE
    if target.exclusions.already_bad:
        state[flags["already"].to_numpy()] = ALREADY_BAD
    if target.exclusions.no_exposure:
        state[~flags["exposed"].to_numpy()] = NO_EXPOSURE
    state[~has_loan] = NO_OUTCOME
    return state


def label_from_credit_records(spine: pd.DataFrame, records: pd.DataFrame) -> pd.Series:
    """State per row of the spine from one undated outcome per borrower (`is_bad`); no record, no outcome.

    Nothing is known about when the outcome happened: it may lie before the observation date.
    """
    outcome = records.drop_duplicates("enterprise_id", keep="last").set_index("enterprise_id")["is_bad"].astype(object)
    found = spine["enterprise_id"].map(outcome)
    state = pd.Series(NO_OUTCOME, index=spine.index)
    known = found.notna().to_numpy()
    is_bad = found.where(known, False).astype(bool).to_numpy()
    state[known & is_bad] = BAD
    state[known & ~is_bad] = GOOD
    return state
