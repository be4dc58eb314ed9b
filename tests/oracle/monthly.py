"""Features that follow from monthly sums and counts."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np

from tests.oracle.arithmetic import correlation, log_yuan, quantile, ratio, slope, sym, variation, whole, yuan
from tests.oracle.known_invoices import PURCHASE, SALE, month_start

MONTHS = 24
MEASURES = {  # per side and month; fen or numbers
    "amount": "sum(amount) filter (not void)",
    "count": "count(*) filter (not void)",
    "tax": "sum(tax) filter (not void)",
    "absolute": "sum(abs(amount)) filter (not void)",
    "void_count": "count(*) filter (void)",
    "void_amount": "sum(abs(amount)) filter (void)",
    "red_count": "count(*) filter (not void and amount < 0)",
    "red_amount": "sum(abs(amount)) filter (not void and amount < 0)",
    "blue_amount": "sum(amount) filter (not void and amount >= 0)",
    "untaxed": "sum(abs(amount)) filter (not void and tax = 0)",
}


class Months:
    """Monthly measures of N firms as exact integers; months count back from 1, the last full month."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, firms: list[str], history: list[int], as_of: date
    ) -> None:
        row_of = {firm: i for i, firm in enumerate(firms)}
        self.firms, self.history = firms, np.array(history)
        start = month_start(as_of)
        self.calendar = [((start.month - 1 - k) % 12) + 1 for k in range(MONTHS + 1)]  # calendar month of k
        self.cells = {
            (side, name): np.zeros((len(firms), MONTHS + 1), dtype=object)
            for side in (SALE, PURCHASE)
            for name in MEASURES
        }
        measures = ", ".join(f"coalesce({sql}, 0) as {name}" for name, sql in MEASURES.items())
        rows = connection.execute(
            f"select firm, side, k, {measures} from invoice where k between 1 and {MONTHS} group by all"
        ).fetchall()
        for firm, side, k, *values in rows:
            for name, value in zip(MEASURES, values, strict=True):
                self.cells[side, name][row_of[firm], k] = int(value)

    def by_month(self, side: str, name: str, first: int, last: int) -> np.ndarray:
        """[N, last − first + 1] values of months first..last."""
        return self.cells[side, name][:, first : last + 1]

    def total(self, side: str, name: str, first: int, last: int) -> np.ndarray:
        """[N] sums over months first..last."""
        return self.by_month(side, name, first, last).sum(axis=1)

    def young(self, months: int) -> np.ndarray:
        """[N] True where the history is shorter than so many months."""
        return self.history < months


def scale(m: Months) -> dict[str, np.ndarray]:
    """Scale: sums, logs, counts, the median month."""
    out = {}
    for word, side in (("sales", SALE), ("purchase", PURCHASE)):
        for w in (3, 6, 12, 24):
            out[f"{word}_amount_{w}m_cny"] = yuan(m.total(side, "amount", 1, w))
        out[f"{word}_amount_12m_log"] = np.array([log_yuan(f) for f in m.total(side, "amount", 1, 12)])
        for w in (3, 12):
            out[f"{word}_invoice_{w}m_count"] = whole(m.total(side, "count", 1, w))
    medians = [quantile(list(row), 0.5) for row in m.by_month(SALE, "amount", 1, 12)]
    return out | {"sales_month_median_12m_cny": yuan(medians)}


def growth(m: Months) -> dict[str, np.ndarray]:
    """Growth against the same months a year ago, and shares of the recent months."""
    out = {}
    for name, side, measure, w in (
        ("sales_growth_12m_ratio", SALE, "amount", 12),
        ("sales_growth_6m_ratio", SALE, "amount", 6),
        ("sales_growth_3m_ratio", SALE, "amount", 3),
        ("sales_count_growth_12m_ratio", SALE, "count", 12),
        ("purchase_growth_12m_ratio", PURCHASE, "amount", 12),
        ("purchase_growth_6m_ratio", PURCHASE, "amount", 6),
    ):
        now, before = m.total(side, measure, 1, w), m.total(side, measure, 13, 12 + w)
        out[name] = sym(now, before, m.young(12 + w))
    for name, side, w in (
        ("sales_recent_3m_to_12m_ratio", SALE, 3),
        ("sales_recent_6m_to_12m_ratio", SALE, 6),
        ("purchase_recent_3m_to_12m_ratio", PURCHASE, 3),
    ):
        year = m.total(side, "amount", 1, 12)
        out[name] = ratio(m.total(side, "amount", 1, w), year, year <= 0)
    return out


