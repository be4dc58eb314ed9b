"""Bins and weights of evidence: fine pre-bins are counted, `optbinning` joins them.

Counting needs one pass over the data and can be done by any SQL engine (`count_sql`) or in memory
(`count_prebins`); both give the same counts. Solving sees counts alone, so a card fitted on ten million
rows costs the same as one fitted on a hundred.

woe here is ln(share of bads / share of goods): it rises with risk, so a sound coefficient is positive.
(`optbinning` itself states the inverse sign.)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from lakehouse.errors import ModelError
from ml.configuration import Binning

MISSING = -1
_CODE_STEP = 1000


class _SolverNoise(logging.Filter):
    """CVXPY reports optional solvers it could not import; none of them is used here."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "importing solver" not in record.getMessage()


def optimal_binning_class() -> type:
    """`optbinning.OptimalBinning`, imported late (seconds) and without CVXPY's notes on other solvers."""
    logging.getLogger("__cvxpy__").addFilter(_SolverNoise())
    from optbinning import OptimalBinning

    return OptimalBinning


@dataclass(frozen=True)
class BinCounts:
    """Goods and bads per fine bin of one feature.

    `edges` ascend; bin i holds edges[i-1] <= value < edges[i], so there are len(edges) + 1 bins.
    """

    edges: np.ndarray
    goods: np.ndarray
    bads: np.ndarray
    missing_goods: int
    missing_bads: int


@dataclass(frozen=True)
class FeatureBins:
    """Final bins of one feature: `splits` ascend, `woe[i]` belongs to splits[i-1] <= value < splits[i]."""

    feature: str
    splits: tuple[float, ...]
    woe: tuple[float, ...]
    missing_woe: float
    goods: tuple[int, ...]
    bads: tuple[int, ...]
    missing_goods: int
    missing_bads: int
    iv: float
    trend: str

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping) -> FeatureBins:
        tuples = {"splits", "woe", "goods", "bads"}
        return cls(**{key: tuple(value) if key in tuples else value for key, value in content.items()})


def prebin_edges(values: np.ndarray, prebins: int) -> np.ndarray:
    """Distinct quantile edges of the values present (NaN left out), at most `prebins` - 1 of them.

    Quantiles interpolate linearly, as Spark's `percentile` does. An edge at the minimum is left out, since
    nothing lies below it.
    """
    present = values[~np.isnan(values)]
    if present.size == 0:
        return np.array([])
    edges = np.unique(np.quantile(present, np.arange(1, prebins) / prebins))
    return edges[edges > present.min()]


def count_prebins(frame: pd.DataFrame, is_bad: np.ndarray, edges: Mapping[str, np.ndarray]) -> dict[str, BinCounts]:
    """Goods and bads per feature and fine bin, in memory; the twin of `count_sql`."""
    bad = np.asarray(is_bad, dtype=bool)
    counts = {}
    for feature, cuts in edges.items():
        values = frame[feature].to_numpy(dtype=float, na_value=np.nan)
        missing = np.isnan(values)
        index = np.digitize(values, cuts)
        size = len(cuts) + 1
        counts[feature] = BinCounts(
            cuts,
            np.bincount(index[~missing & ~bad], minlength=size),
            np.bincount(index[~missing & bad], minlength=size),
            int((missing & ~bad).sum()),
            int((missing & bad).sum()),
        )
    return counts


def sql_double(value: float) -> str:
    """A double literal with every bit kept, in a form Spark and DuckDB both read."""
    return f"CAST('{float(value)!r}' AS DOUBLE)"


def nested_case(column: str, bounds: list[str], results: list[str]) -> str:
    """results[i] for bounds[i-1] <= column < bounds[i], as nested comparisons (a binary search).

    A plain CASE compares with every bound in turn; measured ten times slower at eight bins.
    """
    if not bounds:
        return results[0]
    middle = len(bounds) // 2
    low = nested_case(column, bounds[:middle], results[: middle + 1])
    high = nested_case(column, bounds[middle + 1 :], results[middle + 1 :])
    return f"CASE WHEN {column} < {bounds[middle]} THEN {low} ELSE {high} END"


def count_sql(source: str, edges: Mapping[str, np.ndarray], bad_column: str = "is_bad", dialect: str = "spark") -> str:
    """One aggregate over `source` that counts all features' fine bins.

    Result: one row per feature and bin: `code` = position of the feature × 1000 + bin + 1 (bin 0 stands
    for missing), `rows`, `bads`. Read it with `counts_from_rows`. Dialects: spark, duckdb.
    """
    codes = []
    for position, (feature, cuts) in enumerate(edges.items()):
        column = f"CAST({quoted(feature, dialect)} AS DOUBLE)"
        base = position * _CODE_STEP
        bins = nested_case(column, [sql_double(cut) for cut in cuts], [str(base + 1 + i) for i in range(len(cuts) + 1)])
        codes.append(f"CASE WHEN {column} IS NULL OR isnan({column}) THEN {base} ELSE {bins} END")
    listed = ",\n    ".join(codes)
    exploded = f"explode(array({listed}))" if dialect == "spark" else f"unnest([{listed}])"
    return (
        "SELECT code, count(*) AS row_count, sum(bad) AS bad_count FROM (\n"
        f"  SELECT CAST({bad_column} AS INT) AS bad, {exploded} AS code FROM {source}\n"
        ") AS coded GROUP BY code"
    )


def quoted(name: str, dialect: str = "spark") -> str:
    return f"`{name}`" if dialect == "spark" else f'"{name}"'


