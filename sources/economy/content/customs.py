"""Customs declarations of firms that trade abroad through some of their outside partners.

An exporter declares what it shipped and invoiced to those partners; who inflates declares more than it was ever paid.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts
from sources.economy.schema import OUTSIDE

TRADES_ABROAD = 0.22  # of firms with outside partners in these chains
HS = {"automobile": "870899", "steel": "721049", "construction": "730890", "textiles": "610910", "food": "200899",
      "farming": "070320", "platform": "940360", "services": "392690"}  # fmt: skip
COUNTRIES = ("US", "DE", "JP", "KR", "VN", "TH", "NL", "MX", "AE", "RU", "BR", "GB")
INFLATED = (1.4, 2.1)
DEARER = 1.55  # a better grade, honestly


def traders(facts: Facts, invoices: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Invoices with partners abroad by direction: `export` (firm sells) and `import` (firm buys); column `firm_id`."""
    open_to = rng.random(facts.firms) < TRADES_ABROAD
    foreign_hash = rng.integers(0, 2**31)
    out = {}
    for direction, own, other in (("export", "seller_id", "buyer_id"), ("import", "buyer_id", "seller_id")):
        firm, partner = invoices[own].to_numpy(), invoices[other].to_numpy()
        mine = (firm >= 0) & (firm < facts.firms) & (partner >= OUTSIDE)
        mine &= invoices["voided_on"].isna().to_numpy() & invoices["red_of_id"].isna().to_numpy()
        mine &= (invoices["amount_fen"].to_numpy() > 0) & (invoices["planted_id"].fillna(-1).to_numpy() < 0)
        mine &= ~invoices["taken_back"].to_numpy(bool)
        mine[mine] &= open_to[firm[mine]]
        mine[mine] &= (partner[mine] * 2_654_435_761 + foreign_hash) % 5 < 3
        rows = invoices[mine]
        out[direction] = rows.assign(firm_id=rows[own].to_numpy(), partner_id=rows[other].to_numpy())
    return out


def declarations(
    facts: Facts, trade: dict[str, pd.DataFrame], units: pd.Series, rng: np.random.Generator
) -> pd.DataFrame:
    """`customs_declaration`: a row an invoice abroad; `units` are the delivered units by invoice_id."""
    frames = []
    for direction, rows in trade.items():
        if rows.empty:
            continue
        firm = rows["firm_id"].to_numpy(int)
        shipped = rows["issued_on"].to_numpy("datetime64[D]")
        at = facts.index(shipped)
        lying = facts.lies.marks("inflated_customs", facts.days, facts.firms)[at, firm]
        alike = facts.lies.marks("inflated_customs", facts.days, facts.firms, look_alike=True)[at, firm] >= 0
        if direction == "import":
            lying, alike = np.full(len(rows), -1), np.zeros(len(rows), bool)
        factor = np.where(lying >= 0, rng.uniform(*INFLATED, len(rows)), 1.0)
        count = units.reindex(rows["invoice_id"]).fillna(0).to_numpy(float)
        fallback = rows["amount_fen"].to_numpy() / np.maximum(facts.firm["price_fen"].to_numpy(float)[firm], 1)
        count = np.where(count > 0, count, fallback)
        more = np.where(facts.lies.knowing(lying), factor, 1.0) / np.where(alike, DEARER, 1.0)
        chain = facts.firm["chain"].to_numpy()[firm]
        frames.append(
            pd.DataFrame(
                {
                    "firm_id": firm.astype(np.int32),
                    "declared_on": shipped + rng.integers(1, 9, len(rows)),
                    "direction": direction,
                    "hs_code": [HS[c] for c in chain],
                    "good": rows["good"].to_numpy(),
                    "quantity_units": np.maximum(np.rint(count * more), 1).astype(np.int64),
                    "amount_fen": np.rint(rows["amount_fen"].to_numpy() * factor).astype(np.int64),
                    "country": np.asarray(COUNTRIES)[(rows["partner_id"].to_numpy() % len(COUNTRIES)).astype(int)],
                    "planted_id": lying,
                }
            )
        )
    if not frames:
        return pd.DataFrame()
    both = pd.concat(frames, ignore_index=True).sort_values(["declared_on", "firm_id", "amount_fen"], ignore_index=True)
    declared = both["declared_on"].to_numpy("datetime64[D]")
    both = both[(declared >= facts.days[0]) & (declared <= facts.days[-1])].reset_index(drop=True)
    both.insert(0, "declaration_id", rng.permutation(len(both)) + 1)
    letters = np.array(list("ABCDEFGHKLMNPRSTUVW"))
    prefix = letters[rng.integers(0, len(letters), (len(both), 4))]
    number = rng.integers(10**8, 10**9, len(both))
    both["bill_of_lading"] = ["".join(p) + str(n) for p, n in zip(prefix, number, strict=True)]
    return both
