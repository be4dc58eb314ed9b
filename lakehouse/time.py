"""Time rules, fixed in one place: the business calendar is China's, and SQL is ANSI.

A *partition* is the date a drop was received, written `YYYY-MM-DD`; it is also the `as_of` of what is
built from it. `known_at` of a drop is that date at 00:00 business time.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings

SESSION_RULES = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
}


def session_conf(timezone: str) -> dict[str, str]:
    """The Spark session settings that every client of the engine gets."""
    return {**SESSION_RULES, "spark.sql.session.timeZone": timezone}


def parse_partition(partition: str | None) -> date:
    """The date a partition key names; an error that says what a key looks like otherwise."""
    # Python also reads week dates such as 2024-W01-1; a partition has one spelling only.
    if not isinstance(partition, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", partition, re.ASCII):
        raise ConfigError(
            f"partition key {partition!r} is not a date",
            remedy="give the drop's received date as YYYY-MM-DD, for example 2024-01-01",
        )
    try:
        return date.fromisoformat(partition)
    except ValueError as error:
        raise ConfigError(
            f"partition key {partition!r} is not a date: {error}",
            remedy="give the drop's received date as YYYY-MM-DD, for example 2024-01-01",
        ) from error


def days_from_new_year(day: date) -> int:
    """Days since the nearest first day of a lunar year, negative before it; its feast moves by up to a month."""
    from lunardate import LunarDate

    starts = (LunarDate(day.year + n, 1, 1).to_solar_date() for n in (0, 1))
    return min(((day - start).days for start in starts), key=abs)


def business_midnight(day: date) -> datetime:
    """00:00 of a day in the business time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(get_settings().timezone))


def in_business_time(moment: datetime) -> str:
    """A moment of a ledger in the business time zone, as a text without it; with fractions where it has any."""
    local = moment.astimezone(ZoneInfo(get_settings().timezone)).replace(tzinfo=None)
    return local.isoformat(" ")


def business_today() -> date:
    """The day it is in the business time zone: for decisions of now, whatever date they are about."""
    return utc_now().astimezone(ZoneInfo(get_settings().timezone)).date()


def utc_now() -> datetime:
    """The wall clock, for ledgers only: no figure in a data table comes from it."""
    return datetime.now(tz=ZoneInfo("UTC"))