def trend(m: Months) -> dict[str, np.ndarray]:
    """Slopes of monthly sums, of their logs and relative to their mean."""
    out = {}
    for word, side, n in (("sales", SALE, 12), ("sales", SALE, 24), ("purchase", PURCHASE, 12)):
        oldest_first = m.by_month(side, "amount", 1, n)[:, ::-1]
        logs = [slope([log_yuan(f) for f in row]) for row in oldest_first]
        out[f"{word}_log_trend_{n}m_ratio"] = np.where(m.young(n), np.nan, logs)
        tilt = [sum((2 * j - n - 1) * v for j, v in enumerate(row, start=1)) for row in oldest_first]
        total = m.total(side, "amount", 1, n)
        out[f"{word}_linear_trend_{n}m_ratio"] = ratio(
            [12 * t for t in tilt], [2 * (n * n - 1) * s for s in total], m.young(n) | (total <= 0)
        )
    return out


def seasonality(m: Months) -> dict[str, np.ndarray]:
    """Shares of calendar months, concentration on months, likeness of two years."""
    positive = np.maximum(m.by_month(SALE, "amount", 1, 12), 0)
    total = positive.sum(axis=1)
    months = np.array(m.calendar[1:13])
    out = {}
    for name, chosen in (("new_year", (1, 2)), ("q4", (10, 11, 12)), ("quarter_end", (3, 6, 9, 12))):
        part = positive[:, np.isin(months, chosen)].sum(axis=1)
        out[f"sales_{name}_share_12m_ratio"] = ratio(part, total, m.young(12) | (total == 0))
    out["sales_peak_month_12m_ratio"] = ratio(positive.max(axis=1), total, total == 0)
    out["sales_month_hhi_12m_ratio"] = ratio((positive * positive).sum(axis=1), total * total, total == 0)
    years = m.by_month(SALE, "amount", 1, 24)
    alike = [correlation(list(row[:12]), list(row[12:])) for row in years]
    out["sales_seasonal_correlation_24m_ratio"] = np.where(m.young(24), np.nan, alike)
    return out


def volatility(m: Months) -> dict[str, np.ndarray]:
    """Coefficients of variation and month-to-month change."""
    out = {}
    for word, side, n in (("sales", SALE, 6), ("sales", SALE, 12), ("sales", SALE, 24), ("purchase", PURCHASE, 12)):
        spread = [np.sqrt(float(variation(list(row)))) for row in m.by_month(side, "amount", 1, n)]
        total = m.total(side, "amount", 1, n)
        out[f"{word}_cv_{n}m_ratio"] = ratio(spread, total, m.young(n) | (total <= 0))
    years = m.by_month(SALE, "amount", 1, 24)
    changes = [np.sqrt(float(variation(list(row[:12] - row[12:])))) for row in years]
    total = years.sum(axis=1)
    out["sales_seasonal_adjusted_cv_24m_ratio"] = ratio([2 * c for c in changes], total, m.young(24) | (total <= 0))
    for word, side in (("sales", SALE), ("purchase", PURCHASE)):
        months = m.by_month(side, "amount", 1, 12)
        steps = np.abs(months[:, :-1] - months[:, 1:]).sum(axis=1)
        total = months.sum(axis=1)
        out[f"{word}_month_change_12m_ratio"] = ratio(steps, total, m.young(12) | (total <= 0))
    return out


def month_gaps(m: Months) -> dict[str, np.ndarray]:
    """Months with and without trade."""
    out = {}
    for word, side in (("sales", SALE), ("purchase", PURCHASE)):
        for n in (12, 24):
            out[f"{word}_active_{n}m_months"] = whole((m.by_month(side, "count", 1, n) > 0).sum(axis=1))
        out[f"{word}_zero_12m_months"] = whole(
            sum(row[k] == 0 and m.calendar[k] != 2 for k in range(1, min(12, known) + 1))
            for row, known in zip(m.cells[side, "count"], m.history, strict=True)
        )
    longest = []
    for row, known in zip(m.cells[SALE, "count"], m.history, strict=True):
        run = best = 0
        for k in range(1, min(12, known) + 1):
            run = run + 1 if row[k] == 0 else 0
            best = max(best, run)
        longest.append(best)
    return out | {"sales_longest_zero_run_12m_months": whole(longest)}


