"""The economy day by day: one state, one step, and the record that a run leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sources.economy import finance, network, params, trade
from sources.economy.calendar import Calendar
from sources.economy.compiled import entry
from sources.economy.interface import CHAINS, FARM, Plan, Population, stream
from sources.economy.records import FAR
from sources.economy.state import (
    DEL,
    DUTIES,
    FIRM,
    FREE_TOP,
    INV,
    ITEM,
    LINKS,
    LOAN,
    LOANS,
    ORD,
    RECORDING,
    RENT,
    RING,
    SECTORS,
    SOCIAL,
    TAX,
    UTILITY,
    WAGE,
    Books,
    Knobs,
    State,
    books,
    move,
    note,
    room,
)

BURN = 780  # days run before the first day, so that claims, debts and stocks are those of a living economy
DEPTHS = 8
SPREAD = [
    ("2016-01-01", 0.026),
    ("2019-06-01", 0.024),
    ("2021-01-01", 0.016),
    ("2023-01-01", 0.011),
    ("2025-06-01", 0.003),
]

DAILY = {
    "output_units": ("d_out", "i4"),
    "utilisation": ("use", "f4"),
    "staff": ("staff", "i4"),
    "raw_units": ("raw", "i4"),
    "wip_units": ("wip", "i4"),
    "finished_units": ("fin", "i4"),
    "sales_fen": ("d_sales", "i8"),
    "purchases_fen": ("d_buy", "i8"),
    "receivable_fen": ("ar", "i8"),
    "payable_fen": ("ap", "i8"),
    "bank_debt_fen": ("bank", "i8"),
    "private_debt_fen": ("private", "i8"),
    "orders_open_units": ("backlog", "i4"),
    "days_past_due": ("dpd", "i2"),
    "constrained": ("constrained", "?"),
    "active": ("active", "?"),
}
MONTHLY = {
    "sales_fen": "m_sales",
    "retail_fen": "m_retail",
    "purchases_fen": "m_buy",
    "output_tax_fen": "m_out",
    "input_tax_fen": "m_in",
    "interest_fen": "m_interest",
    "overhead_fen": "m_over",
    "bad_debt_fen": "m_bad",
    "dividend_fen": "m_div",
    "capital_fen": "m_capital",
    "cost_fen": "m_cost",
}


@dataclass
class History:
    """What a recorded run keeps in memory: [day, firm] and [month, firm] arrays, cash of other parties by day."""

    daily: dict[str, np.ndarray]
    monthly: dict[str, np.ndarray]
    sectors: np.ndarray  # [day + 1, party]; row 0 is the eve of the first day
    eve: dict[str, np.ndarray]
    goods: np.ndarray  # [day, chain] raw price factor


@dataclass
class Run:
    """A simulation: fixed surroundings and the moving state. `day` is the next day to run (negative: burn-in)."""

    population: Population
    calendar: Calendar
    plan: Plan
    state: State
    day: int
    seed: int
    history: History | None = None
    by_day: dict[int, np.ndarray] = field(default_factory=dict)
    flows: np.ndarray = field(default_factory=lambda: np.zeros(4, "i8"))
    check: bool = False
    seen_loans: int = 0
    spread: np.ndarray | None = None
    eff: np.ndarray | None = None  # share of normal ordering by day, mean one
    cum: np.ndarray | None = None  # its running sum

    @property
    def month_burn(self) -> int:
        """Months before the world's first one."""
        return -int(self.calendar.month[0])


