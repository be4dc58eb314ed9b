"""The faults of real files, planted and counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.invoice_generator.economy import TRAPS

VALID, VOID = "有效发票", "作废发票"


@dataclass(frozen=True)
class Planted:
    """Rows of one file as they will be written, and how many faults are among them."""

    rows: pd.DataFrame
    counts: dict[str, int | list[str]]


def plant(rng: np.random.Generator, invoices: pd.DataFrame, doubled: list[int]) -> Planted:
    """Text columns date and status added to invoices of one file, faults planted on separate rows.

    invoices: as `invoices.draw_invoices`; doubled: firms whose rows are all listed twice.
    """
    rows = invoices.reset_index(drop=True).copy()
    rows["date"] = date_text(rows["day"])
    rows["status"] = np.where(rows["void"], VOID, VALID)
    ordinary = np.flatnonzero((~rows["void"] & ~rows["red"] & ~rows["firm"].isin(doubled)).to_numpy())
    wanted = TRAPS.zero_amounts, TRAPS.wrong_totals, len(TRAPS.absurd_dates), TRAPS.valid_and_void
    # A small file gets fewer faults, never more than a tenth of its ordinary rows.
    sizes = [min(n, len(ordinary) // 40) for n in wanted]
    places = np.split(rng.permutation(ordinary)[: sum(sizes)], np.cumsum(sizes)[:-1])
    zero, wrong, absurd, both = places
    rows.loc[zero, ["amount_fen", "tax_fen", "total_fen"]] = 0
    rows.loc[wrong, "total_fen"] += rng.integers(100, 90_000, len(wrong))
    rows.loc[absurd, "date"] = list(TRAPS.absurd_dates[: len(absurd)])
    voided = rows.loc[both].assign(void=True, status=VOID)
    twice = rows[rows["firm"].isin(doubled)]
    rows = pd.concat([rows, voided, twice], ignore_index=True)
    rows = rows.sort_values(["firm", "day", "number"], kind="stable", ignore_index=True)
    spaced = _lead_with_space(rng, rows, doubled)
    counts = {
        "rows": len(rows),
        "firms": int(rows["firm"].nunique()),
        "exact_duplicates": len(twice),
        "void": int(rows["void"].sum()),
        "negative": int((rows["amount_fen"] < 0).sum()),
        "zero": int((rows["amount_fen"] == 0).sum()),
        "negative_and_void": int((rows["void"] & (rows["amount_fen"] < 0)).sum()),
        "total_mismatch": len(wrong),
        "absurd_dates": len(absurd),
        "valid_and_void": len(both),
        "leading_space": spaced,
        "red_unmatched": int(rows["red_unmatched"].sum()),
    }
    return Planted(rows, counts)


def date_text(days: pd.Series) -> pd.Series:
    """Dates as the tax system exports them: `2021/7/8`, without leading zeros; one string per day."""
    codes, unique = pd.factorize(days)
    text = np.array([f"{d.year}/{d.month}/{d.day}" for d in pd.DatetimeIndex(unique)], dtype=object)
    return pd.Series(text[codes], index=days.index)


def _lead_with_space(rng: np.random.Generator, rows: pd.DataFrame, doubled: list[int]) -> int:
    """Put a space before the status of some void rows, in place; returns how many.

    As in the real files only void rows have it. Rows of a double load keep the same text twice.
    """
    eligible = (rows["void"] & ~rows["firm"].isin(doubled)).to_numpy()
    spaced = eligible & (rng.random(len(rows)) < TRAPS.leading_space_share)
    rows.loc[spaced, "status"] = " " + VOID
    return int(spaced.sum())