def counts_from_rows(rows: list[tuple[int, int, int]], edges: Mapping[str, np.ndarray]) -> dict[str, BinCounts]:
    """`BinCounts` per feature from the rows (code, row_count, bad_count) of `count_sql`."""
    totals = {int(code): (int(count), int(bads)) for code, count, bads in rows}
    result = {}
    for position, (feature, cuts) in enumerate(edges.items()):
        base = position * _CODE_STEP
        cells = [totals.get(base + i, (0, 0)) for i in range(len(cuts) + 2)]
        goods = np.array([count - bads for count, bads in cells])
        bads = np.array([bads for _, bads in cells])
        result[feature] = BinCounts(np.asarray(cuts), goods[1:], bads[1:], int(goods[0]), int(bads[0]))
    return result


def weight_of_evidence(
    goods: np.ndarray, bads: np.ndarray, total_goods: float, total_bads: float, smoothing: float
) -> np.ndarray:
    """ln(share of bads / share of goods) per bin, shrunk to 0 by `smoothing` pseudo-observations.

    Each bin gets `smoothing` more observations at the sample's own bad rate, so an empty bin is neutral
    and a bin without bads stays finite. Smoothing 0 gives the plain weight of evidence.
    """
    if total_goods <= 0 or total_bads <= 0:
        raise ModelError(
            "weights of evidence need both goods and bads",
            where=f"{total_goods:g} goods, {total_bads:g} bads in one part of the sample",
            remedy="there are too few of one kind to leave any in every fold: take a larger portfolio, or more years",
        )
    rate = total_bads / (total_goods + total_bads)
    bad_share = (np.asarray(bads) + smoothing * rate) / total_bads
    good_share = (np.asarray(goods) + smoothing * (1 - rate)) / total_goods
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(bad_share / good_share)


def information_value(goods: np.ndarray, bads: np.ndarray, smoothing: float = 0.5) -> float:
    """Σ (share of bads − share of goods) · woe over bins (missing included by the caller)."""
    goods, bads = np.asarray(goods, float), np.asarray(bads, float)
    woe = weight_of_evidence(goods, bads, goods.sum(), bads.sum(), smoothing)
    return float(np.sum((bads / bads.sum() - goods / goods.sum()) * woe))


def _optimal_cuts(counts: BinCounts, config: Binning, feature: str) -> list[int]:
    """Positions of the fine edges that `optbinning` keeps, found on bin numbers weighted by counts."""
    bins = len(counts.goods)
    if bins < 2 or counts.bads.sum() == 0 or counts.goods.sum() == 0:
        return []
    numbers = np.tile(np.arange(bins, dtype=float), 2)
    outcome = np.repeat([0, 1], bins)
    weight = np.concatenate([counts.goods, counts.bads])
    seen = weight > 0
    many = counts.bads.sum() >= config.min_bads_for_turn
    solver = optimal_binning_class()(
        name=feature,
        solver="cp",
        user_splits=np.arange(bins - 1) + 0.5,
        monotonic_trend=config.trend_with_turn if many else config.trend,
        min_bin_size=config.min_bin_share,
        max_n_bins=config.max_bins,
        time_limit=10,
    )
    solver.fit(numbers[seen], outcome[seen], sample_weight=weight[seen])
    if solver.status not in ("OPTIMAL", "FEASIBLE"):
        return []
    return [round(split - 0.5) for split in solver.splits]


def observed_trend(rates: np.ndarray) -> str:
    """The shape of the bad rate over the bins as it came out: what a reader checks against sense."""
    steps = np.sign(np.diff(rates))
    steps = steps[steps != 0]
    if len(steps) == 0:
        return "flat"
    turns = int(np.sum(steps[1:] != steps[:-1]))
    if turns == 0:
        return "ascending" if steps[0] > 0 else "descending"
    if turns == 1:
        return "peak" if steps[0] > 0 else "valley"
    return "mixed"


def solve_bins(feature: str, counts: BinCounts, config: Binning) -> FeatureBins:
    """Join fine bins into final ones; missing values are a bin of their own.

    The bad rate follows the data: rising or falling, or with one turn where bads are many; no direction
    is forced. A missing bin below `min_missing` rows is neutral (woe 0).
    """
    keep = _optimal_cuts(counts, config, feature)
    groups = np.split(np.arange(len(counts.goods)), [cut + 1 for cut in keep])
    goods = np.array([counts.goods[group].sum() for group in groups])
    bads = np.array([counts.bads[group].sum() for group in groups])
    missing = counts.missing_goods + counts.missing_bads
    all_goods = np.append(goods, counts.missing_goods)
    all_bads = np.append(bads, counts.missing_bads)
    woe = weight_of_evidence(all_goods, all_bads, all_goods.sum(), all_bads.sum(), config.smoothing)
    iv = information_value(all_goods, all_bads, config.smoothing)
    return FeatureBins(
        feature,
        tuple(float(counts.edges[cut]) for cut in keep),
        tuple(float(value) for value in woe[:-1]),
        float(woe[-1]) if missing >= config.min_missing else 0.0,
        tuple(int(value) for value in goods),
        tuple(int(value) for value in bads),
        int(counts.missing_goods),
        int(counts.missing_bads),
        iv,
        observed_trend(bads / np.maximum(goods + bads, 1)),
    )


def bin_index(bins: FeatureBins, values: np.ndarray) -> np.ndarray:
    """Bin number per value; `MISSING` (-1) where the value is NaN."""
    values = np.asarray(values, dtype=float)
    return np.where(np.isnan(values), MISSING, np.digitize(values, bins.splits))


def woe_values(bins: FeatureBins, values: np.ndarray) -> np.ndarray:
    """Weight of evidence per value."""
    table = np.append(bins.woe, bins.missing_woe)
    return table[bin_index(bins, values)]
