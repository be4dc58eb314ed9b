"""VAT returns from the invoices of the period and from sales without one; small taxpayers file by the quarter.

Honest returns declare what was invoiced plus what was sold to households. Money due and paid is the kernel's record.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Array, Facts

FILED_BY = 15  # day of the next month; a few file late


def returns(facts: Facts, rng: np.random.Generator) -> pd.DataFrame:
    """`tax_return`: a row a taxpayer and month; `period` is the first day of the month or quarter."""
    month = facts.month
    true = month["sales_fen"]
    fake = facts.fake_by_month()
    lying = facts.lies.marks("understated_sales", facts.first_days() + 14, facts.firms)
    share = facts.shaved("vat")
    declared = np.rint(true * share).astype(np.int64) + fake["net_fen"]
    columns = {
        "declared_sales_fen": np.maximum(declared, 0),
        "output_tax_fen": np.maximum((month["output_tax_fen"] * share).astype(np.int64) + fake["output_tax_fen"], 0),
        "input_tax_fen": np.maximum((month["input_tax_fen"] * share).astype(np.int64) + fake["input_tax_fen"], 0),
        "payable_fen": month["vat_due_fen"],
        "paid_fen": month["vat_paid_fen"],
        "true_sales_fen": true,
    }
    small = (facts.firm["taxpayer"] == "small").to_numpy()
    files = (facts.firm["taxpayer"] != "exempt").to_numpy()
    alive = facts.monthly(facts.day["active"]) > 0
    monthly = _rows(facts, columns, lying, alive & files & ~small, facts.first_days(), 1, month["vat_paid_day"], rng)
    quarter, starts = _quarters(facts)
    summed = {name: np.add.reduceat(table, quarter, axis=0) for name, table in columns.items()}
    last = np.maximum.reduceat(month["vat_paid_day"], quarter, axis=0)
    by_quarter = _rows(
        facts,
        summed,
        np.maximum.reduceat(lying, quarter, axis=0),
        (np.add.reduceat(alive.astype(int), quarter, axis=0) > 0) & files & small,
        starts,
        3,
        last,
        rng,
    )
    return pd.concat([monthly, by_quarter], ignore_index=True)


def _quarters(facts: Facts) -> tuple[Array, Array]:
    """Index of the first month of each quarter, and the quarters' first days."""
    number = facts.months.astype(int) // 3
    first = np.flatnonzero(np.r_[True, number[1:] != number[:-1]])
    return first, (number[first] * 3).astype("datetime64[M]").astype("datetime64[D]")


def _rows(facts, columns, lying, keep, periods, months, paid_day, rng) -> pd.DataFrame:
    row, column = np.nonzero(keep)
    after = (periods[row].astype("datetime64[M]") + months).astype("datetime64[D]")
    # Most file in the last days before the date; the impatient and the short of cash file late.
    late = rng.random(len(row)) < 0.02
    filed = after + np.where(late, rng.integers(FILED_BY, 45, len(row)), rng.integers(4, FILED_BY, len(row)))
    paid = columns["paid_fen"][row, column] > 0
    when = paid_day[row, column]
    due = np.where(paid & (when >= 0), facts.days[0] + np.maximum(when, 0), np.datetime64("NaT"))
    frame = {name: table[row, column] for name, table in columns.items()}
    return pd.DataFrame(
        {
            "firm_id": column.astype(np.int32),
            "period": periods[row],
            **frame,
            "filed_on": filed,
            "paid_on": due,
            "planted_id": lying[row, column],
        }
    )
