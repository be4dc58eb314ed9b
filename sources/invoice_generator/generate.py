"""From a seed to a drop folder and the counts of what was planted in it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from sources.invoice_generator.calendar import Calendar, make_calendar
from sources.invoice_generator.drop_folder import (
    WITH_RECORD,
    WITHOUT_RECORD,
    invoice_file_name,
    write_csv,
    write_invoices,
)
from sources.invoice_generator.economy import ECONOMY, TRAPS
from sources.invoice_generator.fortunes import live
from sources.invoice_generator.invoices import PURCHASE, SALE, draw_invoices
from sources.invoice_generator.loans import COLUMNS as LOAN_COLUMNS
from sources.invoice_generator.loans import draw_loans, outcomes
from sources.invoice_generator.population import draw_firms
from sources.invoice_generator.traps import plant

REGISTRY_COLUMNS = [
    "enterprise_id", "uscc", "name", "registered_on", "industry_code",
    "region", "registered_capital_cny", "staff",
]  # fmt: skip


def generate(out: Path, firms: int, years: int, seed: int, end: date) -> dict:
    """Write a drop folder `out` and, beside it, `<out>.planted.json`; returns what the latter holds.

    firms: number of enterprises (at least 20); the invoices cover the `years` before `end`.
    Raises ValueError for a request that cannot be met, FileExistsError when `out` holds other files.
    """
    if firms < 20:
        raise ValueError(f"{firms} firms are too few to hold loans and defaults: give at least 20")
    calendar = make_calendar(end, years)
    # One independent stream per part, so that a change in one part leaves the others as they are.
    streams = np.random.default_rng(seed).spawn(7)
    population = draw_firms(streams[0], calendar, firms)
    fortunes = live(streams[1], calendar, population)
    loans = draw_loans(streams[2], calendar, population, fortunes)
    invoices = {
        SALE: draw_invoices(streams[3], calendar, population, fortunes, SALE),
        PURCHASE: draw_invoices(streams[4], calendar, population, fortunes, PURCHASE),
    }
    prepare_folder(out)
    write_csv(out / "business_registry.csv", population[REGISTRY_COLUMNS])
    write_csv(out / "loan_ledger.csv", loans[list(LOAN_COLUMNS)])
    bad = outcomes(loans)
    _write_credit_records(streams[5], out, population, bad)
    planted = {
        "firms": firms, "years": years, "seed": seed, "start": str(calendar.start), "end": str(end),
        "loans": _loan_counts(loans, bad, calendar),
        "files": _write_invoice_files(streams[6], out, population, bad, invoices),
    }  # fmt: skip
    beside(out, "planted").write_text(json.dumps(planted, indent=2, ensure_ascii=False) + "\n")
    return planted


def prepare_folder(out: Path) -> None:
    """Make the folder; one that holds anything is left alone (FileExistsError)."""
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty: name another folder, or remove this one first")
    out.mkdir(parents=True, exist_ok=True)


def beside(out: Path, what: str) -> Path:
    """The file next to a drop folder: truth never lies inside the folder that is delivered."""
    return out.parent / f"{out.name}.{what}.json"


def _write_credit_records(rng: np.random.Generator, out: Path, firms: pd.DataFrame, bad: pd.Series) -> None:
    """The two enterprise files: firms whose outcome the lender knows, and the rest."""
    known = firms["enterprise_id"].isin(bad.index).to_numpy()
    is_bad = firms["enterprise_id"].map(bad).eq(True).to_numpy()
    seen = firms["quality"] + ECONOMY.bureau_rating_noise * rng.standard_normal(len(firms))
    letter = np.select([seen > 0.8, seen > -0.5], ["A", "B"], "C")
    # As in the real files the letter is given after the fact: D are defaults, nearly all of them.
    letter = np.where(is_bad & (rng.random(len(firms)) < 0.9), "D", np.where(is_bad, "C", letter))
    records = pd.DataFrame(
        {
            "企业代号": firms["enterprise_id"],
            "企业名称": firms["name"],
            "信誉评级": letter,
            "是否违约": np.where(is_bad, "是", "否"),
        }
    )
    write_csv(out / f"enterprises_{WITH_RECORD}.csv", records[known])
    write_csv(out / f"enterprises_{WITHOUT_RECORD}.csv", records.loc[~known, ["企业代号", "企业名称"]])


def _write_invoice_files(
    rng: np.random.Generator, out: Path, firms: pd.DataFrame, bad: pd.Series, invoices: dict
) -> dict:
    """The four invoice files; returns the planted counts by file name."""
    known = firms["enterprise_id"].isin(bad.index).to_numpy()
    counts = {}
    for direction, rows in invoices.items():
        for group, members in ((WITH_RECORD, known), (WITHOUT_RECORD, ~known)):
            chosen = rows[members[rows["firm"]]]
            doubled: list[int] = []
            if direction == SALE and group == WITH_RECORD:
                busy = chosen["firm"].value_counts().sort_index()
                doubled = sorted(rng.choice(busy[busy >= 30].index, TRAPS.doubled_firms, replace=False).tolist())
            planted = plant(rng, chosen, doubled)
            name = invoice_file_name(direction, group)
            write_invoices(out / name, planted.rows, firms["enterprise_id"], direction)
            doubled_ids = firms["enterprise_id"].iloc[doubled].tolist()
            counts[name] = planted.counts | {"doubled_enterprises": doubled_ids}
    return counts


def _loan_counts(loans: pd.DataFrame, bad: pd.Series, calendar: Calendar) -> dict:
    """Loans, borrowers, and firms that first went bad in each year of the files."""
    first_bad = loans[["dpd90_on", "guarantor_paid_on", "written_off_on"]].min(axis=1)
    years = first_bad.groupby(loans["enterprise_id"]).min().dropna().dt.year.value_counts().sort_index()
    return {
        "loans": len(loans),
        "borrowers": int(loans["enterprise_id"].nunique()),
        "outcome_known": len(bad),
        "bad_enterprises": int(bad.sum()),
        "bad_by_year": {str(year): int(n) for year, n in years.items() if year >= calendar.start.year},
    }
