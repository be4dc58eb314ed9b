"""Days: lunar new year, holidays, work days, macro states and dated rules.

Dates of the lunar new year and of public rules are facts; the strength of each effect is a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from lunardate import LunarDate

NEW_YEAR = {year: LunarDate(year, 1, 1).to_solar_date().isoformat() for year in range(2014, 2027)}
# National day week and labour day keep the same dates each year; the other short holidays are left out.
HOLIDAYS = [("01-01", 1), ("05-01", 3), ("10-01", 7)]
# One-year loan prime rate and, before it, the central bank's lending rate (People's Bank of China announcements).
RATE = [
    ("2014-11-22", 0.0560),
    ("2015-10-24", 0.0435),
    ("2019-08-20", 0.0425),
    ("2019-09-20", 0.0420),
    ("2019-11-20", 0.0415),
    ("2020-02-20", 0.0405),
    ("2020-04-20", 0.0385),
    ("2021-12-20", 0.0380),
    ("2022-01-20", 0.0370),
    ("2022-08-22", 0.0365),
    ("2023-06-20", 0.0355),
    ("2023-08-21", 0.0345),
    ("2024-07-22", 0.0335),
    ("2024-10-21", 0.0310),
    ("2025-05-20", 0.0300),
]
# VAT of manufactured goods (Ministry of Finance and State Taxation Administration notices).
VAT = [("2014-01-01", 0.17), ("2018-05-01", 0.16), ("2019-04-01", 0.13)]
# Rule days by name. Orders 728 and 802 of the State Council: large buyers pay small suppliers within 60 days; fully
# digital invoices spread by region from 2021-12-01 and hold nationwide from 2024-12-01: they cannot be voided.
RULES = {
    "2018-05-01": "vat_cut",
    "2019-04-01": "vat_cut",
    "2020-09-01": "payment_60_days",
    "2021-12-01": "e_invoice_pilot",
    "2024-12-01": "e_invoice",
    "2025-06-01": "payment_60_days_strict",
}
# Months of tight credit and weak demand; index points of the state, interpolated. Invented in strength.
DEMAND = [
    ("2016-01-01", 1.00),
    ("2018-06-01", 1.02),
    ("2019-06-01", 1.00),
    ("2020-01-20", 1.00),
    ("2020-02-10", 0.80),
    ("2020-05-01", 0.95),
    ("2020-10-01", 1.02),
    ("2021-10-01", 1.03),
    ("2022-04-10", 0.95),
    ("2022-12-15", 0.95),
    ("2023-04-01", 1.00),
    ("2024-03-01", 0.99),
    ("2026-12-31", 1.00),
]
CREDIT = [
    ("2016-01-01", 0.2),
    ("2018-03-01", -0.5),
    ("2019-03-01", 0.0),
    ("2020-04-01", 0.6),
    ("2021-02-01", 0.1),
    ("2021-11-01", -0.4),
    ("2022-06-01", 0.3),
    ("2023-06-01", 0.1),
    ("2024-06-01", -0.2),
    ("2026-12-31", 0.1),
]
# Regional lockdowns: first day, days, region index.
LOCKDOWNS = [("2020-02-03", 25, 0), ("2021-01-10", 20, 3), ("2022-04-01", 45, 1), ("2022-11-10", 25, 4)]


@dataclass
class Calendar:
    """Arrays by day; index 0 is `first_day − burn`, so that day d of the world is index d + burn."""

    first_day: np.datetime64
    days: int
    burn: int
    dates: np.ndarray  # datetime64[D]
    month: np.ndarray  # i4, months counted from the first day's month (negative before)
    day_of_month: np.ndarray
    day_of_year: np.ndarray
    weekday: np.ndarray  # 0 Monday
    workday: np.ndarray  # bool
    new_year_offset: np.ndarray  # i2, days to (negative) or since the nearest lunar new year
    activity: np.ndarray  # f8: share of normal work done that day, 0…1
    ordering: np.ndarray  # f8: share of normal orders placed that day
    retail: np.ndarray  # f8: factor on households' demand
    demand: np.ndarray
    credit: np.ndarray
    rate: np.ndarray
    vat: np.ndarray
    rule: list[str]
    lockdown: np.ndarray  # i2, region index or −1
    months: np.ndarray  # datetime64[M] of the world's months

    def world(self, name: str) -> np.ndarray:
        """One of the arrays from the world's first day on."""
        return getattr(self, name)[self.burn :]


