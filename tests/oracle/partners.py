"""Features on customers and suppliers: number, concentration, churn."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import duckdb
import numpy as np

from tests.oracle.arithmetic import NULL, whole
from tests.oracle.known_invoices import PURCHASE, SALE


@dataclass(frozen=True)
class Link:
    """Valid trade of a firm with one counterparty; amounts in fen, now = months 1..12, before = 13..24."""

    now_amount: int
    now_count: int
    recent_count: int  # months 1..3
    now_months: int
    before_amount: int
    before_count: int


def partner_features(
    connection: duckdb.DuckDBPyConnection, firms: list[str], history: list[int]
) -> dict[str, np.ndarray]:
    """All features of the groups customer, supplier and churn."""
    out: dict[str, np.ndarray] = {}
    for word, side in (("customer", SALE), ("supplier", PURCHASE)):
        links = _links(connection, side)
        rows = [_features_of(links[firm], known >= 24) for firm, known in zip(firms, history, strict=True)]
        for name in rows[0] if rows else ():
            out[name.format(word)] = whole(row[name] for row in rows)
    del out["supplier_3m_to_12m_ratio"]  # defined for customers only
    return out


def _links(connection: duckdb.DuckDBPyConnection, side: str) -> dict[str, list[Link]]:
    rows = connection.execute(
        """
        select
            firm,
            coalesce(sum(amount) filter (k <= 12), 0), count(*) filter (k <= 12), count(*) filter (k <= 3),
            count(distinct k) filter (k <= 12),
            coalesce(sum(amount) filter (k > 12), 0), count(*) filter (k > 12)
        from invoice
        where side = ? and not void and partner is not null and k between 1 and 24
        group by firm, partner
        """,
        [side],
    ).fetchall()
    links: dict[str, list[Link]] = defaultdict(list)
    for firm, *values in rows:
        links[firm].append(Link(*(int(v) for v in values)))
    return links


def _divide(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else NULL


def _features_of(links: list[Link], two_years_known: bool) -> dict[str, float]:
    """Features of one firm, `{}` standing for customer or supplier."""
    now = [link for link in links if link.now_count]
    before = [link for link in links if link.before_count]
    amounts = sorted((max(link.now_amount, 0) for link in now), reverse=True)
    total = sum(amounts)
    recent = sum(link.recent_count > 0 for link in now)
    out = {
        "{}_12m_count": len(now),
        "{}_3m_count": recent,
        "{}_12m_log": math.log1p(len(now)),
        "{}_top1_12m_ratio": _divide(sum(amounts[:1]), total),
        "{}_top5_12m_ratio": _divide(sum(amounts[:5]), total),
        "{}_hhi_12m_ratio": _divide(sum(a * a for a in amounts), total * total),
        "{}_repeat_12m_ratio": _divide(sum(link.now_months >= 2 for link in now), len(now)),
        "{}_3m_to_12m_ratio": _divide(recent, len(now)),
    }
    kept = [link for link in before if link.now_count]
    new = [link for link in now if not link.before_count]
    before_total = sum(max(link.before_amount, 0) for link in before)
    churn = {
        "{}_retention_24m_ratio": _divide(len(kept), len(before)),
        "{}_retention_value_24m_ratio": _divide(sum(max(x.before_amount, 0) for x in kept), before_total),
        "new_{}_share_24m_ratio": _divide(sum(max(link.now_amount, 0) for link in new), total),
        "new_{}_24m_count": len(new),
    }
    return out | {name: value if two_years_known else NULL for name, value in churn.items()}
