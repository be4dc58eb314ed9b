"""The waterfall by hand, default by its definition, and the same seed giving the same truth."""

from __future__ import annotations

import numpy as np
import pytest

from sources.economy import finance, kernel, trade, world
from sources.economy.kernel import Run
from sources.economy.state import (
    BULLET,
    DUTIES,
    RECORDING,
    REPAID,
    SOCIAL,
    TAX,
    WAGE,
    books,
    fork,
)

BANK = 0
FIXED = ("population", "calendar", "plan", "day", "seed", "spread", "eff", "cum")


@pytest.fixture
def run() -> Run:
    """Two hundred firms on the first day of a short burn-in, recording switched on."""
    run = world.prepare(200, 0.5, 7, "2019-01-01", plant=False, burn=40)
    run.state = run.state._replace(books=books(5000))
    run.state.seq[RECORDING] = 1
    return run


def bare(run: Run, firm: int, cash: int, order: int = 0) -> np.void:
    """A firm without means but its cash: no borrowing, no owner's wealth, no reserve."""
    f = run.state.firm[firm : firm + 1]
    f["borrower"], f["wealth"], f["prudence"], f["slow"], f["order"], f["private"] = 0, 0, 0.0, 0.0, order, 0
    run.state.cash[firm] = cash
    return f


def owe(run: Run, firm: int, duty: int, amount: int) -> None:
    """A month's duty of a firm, due since yesterday."""
    run.state.due[duty, 0, firm] = amount
    run.state.owed[duty, firm] = amount
    run.state.since[duty, firm] = run.day - 1


def loan_of(run: Run, firm: int, principal: int, start: int, months: int = 12) -> int:
    """A bullet loan paid out on a day; returns its number."""
    cash = int(run.state.cash[firm])
    number = finance.lend(run.state, start, firm, BANK, principal, months, BULLET, 0.05, 0.0, 0, -1, -1, -1, 0)
    run.state.loan["rate"][number] = 0.06
    run.state.cash[firm] = cash
    return number


def bill(run: Run, seller: int, buyer: int, amount: int, key: int) -> int:
    """An invoice that is due; returns its item."""
    s = run.state
    trade.take_order(s, run.day, -1, seller, buyer, 1, amount, run.day, 0, key, 1)
    at = int(s.ring[0, run.day % 1024])
    s.ring[0, run.day % 1024] = -1
    s.item["left"][at], s.item["amount"][at], s.item["invoice_id"][at] = amount, amount, 1
    s.firm["ar"][seller] += amount
    s.firm["ap"][buyer] += amount
    trade.push_due(s, buyer, at)
    return at


def paid(run: Run, payer: int) -> list[tuple[int, int]]:
    """(purpose, amount) of a firm's payments in their order."""
    rows = run.state.books.payment[: run.state.books.n[0]]
    return [(int(r[6]), int(r[4])) for r in rows if r[1] == payer]


def test_a_firm_with_cash_pays_in_the_order_of_duty(run: Run) -> None:
    bare(run, 1, 1_000_000)
    owe(run, 1, WAGE, 100_000)
    owe(run, 1, TAX, 20_000)
    owe(run, 1, SOCIAL, 30_000)
    number = loan_of(run, 1, 100_000, run.day - 31)
    bill(run, 2, 1, 40_000, key=0)
    bill(run, 3, 1, 50_000, key=1)
    run.state.books.n[:] = 0
    finance.waterfall(run.state, run.day, 1)
    interest = round(100_000 * 0.06 * 30 / 360)
    assert paid(run, 1) == [(2, 100_000), (3, 20_000), (4, 30_000), (7, interest), (0, 50_000), (0, 40_000)]
    assert run.state.cash[1] == 1_000_000 - 240_000 - interest
    assert run.state.loan["at"][number] == 2


def test_a_dishonest_owner_pays_tax_after_suppliers(run: Run) -> None:
    bare(run, 1, 1_000_000, order=1)
    owe(run, 1, WAGE, 100_000)
    owe(run, 1, TAX, 20_000)
    bill(run, 2, 1, 40_000, key=0)
    run.state.books.n[:] = 0
    finance.waterfall(run.state, run.day, 1)
    assert paid(run, 1) == [(2, 100_000), (0, 40_000), (3, 20_000)]


def test_short_of_cash_wages_come_first_and_social_insurance_waits(run: Run) -> None:
    bare(run, 1, 125_000)
    owe(run, 1, WAGE, 100_000)
    owe(run, 1, TAX, 20_000)
    owe(run, 1, SOCIAL, 30_000)
    loan_of(run, 1, 100_000, run.day - 31)
    run.state.books.n[:] = 0
    finance.waterfall(run.state, run.day, 1)
    assert paid(run, 1) == [(2, 100_000), (3, 20_000), (7, 500), (4, 4_500)]
    assert run.state.cash[1] == 0
    assert run.state.owed[SOCIAL, 1] == 25_500


