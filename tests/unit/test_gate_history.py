"""A batch against the batches before it: what is expected follows from them, and what strays is told."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import date, timedelta

import pytest

from expectations import history
from expectations.history import Profile, Statistic
from lakehouse.gate_policy import BLOCKING, DEFAULTS, OFF, WARNING, GatePolicy, Tolerance
from lakehouse.time import days_from_new_year

START = date(2023, 1, 2)
POLICY = GatePolicy()


def week(number: int, rows: int = 200, amount: float = 4.0, span: int = 7, **shares: float) -> Profile:
    """A batch of `rows` rows with amounts around 10^`amount`; `shares` of the codes of a column `status`."""
    statistics = {
        "volume": Statistic(math.log10(rows / span), rows),
        **{f"location:amount:q{q}": Statistic(amount + s * 0.5, rows, 0.75) for q, s in ((25, -1), (50, 0), (75, 1))},
        **{f"share:status:{code}": Statistic(share, rows) for code, share in ({"void": 0.05} | shares).items()},
        "age:issued_on:q50": Statistic(4.0, rows, 2.0),
    }
    return Profile(f"b{number}", "feed", START + timedelta(days=span * number), span, statistics)


def steady(count: int = 20, span: int = 7) -> list[Profile]:
    chance = random.Random(1)
    return [week(n, chance.randrange(170, 230), chance.gauss(4, 0.05), span) for n in range(count)]


def broken(profile: Profile, earlier: list[Profile], policy: GatePolicy = POLICY) -> dict[str, str]:
    return {s.rule: s.severity for s in history.judge(profile, earlier, policy)}


def test_a_batch_like_those_before_breaks_nothing() -> None:
    assert broken(week(20, 190, 4.08), steady()) == {}


def test_a_change_from_yuan_to_ten_thousand_yuan_is_a_shift_by_four_decades_even_in_five_rows() -> None:
    for rows in (5, 20, 200):
        assert broken(week(20, rows, 0.0), steady())["location:amount"] == BLOCKING
    (stray,) = [s for s in history.judge(week(20, 200, 0.0), steady(), POLICY) if s.rule == "location:amount"]
    assert 100 < stray.low < 3_000 < 30_000 < stray.high and stray.found < 5 and stray.history == 20
    # One value alone may lie that far off.
    assert broken(week(20, 1, 0.0), steady())["location:amount"] == WARNING


def test_a_volume_is_held_to_a_narrower_range_once_a_year_is_known() -> None:
    assert broken(week(20, 200 * 10), steady()) == {"volume": WARNING}
    assert broken(week(20, 200 * 40), steady()) == {"volume": BLOCKING}
    assert broken(week(60, 200 * 10), steady(60)) == {"volume": BLOCKING}
    assert broken(week(60, 200 * 2), steady(60)) == {}
    assert broken(week(60, 200 // 50), steady(60))["volume"] == BLOCKING


def test_a_volume_holds_nothing_back_before_two_months_are_known() -> None:
    days = [replace(p, received_on=START + timedelta(days=n)) for n, p in enumerate(steady(30, span=1))]
    late = replace(week(30, 9_000, span=1), received_on=START + timedelta(days=30))
    assert broken(late, days) == {"volume": WARNING}


def test_a_peak_that_was_seen_twice_is_a_rhythm() -> None:
    once = [week(n, 20_000 if n == 5 else 200) for n in range(60)]
    twice = [week(n, 20_000 if n in (5, 31) else 200) for n in range(60)]
    assert broken(week(60, 20_000), once) == {"volume": BLOCKING}
    assert broken(week(60, 20_000), twice) == {}


def test_one_bad_batch_among_the_earlier_ones_changes_no_expectation() -> None:
    poisoned = [*steady(19), week(19, 200, 0.0)]
    assert broken(week(20, 200, 0.0), poisoned)["location:amount"] == BLOCKING


def test_weekdays_have_a_rhythm_of_their_own() -> None:
    def day(n: int, rows: int) -> Profile:
        return replace(week(n, rows, span=1), received_on=START + timedelta(days=n))

    days = [day(n, 20 if (START + timedelta(days=n)).weekday() == 6 else 2_000) for n in range(400)]
    sunday, monday = 405, 406
    assert (START + timedelta(days=sunday)).weekday() == 6
    assert broken(day(sunday, 21), days) == {} == broken(day(monday, 2_100), days)
    # So few were seen on other days: a holiday makes such a Monday.
    assert broken(day(monday, 20), days) == {"volume": WARNING}
    assert broken(day(monday, 2), days)["volume"] == BLOCKING


def test_batches_of_another_rhythm_are_not_compared() -> None:
    assert history.comparable(week(20, span=28), steady()) == 0
    assert broken(week(20, 9_000, 0.0, span=28), steady()) == {}
    assert history.comparable(replace(week(20), span_days=None), steady()) == 0


def test_too_few_batches_hold_nothing_back() -> None:
    assert broken(week(11, 9_000, 0.0), steady(11)) == {}
    assert broken(week(12, 200, 0.0), steady(12)) == {"location:amount": BLOCKING}


def test_shares_stray_by_what_chance_cannot_explain() -> None:
    assert broken(week(20, void=1.0), steady()) == {"share:status": BLOCKING}
    assert broken(week(20, void=0.28), steady()) == {"share:status": WARNING}
    # Two void invoices of two are no proof; ten of ten are.
    assert "share:status" not in broken(week(20, 2, void=1.0), steady())
    assert broken(week(20, 10, void=1.0), steady())["share:status"] == BLOCKING


@pytest.mark.parametrize(("share", "rows"), [(0.01, 6), (0.1, 40), (0.5, 200)])
def test_chance_stays_within_the_bound_of_a_share(share: float, rows: int) -> None:
    """The exact binomial tail beyond the bound is no greater than what so many deviations stand for."""
    far = history.farthest_share(share, 5.0**2 / 2 / rows)
    least = math.floor(far * rows) + 1
    tail = sum(math.comb(rows, k) * share**k * (1 - share) ** (rows - k) for k in range(least, rows + 1))
    assert share < far < 1 and tail <= math.exp(-(5.0**2) / 2)


def test_old_records_stray_and_young_ones_do_not() -> None:
    old = {"age:issued_on:q50": Statistic(186.0, 200, 2.0)}
    young = {"age:issued_on:q50": Statistic(0.0, 200, 2.0)}
    assert broken(replace(week(20), statistics=old), steady()) == {"age:issued_on": BLOCKING}
    assert broken(replace(week(20), statistics=young), steady()) == {}


def test_a_contract_can_widen_lighten_or_leave_out_a_rule() -> None:
    def policy(amount: float, severity: str) -> GatePolicy:
        return GatePolicy({**DEFAULTS, "location": Tolerance(amount, "factor", severity)})

    assert broken(week(20, 200, 2.5), steady()) == {"location:amount": BLOCKING}
    assert broken(week(20, 200, 2.5), steady(), policy(1_000, BLOCKING)) == {}
    assert broken(week(20, 200, 0.0), steady(), policy(5, WARNING)) == {"location:amount": WARNING}
    assert broken(week(20, 200, 0.0), steady(), policy(5, OFF)) == {}


@pytest.mark.parametrize(("again", "share"), [(range(100), 1.0), (range(50, 150), 0.5), (range(200, 300), 0.0)])
def test_keys_that_came_before_are_told_from_a_sample_of_both(again: range, share: float) -> None:
    first = replace(week(1), keys=frozenset(range(100)), key_bound=1000, keyed_rows=100)
    second = replace(week(2), keys=frozenset(again), key_bound=1000, keyed_rows=len(again))
    assert history.repeated(second, [first]) == Statistic(share, 100)
    # Above its bound the earlier batch kept no key, so nothing is known of them there.
    coarse = replace(first, key_bound=10, keys=frozenset(range(10)))
    assert history.repeated(second, [coarse]).value == pytest.approx(len([k for k in again if k < 10]) / 100)
    assert history.repeated(week(3), [first]) is None


def test_rows_of_one_key_in_one_batch_count_as_repeated() -> None:
    thrice = replace(week(1), keys=frozenset(range(100)), key_bound=1000, keyed_rows=300)
    assert history.repeated(thrice, []).value == pytest.approx(2 / 3)


def test_the_lunar_new_year_has_a_rhythm_of_its_own_though_the_solar_season_was_busy() -> None:
    # New Year fell on 22 January 2023, so this late January was still; on 10 February 2024, so that one was busy.
    def weeks(count: int) -> list[Profile]:
        return [week(n, _rows(START + timedelta(days=7 * n))) for n in range(count)]

    def _rows(received_on: date) -> int:
        return 45 if -6 <= days_from_new_year(received_on - timedelta(days=4)) <= 12 else 900

    known = weeks(60)
    feast = week(59, 1)
    assert date(2024, 2, 12) <= feast.received_on <= date(2024, 2, 19)
    assert broken(week(59, 45), known[:59]) == {}
    assert broken(week(59, 150), known[:59]) == {}
    assert broken(week(59, 1_800), known[:59])["volume"] == BLOCKING
    # In another month the same number is no more than a busy week.
    assert "volume" not in {r for r, s in broken(week(40, 1_800), known[:40]).items() if s == BLOCKING}


def test_the_nearest_new_year_is_found_across_the_turn_of_the_year() -> None:
    assert days_from_new_year(date(2023, 1, 22)) == 0
    assert days_from_new_year(date(2023, 12, 31)) == -41
    assert days_from_new_year(date(2024, 2, 9)) == -1 and days_from_new_year(date(2024, 3, 1)) == 20


def test_the_still_weeks_of_the_new_year_excuse_no_short_delivery_later() -> None:
    # New Year fell on 22 January 2023.
    known = [week(n, 20 if n in (3, 4, 5) else 900) for n in range(26)]
    assert [days_from_new_year(known[n].received_on - timedelta(days=4)) for n in (3, 5)] == [-3, 11]
    assert broken(week(26, 18), known)["volume"] == BLOCKING
    assert broken(week(26, 300), known) == {}
