"""Exact arithmetic for the oracle: integers of any size in numpy object arrays, division last."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

NULL = math.nan


def ratio(numerator: Sequence, denominator: Sequence, null: Sequence[bool]) -> np.ndarray:
    """[N] float: numerator / denominator, NULL where `null`."""
    return np.array([NULL if u else n / d for n, d, u in zip(numerator, denominator, null, strict=True)], float)


def sym(x: Sequence, y: Sequence, null: Sequence[bool]) -> np.ndarray:
    """[N] float: (x − y) / (|x| + |y|), NULL where `null` or both are 0."""
    undefined = [u or (a == 0 and b == 0) for a, b, u in zip(x, y, null, strict=True)]
    return ratio([a - b for a, b in zip(x, y, strict=True)], [abs(a) + abs(b) for a, b in zip(x, y, strict=True)],
                 undefined)  # fmt: skip


def yuan(fen: Sequence) -> np.ndarray:
    """[N] float: fen as yuan."""
    return np.array([f / 100 for f in fen], float)


def whole(values: Sequence) -> np.ndarray:
    """[N] float holding whole numbers."""
    return np.array([float(v) for v in values], float)


def log_yuan(fen: int) -> float:
    """ln(1 + yuan), negative sums as 0."""
    return math.log1p(max(fen, 0) / 100)


def variation(values: Sequence[int]) -> int:
    """n·Σx² − (Σx)², exact."""
    total = sum(values)
    return len(values) * sum(v * v for v in values) - total * total


def correlation(x: Sequence[int], y: Sequence[int]) -> float:
    """Correlation of two integer series; NULL when one is constant."""
    vx, vy = variation(x), variation(y)
    if vx == 0 or vy == 0:
        return NULL
    covariation = len(x) * sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y)
    return covariation / (math.sqrt(vx) * math.sqrt(vy))


def quantile(values: Sequence[int], q: float) -> float:
    """Exact quantile at position (n − 1)·q of the sorted values, linear between neighbours."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * q
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def slope(y: Sequence[float]) -> float:
    """Least-squares slope of y on 1..n."""
    n = len(y)
    return 12 / (n * (n * n - 1)) * sum((j - (n + 1) / 2) * v for j, v in enumerate(y, start=1))
