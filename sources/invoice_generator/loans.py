"""The lender's loan ledger: one-year bullets, rolled over, and what became of them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from sources.invoice_generator.calendar import Calendar
from sources.invoice_generator.economy import ECONOMY
from sources.invoice_generator.fortunes import Fortunes

TERM = timedelta(days=365)
DATES = ("dpd31_on", "dpd90_on", "guarantor_paid_on", "written_off_on", "closed_on")
COLUMNS = ("loan_id", "enterprise_id", "drawn_on", "due_on", "principal_cny", *DATES)


def draw_loans(rng: np.random.Generator, calendar: Calendar, firms: pd.DataFrame, fortunes: Fortunes) -> pd.DataFrame:
    """One row per loan (COLUMNS), dates as datetime64 with NaT for none; nothing after the end is known."""
    rows: list[dict] = []
    month = np.datetime64(calendar.start, "M")
    for i, firm in enumerate(firms.itertuples()):
        if not firm.borrower:
            continue
        opens = max((month + firm.first_month + 6).astype("datetime64[D]").item(), calendar.start - TERM)
        closes = (month + int(fortunes.closed_month[i])).astype("datetime64[D]").item()
        lines = 1 + int(rng.random() < ECONOMY.second_line_share)
        failed, scared = _day(fortunes.failed_on[i]), _day(fortunes.scared_on[i])
        for _ in range(lines):
            rows += _line(rng, calendar, firm, lines, (opens, closes), failed, scared)
    loans = pd.DataFrame(rows, columns=["enterprise_id", "drawn_on", "due_on", "principal_cny", *DATES])
    for column in ("drawn_on", "due_on", *DATES):
        loans[column] = pd.to_datetime(loans[column])
    for column in DATES:
        loans[column] = loans[column].where(loans[column] < pd.Timestamp(calendar.end))
    loans = loans.sort_values(["drawn_on", "enterprise_id", "principal_cny"], kind="stable", ignore_index=True)
    loans.insert(0, "loan_id", [f"L{i:06d}" for i in range(1, len(loans) + 1)])
    return loans


def _line(
    rng: np.random.Generator,
    calendar: Calendar,
    firm,
    lines: int,
    span: tuple[date, date],
    failed: date | None,
    scared: date | None,
) -> list[dict]:
    """The loans of one credit line, from a random first drawing until failure, closing or the end."""
    opens, closes = span
    missed = failed - timedelta(days=90) if failed else None
    late = scared - timedelta(days=40) if scared and rng.random() < ECONOMY.cured_share else None
    drawn = opens + timedelta(days=int(rng.integers(0, 365)))
    rows: list[dict] = []
    while drawn < calendar.end and (missed is None or drawn < missed) and drawn < closes:
        row = _performing(rng, firm, drawn, lines, closes)
        rows.append(row)
        if missed and drawn < missed <= row["closed_on"]:
            row.update(_bad(rng, missed))
            break
        if late and drawn < late <= row["closed_on"] and drawn < late - timedelta(days=60):
            row["dpd31_on"] = late + timedelta(days=31)
            row["closed_on"] = max(row["closed_on"], late + timedelta(days=int(rng.integers(35, 85))))
        drawn = row["closed_on"] + timedelta(days=int(rng.integers(*ECONOMY.gap_days)))
    return rows


def _performing(rng: np.random.Generator, firm, drawn: date, lines: int, closes: date) -> dict:
    """A loan that is repaid on its due day or a few days later, or when the firm closes."""
    due = drawn + TERM
    repaid = min(due + timedelta(days=int(rng.poisson(0.6))), max(closes, drawn + timedelta(days=30)))
    amount = firm.sales_cny * ECONOMY.loan_to_sales / lines * np.exp(0.35 * rng.standard_normal())
    return {
        "enterprise_id": firm.enterprise_id,
        "drawn_on": drawn,
        "due_on": due,
        "principal_cny": max(round(amount / 10_000), 1) * 10_000,
        "closed_on": repaid,
    }


def _bad(rng: np.random.Generator, missed: date) -> dict:
    """Dates of a loan whose payment was missed for good."""
    guaranteed = rng.random() < ECONOMY.guaranteed_share
    early = guaranteed and rng.random() < ECONOMY.guarantor_early_share
    paid = missed + timedelta(days=int(rng.integers(40, 88) if early else rng.integers(100, 240)))
    written_off = missed + timedelta(days=int(rng.integers(240, 500)))
    return {
        "dpd31_on": missed + timedelta(days=31),
        "dpd90_on": None if early else missed + timedelta(days=90),
        "guarantor_paid_on": paid if guaranteed else None,
        "written_off_on": None if guaranteed else written_off,
        "closed_on": paid if guaranteed else written_off,
    }


def outcomes(loans: pd.DataFrame) -> pd.Series:
    """Per enterprise whose outcome is known: True when any loan went bad, False when one was repaid.

    Bad is the first of 90 days past due, a guarantor's payment, a write-off; a firm whose loans all
    still run has no outcome and is not listed.
    """
    bad = loans[["dpd90_on", "guarantor_paid_on", "written_off_on"]].notna().any(axis=1)
    known = bad | loans["closed_on"].notna()
    return bad[known].groupby(loans["enterprise_id"][known]).any()


def _day(value: np.datetime64) -> date | None:
    return None if np.isnat(value) else value.astype("datetime64[D]").item()
