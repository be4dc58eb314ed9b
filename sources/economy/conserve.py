"""What must balance on every day: money, claims, goods. Each is summed anew from its parts."""

from __future__ import annotations

import numpy as np

from sources.economy.kernel import Run
from sources.economy.state import BACKLOG, DUE, FREE, INVOICED, LOANS, ORDERED, RUNNING, SHIPPED, State
from sources.economy.state import BAD as BAD_LOAN
from sources.economy.trade import FROM_OUTSIDE, SCRAPPED, TO_HOUSEHOLDS, TO_OUTSIDE

OUTSIDE = 10_000_000


def by_firm(firm: np.ndarray, amount: np.ndarray, n: int) -> np.ndarray:
    """Sums whole amounts by firm, exactly."""
    out = np.zeros(n, "i8")
    np.add.at(out, firm, amount)
    return out


def claims(state: State) -> dict[str, np.ndarray]:
    """Receivables, payables, overdue payables, backlog and units on order of each firm, summed over single items."""
    n = len(state.firm)
    x = state.item[state.item["state"] != FREE]
    billed = x[np.isin(x["state"], [INVOICED, DUE])]
    sold, bought = billed[billed["seller"] < OUTSIDE], billed[billed["buyer"] < OUTSIDE]
    due = bought[bought["state"] == DUE]
    goods = x[(x["service"] == 0)]
    waiting = goods[goods["state"] == BACKLOG]
    coming = goods[np.isin(goods["state"], [ORDERED, BACKLOG, SHIPPED]) & (goods["buyer"] < OUTSIDE)]
    return {
        "ar": by_firm(sold["seller"], sold["left"], n),
        "ap": by_firm(bought["buyer"], bought["left"], n),
        "overdue": by_firm(due["buyer"], due["left"], n),
        "backlog": by_firm(waiting["seller"], waiting["qty"], n),
        "onorder": by_firm(coming["buyer"], coming["qty"], n),
    }


def bank_debt(state: State) -> np.ndarray:
    """What each firm owes banks, summed over its loans."""
    loans = state.loan[: state.seq[LOANS]]
    live = loans[np.isin(loans["status"], [RUNNING, BAD_LOAN])]
    return by_firm(live["firm"], live["balance"], len(state.firm))


def goods(state: State) -> int:
    """All units in stock, in work and under way between firms or to the outside."""
    f = state.firm
    x = state.item[(state.item["state"] == SHIPPED) & (state.item["service"] == 0) & (state.item["seller"] < OUTSIDE)]
    return int(f["raw"].sum() + f["wip"].sum() + f["fin"].sum() + x["qty"].sum())


def check(run: Run, cash_before: int, goods_before: int) -> tuple[int, int]:
    """Asserts the day's balances; returns total cash and units for the next day's check."""
    s, day = run.state, run.day - 1
    cash, units = int(s.cash.sum()), goods(s)
    if cash != cash_before:
        raise AssertionError(f"Day {day}: total cash moved by {cash - cash_before} fen.")
    flow = run.flows
    expected = goods_before + flow[FROM_OUTSIDE] - flow[TO_OUTSIDE] - flow[TO_HOUSEHOLDS] - flow[SCRAPPED]
    if units != expected:
        raise AssertionError(f"Day {day}: {units - expected} units appeared.")
    parts = claims(s) | {"bank": bank_debt(s)}
    for name, values in parts.items():
        wrong = np.flatnonzero(values != s.firm[name])
        if len(wrong):
            i = wrong[0]
            raise AssertionError(f"Day {day}, firm {i}: {name} is {s.firm[name][i]}, its items sum to {values[i]}.")
    if (s.cash[: len(s.firm)] < 0).any():
        raise AssertionError(f"Day {day}: a firm's cash is below zero.")
    if (s.owed < 0).any() or (s.owed != owed_by_month(s, run)).any():
        raise AssertionError(f"Day {day}: duties owed differ from what is due and unpaid by month.")
    for name in ("raw", "wip", "fin", "private", "backlog"):
        if (s.firm[name] < 0).any():
            raise AssertionError(f"Day {day}: {name} is below zero.")
    return cash, units


def owed_by_month(state: State, run: Run) -> np.ndarray:
    """Duties fallen due and unpaid: the months' dues less what was paid, without what falls due later."""
    at = run.day - 1 + run.calendar.burn
    month, day = int(run.calendar.month[at]) + run.month_burn, int(run.calendar.day_of_month[at])
    out = np.zeros_like(state.owed)
    fixed = {1: 15, 2: 15, 3: 25, 4: 6}
    for duty in range(len(out)):
        payday = state.firm["payday"] if duty == 0 else np.full(len(state.firm), fixed[duty])
        last = np.where(day >= payday, month - 1, month - 2)
        months = np.arange(state.due.shape[1])[:, None]
        fallen = (months <= last[None, :]) & (months < month)
        gone = state.firm["active"] == 0
        due = (state.due[duty] * fallen).sum(0)
        out[duty] = np.where(gone, state.owed[duty], due - state.paid[duty].sum(0))
    return out
