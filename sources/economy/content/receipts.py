"""POS and QR terminals by day: what households paid in, how many of them, at what hours.

Amounts are the payments of the day, to the cent. A ring's receipts come from few cards, at night, in round sums; one
that knows the rule spreads them, and only the money's way back and the missing purchases tell.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts

FEE_RATIO = 0.0038
TICKET_FEN = {"pos": 18_000, "qr": 5_500}  # median receipt at a small merchant


def pos_day(facts: Facts, payments: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """`pos_day` from receipts by `payee_id`, `day`, `channel`, `planted_id` (−1: none) and `amount_fen`."""
    if payments.empty:
        return pd.DataFrame()
    keys = ["payee_id", "day", "channel"]
    ring = facts.lies.of("pos_ring")
    of_ring = payments["planted_id"].isin(ring["planted_id"])
    knowing = payments["planted_id"].isin(ring.loc[ring["knows_rule"].astype(bool), "planted_id"])
    own = payments[~of_ring].groupby(keys)["amount_fen"].sum()
    naive = payments[of_ring & ~knowing].groupby(keys)["amount_fen"].sum()
    spread = payments[knowing].groupby(keys)["amount_fen"].sum()
    marks = payments[payments["planted_id"] >= 0].groupby(keys)["planted_id"].max()
    table = pd.DataFrame({"own": own, "naive": naive, "spread": spread, "planted_id": marks})
    table = table.fillna({"own": 0, "naive": 0, "spread": 0, "planted_id": -1}).reset_index()
    table = table[table["own"] + table["naive"] + table["spread"] > 0].reset_index(drop=True)
    firm, day = table["payee_id"].to_numpy(int), facts.index(table["day"].to_numpy("datetime64[D]"))
    return _rows(facts, table, firm, day, rng)


def _rows(facts: Facts, table: pd.DataFrame, firm, day, rng: np.random.Generator) -> pd.DataFrame:
    market = facts.lies.marks("pos_ring", facts.days, facts.firms, look_alike=True)[day, firm] >= 0
    ticket = table["channel"].map(TICKET_FEN).to_numpy(float) * rng.lognormal(0, 0.5, facts.firms)[firm]
    ticket = np.where(market, 3_800, ticket)
    size = facts.day["staff"][day, firm]
    ticket = ticket * np.sqrt(1 + size / 20)
    own, naive, spread = (table[c].to_numpy(float) for c in ("own", "naive", "spread"))
    receipts = np.ceil((own + spread) / ticket * rng.lognormal(0, 0.15, len(firm))).astype(np.int64)
    few = np.where(naive > 0, rng.integers(2, 7, len(firm)), 0)
    payers = np.ceil(receipts * rng.uniform(0.82, 0.97, len(firm))).astype(np.int64)
    total = own + naive + spread
    largest = np.maximum(ticket * rng.lognormal(0.7, 0.4, len(firm)), naive / np.maximum(few, 1) * 1.3)
    night = rng.beta(2, 18, facts.firms)[firm] * rng.uniform(0.7, 1.3, len(firm))
    night = np.where(market, rng.uniform(0.55, 0.8, len(firm)), night)
    night = (night * (own + spread) + rng.uniform(0.6, 0.9, len(firm)) * naive) / total
    code = rng.permutation(facts.firms * 2) + 10_000_000  # terminal numbers say nothing of the firm
    place = firm * 2 + (table["channel"] == "qr").to_numpy()
    return pd.DataFrame(
        {
            "firm_id": firm.astype(np.int32),
            "day": facts.days[day],
            "terminal": code[place].astype(str),
            "receipts": receipts + few * 2,
            "payers": np.minimum(payers + few, receipts + few * 2),
            "amount_fen": total.astype(np.int64),
            "top_payer_ratio": np.round(np.minimum(largest / total, 1.0), 4),
            "night_ratio": np.round(night, 4),
            "fee_fen": np.rint(total * FEE_RATIO).astype(np.int64),
            "planted_id": table["planted_id"].to_numpy(np.int64),
        }
    )
