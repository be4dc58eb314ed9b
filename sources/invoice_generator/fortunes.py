"""The hidden course of each firm: stress that comes, passes or ends in failure, and trade that follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.invoice_generator.calendar import Calendar
from sources.invoice_generator.economy import ECONOMY

WARM_UP_MONTHS = 12  # so that some firms are already in stress when the files begin
NEVER = -(10**6)


@dataclass(frozen=True)
class Fortunes:
    """Truth about N firms over M months; never written beside the data.

    stress: [N, M] 0 calm … 1 height of stress; log_sales: [N, M] log of sales against the firm's base,
    without season, -inf when the firm does not trade; failed_on and scared_on: [N] datetime64[D], the
    day the firm passes 90 days past due, or the worst day of a stress that passed (NaT: none);
    closed_month: [N] first month without trade (M: none).
    """

    stress: np.ndarray
    log_sales: np.ndarray
    failed_on: np.ndarray
    scared_on: np.ndarray
    closed_month: np.ndarray


def live(rng: np.random.Generator, calendar: Calendar, firms: pd.DataFrame) -> Fortunes:
    """Simulate the firms of `draw_firms` month by month."""
    drift = _drift(rng, calendar.months, firms)
    stress, failed, scared = _stress_course(rng, calendar.months, firms, drift)
    closed = _closing_month(rng, calendar.months, firms, failed)
    log_sales = _log_sales(rng, drift[:, WARM_UP_MONTHS:], stress, failed)
    month = np.arange(calendar.months)
    trading = (month >= firms["first_month"].to_numpy()[:, None]) & (month < closed[:, None])
    return Fortunes(
        stress=np.where(trading, stress, 0.0),
        log_sales=np.where(trading, log_sales, -np.inf),
        failed_on=_day_in_month(rng, calendar, failed),
        scared_on=_day_in_month(rng, calendar, scared),
        closed_month=closed,
    )


def _drift(rng: np.random.Generator, months: int, firms: pd.DataFrame) -> np.ndarray:
    """[N, WARM_UP_MONTHS + M] log of demand: growth and a random walk, near 0 at the middle."""
    count, span = len(firms), WARM_UP_MONTHS + months
    growth = ECONOMY.growth_sigma_year * rng.laplace(0, 1 / np.sqrt(2), count)
    growth += ECONOMY.growth_quality_slope * firms["quality"].to_numpy()
    walk = np.cumsum(ECONOMY.wander_sigma * rng.standard_normal((count, span)), axis=1)
    month = np.arange(span) - WARM_UP_MONTHS
    return growth[:, None] * (month - months / 2) / 12 + walk - walk.mean(axis=1, keepdims=True)


def _stress_course(
    rng: np.random.Generator, months: int, firms: pd.DataFrame, drift: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stress [N, M], month of failure [N] and month of the last scare [N] (NEVER: none)."""
    count = len(firms)
    risk = np.exp(
        -ECONOMY.stress_quality_slope * firms["quality"] - ECONOMY.stress_size_slope * firms["size"]
    ).to_numpy()
    first_month = firms["first_month"].to_numpy()
    shortest, longest = ECONOMY.stress_months
    left = np.zeros(count, dtype=int)
    length = np.ones(count, dtype=int)
    fails = np.zeros(count, dtype=bool)
    level = np.zeros(count)
    failed = np.full(count, NEVER)
    scared = np.full(count, NEVER)
    course = np.zeros((count, months))
    for month in range(-WARM_UP_MONTHS, months):
        exposed = (failed == NEVER) & (month >= first_month)
        calm = exposed & (left == 0)
        now = month + WARM_UP_MONTHS
        lost = drift[:, max(now - 12, 0)] - drift[:, now]
        times = np.exp(ECONOMY.stress_hazard_growth * month / 12)
        hazard = ECONOMY.stress_hazard * times * risk * np.exp(ECONOMY.stress_decline_slope * lost)
        onset = calm & (rng.random(count) < np.minimum(hazard, 0.2))
        length = np.where(onset, rng.integers(shortest, longest + 1, count), length)
        left = np.where(onset, length, left)
        fails = np.where(onset, rng.random(count) < ECONOMY.failure_share, fails)
        level = np.where(left > 0, np.sqrt(1.0 - (left - 1) / length), level * 0.5)
        ends = (left == 1) & exposed
        sudden = calm & ~onset & (rng.random(count) < ECONOMY.sudden_hazard)
        left = np.maximum(left - 1, 0)
        if month >= 0:  # a failure of the warm-up is left out: its firm would not be in the files
            failed = np.where((ends & fails) | sudden, month, failed)
            scared = np.where(ends & ~fails, month, scared)
            course[:, month] = level
    return course, failed, scared


def _closing_month(rng: np.random.Generator, months: int, firms: pd.DataFrame, failed: np.ndarray) -> np.ndarray:
    """First month without trade, `months` when the firm trades to the end."""
    count = len(firms)
    stops = rng.random(count) < ECONOMY.stop_share
    after_failure = np.where((failed != NEVER) & stops, failed + rng.integers(-1, 5, count), months)
    quiet = rng.geometric(ECONOMY.quiet_exit_hazard, count) + np.maximum(firms["first_month"], 0)
    return np.minimum(np.minimum(after_failure, np.where(failed == NEVER, quiet, months)), months)


def _log_sales(rng: np.random.Generator, drift: np.ndarray, stress: np.ndarray, failed: np.ndarray) -> np.ndarray:
    """[N, M] log of sales against base: demand, less stress, less what is lost after failure."""
    # Firms differ in how much of their stress shows in sales: some hide it, some show more than they have.
    shown = ECONOMY.stress_sales_drop * rng.gamma(2.5, 0.4, len(drift))[:, None]
    after = (failed[:, None] != NEVER) & (np.arange(drift.shape[1]) > failed[:, None])
    return drift - shown * np.where(after, 0.0, stress) - ECONOMY.shrunk_log_sales * after


def _day_in_month(rng: np.random.Generator, calendar: Calendar, month: np.ndarray) -> np.ndarray:
    day = np.datetime64(calendar.start, "M") + month
    day = day.astype("datetime64[D]") + rng.integers(0, 28, len(month))
    return np.where(month == NEVER, np.datetime64("NaT"), day)
