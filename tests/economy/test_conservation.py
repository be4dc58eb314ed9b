"""Money, claims and goods balance on every day, for any seed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sources.economy import conserve, kernel, world
from sources.economy.kernel import Run


def run_of(firms: int, seed: int, days: int, burn: int) -> Run:
    """A small economy without planted behaviour, at the start of its burn-in (books empty)."""
    return world.prepare(firms, days / 365.25, seed, "2019-01-01", plant=False, burn=burn)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000))
def test_every_day_of_a_small_economy_balances(seed: int) -> None:
    run = run_of(200, seed, 120, 60)
    cash, units = int(run.state.cash.sum()), conserve.goods(run.state)
    while run.day < run.calendar.days:
        kernel.step(run)
        cash, units = conserve.check(run, cash, units)


@pytest.fixture(scope="module")
def grown() -> Run:
    """An economy after ninety days, with claims and loans in its books."""
    run = run_of(200, 3, 60, 90)
    for _ in range(90):
        kernel.step(run)
    return run


@pytest.mark.parametrize("name", ["ar", "ap", "overdue", "backlog", "onorder", "bank"])
def test_the_check_notices_a_wrong_sum(grown: Run, name: str) -> None:
    cash, units = int(grown.state.cash.sum()), conserve.goods(grown.state)
    kernel.step(grown)
    grown.state.firm[name][5] += 1
    try:
        with pytest.raises(AssertionError, match=rf"firm 5: {name} "):
            conserve.check(grown, cash, units)
    finally:
        grown.state.firm[name][5] -= 1


def test_the_check_notices_money_and_goods_from_nowhere(grown: Run) -> None:
    cash, units = int(grown.state.cash.sum()), conserve.goods(grown.state)
    kernel.step(grown)
    with pytest.raises(AssertionError, match="total cash moved by 1 fen"):
        conserve.check(grown, cash - 1, units)
    with pytest.raises(AssertionError, match="2 units appeared"):
        conserve.check(grown, cash, units - 2)
