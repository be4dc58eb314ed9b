"""Enterprise codes, industry classes and the calendar of the demo source."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from sources.invoice_generator.calendar import make_calendar
from sources.invoice_generator.population import MANUFACTURING, REGIONS, SERVICES
from sources.invoice_generator.uscc import ALPHABET, credit_code_check, draw_credit_codes, organisation_check

CLASSES = Path(__file__).resolve().parents[3] / "shared" / "data" / "reference" / "gbt_4754_2017.csv"


@pytest.mark.parametrize("code", ["91350100M000100Y43", "91310000HC5FR8UK40"])
def test_golden_credit_codes(code: str) -> None:
    assert credit_code_check(code[:17]) == code[17]


def test_golden_organisation_code() -> None:
    assert organisation_check("M000100Y") == "4"


def test_a_changed_character_breaks_the_check() -> None:
    body = "91350100M000100Y4"
    for position in range(len(body)):
        for other in set(ALPHABET) - {body[position]}:
            assert credit_code_check(body[:position] + other + body[position + 1 :]) != "3"


def test_drawn_codes_are_distinct_and_valid() -> None:
    codes = draw_credit_codes(np.random.default_rng(1), list(REGIONS) * 50)
    assert len(set(codes)) == len(codes)
    for code in codes:
        assert len(code) == 18 and set(code) <= set(ALPHABET)
        assert organisation_check(code[8:16]) == code[16] and credit_code_check(code[:17]) == code[17]


def test_a_body_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="17 characters"):
        credit_code_check("9135")


def test_industry_codes_are_classes_of_the_standard() -> None:
    if not CLASSES.exists():
        pytest.skip(f"{CLASSES} is absent")
    with CLASSES.open() as stream:
        classes = {row["code"] for row in csv.DictReader(stream) if row["level"] == "class"}
    assert set(MANUFACTURING) | set(SERVICES) <= classes


def test_february_is_quiet_because_of_the_lunar_new_year() -> None:
    calendar = make_calendar(date(2024, 1, 1), 3)
    activity = calendar.activity()
    assert calendar.months == 36 and len(calendar.days) == 1095
    assert activity[1] < 0.6 * np.median(activity)  # new year on 2021-02-12
    assert activity[24] < activity[25] < activity[26]  # new year on 2023-01-22: January is the dip


def test_days_fall_into_the_month_asked_for() -> None:
    calendar = make_calendar(date(2024, 1, 1), 3)
    month = np.repeat(np.arange(36), 200)
    days = calendar.draw_days(np.random.default_rng(0), month)
    assert (days.astype("datetime64[M]").astype(int) - (2021 - 1970) * 12 == month).all()


def test_an_end_inside_a_month_is_refused() -> None:
    with pytest.raises(ValueError, match="first day of a month"):
        make_calendar(date(2024, 1, 15), 3)
