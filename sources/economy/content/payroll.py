"""Payroll runs, social insurance and housing fund: heads and money by month, from the wages the kernel paid.

Due and paid social insurance are the kernel's; here come heads and bases. A liar insures fewer heads than it pays
wages to; one that knows the rule pays those people around the payroll too, and only visits and output tell.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Array, Facts

SOCIAL_RATE = 0.24
FUND_RATE = 0.10
FUND_LEAST_STAFF = 8  # below, most firms pay no housing fund
INSURED_LEAST = 0.9  # honest firms insure this share of heads at least; probation and retired staff are the rest


def heads(facts: Facts, rng: np.random.Generator) -> dict[str, Array]:
    """(months × firms) int: `own` (on the firm's contract), `paid` (in its payroll), `insured`."""
    staff = np.where(facts.day["active"][facts.month_end], facts.day["staff"][facts.month_end], 0).astype(np.int64)
    when = facts.first_days() + 14
    sent = facts.lies.marks("understated_heads", when, facts.firms, look_alike=True) >= 0
    hiding = facts.lies.marks("understated_heads", when, facts.firms)
    knows = facts.lies.knowing(hiding)
    share = facts.shaved("social")
    left = np.maximum(np.rint(staff * share), 1).astype(np.int64) * (staff > 0)
    own = np.where(sent, left, staff)
    paid = np.where(knows, left, own)
    sure = np.minimum(1.0, INSURED_LEAST + 0.12 * rng.random(facts.firms))
    insured = np.ceil(np.where(sent, left, staff * share) * sure).astype(np.int64)
    ghosts = facts.lies.marks("padded_payroll", when, facts.firms)
    insured = np.where(facts.lies.knowing(ghosts), np.rint(insured * 1.5).astype(np.int64), insured)
    # A new head is insured from its second month on.
    before = np.vstack([insured[:1], insured[:-1]])
    starting = (before == 0) & (insured > 0)
    insured = np.where(
        starting, insured, np.minimum(insured, np.maximum(before, np.rint(insured * 0.97).astype(np.int64)))
    )
    insured = np.where(hiding >= 0, np.minimum(insured, paid), insured)
    return {"own": own, "paid": paid, "insured": insured, "hiding": hiding}


def payroll_runs(facts: Facts, heads: dict[str, Array], rng: np.random.Generator) -> pd.DataFrame:
    """`payroll_run`: the month's wages as the bank paid them out, and planted second runs."""
    wage = facts.month["wage_paid_fen"]
    day = facts.month["wage_paid_day"]
    row, column = np.nonzero((wage > 0) & (day >= 0) & (heads["paid"] > 0))
    share = heads["paid"][row, column] / np.maximum(facts.day["staff"][facts.month_end][row, column], 1)
    runs = pd.DataFrame(
        {
            "firm_id": column.astype(np.int32),
            "period": facts.first_days()[row],
            "paid_on": facts.days[np.minimum(day[row, column], len(facts.days) - 1)],
            "headcount": heads["paid"][row, column],
            "amount_fen": np.rint(wage[row, column] * np.minimum(share, 1.0)).astype(np.int64),
            "planted_id": np.int64(-1),
        }
    )
    whole = np.minimum(share, 1.0) == 1.0
    runs.loc[whole, "amount_fen"] = wage[row, column][whole]
    extra = _second_runs(facts, heads)
    both = pd.concat([runs, extra], ignore_index=True).sort_values(
        ["paid_on", "firm_id", "amount_fen"], ignore_index=True
    )
    both.insert(0, "run_id", rng.permutation(len(both)) + 1)
    return both


def _second_runs(facts: Facts, heads: dict[str, Array]) -> pd.DataFrame:
    """Runs beside the ordinary one, from planted wage transfers that the kernel carried out."""
    pay = facts.tables["planted_payment"]
    pay = pay[(pay["purpose"] == "wage") & (pay["planted_id"] >= 0)]
    if pay.empty:
        return pd.DataFrame()
    wage = facts.firm["wage_fen"].to_numpy()[pay["payer_id"].to_numpy(int)]
    paid_on = pay["paid_at"].to_numpy("datetime64[D]")
    return pd.DataFrame(
        {
            "firm_id": pay["payer_id"].to_numpy(np.int32),
            "period": (paid_on.astype("datetime64[M]") - 1).astype("datetime64[D]"),
            "paid_on": paid_on,
            "headcount": np.maximum(np.rint(pay["amount_fen"].to_numpy() / wage), 1).astype(np.int64),
            "amount_fen": pay["amount_fen"].to_numpy(np.int64),
            "planted_id": pay["planted_id"].to_numpy(np.int64),
        }
    )


def social_insurance(facts: Facts, heads: dict[str, Array]) -> pd.DataFrame:
    """`social_insurance`: due and paid as the kernel has them; it already leaves out what hidden heads would owe."""
    due, paid = facts.month["social_due_fen"], facts.month["social_paid_fen"]
    day = facts.month["social_paid_day"]
    row, column = np.nonzero((heads["insured"] > 0) & ((due > 0) | facts.day["active"][facts.month_end]))
    insured = heads["insured"][row, column]
    owed, settled = due[row, column], paid[row, column]
    when = day[row, column]
    return pd.DataFrame(
        {
            "firm_id": column.astype(np.int32),
            "period": facts.first_days()[row],
            "insured": insured,
            "base_fen": np.rint(owed / SOCIAL_RATE).astype(np.int64),
            "due_fen": owed,
            "paid_fen": settled,
            "paid_on": facts.dates(when, (when >= 0) & (settled > 0)),
            "planted_id": heads["hiding"][row, column],
        }
    )


def housing_fund(facts: Facts, heads: dict[str, Array], rng: np.random.Generator) -> pd.DataFrame:
    """`housing_fund`: firms of some size; it stops with the social insurance, a month earlier when cash is short."""
    joins = (facts.day["staff"].max(axis=0) >= FUND_LEAST_STAFF) & (rng.random(facts.firms) < 0.85)
    row, column = np.nonzero((heads["insured"] > 0) & joins)
    members = np.maximum(np.rint(heads["insured"][row, column] * 0.93), 1).astype(np.int64)
    due = np.rint(members * facts.firm["wage_fen"].to_numpy()[column] * FUND_RATE).astype(np.int64)
    day = facts.month["social_paid_day"]
    ahead = np.vstack([day[1:], day[-1:]])
    stopped = (facts.month["social_due_fen"] > 0) & (day < 0)
    short = stopped | np.vstack([stopped[1:], stopped[-1:]]) & (ahead < 0)
    ran = (facts.month_end[row] + rng.integers(5, 25, len(row))).clip(0)
    paid = ~short[row, column] & (ran < len(facts.days))
    return pd.DataFrame(
        {
            "firm_id": column.astype(np.int32),
            "period": facts.first_days()[row],
            "members": members,
            "due_fen": due,
            "paid_fen": np.where(paid, due, 0),
            "paid_on": facts.dates(ran, paid),
        }
    )
