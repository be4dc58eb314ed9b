"""How much of a loss of cash a firm passes on to its suppliers: an experiment on twins of a world.

Two futures start from one state with one random stream; in the second, a random half of the firms loses cash on the
first day. What the losers then owe their suppliers more than their twins, over what they lost, was passed on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sources.economy import kernel
from sources.economy.fork import twin
from sources.economy.interface import stream
from sources.economy.kernel import Run
from sources.economy.state import move

LOSS_DAYS = 20.0  # of sales, at most all cash
SHORT_DAYS, LIQUID_DAYS = 10.0, 30.0  # of sales held in cash


@dataclass(frozen=True)
class Passed:
    """Shares passed on by firms short of cash and by liquid ones, each with its standard error over futures."""

    short: float
    short_error: float
    liquid: float
    liquid_error: float
    futures: int


def passed_on(run: Run, futures: int = 8, days: int = 60) -> Passed:
    """The shares after so many days; `run` stands on the morning of the loss and is left as it is."""
    f, n = run.state.firm, run.population.n
    held = run.state.cash[:n] / (f["slow"] + 1.0)
    may = (f["active"] == 1) & (f["closing"] == 0) & (f["slow"] > 0) & (f["core"] == 0)
    groups = may & (held < SHORT_DAYS) & (held > 1), may & (held > LIQUID_DAYS)
    shares = []
    for number in range(futures):
        hit = stream(run.seed, "passing", run.day, number).random(n) < 0.5
        calm, struck = twin(run, number), twin(run, number)
        lost = np.minimum(run.state.cash[:n], LOSS_DAYS * f["slow"]).astype("i8") * (hit & may)
        for firm in np.flatnonzero(lost):
            move(struck.state, run.day, int(firm), -1, int(lost[firm]), 14, 0, -1, -1, -1)
        for _ in range(days):
            kernel.step(calm)
            kernel.step(struck)
        more = struck.state.firm["ap"] - calm.state.firm["ap"]
        shares.append([_share(more, lost, group & hit, group & ~hit) for group in groups])
    mean, error = np.mean(shares, 0), np.std(shares, 0, ddof=1) / np.sqrt(futures)
    return Passed(float(mean[0]), float(error[0]), float(mean[1]), float(error[1]), futures)


def _share(more: np.ndarray, lost: np.ndarray, hit: np.ndarray, spared: np.ndarray) -> float:
    """Payables gained over cash lost by those hit, less the drift of the spared firms of their group."""
    return float((more[hit].sum() - more[spared].mean() * hit.sum()) / lost[hit].sum())