def test_a_claim_that_a_court_enforces_is_paid_after_wages_with_all_cash(run: Run) -> None:
    bare(run, 1, 400_000)
    owe(run, 1, WAGE, 100_000)
    owe(run, 1, TAX, 20_000)
    bill(run, 2, 1, 1_000_000, key=trade.ENFORCED)
    bill(run, 3, 1, 50_000, key=1)
    finance.waterfall(run.state, run.day, 1)
    assert paid(run, 1) == [(2, 100_000), (0, 300_000)]
    assert run.state.firm["claims"][1] == 1
    run.state.cash[1] = 800_000
    run.state.books.n[:] = 0
    finance.waterfall(run.state, run.day, 1)
    assert paid(run, 1) == [(0, 700_000), (3, 20_000), (0, 50_000)]
    assert run.state.firm["claims"][1] == 0


def test_default_comes_on_the_ninetieth_day_and_not_before(run: Run) -> None:
    bare(run, 1, 0)
    start = run.day - 40
    number = loan_of(run, 1, 100_000, start)
    due = start + 365 // 12
    run.state.firm["active"] = 0
    run.state.firm["active"][1] = 1
    for day in range(due, due + 92):
        run.state.cash[1] = 0
        finance.loans_day(run.state, day, 0.0, 0.04, 0.02)
        assert run.state.firm["dpd"][1] == day - due
        assert bool(run.state.firm["defaulted"][1]) == (day - due >= 90)
    assert run.state.firm["default_day"][1] == due + 90
    rows = run.state.books.default[: run.state.books.n[9]]
    assert rows[:, :5].tolist() == [[1, number, due, due + 30, due + 90]]


def test_paying_the_oldest_instalment_keeps_a_firm_from_default(run: Run) -> None:
    bare(run, 1, 0)
    start = run.day - 40
    loan_of(run, 1, 100_000, start)
    for day in range(start + 30, start + 150):
        run.state.cash[1] = 600 if day % 30 == 0 else 0
        finance.waterfall(run.state, day, 1)
        finance.loans_day(run.state, day, 0.0, 0.04, 0.02)
        assert run.state.firm["dpd"][1] < 60
    assert not run.state.firm["defaulted"][1]


def test_after_default_the_bank_calls_in_the_whole_loan(run: Run) -> None:
    bare(run, 1, 0)
    start = run.day - 40
    number = loan_of(run, 1, 100_000, start)
    late = start + 30 + 90
    finance.loans_day(run.state, late, 0.0, 0.04, 0.02)
    run.state.cash[1] = 60_500
    finance.waterfall(run.state, late, 1)
    assert run.state.loan["balance"][number] == 40_000
    finance.loans_day(run.state, late + 200, 0.0, 0.04, 0.02)
    assert run.state.firm["dpd"][1] == 290
    run.state.cash[1] = 40_000
    finance.waterfall(run.state, late + 201, 1)
    assert run.state.loan["status"][number] == REPAID


def test_every_default_of_a_run_has_ninety_unpaid_days() -> None:
    run = world.prepare(200, 0.6, 11, "2019-01-01", plant=False, burn=60)
    kernel.record(run, 30_000)
    run.state.firm["wealth"] = 0
    while run.day < run.calendar.days:
        if run.day == 0:
            run.state.cash[:200] = 0
        kernel.step(run)
    rows = run.state.books.default[: run.state.books.n[9]]
    assert (rows[:, 4] - rows[:, 2] == 90).all()
    repaid = run.state.books.repayment[: run.state.books.n[4]]
    for firm, loan, first, _, default, *_ in rows.tolist():
        assert run.state.firm["default_day"][firm] == default
        number = next(n for n in range(1, 40) if finance.due_day(run.state.loan[loan], n) == first)
        mine = repaid[(repaid[:, 0] == loan) & (repaid[:, 1] == number) & (repaid[:, 2] <= default)]
        x = run.state.loan[loan]
        assert mine[:, 3:].sum() < finance.interest_of(x, number) + finance.principal_of(x, number)


def test_a_bank_is_picked_by_its_share_of_the_market(run: Run) -> None:
    draws = np.random.default_rng(1).random(6000)
    even = np.bincount([finance.pick_bank(run.state, drawn) for drawn in draws], minlength=6) / 6000
    assert even == pytest.approx(np.full(6, 1 / 6), abs=0.03)
    run.state = run.state._replace(k=run.state.k._replace(first_bank_share=0.5))
    main = np.bincount([finance.pick_bank(run.state, drawn) for drawn in draws], minlength=6) / 6000
    assert main == pytest.approx(np.array([0.5, *[0.1] * 5]), abs=0.03)


def test_a_fork_with_the_same_stream_goes_as_the_run_itself(run: Run) -> None:
    import copy

    twin = Run(**{k: getattr(run, k) for k in FIXED},
               state=fork(run.state, copy.deepcopy(run.state.rng)))  # fmt: skip
    for _ in range(30):
        kernel.step(run)
        kernel.step(twin)
    assert (run.state.firm == twin.state.firm).all()
    assert (run.state.cash == twin.state.cash).all()
    assert twin.state.books.n.sum() == 0
    assert len(run.state.owed) == DUTIES


def test_the_same_seed_writes_the_same_truth(tmp_path) -> None:
    facts = [
        world.generate(200, 0.25, seed, tmp_path / name, plant=False, content=False)
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    same, other = facts[0]["tables"], facts[2]["tables"]
    assert same == facts[1]["tables"]
    assert same["payment"]["rows"] > 1000
    assert same["payment"]["hash"] != other["payment"]["hash"]
