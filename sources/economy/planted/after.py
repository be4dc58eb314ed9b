"""Planted behaviour chosen after the run: it needs no money, only firms that were there; and what the plan came to.

The rows planned before the run are kept where the run carried them out. Honest look-alikes are either made (a firm that
has its goods worked elsewhere) or found (the honest firm that comes closest).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts
from sources.economy.planted.catalogue import AT_STANDARD_AFTER, KIND, LOOK_ALIKES_AT_STANDARD, episodes_wanted
from sources.economy.planted.choose import draw_windows, numbered, rows


def choose(facts: Facts, able: dict[str, np.ndarray], planned: pd.DataFrame, rng: np.random.Generator) -> list[dict]:
    """Episodes of every kind in `able` (kind → firms that can do it), lies and look-alikes, on firms then active.

    An honest look-alike lies nowhere else, in the plan neither.
    """
    years = len(facts.days) / 365.25
    firms = int(facts.day["active"][0].sum())
    wanted, alike = (episodes_wanted(firms, years, n) for n in (AT_STANDARD_AFTER, LOOK_ALIKES_AT_STANDARD))
    first, last = facts.alive()
    honesty = facts.firm["honesty"].to_numpy(float)
    out: list[dict] = []
    liars, honest = members(planned, False), members(planned, True)
    for name, pool in able.items():
        kind = KIND[name]
        for look_alike, count in ((False, wanted), (True, alike)):
            free = np.setdiff1d(pool, sorted(liars | honest) if look_alike else sorted(honest)).astype(int)
            windows = draw_windows(
                kind, count, free, honesty, first, last, len(facts.days), rng, dishonest=not look_alike
            )
            windows = _whole_years(facts, windows) if kind.months == (12, 12) else windows
            (honest if look_alike else liars).update(int(f) for w in windows for f in w[0])
            out += rows(kind, windows, facts.days[0], look_alike, rng)
    return out


def members(episodes: pd.DataFrame, look_alike: bool) -> set[int]:
    """Firms in lies or in look-alikes."""
    if not len(episodes):
        return set()
    return {int(f) for ids in episodes.loc[episodes["look_alike"] == look_alike, "firm_ids"] for f in ids}


def _whole_years(facts: Facts, windows):
    """Windows moved to the calendar year (of those in the run) that holds their middle; doubles are dropped."""
    seen, out = set(), []
    year = facts.days.astype("datetime64[Y]")
    for firms, begin, end in windows:
        this = year[min((begin + end) // 2, len(year) - 1)]
        key = (int(firms[0]), int(this.astype(int)))
        if key not in seen:
            seen.add(key)
            at = np.flatnonzero(year == this)
            out.append((firms, int(at[0]), int(at[-1])))
    return out


def double_financed(
    facts: Facts, pairs: dict[int, list[tuple[int, int]]], loans: pd.DataFrame, liars: set[int], honest: set[int], rng
) -> list[dict]:
    """Episodes at firms with two lenders at once: from the second loan on, for the second loan's life.

    `liars` cannot look alike, `honest` (who look alike elsewhere) cannot lie.
    """
    kind = KIND["double_financed_receivable"]
    years, count = len(facts.days) / 365.25, int(facts.day["active"][0].sum())
    wanted, alike = (episodes_wanted(count, years, n) for n in (AT_STANDARD_AFTER, LOOK_ALIKES_AT_STANDARD))
    firms = np.array(sorted(set(pairs) - honest), int)
    if not len(firms):
        return []
    weight = np.exp(-4.0 * facts.firm["honesty"].to_numpy(float)[firms])
    order = rng.choice(firms, min(len(firms), wanted), replace=False, p=weight / weight.sum())
    spare = np.setdiff1d(firms, [*order, *sorted(liars)]).astype(int)
    others = rng.choice(spare, min(len(spare), alike), replace=False) if len(spare) else spare
    out = []
    for look_alike, chosen in ((False, order), (True, others)):
        picked = [pairs[int(f)][int(rng.integers(len(pairs[int(f)])))] for f in chosen]
        windows = []
        for firm, (_, second) in zip(chosen, picked, strict=True):
            start = int(facts.index(loans.at[second, "started_on"]))
            windows.append((np.array([firm]), start, int(facts.index(loans.at[second, "ends_on"]))))
        new = rows(kind, windows, facts.days[0], look_alike, rng)
        out += [row | {"loan_rows": pair} for row, pair in zip(new, picked, strict=True)]
    return out


def found(facts: Facts, name: str, score: np.ndarray, span: np.ndarray, taken: set[int], count: int, rng) -> list[dict]:
    """Honest firms with the highest `score` (NaN: none) as look-alikes of a kind; `span` is (firms, 2) day numbers."""
    order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
    picked = [int(f) for f in order if np.isfinite(score[f]) and score[f] > 0 and int(f) not in taken][:count]
    windows = [(np.array([f]), int(span[f, 0]), int(span[f, 1])) for f in picked]
    return rows(KIND[name], windows, facts.days[0], True, rng)


def joined(planned: pd.DataFrame, later: list[dict]) -> pd.DataFrame:
    """The planned rows that are kept, and the later ones with the next free ids."""
    start = int(planned["planted_id"].max()) + 1 if len(planned) else 0
    more = numbered(later, start)
    more["loan_rows"] = [row.get("loan_rows") for row in later]
    both = pd.concat([planned.assign(loan_rows=None), more], ignore_index=True) if len(planned) else more
    both["from_on"] = pd.to_datetime(both["from_on"]).dt.floor("D")
    both["to_on"] = pd.to_datetime(both["to_on"]).dt.floor("D")
    return both
