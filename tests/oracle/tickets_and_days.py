"""Features on single invoices (ticket, timing, related trade, late red letters) and on days."""

from __future__ import annotations

import math
from datetime import date
from itertools import pairwise

import duckdb
import numpy as np

from tests.oracle.arithmetic import NULL, quantile, whole
from tests.oracle.known_invoices import PURCHASE, SALE, month_start

WORDS = {SALE: "sales", PURCHASE: "purchase"}


def _per_firm(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list) -> dict[str, dict]:
    """Rows of a query with a column `firm`, by firm, values as Python objects."""
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in cursor.fetchall()}


def _divide(numerator: int | None, denominator: int | None) -> float:
    return (numerator or 0) / denominator if denominator else NULL


def ticket_features(connection: duckdb.DuckDBPyConnection, firms: list[str]) -> dict[str, np.ndarray]:
    """Groups ticket, timing and related, months 1..12."""
    sides = {side: _ticket_sums(connection, side) for side in (SALE, PURCHASE)}
    related = _related(connection)
    rows = []
    for firm in firms:
        sale, purchase = sides[SALE].get(firm, {}), sides[PURCHASE].get(firm, {})
        row = _both_sides("sales", sale) | _both_sides("purchase", purchase) | _sale_side(sale)
        row["related_trade_12m_ratio"] = _divide(related.get(firm, {}).get("related"), sale.get("absolute"))
        rows.append(row)
    return {name: whole(row[name] for row in rows) for name in rows[0]}


def _ticket_sums(connection: duckdb.DuckDBPyConnection, side: str) -> dict[str, dict]:
    return _per_firm(
        connection,
        """
        select
            firm,
            count(*) as valid, sum(amount)::hugeint as net, max(amount) as largest,
            sum(abs(amount))::hugeint as absolute, count(*) filter (amount = 0) as zero,
            count(*) filter (amount >= 0) as blue, (sum(amount) filter (amount >= 0))::hugeint as blue_amount,
            sum(amount::hugeint * amount) filter (amount >= 0) as blue_square,
            list(amount) filter (amount >= 0) as tickets,
            count(*) filter (amount >= 0 and total > 0 and total % 100000 = 0) as round,
            count(*) filter (day(day) >= 26) as late, sum(abs(amount)) filter (day(day) >= 26) as late_amount,
            count(*) filter (isodow(day) >= 6) as weekend
        from invoice where side = ? and not void and k between 1 and 12 group by firm
        """,
        [side],
    )


def _both_sides(word: str, x: dict) -> dict[str, float]:
    net, tickets = int(x.get("net", 0)), x.get("tickets") or []
    return {
        f"{word}_ticket_max_12m_ratio": x["largest"] / net if net > 0 else NULL,
        f"{word}_ticket_median_12m_cny": quantile(tickets, 0.5) / 100 if tickets else NULL,
        f"{word}_round_count_12m_ratio": _divide(x.get("round"), x.get("blue")),
    }


def _sale_side(x: dict) -> dict[str, float]:
    blue, total, square = x.get("blue", 0), int(x.get("blue_amount") or 0), int(x.get("blue_square") or 0)
    tickets = x.get("tickets") or []
    return {
        "sales_ticket_mean_12m_cny": total / blue / 100 if blue else NULL,
        "sales_ticket_p90_12m_cny": quantile(tickets, 0.9) / 100 if tickets else NULL,
        "sales_ticket_cv_12m_ratio": math.sqrt(blue * square - total * total) / total if total else NULL,
        "sales_zero_amount_count_12m_ratio": _divide(x.get("zero"), x.get("valid")),
        "sales_month_end_count_12m_ratio": _divide(x.get("late"), x.get("valid")),
        "sales_month_end_amount_12m_ratio": _divide(int(x.get("late_amount") or 0), int(x.get("absolute", 0))),
        "sales_weekend_count_12m_ratio": _divide(x.get("weekend"), x.get("valid")),
    }


