"""Applications that came to nothing before a decision: many firms withdraw one; rings send theirs within days.

The kernel knows only applications that a bank decided. Those of rings are refused at the counter for papers that do
not fit; so are some honest ones.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content import gather
from sources.economy.content.facts import Facts
from sources.economy.interface import WorldData
from sources.economy.planted.catalogue import AT_FIRST_BANK
from sources.economy.schema import FIRST_BANK
from sources.economy.world import applicants

WITHDRAWN_A_YEAR = 0.12
RING_DAYS = 6


def withdrawn(world: WorldData, facts: Facts, rng: np.random.Generator) -> pd.DataFrame:
    """Rows to add to `loan_application`, honest and of rings, under ids of one shuffled run."""
    decided = gather.read(world, "loan_application")
    if decided.empty:
        return pd.DataFrame()
    first, last = facts.alive()
    years = np.maximum(last - first, 0) / 365.25
    firm = np.repeat(np.arange(facts.firms), rng.poisson(WITHDRAWN_A_YEAR * years))
    day = first[firm] + (rng.random(len(firm)) * (last[firm] - first[firm] + 1)).astype(int)
    banks = np.unique(decided["bank_id"].to_numpy(np.int64))
    bank = rng.choice(decided["bank_id"].to_numpy(np.int64), len(firm))
    for row in facts.lies.of("application_ring").itertuples():
        start = int(facts.index(row.from_on))
        lender = FIRST_BANK if rng.random() < AT_FIRST_BANK else int(rng.choice(banks))  # a ring tries one bank
        for member in row.firm_ids:
            when = min(start + int(rng.integers(0, RING_DAYS)), len(facts.days) - 1)
            if facts.day["active"][when, member]:
                firm, day, bank = np.r_[firm, member], np.r_[day, when], np.r_[bank, lender]
    usual = decided["amount_fen"].median()
    scale = np.sqrt((facts.day["staff"][day, firm] + 1) / 10.0)
    amount = usual * scale * rng.lognormal(0, 0.4, len(firm))
    at = rng.integers(0, len(decided), len(firm))  # products and purposes as others ask for them
    top = int(decided["application_id"].max()) + 1
    return pd.DataFrame(
        {
            "application_id": top + rng.permutation(len(firm)),
            "firm_id": firm.astype(np.int32),
            "bank_id": bank,
            "product": decided["product"].to_numpy()[at],
            "applied_on": facts.days[day],
            "amount_fen": (np.rint(amount / 1e6) * 1e6).clip(1e6).astype(np.int64),
            "decided_on": facts.within(facts.days[day] + rng.integers(1, 15, len(firm))),
            "decision": "declined",
            "reason": rng.choice(["papers", "withdrawn"], len(firm)),
            "purpose": decided["purpose"].to_numpy()[at],
            **applicants(world.population, firm),
        }
    )