def firms(pop: Population, base: np.ndarray, rng: np.random.Generator, knobs: Knobs) -> np.ndarray:
    """The firm array before the first day of the burn-in."""
    f = np.zeros(pop.n, FIRM)
    depth = np.rint(np.log(pop.price / params.RAW_PRICE_FEN) / -np.log(params.MATERIAL_SHARE) - 1).astype("i2")
    f["chain"], f["depth"], f["kind"], f["region"] = pop.chain, np.clip(depth, 0, DEPTHS - 1), pop.kind, pop.region
    f["founded"], f["circle"], f["group"] = pop.founded, pop.circle, pop.group
    for name in ("skill", "honesty", "prudence", "patience", "price", "wage", "crop", "lot"):
        f[name] = getattr(pop, name)
    f["prod"] = pop.productivity
    f["order"] = (pop.honesty < 0.3) + 2 * (pop.prudence < 0.3)
    f["payday"] = rng.choice([5, 8, 10, 12, 15, 20], pop.n)
    f["thrift"] = rng.random(pop.n)
    f["small"], f["exempt"], f["core"] = pop.small_taxpayer, pop.tax_exempt, pop.kind == 0
    f["retail"] = np.isin(pop.tier, [6, 7]) & (rng.random(pop.n) < np.where(pop.tier == 7, 1.0, 0.5))
    f["borrower"] = rng.random(pop.n) < np.clip(0.50 + 0.08 * np.log(pop.staff / 8.0), 0.35, 0.95)
    f["borrower"] |= pop.kind == 0
    usual = pop.staff * pop.productivity * 0.85 * 250 / 365
    f["base"], f["fc"], f["size"] = base * 250 / 365, usual, pop.staff
    sales = usual * pop.price
    f["fast"] = f["slow"] = sales
    f["staff"], f["staff_f"] = pop.staff, pop.staff
    f["rent"] = (sales * 365 / 12 * params.RENT_SHARE).astype("i8")
    z = (pop.skill - 0.5) / 0.218
    f["overhead"] = params.OVERHEAD_SHARE - params.SKILL_MARGIN * z
    f["waste"] = f["overhead"]
    f["wealth"] = (sales * 365 * knobs.owner_wealth * (0.4 + pop.prudence)).astype("i8")
    f["wealth"] *= np.where(pop.kind == 0, 8, 1)  # large groups stand behind cores
    f["unit_cost"] = pop.price * params.MATERIAL_SHARE
    f["raw"], f["fin"] = (usual * 22).astype("i8") + 2, (usual * 12).astype("i8") + 2
    f["adjust"] = 1.0
    for name in ("closed", "default_day", "app_due", "renew_day", "closing_from"):
        f[name] = FAR
    for name in ("last_apply", "refused", "lost_day"):
        f[name] = -FAR // 2
    for name in ("back_head", "back_tail", "due_head", "due_tail", "loan_head", "lost_from", "renew_loan"):
        f[name] = -1
    f["last_apply"] = -BURN - 150 + rng.integers(0, 150, pop.n)
    f["last_apply"] = np.maximum(f["last_apply"], pop.founded + rng.integers(300, 1400, pop.n))
    f["active"] = pop.founded <= 0
    for name in ("raw", "fin", "staff"):
        f[name] = np.where(f["active"], f[name], 0)
    return f


