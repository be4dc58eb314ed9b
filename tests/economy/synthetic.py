"""A small made-up history in the form the kernel leaves it, so that derived tables are tested without a simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sources.economy import calendar, plant, population
from sources.economy.interface import CHANNELS, PURPOSES, Plan, WorldData, stream
from sources.economy.records import Writer
from sources.economy.schema import HOUSEHOLDS, OUTSIDE

FIRST_DAY = "2019-01-01"
FAR = 2**30


def world(out: Path, firms: int = 240, years: float = 2.0, seed: int = 5) -> WorldData:
    """Firms that work at a steady pace with noise: output, weekly invoices that are paid, wages, a loan each or two."""
    rng = np.random.default_rng(seed)
    first = np.datetime64(FIRST_DAY)
    people = population.create(firms, years, seed, first)
    days = round(years * 365.25)
    dates = calendar.build(FIRST_DAY, days)
    plan = plant.plan(people, dates, stream(seed, "plant"))
    months = np.unique((first + np.arange(days)).astype("datetime64[M]"))
    daily = _daily(people, dates, days, rng)
    month_of = (first + np.arange(days)).astype("datetime64[M]").astype(int) - months[0].astype(int)
    writer = Writer(out)
    data = WorldData(
        population=people,
        calendar=dates,
        plan=plan,
        first_day=first,
        days=days,
        months=months,
        month_of=month_of,
        daily=daily,
        monthly=_monthly(people, daily, month_of, len(months), plan, days),
        closed=np.full(people.n, FAR),
        default_day=np.full(people.n, FAR),
        commodity={},
        writer=writer,
    )
    _trade(data, rng)
    _money(data, plan, rng)
    _loans(data, rng)
    return data


def _daily(people, dates, days: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    n = people.n
    active = np.arange(days)[:, None] >= people.founded[None, :]
    work = dates.world("activity")[:, None]
    pace = np.clip(0.75 + 0.1 * rng.standard_normal((days, n)), 0.2, 1.2) * active
    output = np.rint(people.staff * people.productivity * work * pace).astype(np.int64)
    staff = np.broadcast_to(people.staff, (days, n)) * active
    sales = (output * people.price).astype(np.int64)
    steady = {
        "raw_units": 20 * people.staff,
        "wip_units": 3 * people.staff,
        "finished_units": 40 * people.staff,
        "orders_open_units": 15 * people.staff,
        "cash_fen": 3_000_000 * people.staff,
        "receivable_fen": 6_000_000 * people.staff,
        "payable_fen": 4_000_000 * people.staff,
        "bank_debt_fen": 5_000_000 * people.staff,
        "private_debt_fen": 0 * people.staff,
        "arrears_fen": 0 * people.staff,
        "days_past_due": 0 * people.staff,
    }
    out = {name: np.broadcast_to(value, (days, n)) * active for name, value in steady.items()}
    return out | {
        "output_units": output,
        "utilisation": (pace * work).astype(np.float32),
        "staff": staff,
        "sales_fen": sales,
        "purchases_fen": (sales * 0.66).astype(np.int64),
        "constrained": np.zeros((days, n), bool),
        "active": active,
    }


def _monthly(people, daily, month_of, months: int, plan: Plan, days: int) -> dict[str, np.ndarray]:
    n = people.n
    start = np.flatnonzero(np.r_[True, np.diff(month_of) > 0])
    sales = np.add.reduceat(daily["sales_fen"], start, axis=0)
    retail = np.where(people.tier == 7, sales, 0)
    alive = np.add.reduceat(daily["active"].astype(int), start, axis=0) > 0
    wage = np.where(alive, people.staff * people.wage, 0)
    social = (wage * 0.24 * 0.85).astype(np.int64)
    vat = (sales * 0.04).astype(np.int64)
    month_days = np.r_[start[1:], days]
    for row in plan.shaved:
        inside = (start >= row["first_day"]) & (start <= row["last_day"])
        table = social if row["what"] == 0 else vat
        table[inside, row["firm"]] = (table[inside, row["firm"]] * row["share"]).astype(np.int64)
    paid_day = np.where(alive, np.minimum(month_days + 9, days - 1)[:, None], -1)
    zero = np.zeros((months, n), np.int64)
    return {
        "sales_fen": sales,
        "retail_fen": retail,
        "purchases_fen": (sales * 0.66).astype(np.int64),
        "output_tax_fen": (sales * 0.13).astype(np.int64),
        "input_tax_fen": (sales * 0.09).astype(np.int64),
        "vat_due_fen": vat,
        "vat_paid_fen": vat,
        "vat_paid_day": paid_day,
        "social_due_fen": social,
        "social_paid_fen": social,
        "social_paid_day": paid_day,
        "wage_due_fen": wage,
        "wage_paid_fen": wage,
        "wage_paid_day": paid_day,
        "cost_fen": (sales * 0.66).astype(np.int64),
        "stock_fen": (people.staff * 40 * people.price * alive).astype(np.int64),
        "overhead_fen": (sales * 0.05).astype(np.int64),
        **dict.fromkeys(
            ("interest_fen", "utility_fen", "bad_debt_fen", "dividend_fen", "capital_fen", "tax_arrears_fen",
             "social_arrears_fen", "wage_arrears_fen"), zero),
    }  # fmt: skip


def _trade(data: WorldData, rng: np.random.Generator) -> None:
    """One invoice a firm and week over the week's sales, paid after 60 days; planted ones as planned."""
    people, first = data.population, data.first_day
    rows = []
    for day in range(6, data.days, 7):
        week = data.daily["sales_fen"][day - 6 : day + 1].sum(axis=0)
        for firm in np.flatnonzero((week > 0) & (people.tier != 7)):
            outer = rng.random() < 0.5
            buyer = OUTSIDE + int(rng.integers(people.outside)) if outer else int(rng.integers(people.n))
            settled = day + 60 if day + 60 < data.days else None
            rows.append((firm, buyer, day, int(week[firm]), None, None, day + 60, settled, None, False))
            if rng.random() < 0.02:
                rows.append((firm, buyer, day, -int(week[firm]) // 4, None, len(rows), day, None, None, False))
    for row in data.plan.invoices:
        at = len(rows) + 1
        rows.append((int(row["seller"]), int(row["buyer"]), int(row["day"]), int(row["amount_fen"]), None, None,
                     int(row["day"]) + 60, None, int(row["planted_id"]), True))  # fmt: skip
        if row["red_day"] >= 0:
            rows.append((int(row["seller"]), int(row["buyer"]), int(row["red_day"]), -int(row["amount_fen"]), None, at,
                         int(row["red_day"]), None, int(row["planted_id"]), True))  # fmt: skip
    number = np.arange(1, len(rows) + 1)
    amount = np.array([r[3] for r in rows])

    def dates(column: int) -> list:
        return [None if r[column] is None else (first + r[column]).item() for r in rows]

    real = [None if r[9] else int(i) for i, r in zip(number, rows, strict=True)]
    data.writer.write(
        "invoice",
        {
            "invoice_id": number,
            "invoice_number": [f"{i * 7919 % 10**8:08d}" for i in number],
            "seller_id": [r[0] for r in rows],
            "buyer_id": [r[1] for r in rows],
            "good": ["part"] * len(rows),
            "issued_on": dates(2),
            "amount_fen": amount,
            "tax_fen": amount * 13 // 100,
            "total_fen": amount + amount * 13 // 100,
            "red_of_id": [r[5] for r in rows],
            "delivery_id": real,
            "due_on": dates(6),
            "settled_on": dates(7),
            "planted_id": [r[8] for r in rows],
        },
    )
    units = [max(1, int(abs(r[3]) / people.price[r[0]])) if r[0] < OUTSIDE else 1 for r in rows]
    held = [i for i, r in enumerate(rows) if not r[9]]
    data.writer.write(
        "delivery",
        {
            "delivery_id": [int(number[i]) for i in held],
            "seller_id": [rows[i][0] for i in held],
            "buyer_id": [rows[i][1] for i in held],
            "quantity_units": [units[i] for i in held],
            "shipped_on": [dates_of for i in held for dates_of in [(first + rows[i][2]).item()]],
        },
    )


def _money(data: WorldData, plan: Plan, rng: np.random.Generator) -> None:
    """Retail receipts of shops by day, and planted transfers as planned."""
    people, rows = data.population, []
    for firm in np.flatnonzero(people.tier == 7):
        for day in np.flatnonzero(data.daily["sales_fen"][:, firm] > 0):
            rows.append((HOUSEHOLDS, firm, day, data.daily["sales_fen"][day, firm] * 113 // 100, "pos", "retail", None))
    for row in plan.transfers:
        rows.append((int(row["payer"]), int(row["payee"]), int(row["day"]), int(row["amount_fen"]),
                     CHANNELS[row["channel"]], PURPOSES[row["purpose"]], int(row["planted_id"])))  # fmt: skip
    rows += _settlements(data, rng)
    at = [(data.first_day + r[2]).astype("datetime64[s]").item() for r in rows]
    data.writer.write(
        "payment",
        {
            "payment_id": np.arange(1, len(rows) + 1),
            "payer_id": [int(r[0]) for r in rows],
            "payee_id": [int(r[1]) for r in rows],
            "paid_at": at,
            "amount_fen": [int(r[3]) for r in rows],
            "channel": [r[4] for r in rows],
            "purpose": [r[5] for r in rows],
            "planted_id": [r[6] for r in rows],
        },
    )


def _settlements(data: WorldData, rng: np.random.Generator) -> list[tuple]:
    """Goods paid, owners' drawings and capital, a second wage run: what honest firms do as well."""
    bills = data.writer.read("invoice", ["buyer_id", "seller_id", "settled_on", "total_fen"]).to_pandas()
    bills = bills[bills["settled_on"].notna() & (bills["buyer_id"] < OUTSIDE)]
    day = (bills["settled_on"].to_numpy("datetime64[D]") - data.first_day).astype(int)
    rows = [
        (int(buyer), int(seller), int(d), int(total), "transfer", "goods", None)
        for buyer, seller, d, total in zip(bills["buyer_id"], bills["seller_id"], day, bills["total_fen"], strict=True)
    ]
    for firm in range(data.population.n):
        for day in range(40, data.days, 90):
            rows.append((firm, HOUSEHOLDS, day, 1_000_000, "transfer", "dividend", None))
            rows.append((firm, HOUSEHOLDS, day, 5_000_000, "payroll", "wage", None))
        rows.append((HOUSEHOLDS, firm, 33, 1_000_000, "transfer", "capital", None))
    return rows


def _loans(data: WorldData, rng: np.random.Generator) -> None:
    """Two overlapping loans at two banks for most firms, secured in turn; guarantees inside circles."""
    people, first, rows, guarantees = data.population, data.first_day, [], []
    kinds = ("credit", "guarantee", "mortgage", "receivable", "stock")
    for firm in range(people.n):
        if people.founded[firm] > 60 or rng.random() < 0.2:
            continue
        for turn, bank in enumerate((-100, -101)):
            start = 70 + 60 * turn + int(rng.integers(0, 30))
            mark = data.plan.diverted.get(firm, (0.0, None))
            rows.append((firm, bank, start, kinds[(firm + turn) % 5], int(people.staff[firm]) * 2_000_000, *mark))
            circle = people.circle[firm]
            others = np.flatnonzero((people.circle == circle) & (np.arange(people.n) != firm)) if circle >= 0 else []
            if len(others):
                guarantees.append((int(rng.choice(others)), firm, len(rows), start))
    date = lambda d: (first + int(d)).item()  # noqa: E731
    data.writer.write(
        "loan",
        {
            "loan_id": np.arange(1, len(rows) + 1),
            "firm_id": [r[0] for r in rows],
            "bank_id": [r[1] for r in rows],
            "product": ["working_capital"] * len(rows),
            "principal_fen": [r[4] for r in rows],
            "started_on": [date(r[2]) for r in rows],
            "matures_on": [date(r[2] + 365) for r in rows],
            "security": [r[3] for r in rows],
            "status": ["running"] * len(rows),
            "diverted_ratio": [float(r[5]) for r in rows],
            "planted_id": [r[6] for r in rows],
        },
    )
    data.writer.write(
        "guarantee",
        {
            "guarantee_id": np.arange(1, len(guarantees) + 1),
            "guarantor_id": [g[0] for g in guarantees],
            "firm_id": [g[1] for g in guarantees],
            "loan_id": [g[2] for g in guarantees],
            "from_on": [date(g[3]) for g in guarantees],
        },
    )
    data.writer.write(
        "loan_application",
        {
            "application_id": np.arange(1, len(rows) + 1),
            "firm_id": [r[0] for r in rows],
            "bank_id": [r[1] for r in rows],
            "product": ["working_capital"] * len(rows),
            "applied_on": [date(r[2] - 10) for r in rows],
            "amount_fen": [r[4] for r in rows],
            "decision": ["approved"] * len(rows),
            "purpose": ["stock"] * len(rows),
        },
    )
