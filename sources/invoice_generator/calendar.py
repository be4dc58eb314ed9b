"""Months and business days of the generated years, with the lunar new year on its real dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from lunardate import LunarDate

LUNAR_NEW_YEAR = tuple(LunarDate(year, 1, 1).to_solar_date().isoformat() for year in range(2015, 2032))
DAYS_CLOSED_BEFORE, DAYS_CLOSED_AFTER = 6, 14
WEIGHT_WEEKEND, WEIGHT_NEW_YEAR, WEIGHT_MONTH_END = 0.25, 0.06, 1.4
MONTH_END_FROM = 26  # invoices crowd after this day of a month


@dataclass(frozen=True)
class Calendar:
    """Days and months from the start (inclusive) to the end (exclusive), both first days of a month.

    days: [D] datetime64[D]; cumulative: [D + 1] sum of day weights up to a day;
    first_day: [M + 1] position in `days` of each month's first day.
    """

    start: date
    end: date
    days: np.ndarray
    cumulative: np.ndarray
    first_day: np.ndarray

    @property
    def months(self) -> int:
        """Number of months covered."""
        return len(self.first_day) - 1

    def activity(self) -> np.ndarray:
        """[M] business of each month against an average month (mean 1)."""
        weight = np.diff(self.cumulative[self.first_day])
        return weight / weight.mean()

    def draw_days(self, rng: np.random.Generator, month: np.ndarray) -> np.ndarray:
        """A date within each given month, drawn by the day weights; shape of `month`, datetime64[D]."""
        low = self.cumulative[self.first_day[month]]
        high = self.cumulative[self.first_day[month + 1]]
        point = low + rng.random(len(month)) * (high - low)
        position = np.searchsorted(self.cumulative, point, side="right") - 1
        return self.days[np.clip(position, 0, len(self.days) - 1)]


def make_calendar(end: date, years: int) -> Calendar:
    """The calendar of the `years` before `end`; ValueError when `end` is not the first of a month."""
    if end.day != 1:
        raise ValueError(f"the end date {end} is not the first day of a month: give one such as {end:%Y-%m}-01")
    if years < 1:
        raise ValueError(f"{years} years are too few: give at least 1")
    start = date(end.year - years, end.month, 1)
    days = np.arange(np.datetime64(start), np.datetime64(end))
    months = np.arange(np.datetime64(start, "M"), np.datetime64(end, "M") + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(_day_weights(days))])
    first_day = (months.astype("datetime64[D]") - np.datetime64(start)).astype(int)
    return Calendar(start, end, days, cumulative, first_day)


def _day_weights(days: np.ndarray) -> np.ndarray:
    weekday = (days.astype(int) + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    day_of_month = (days - days.astype("datetime64[M]")).astype(int) + 1
    weight = np.where(weekday >= 5, WEIGHT_WEEKEND, 1.0)
    weight = np.where(day_of_month >= MONTH_END_FROM, weight * WEIGHT_MONTH_END, weight)
    for new_year in LUNAR_NEW_YEAR:
        distance = (days - np.datetime64(new_year)).astype(int)
        closed = (distance >= -DAYS_CLOSED_BEFORE) & (distance <= DAYS_CLOSED_AFTER)
        weight = np.where(closed, weight * WEIGHT_NEW_YEAR, weight)
    return weight