def start(pop: Population, calendar: Calendar, plan: Plan, knobs: Knobs | None = None, burn: int = BURN) -> Run:
    """A run at the start of its burn-in."""
    rng = stream(pop.seed, "kernel")
    links, base = network.build(pop)
    n, months = pop.n, int(calendar.month[-1]) - int(calendar.month[0]) + 2
    cash = np.zeros(n + SECTORS + params.BANKS, "i8")
    knobs = knobs or Knobs()
    f = firms(pop, base, rng, knobs)
    f["fraud"][list(plan.diverted)] = 1
    cash[:n] = np.where(f["active"], f["slow"] * 365 * (0.08 + 0.08 * pop.prudence), 0)
    cash[n : n + SECTORS] = 10**16
    cash[n + SECTORS :] = 10**15
    items = max(4000, 60 * n)
    popular = np.cumsum(1.0 / np.arange(1, pop.outside + 1) ** 0.7)
    links["next_order"] = np.where(links["from_day"] == 0, links["next_order"] - burn, links["next_order"])
    links["last_order"] = np.where(links["from_day"] == 0, -burn, links["from_day"])
    links["from_day"] = np.where(links["from_day"] == 0, -burn, links["from_day"])
    seq = np.zeros(11, "i8")
    seq[FREE_TOP], seq[LINKS] = items, len(links)
    loan = np.zeros(max(2000, 4 * n), LOAN)
    state = State(
        firm=f,
        item=np.zeros(items, ITEM),
        loan=loan,
        link=np.concatenate([links, np.zeros(len(links), network.LINK)]),
        cash=cash,
        owed=np.zeros((DUTIES, n), "i8"),
        since=np.full((DUTIES, n), FAR, "i4"),
        due=np.zeros((DUTIES, months, n), "i8"),
        paid=np.zeros((DUTIES, months, n), "i8"),
        paid_day=np.full((DUTIES, months, n), -FAR, "i4"),
        pointer=np.zeros((DUTIES, n), "i4"),
        ring=np.full((3, RING), -1, "i4"),
        free=np.arange(items, dtype="i4")[::-1].copy(),
        seq=seq,
        outside=popular,
        chain_state=np.zeros(len(CHAINS)),
        goods_state=np.zeros((len(CHAINS), 1 + DEPTHS)),
        books=books(2),
        rng=rng,
        k=knobs,
    )
    run = Run(pop, calendar, plan, state, -burn, pop.seed)
    for day in np.unique(plan.transfers["day"]):
        run.by_day[int(day)] = plan.transfers[plan.transfers["day"] == day]
    run.spread = spread_line(calendar)
    run.eff = calendar.ordering / calendar.ordering.mean()
    run.cum = np.cumsum(run.eff)
    return run


def spread_line(calendar: Calendar) -> np.ndarray:
    """Margin of new small-firm loans over the reference rate, falling as reported (CBIRC 2019: 6.8 % in all)."""
    from sources.economy.calendar import line

    return line(SPREAD, calendar.dates)


@entry
def shocks(s, sigma_chain, sigma_goods):
    """Custom and costs of each firm, demand of each chain, raw prices of each chain move on by a day.

    Custom jumps by Laplace steps at random days and reverts slowly; jumps are smaller for larger firms.
    """
    for c in range(len(s.chain_state)):
        s.chain_state[c] += -s.chain_state[c] * 1.0 / 365.0 + sigma_chain / np.sqrt(365.0) * s.rng.standard_normal()
        raw = s.goods_state[c, 0]
        raw += -raw * 0.6 / 365.0 + sigma_goods / np.sqrt(365.0) * s.rng.standard_normal()
        s.goods_state[c, 0] = raw
        above = raw
        for d in range(s.goods_state.shape[1] - 1):
            s.goods_state[c, d + 1] += (0.8 * above - s.goods_state[c, d + 1]) / (20.0 + 8.0 * d)
            above = s.goods_state[c, d + 1]
    rate = s.k.jump_rate / 365.0
    wander = s.k.overhead_noise / np.sqrt(365.0)
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.active == 0:
            continue
        f.attract -= f.attract * s.k.revert / 365.0
        if f.constrained:
            f.overhead -= s.k.retrench / 365.0
            f.attract += s.k.recover / 365.0 * (f.attract < 0.0)
        f.overhead += (f.waste - f.overhead) * s.k.overhead_revert / 365.0 + wander * s.rng.standard_normal()
        if s.rng.random() < rate:
            scale = s.k.jump_scale * (max(f.staff, 2) / 10.0) ** s.k.jump_size
            step = scale * s.rng.exponential() * (1.0 if s.rng.random() < 0.5 else -1.0)
            f.attract = min(2.0, max(-2.5, f.attract + step))