def steps(table: list[tuple[str, float]], dates: np.ndarray) -> np.ndarray:
    """The value in force on each day."""
    starts = np.array([d for d, _ in table], "datetime64[D]")
    values = np.array([v for _, v in table])
    return values[np.clip(np.searchsorted(starts, dates, side="right") - 1, 0, None)]


def line(table: list[tuple[str, float]], dates: np.ndarray) -> np.ndarray:
    """Straight lines between dated points."""
    starts = np.array([d for d, _ in table], "datetime64[D]").astype("i8")
    return np.interp(dates.astype("i8"), starts, [v for _, v in table])


def new_year_offset(dates: np.ndarray) -> np.ndarray:
    """Days since (or, negative, to) the nearest lunar new year."""
    new_years = np.array(sorted(NEW_YEAR.values()), "datetime64[D]").astype("i8")
    gaps = dates.astype("i8")[:, None] - new_years[None, :]
    return gaps[np.arange(len(dates)), np.abs(gaps).argmin(1)].astype("i2")


def build(first_day: str, days: int, burn: int = 0) -> Calendar:
    """The calendar of `days` days from `first_day`, with `burn` days before it."""
    start = np.datetime64(first_day, "D")
    dates = start - burn + np.arange(days + burn)
    if dates[-1] >= np.datetime64("2026-12-31"):
        raise ValueError(f"The world would end on {dates[-1]}; the calendar knows days up to 2026-12-30.")
    months = dates.astype("datetime64[M]")
    doy = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype("i4")
    weekday = ((dates.astype("i8") + 3) % 7).astype("i4")
    offset = new_year_offset(dates)
    holiday = (offset >= -1) & (offset <= 5)
    month_day = np.datetime_as_string(dates).astype("U10")
    for first, length in HOLIDAYS:
        for shift in range(length):
            holiday |= np.array(
                [d[5:] == np.datetime_as_string(np.datetime64(f"2019-{first}") + shift)[5:] for d in month_day]
            )
    workday = (weekday < 5) & ~holiday
    # Work fades out about ten days before new year and returns by the lantern festival (day 15).
    ramp = np.interp(offset, [-14, -8, -2, 6, 9, 18], [1.0, 0.6, 0.0, 0.0, 0.4, 1.0])
    activity = np.where(holiday, 0.0, np.where(weekday == 6, 0.25, np.where(weekday == 5, 0.7, 1.0))) * ramp
    ordering = np.where(workday, 1.0, 0.0) * np.interp(offset, [-33, -18, -8, 13, 30], [1.0, 0.35, 0.0, 0.03, 1.0])
    retail = np.where(weekday >= 5, 1.25, 0.9) * np.interp(
        offset, [-25, -8, -2, 1, 8, 15], [1.0, 1.35, 1.3, 0.6, 0.8, 1.0]
    )
    lockdown = np.full(len(dates), -1, "i2")
    for first, length, region in LOCKDOWNS:
        begin = np.datetime64(first, "D")
        lockdown[(dates >= begin) & (dates < begin + length)] = region
    day_text = np.datetime_as_string(dates)
    world_months = np.unique(months[burn:])
    return Calendar(
        first_day=start,
        days=days,
        burn=burn,
        dates=dates,
        month=(months.astype("i8") - start.astype("datetime64[M]").astype("i8")).astype("i4"),
        day_of_month=(dates - months.astype("datetime64[D]")).astype("i4") + 1,
        day_of_year=doy,
        weekday=weekday,
        workday=workday,
        new_year_offset=offset,
        activity=activity,
        ordering=ordering,
        retail=retail,
        demand=line(DEMAND, dates),
        credit=line(CREDIT, dates),
        rate=steps(RATE, dates),
        vat=steps(VAT, dates),
        rule=[RULES.get(d, "") for d in day_text],
        lockdown=lockdown,
        months=world_months,
    )
