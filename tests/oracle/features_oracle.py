"""Every feature recomputed from raw files by the written definitions alone, and the comparison with gold."""

from __future__ import annotations

import csv
import gzip
import math
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from tests.oracle import monthly
from tests.oracle.known_invoices import known_invoices, month_start
from tests.oracle.partners import partner_features
from tests.oracle.red_letters import late_red_features
from tests.oracle.tickets_and_days import day_features, ticket_features

TOLERANCE = 1e-9
Difference = tuple[str, str, object, object]


def features(folder: Path, as_of: date, received: date) -> pd.DataFrame:
    """All features at `as_of`, one row per enterprise_id (index), floats with NaN for NULL.

    folder: a drop folder received on `received`: the first delivery, or a later one that lists everything again
    (then for `as_of` >= `received` only, since what was known before is not in it). Rows: every enterprise known
    at `as_of` and every one with an invoice that exists then. Beside the
    features: history_months and known_at_is_assumed.
    """
    with known_invoices(folder, as_of, received) as connection:
        first = dict(connection.execute("select firm, min(day) from invoice group by firm").fetchall())
        firms = sorted(set(first) | _enterprises(folder, as_of, received))
        history = [_months_between(first.get(firm), month_start(as_of)) for firm in firms]
        columns = {
            "history_months": [float(h) for h in history],
            "known_at_is_assumed": [firm in first for firm in firms],
        }
        columns |= _groups(connection, firms, history, as_of)
    return pd.DataFrame(columns, index=pd.Index(firms, name="enterprise_id"))


def _groups(connection: duckdb.DuckDBPyConnection, firms: list[str], history: list[int], as_of: date) -> dict:
    months = monthly.Months(connection, firms, history, as_of)
    columns: dict = {}
    for group in (
        monthly.scale, monthly.growth, monthly.trend, monthly.seasonality, monthly.volatility,
        monthly.month_gaps, monthly.voids_and_reds, monthly.balance, monthly.tax,
    ):  # fmt: skip
        columns |= group(months)
    columns |= partner_features(connection, firms, history)
    columns |= ticket_features(connection, firms)
    columns |= day_features(connection, firms, as_of)
    columns |= late_red_features(connection, firms)
    return columns


def _enterprises(folder: Path, as_of: date, received: date) -> set[str]:
    """Enterprises known at `as_of`: of the lender's files once received, of the registry the day after entry."""
    known = set()
    if as_of >= received:
        known = {row["企业代号"].strip() for path in folder.glob("enterprises_*.csv*") for row in _rows(path)}
    for path in folder.glob("business_registry*.csv*"):
        known |= {r["enterprise_id"] for r in _rows(path) if date.fromisoformat(r["registered_on"]) < as_of}
    return known


def _rows(path: Path) -> list[dict[str, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def _months_between(first: date | None, end: date) -> int:
    """Calendar months from the month of `first` to the last before `end`, both included."""
    return 0 if first is None else max((end.year - first.year) * 12 + end.month - first.month, 0)


def compare(oracle: pd.DataFrame, gold: pd.DataFrame, tolerance: float = TOLERANCE) -> list[Difference]:
    """Differences as (feature, enterprise, ours, theirs); empty when both agree.

    gold: rows of one as_of with enterprise_id as index or column. Numbers agree within `tolerance`, relative
    to the larger and never finer than `tolerance` itself; NULL agrees with NULL only. A row or
    feature that one side lacks is reported as (feature or "row", enterprise or "every", …) with "missing".
    """
    theirs = gold.set_index("enterprise_id") if "enterprise_id" in gold.columns else gold
    theirs = theirs.drop(columns="as_of", errors="ignore")
    found: list[Difference] = []
    for name in sorted(set(oracle.columns) ^ set(theirs.columns)):
        there = name in oracle.columns
        found.append((name, "every", "there" if there else "missing", "missing" if there else "there"))
    for firm in sorted(set(oracle.index) ^ set(theirs.index)):
        there = firm in oracle.index
        found.append(("row", firm, "there" if there else "missing", "missing" if there else "there"))
    firms = sorted(set(oracle.index) & set(theirs.index))
    for name in (c for c in oracle.columns if c in theirs.columns):
        ours, other = oracle.loc[firms, name].tolist(), theirs.loc[firms, name].tolist()
        found += [
            (name, firm, a, b) for firm, a, b in zip(firms, ours, other, strict=True) if not _agree(a, b, tolerance)
        ]
    return found


def _agree(ours: object, theirs: object, tolerance: float) -> bool:
    ours_null, theirs_null = bool(pd.isna(ours)), bool(pd.isna(theirs))
    if ours_null or theirs_null:
        return ours_null and theirs_null
    return math.isclose(float(ours), float(theirs), rel_tol=tolerance, abs_tol=tolerance)