@entry
def births(s, t):
    """Firms founded today: owners pay in capital, the first staff start, orders follow."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.founded == t and f.active == 0 and f.closed == 2**30:
            f.active = 1
            f.staff = np.int64(f.staff_f)
            amount = np.int64(f.slow * 365.0 * (0.12 + 0.12 * f.prudence))
            move(s, t, -1, i, amount, 13, 0, -1, -1, -1)
            f.m_capital += amount
            f.last_apply = t + 300 + np.int64(1100.0 * s.rng.random())  # owners first live on their own means


@entry
def fall_due_duties(s, t, month, day_of_month):
    """What concerned last month falls due on the firm's pay day, the 15th, or the 25th."""
    if month < 1:
        return
    for i in range(len(s.firm)):
        f = s.firm[i]
        for duty in range(DUTIES):
            day = f.payday if duty == WAGE else (25 if duty == UTILITY else 15)
            if duty == RENT:
                day = 6
            if day_of_month != day:
                continue
            amount = s.due[duty, month - 1, i]
            if amount > 0 and f.closed > t:
                s.owed[duty, i] += amount
                if s.since[duty, i] > t:
                    s.since[duty, i] = t


@entry
def close_month(s, month, social_rate, utility_share):
    """At a month's end: wages, VAT, social insurance, utilities and rent of the month are known."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.active == 0:
            continue
        wages = f.staff * f.wage
        s.due[WAGE, month, i] = wages
        s.due[SOCIAL, month, i] = np.int64(wages * social_rate * (0.55 if f.size < 10 else 0.85))
        base = f.m_out - (0 if f.small or f.exempt else f.m_in) - f.credit_in
        if f.exempt:
            base = 0
        s.due[TAX, month, i] = max(0, base)
        f.credit_in = max(0, -base)
        s.due[UTILITY, month, i] = np.int64(utility_share * (0.3 * f.slow * 30.0 + 0.7 * f.m_sales))
        s.due[RENT, month, i] = f.rent


@entry
def reset_month(s):
    """Accounts of the month start at zero."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        f.m_sales, f.m_retail, f.m_buy, f.m_out, f.m_in, f.m_interest = 0, 0, 0, 0, 0, 0
        f.m_over, f.m_bad, f.m_div, f.m_capital, f.m_cost, f.m_retail_tax = 0, 0, 0, 0, 0, 0


@entry
def reset_day(s):
    """Flows of the day start at zero."""
    for i in range(len(s.firm)):
        s.firm[i].d_sales, s.firm[i].d_buy = 0, 0