def voids_and_reds(m: Months) -> dict[str, np.ndarray]:
    """Void and red-letter behaviour (without the late red letters, which need links)."""
    out = {}
    for word, side, unit, n in (
        ("sales", SALE, "amount", 12), ("sales", SALE, "amount", 24), ("sales", SALE, "count", 3),
        ("sales", SALE, "count", 12), ("sales", SALE, "count", 24), ("purchase", PURCHASE, "amount", 12),
        ("purchase", PURCHASE, "count", 12), ("purchase", PURCHASE, "count", 24),
    ):  # fmt: skip
        void = m.total(side, f"void_{unit}", 1, n)
        both = void + m.total(side, "absolute" if unit == "amount" else "count", 1, n)
        out[f"{word}_void_{unit}_{n}m_ratio"] = ratio(void, both, both == 0)
    for name in ("void", "red"):
        out[f"sales_{name}_12m_months"] = whole((m.by_month(SALE, f"{name}_count", 1, 12) > 0).sum(axis=1))
    void, red = m.total(SALE, "void_count", 1, 12), m.total(SALE, "red_count", 1, 12)
    both = void + m.total(SALE, "count", 1, 12)
    out["sales_void_or_red_count_12m_ratio"] = ratio(void + red, both, both == 0)
    for word, side, n in (("sales", SALE, 12), ("sales", SALE, 24), ("purchase", PURCHASE, 12)):
        blue, valid = m.total(side, "blue_amount", 1, n), m.total(side, "count", 1, n)
        out[f"{word}_red_amount_{n}m_ratio"] = ratio(m.total(side, "red_amount", 1, n), blue, blue == 0)
        out[f"{word}_red_count_{n}m_ratio"] = ratio(m.total(side, "red_count", 1, n), valid, valid == 0)
    return out


def balance(m: Months) -> dict[str, np.ndarray]:
    """Purchases against sales."""
    out = {}
    for n in (3, 12, 24):
        sales = m.total(SALE, "amount", 1, n)
        out[f"purchase_to_sales_{n}m_ratio"] = ratio(m.total(PURCHASE, "amount", 1, n), sales, sales <= 0)
    sales, purchases = m.total(SALE, "amount", 1, 12), m.total(PURCHASE, "amount", 1, 12)
    sales_before, purchases_before = m.total(SALE, "amount", 13, 24), m.total(PURCHASE, "amount", 13, 24)
    undefined = m.young(24) | (sales <= 0) | (sales_before <= 0)
    out["purchase_to_sales_change_24m_ratio"] = ratio(purchases, sales, undefined) - ratio(
        purchases_before, sales_before, undefined
    )
    out["sales_minus_purchase_12m_cny"] = yuan(sales - purchases)
    out["sales_purchase_balance_12m_ratio"] = sym(sales, purchases, np.zeros(len(sales), bool))
    s, p = m.by_month(SALE, "amount", 1, 12), m.by_month(PURCHASE, "amount", 1, 12)
    out["purchase_over_sales_12m_months"] = whole((p > s).sum(axis=1))
    alike = [correlation(list(a), list(b)) for a, b in zip(s, p, strict=True)]
    out["sales_purchase_correlation_12m_ratio"] = np.where(m.young(12), np.nan, alike)
    return out


def tax(m: Months) -> dict[str, np.ndarray]:
    """Output and input tax."""
    out = {}
    for word, side in (("sales", SALE), ("purchase", PURCHASE)):
        paid, base = m.total(side, "tax", 1, 12), m.total(side, "amount", 1, 12)
        out[f"{word}_tax_12m_cny"] = yuan(paid)
        out[f"{word}_tax_rate_12m_ratio"] = ratio(paid, base, base <= 0)
    for n in (12, 24):
        sales = m.total(SALE, "amount", 1, n)
        gap = m.total(SALE, "tax", 1, n) - m.total(PURCHASE, "tax", 1, n)
        out[f"vat_gap_{n}m_ratio"] = ratio(gap, sales, sales <= 0)
    absolute = m.total(SALE, "absolute", 1, 12)
    out["sales_untaxed_amount_12m_ratio"] = ratio(m.total(SALE, "untaxed", 1, 12), absolute, absolute == 0)
    above = m.by_month(SALE, "tax", 1, 12) > m.by_month(PURCHASE, "tax", 1, 12)
    out["vat_gap_positive_12m_months"] = whole(above.sum(axis=1))
    return out
