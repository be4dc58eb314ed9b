"""Annual statements as handed in: the year's truth through the accountant's hands.

Revenue is what was invoiced and sold in the year without tax, cost what was bought and paid for it, stock and debts as
at the year's end. Small firms round and leave out; cooked statements raise revenue and profit and put the difference
where it is least seen: in receivables (naive) or spread over receivables, stock and fixed assets (knowing).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Array, Facts

HAND_IN_DAYS = (95, 150)
COOKED = (0.35, 0.9)  # raise of revenue
CHILLED_PROFIT = 0.4  # share of the raised revenue that appears as profit


def statements(facts: Facts, books: dict[str, Array], rng: np.random.Generator) -> pd.DataFrame:
    """`statement`: a row a firm and full year that it lived through and kept books.

    `books` holds (years × firms) fen: revenue, papers (invoices without goods, net of reversals), cost (goods, wages,
    interest, taxes on the firm), and year-end
    cash, receivable, stock, fixed_assets, payable, bank_debt, other_debt.
    """
    year = facts.days.astype("datetime64[Y]")
    years, first = np.unique(year, return_index=True)
    last = np.r_[first[1:], len(year)] - 1
    full = (last - first) >= 364
    keeps = facts.firm["accounting"].astype(str).ne("none").to_numpy()
    alive = facts.day["active"][last]
    when = years.astype("datetime64[D]") + 200
    cooked = facts.lies.marks("cooked_statement", when, facts.firms)
    knows = facts.lies.knowing(cooked)
    shown_stock = np.zeros(alive.shape, bool)
    for row in facts.lies.of("stock_shown").itertuples():
        at = np.datetime64(row.from_on, "D") + 90
        shown_stock[years == at.astype("datetime64[Y]"), row.firm_ids[0]] = True
    rows = alive & keeps & full[:, None] & (rng.random(alive.shape) < _handed_in(facts, (cooked >= 0) | shown_stock))
    y, f = np.nonzero(rows)
    value = {name: table[y, f].astype(float) for name, table in books.items() if name != "papers"}
    lie = np.where(cooked[y, f] >= 0, rng.uniform(*COOKED, len(y)), 0.0) * np.where(knows[y, f], 0.7, 1.0)
    raised = value["revenue"] * lie
    early = facts.lies.marks("cooked_statement", when, facts.firms, look_alike=True)[y, f] >= 0
    raised += np.where(early, value["revenue"] * rng.uniform(0.1, 0.2, len(y)), 0.0)  # sales of the months beside
    raised += books["papers"][y, f]  # invoices without goods are in the books, at next to no profit
    careless = 1 + 0.02 * rng.standard_normal(len(y)) * (facts.day["staff"][last[y], f] < 50)
    revenue = value["revenue"] * careless + raised
    gain = np.where(cooked[y, f] >= 0, raised * CHILLED_PROFIT, raised * 0.02)
    profit = value["revenue"] - value["cost"] + gain
    spread = np.where(knows[y, f], 0.45, 0.9)
    receivable = value["receivable"] + gain * spread
    stock = value["stock"] * np.where(shown_stock[y, f], 1.8, 1.0) + gain * (0.9 - spread) * 0.6
    fixed = value["fixed_assets"] + gain * (1 - spread) * 0.4
    debts = value["payable"] + value["bank_debt"] + value["other_debt"]
    digits = np.where(facts.day["staff"][last[y], f] < 50, 1_000_000, 100)  # small ones write in ten thousand yuan
    rounded = {
        "revenue_fen": revenue,
        "cost_fen": revenue - profit,
        "profit_fen": profit,
        "cash_fen": value["cash"],
        "receivable_fen": receivable,
        "stock_fen": stock,
        "fixed_assets_fen": fixed,
        "payable_fen": value["payable"],
        "bank_debt_fen": value["bank_debt"],
        "other_debt_fen": value["other_debt"],
        "equity_fen": value["cash"] + receivable + stock + fixed - debts,
    }
    hand_in = (years[y] + 1).astype("datetime64[D]") + rng.integers(*HAND_IN_DAYS, len(y)).astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "firm_id": f.astype(np.int32),
            "year": (years[y].astype(int) + 1970).astype(np.int16),
            "handed_in_on": hand_in,
            **{k: (np.rint(v / digits) * digits).astype(np.int64) for k, v in rounded.items()},
            "audited": (facts.day["staff"][last[y], f] >= 120) & (rng.random(len(y)) < 0.8),
            "true_revenue_fen": value["revenue"].astype(np.int64),
            "true_profit_fen": (value["revenue"] - value["cost"]).astype(np.int64),
            "planted_id": np.where(cooked[y, f] >= 0, cooked[y, f], -1),
        }
    )


def _handed_in(facts: Facts, cooked: Array) -> Array:
    """Chance that a statement is handed in at all: prudent and large firms do, cooks always do."""
    size = np.clip(facts.day["staff"].max(axis=0) / 100, 0, 1)
    chance = 0.75 + 0.2 * size + 0.05 * np.tanh(facts.firm["prudence"].to_numpy(float))
    return np.where(cooked, 1.0, np.broadcast_to(chance.clip(0, 1), cooked.shape))