@entry
def hire_and_fire(s):
    """Weekly: staff follows the smoothed demand, a few per cent at most."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.active == 0:
            continue
        target = f.fc * 1.46 / (f.prod * 0.85) if f.kind != FARM else f.size
        gap = 0.05 * (target - f.staff_f)
        top, low = 0.03 * f.staff_f, -0.025 * f.staff_f
        if f.constrained:
            top = 0.0
        f.staff_f = max(1.6, f.staff_f + min(top, max(low, gap)))
        f.staff = np.int64(f.staff_f + 0.5)


@entry
def transfers(s, t, rows):
    """Executes planned transfers where the payer has the cash."""
    for r in range(len(rows)):
        p = rows[r]
        if p.payer < 0 or p.payer >= 10_000_000 or (s.cash[p.payer] >= p.amount_fen and s.firm[p.payer].active):
            if p.payee >= 0 and p.payee < 10_000_000 and s.firm[p.payee].active == 0:
                continue
            move(s, t, p.payer, p.payee, p.amount_fen, p.purpose, p.channel, -1, -1, p.planted_id)


@entry
def open_items(s, t):
    """Notes orders, shipments and invoices that are open when recording begins."""
    for at in range(len(s.item)):
        x = s.item[at]
        if x.state == 0 or (x.state >= 4 and x.left == 0):
            continue
        good = trade.good_of(s, x.seller, x.buyer, x.service)
        row = (x.order_id, x.buyer, x.seller, good, x.qty, x.price, x.qty * x.price, x.ordered, x.due_ship)
        note(s, ORD, s.books.order, row)
        if x.state >= 4:
            total = x.amount + x.tax
            if x.service == 0:
                row = (x.delivery_id, x.order_id, x.seller, x.buyer, good, x.qty, x.received, x.received, -1)
                note(s, DEL, s.books.delivery, row)
            row = (
                x.invoice_id, x.seller, x.buyer, good, x.issued, x.amount, x.tax, total,
                FAR, -1, x.order_id, x.delivery_id, x.due, -1,
            )  # fmt: skip
            note(s, INV, s.books.invoice, row)


def windfalls(s: State) -> None:
    """Weekly: some owners come by means (a flat sold, a relative's help) that they can put in."""
    lucky = s.rng.random(len(s.firm)) < params.WINDFALLS_A_YEAR / 52
    means = s.rng.exponential(params.WINDFALL_SHARE, len(s.firm)) * s.firm["slow"] * 365
    s.firm["wealth"] += np.where(lucky, means, 0).astype("i8")


def divert(run: Run, t: int) -> None:
    """Owners in the plan take their share of every loan paid out since yesterday; pledged twice is only marked."""
    s, plan = run.state, run.plan
    for d in range(run.seen_loans, int(s.seq[LOANS])):
        firm = int(s.loan[d]["firm"])
        if firm in plan.diverted and t >= 0:
            share, planted = plan.diverted[firm]
            amount = min(int(s.loan[d]["principal"] * share), int(s.cash[firm]))
            s.loan["diverted"][d], s.loan["planted"][d] = share, planted
            move(s, t, firm, -1, amount, 14, 0, -1, -1, planted)  # booked as any owner's drawing
        elif firm in plan.double_pledged and t >= 0:
            s.loan["planted"][d] = plan.double_pledged[firm]
    run.seen_loans = int(s.seq[LOANS])


def shave(run: Run, month: int) -> None:
    """Firms in the plan report only a share of the month's social insurance or VAT, and so owe only that."""
    begin = np.searchsorted(run.calendar.month, month - run.month_burn) - run.calendar.burn
    for row in run.plan.shaved:
        if row["first_day"] <= begin <= row["last_day"]:
            duty = (SOCIAL, TAX)[row["what"]]
            run.state.due[duty, month, row["firm"]] = int(run.state.due[duty, month, row["firm"]] * row["share"])


def rewire(run: Run, t: int) -> None:
    """Monthly: some links end, and those whose seller is gone; each is followed by one to a like seller."""
    s, rng = run.state, run.state.rng
    live = s.link[: s.seq[LINKS]]
    open_ = (live["to_day"] > t) & (live["from_day"] <= t)
    inside_seller, inside_buyer = live["seller"] < 10_000_000, live["buyer"] < 10_000_000
    active = (s.firm["active"] == 1) & (s.firm["closing"] == 0)
    seller = np.where(inside_seller, live["seller"], 0).astype("i8")
    buyer = np.where(inside_buyer, live["buyer"], 0).astype("i8")
    dead_buyer = open_ & inside_buyer & (s.firm["closed"][buyer] <= t)
    dead_seller = open_ & inside_seller & ~active[seller] & (s.firm["founded"][seller] <= t)
    lost = open_ & (rng.random(len(live)) < params.LINK_LOSS_YEAR / 12)
    gone_outside = dead_seller & ~inside_buyer
    ended = dead_buyer | dead_seller | (lost & ~dead_buyer)
    live["to_day"][ended] = t
    follow = np.flatnonzero(ended & ~dead_buyer & ~gone_outside)
    fresh = live[follow].copy()
    fresh["from_day"], fresh["to_day"] = t, FAR
    fresh["next_order"], fresh["last_order"] = t + 1 + rng.integers(0, 20, len(fresh)), t
    popular = s.outside / s.outside[-1]
    outer = 10_000_000 + np.searchsorted(popular, rng.random(len(fresh)))
    fresh["seller"] = np.where(fresh["seller"] >= 10_000_000, outer, fresh["seller"])
    fresh["buyer"] = np.where(fresh["buyer"] >= 10_000_000, outer, fresh["buyer"])
    both = (fresh["seller"] < 10_000_000) & (fresh["buyer"] < 10_000_000)
    cells = (s.firm["chain"].astype("i4") * 100 + s.firm["kind"]) * 100 + s.firm["depth"]
    pull = np.where(active, s.firm["size"] ** params.ATTACH * np.exp(s.firm["attract"]), 0.0)
    old = np.where(both, fresh["seller"], -1)
    for code in np.unique(cells[old[both]]) if both.any() else []:
        mine = np.flatnonzero(both & (cells[np.maximum(old, 0)] == code))
        pool = np.flatnonzero((cells == code) & active)
        if len(pool) and pull[pool].sum() > 0:
            fresh["seller"][mine] = rng.choice(pool, len(mine), p=pull[pool] / pull[pool].sum())
    fresh = fresh[fresh["seller"] != fresh["buyer"]]
    top = int(s.seq[LINKS])
    s.link[top : top + len(fresh)] = fresh
    s.seq[LINKS] = top + len(fresh)


ENTRY: dict[Any, Callable[..., Any]] = {}


def call(function: Any, *arguments: Any) -> Any:
    """Calls a compiled function by its one entry point.

    Numba works out the types of a state with its records anew at each call, which takes longer than a small world's
    day; here they are always the same.
    """
    known = ENTRY.get(function)
    if known is not None:
        return known(*arguments)
    result = function(*arguments)
    if len(function.overloads) == 1:
        ENTRY[function] = next(iter(function.overloads.values())).entry_point
    return result


def step(run: Run) -> None:
    """Runs one day."""
    cal, t = run.calendar, run.day
    at = t + cal.burn
    n = run.population.n
    s = run.state = room(run.state, 4000 + 6 * n, 200 + n // 4, 200 + n)
    month = int(cal.month[at]) + run.month_burn
    dom = int(cal.day_of_month[at])
    eff, activity, season = float(run.eff[at]), float(cal.activity[at]), float(cal.retail[at])
    lock, vat, credit = int(cal.lockdown[at]), float(cal.vat[at]), float(cal.credit[at])
    rate, spread = float(cal.rate[at]), float(run.spread[at])
    demand = np.exp(s.chain_state) * cal.demand[at]
    price = np.exp(s.goods_state)
    voids = 0.0 if cal.dates[at] >= np.datetime64("2024-12-01") else s.k.void_rate
    run.flows[:] = 0
    call(reset_day, s)
    call(shocks, s, 0.06, 0.16)
    call(births, s, t)
    if t % 7 == 0:
        call(trade.norms, s, t)
        call(hire_and_fire, s)
        windfalls(s)
    call(trade.ship_due, s, t)
    call(trade.produce, s, activity, int(cal.day_of_year[at]), lock, 0.25)
    call(trade.ship_backlog, s, t)
    call(trade.receive, s, t, vat, run.flows, voids)
    call(trade.retail, s, t, season, demand, vat, lock, 0.35, price, run.flows)
    if eff > 0:
        call(trade.place_orders, s, t, float(cal.ordering[at]), run.cum, cal.burn, demand, price)
        call(trade.one_off, s, t, eff, price)
    call(trade.fall_due, s, t)
    call(fall_due_duties, s, t, month, dom)
    if t in run.by_day:
        transfers(s, t, run.by_day[t])
    divert(run, t)
    call(finance.waterfalls, s, t)
    if dom == 20:
        call(finance.month_interest_private, s, t)
    call(finance.loans_day, s, t, credit, rate, spread)
    call(finance.requests, s, t, credit, rate, spread)
    if t >= 0:
        call(finance.endings, s, t, run.flows)
    elif dom == 1:
        # Nobody leaves during the burn-in: owners' means are refilled, so that the first day has all its firms.
        s.firm["wealth"] = np.maximum(s.firm["wealth"], (s.firm["slow"] * 365 * s.k.owner_wealth).astype("i8"))
    call(trade.forecast, s, eff, season, 32.0)
    last = at + 1 == len(cal.month) or cal.month[at + 1] != cal.month[at]
    if last:
        call(trade.bundle, s, t)
        call(close_month, s, month, params.SOCIAL_RATE, params.UTILITY_SHARE)
        shave(run, month)
    if run.history is not None:
        keep(run, t, month if last else -1)
    if last:
        call(reset_month, s)
        rewire(run, t)
    if s.seq[10]:
        raise RuntimeError(
            f"Day {t}: buffer {int(s.seq[10])} of the kernel is full; raise its size in state.books or room."
        )
    run.day = t + 1


def keep(run: Run, t: int, month: int) -> None:
    """Copies the day's (and at a month's end the month's) figures into the history."""
    s, h = run.state, run.history
    for name, (column, _) in DAILY.items():
        h.daily[name][t] = s.firm[column]
    h.daily["cash_fen"][t] = s.cash[: run.population.n]
    h.daily["arrears_fen"][t] = s.owed[:3].sum(0)
    h.sectors[t + 1] = s.cash[run.population.n :]
    h.goods[t] = s.goods_state[:, 0]
    if month >= 0:
        m = month - run.month_burn
        for name, column in MONTHLY.items():
            h.monthly[name][m] = s.firm[column]
        f = s.firm
        h.monthly["stock_fen"][m] = ((f["raw"] + f["wip"] + f["fin"]) * f["unit_cost"]).astype("i8")
        for name, duty in (("wage", WAGE), ("tax", TAX), ("social", SOCIAL)):
            h.monthly[f"{name}_arrears_fen"][m] = s.owed[duty]


def new_history(run: Run) -> History:
    """Empty arrays for the whole world."""
    days, n = run.calendar.days, run.population.n
    months = len(run.calendar.months)
    daily = {name: np.zeros((days, n), kind) for name, (_, kind) in DAILY.items()}
    daily |= {name: np.zeros((days, n), "i8") for name in ("cash_fen", "arrears_fen")}
    extra = ("stock_fen", "wage_arrears_fen", "tax_arrears_fen", "social_arrears_fen")
    monthly = {name: np.zeros((months, n), "i8") for name in (*MONTHLY, *extra)}
    sectors = np.zeros((days + 1, SECTORS + params.BANKS), "i8")
    sectors[0] = run.state.cash[n:]
    eve = {"cash_fen": run.state.cash[:n].copy(), "firm": run.state.firm.copy()}
    return History(daily, monthly, sectors, eve, np.zeros((days, len(CHAINS))))


def record(run: Run, rows: int) -> None:
    """Starts recording with buffers of so many rows: all on the first day, only loans if called in the burn-in."""
    run.state = run.state._replace(books=books(rows))
    run.state.seq[RECORDING] = 1 if run.day >= 0 else 2
    if run.day < 0:
        return
    run.history = new_history(run)
    open_items(run.state, run.day)


def take_books(run: Run) -> Books:
    """The rows noted since the last call, as copies; empties the buffers."""
    b = run.state.books
    out = Books(*[a[:c].copy() for a, c in zip(b[:-1], b.n, strict=True)], b.n.copy())
    b.n[:] = 0
    return out


def finish_history(run: Run) -> None:
    """After the last day: what was due each month and when it was paid, by month of the world."""
    s, h, b = run.state, run.history, run.month_burn
    months = len(run.calendar.months)
    for name, duty in (("wage", WAGE), ("vat", TAX), ("social", SOCIAL), ("utility", UTILITY), ("rent", RENT)):
        h.monthly[f"{name}_due_fen"] = s.due[duty, b : b + months]
        h.monthly[f"{name}_paid_fen"] = s.paid[duty, b : b + months]
        h.monthly[f"{name}_paid_day"] = s.paid_day[duty, b : b + months]
    h.monthly["utility_fen"] = h.monthly["utility_due_fen"]
    h.monthly["overhead_fen"] = h.monthly["overhead_fen"] + h.monthly["utility_due_fen"] + h.monthly["rent_due_fen"]
