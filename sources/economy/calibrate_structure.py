"""Slower facts of a world: what firms owe in all, who outlives whom, who trades in closed circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from sources.economy.interface import stream

if TYPE_CHECKING:
    from sources.economy.calibrate import World

ROUNDS = 30
SMALL_STAFF = 50
# Ten-year survival by registered capital in yuan, from the hazards of each year of age.
CAPITAL = (("below 1 m", 0, 1e6, 0.40), ("1 to 10 m", 1e6, 1e7, 0.65), ("above 10 m", 1e7, 1e15, 0.90))


def payables_to_assets(w: World) -> tuple[float | None, float | None]:
    """Median of payables over all assets in honest statements, and how much higher it is for firms short of cash.

    Short of cash: more than a tenth of the days of the year. None for worlds without statements.
    """
    if "statement" not in w.facts["tables"]:
        return None, None
    rows = w.rows(
        "with a as (select firm_id, year, payable_fen / (cash_fen + receivable_fen + stock_fen + fixed_assets_fen) r "
        "from statement where planted_id is null and cash_fen + receivable_fen + stock_fen + fixed_assets_fen > 0), "
        "c as (select firm_id, year(day) y, avg(cast(constrained as int)) c from firm_day group by all) "
        "select r, c > 0.1 as short from a join c on c.firm_id = a.firm_id and c.y = a.year"
    )
    ratio, short = rows["r"], rows["short"] == 1
    if not short.any() or short.all():
        return float(np.median(ratio)), None
    return float(np.median(ratio)), float(np.median(ratio[short]) - np.median(ratio[~short]))


def survival(w: World) -> dict[str, float]:
    """Chance to reach the tenth year by registered capital: the product of the yearly hazards seen in the world."""
    rows = w.rows(
        "select capital_fen / 100 c, founded_on - date '2000-01-01' f, "
        "coalesce(closed_on, date '2100-01-01') - date '2000-01-01' x from firm"
    )
    first, last = (w.one(f"select date '{d}' - date '2000-01-01'") for d in (w.facts["first_day"], w.last))
    out = {}
    for name, low, high, _ in CAPITAL:
        mine = (rows["c"] >= low) & (rows["c"] < high)
        founded, closed = rows["f"][mine], rows["x"][mine]
        alive = 1.0
        for age in range(10):
            begin, end = founded + age * 365, founded + (age + 1) * 365
            spent = np.maximum(np.minimum(np.minimum(last, closed), end) - np.maximum(first, begin), 0).sum() / 365
            gone = ((closed >= np.maximum(first, begin)) & (closed < end) & (closed <= last)).sum()
            alive *= np.exp(-gone / spent) if spent > 0 else np.nan
        out[name] = float(alive)
    return out


def communities(links: csr_matrix, seed: int) -> np.ndarray:
    """Label of each firm's community in a symmetric weighted graph, by label propagation in random order.

    A firm joins the label with the most trade around it, less what a chance graph of the same sizes would give (the
    penalty of modularity), so that one giant label does not swallow all.
    """
    rng = stream(seed, "communities")
    n = links.shape[0]
    strength = np.asarray(links.sum(1)).ravel()
    whole = strength.sum()
    label, mass = np.arange(n), strength.copy()
    for _ in range(ROUNDS):
        moved = 0
        for i in rng.permutation(n):
            around = slice(links.indptr[i], links.indptr[i + 1])
            if strength[i] == 0:
                continue
            near, place = np.unique(np.append(label[links.indices[around]], label[i]), return_inverse=True)
            pull = np.bincount(place, np.append(links.data[around], 0.0))
            other = mass[near] - np.where(near == label[i], strength[i], 0.0)
            best = near[np.argmax(pull - strength[i] * other / whole)]
            if best != label[i]:
                mass[label[i]] -= strength[i]
                mass[best] += strength[i]
                label[i] = best
                moved += 1
        if moved < n / 200:
            break
    return label


def inside_one_community(w: World) -> float | None:
    """Share of small firms all of whose partners within the economy belong to their own community."""
    pairs = w.rows("select s, b, v from pair where s < 10000000 and b < 10000000 and v > 0")
    s, b = pairs["s"].astype(int), pairs["b"].astype(int)
    if not len(s):
        return None
    n = int(max(s.max(), b.max())) + 1
    half = coo_matrix((np.log1p(pairs["v"] / 1e6), (s, b)), (n, n)).tocsr()
    links = (half + half.T).tocsr()
    label = communities(links, w.facts["seed"])
    staff = np.zeros(n)
    alive = w.rows(f"select firm_id, staff from firm_day where day = date '{w.last}' and firm_id < {n}")
    staff[alive["firm_id"].astype(int)] = alive["staff"]
    row = np.repeat(np.arange(n), np.diff(links.indptr))
    away = np.bincount(row, label[row] != label[links.indices], n)
    small = (staff > 0) & (staff < SMALL_STAFF) & (np.diff(links.indptr) > 0)
    return float(np.mean(away[small] == 0)) if small.any() else None