def _related(connection: duckdb.DuckDBPyConnection) -> dict[str, dict]:
    """Σ |amount| of sales that some purchase mirrors by number, date and amount."""
    return _per_firm(
        connection,
        """
        select firm, sum(abs(amount))::hugeint as related
        from invoice as s
        where side = 'sale' and not void and k between 1 and 12 and (number, day, amount) in (
            select (number, day, amount) from invoice where side = 'purchase' and not void
        )
        group by firm
        """,
        [],
    )


def day_features(connection: duckdb.DuckDBPyConnection, firms: list[str], as_of: date) -> dict[str, np.ndarray]:
    """Groups recency, tenure and the gaps in days."""
    first = _per_firm(connection, "select firm, min(day) as first from invoice group by firm", [])
    sides = {side: _day_sums(connection, side, as_of) for side in (SALE, PURCHASE)}
    rows = []
    for firm in firms:
        first_day = first.get(firm, {}).get("first")
        sale, purchase = sides[SALE].get(firm, {}), sides[PURCHASE].get(firm, {})
        row = {
            "invoice_tenure_days": (as_of - first_day).days if first_day else NULL,
            "sales_tenure_days": (as_of - sale["earliest"]).days if sale else NULL,
            "since_last_sale_days": (as_of - sale["latest"]).days if sale else NULL,
            "since_last_purchase_days": (as_of - purchase["latest"]).days if purchase else NULL,
            "sales_amount_30d_cny": int(sale.get("amount_30", 0)) / 100,
            "sales_invoice_30d_count": sale.get("count_30", 0),
            "sales_90d_to_365d_ratio": (
                int(sale["amount_90"]) / int(sale["amount_365"]) if sale.get("amount_365", 0) > 0 else NULL
            ),
        }
        for word, x in (("sales", sale), ("purchase", purchase)):
            row[f"{word}_amount_90d_cny"] = int(x.get("amount_90", 0)) / 100
            row[f"{word}_invoice_90d_count"] = x.get("count_90", 0)
            row[f"{word}_active_12m_days"] = len(x.get("days") or [])
            row[f"{word}_max_gap_12m_days"] = _longest_gap(x.get("days") or [], first_day, month_start(as_of))
        rows.append(row | _steps(sale.get("days") or []))
    return {name: whole(row[name] for row in rows) for name in rows[0]}


def _day_sums(connection: duckdb.DuckDBPyConnection, side: str, as_of: date) -> dict[str, dict]:
    return _per_firm(
        connection,
        """
        with aged as (select *, date_diff('day', day, ?::date) as age from invoice)
        select
            firm, min(day) as earliest, max(day) as latest,
            coalesce(sum(amount) filter (age <= 30), 0)::hugeint as amount_30, count(*) filter (age <= 30) as count_30,
            coalesce(sum(amount) filter (age <= 90), 0)::hugeint as amount_90, count(*) filter (age <= 90) as count_90,
            coalesce(sum(amount) filter (age <= 365), 0)::hugeint as amount_365,
            list(distinct day order by day) filter (k between 1 and 12) as days
        from aged where side = ? and not void group by firm
        """,
        [as_of, side],
    )


def _longest_gap(days: list[date], first_day: date | None, end: date) -> float:
    """Longest run of days without an invoice in [the later of first_day and a year before `end`, end)."""
    if first_day is None or first_day >= end:
        return NULL
    start = max(first_day, end.replace(year=end.year - 1))
    edges = [start.toordinal() - 1, *(d.toordinal() for d in days), end.toordinal()]
    return max(b - a - 1 for a, b in pairwise(edges))


def _steps(days: list[date]) -> dict[str, float]:
    """Mean and 90 % quantile of the differences between successive sale days."""
    steps = [(b - a).days for a, b in pairwise(days)]
    return {
        "sales_gap_mean_12m_days": sum(steps) / len(steps) if steps else NULL,
        "sales_gap_p90_12m_days": quantile(steps, 0.9) if steps else NULL,
    }
