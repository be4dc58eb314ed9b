"""Futures of a world: the state at a date is reached again from the seed, then run on with new noise.

The share of a firm's futures in which it defaults within a year is its true probability of default.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sources.economy import kernel, world
from sources.economy.interface import stream
from sources.economy.kernel import Run
from sources.economy.records import FAR
from sources.economy.state import Knobs, fork

HORIZON = 365


def reach(folder: Path, at: date) -> tuple[Run, int]:
    """The run of a written world on the morning of a date, and the date's day number."""
    facts = json.loads((Path(folder) / "world.json").read_text())
    day = (at - date.fromisoformat(facts["first_day"])).days
    last = (date.fromisoformat(facts["last_day"]) - date.fromisoformat(facts["first_day"])).days
    if not 0 < day <= last - HORIZON + 1:
        raise ValueError(
            f"{at} leaves less than {HORIZON} days of the world's calendar, which ends {facts['last_day']}."
        )
    run = world.prepare(
        facts["firms"], facts["years"], facts["seed"], facts["first_day"], facts["plant"], Knobs(**facts["parameters"])
    )
    while run.day < day:
        kernel.step(run)
    return run, day


def twin(run: Run, number: int) -> Run:
    """A copy of a run with the random stream of one of its futures; the run itself stays as it is."""
    return Run(
        run.population,
        run.calendar,
        run.plan,
        fork(run.state, stream(run.seed, "future", run.day, number)),
        run.day,
        run.seed,
        by_day=run.by_day,
        seen_loans=run.seen_loans,
        spread=run.spread,
        eff=run.eff,
        cum=run.cum,
    )


def future(run: Run, number: int, days: int = HORIZON) -> np.ndarray:
    """Day on which each firm defaults for the first time in one future (FAR: not at all)."""
    own = twin(run, number)
    for _ in range(days):
        kernel.step(own)
    return own.state.firm["default_day"].copy()


def at_risk(run: Run) -> np.ndarray:
    """Open firms with a bank loan, never in default and at most 30 days past due (later ones are indeterminate)."""
    f = run.state.firm
    return (f["active"] == 1) & (f["bank"] > 0) & (f["defaulted"] == 0) & (f["dpd"] <= 30)


def hidden_state(run: Run) -> dict[str, np.ndarray]:
    """What only the world knows of each firm on the day."""
    s, f = run.state, run.state.firm
    n = run.population.n
    daily = f["slow"] + 1.0
    live = s.link[: s.seq[kernel.LINKS]]
    live = live[(live["to_day"] > run.day) & (live["seller"] < n) & (live["buyer"] < n)]
    late = np.zeros(n)
    weight = np.zeros(n)
    stretch = f["overdue"] / (f["ap"] + 1.0)
    np.add.at(late, live["seller"], live["share"] * f["fc"][live["buyer"]] * stretch[live["buyer"]])
    np.add.at(weight, live["seller"], live["share"] * f["fc"][live["buyer"]])
    next_end = np.full(n, 999.0)
    loans = s.loan[: s.seq[kernel.LOANS]]
    running = loans[(loans["status"] == 0) & (loans["product"] == 0)]
    end = running["start"] + running["months"] * 365 // 12 - run.day
    np.minimum.at(next_end, running["firm"], np.maximum(end, 0))
    return {
        "cash_days": s.cash[:n] / daily,
        "debt_to_sales": f["bank"] / (daily * 365),
        "private_to_sales": f["private"] / (daily * 365),
        "receivable_days": f["ar"] / daily,
        "payable_days": f["ap"] / daily,
        "overdue_to_payable": stretch,
        "arrears_days": s.owed.sum(0) / daily,
        "sales_trend": np.log((f["fast"] + 1.0) / daily),
        "custom": f["attract"],
        "overhead": f["overhead"],
        "owner_wealth_days": f["wealth"] / daily,
        "days_past_due": f["dpd"].astype("f8"),
        "days_to_maturity": next_end,
        "customers_overdue": late / np.maximum(weight, 1e-9),
        "loss_on_customers": f["lost"] / (daily * 365),
        "staff": f["staff"].astype("f8"),
        "age_years": (run.day - f["founded"]) / 365.0,
        "skill": f["skill"],
        "honesty": f["honesty"],
        "prudence": f["prudence"],
        "patience": f["patience"],
        "thrift": f["thrift"],
    }


def write(folder: Path, at: date, futures: int, progress: Callable[[int, int], None] | None = None) -> dict[str, float]:
    """Runs the futures and writes `fork-<date>.parquet` and `fork-<date>-state.parquet`; returns what came out."""
    run, day = reach(folder, at)
    firms = np.flatnonzero(run.state.firm["active"] == 1)
    risk = at_risk(run)[firms]
    state = {"firm_id": firms.astype("i4"), "at_risk": risk} | {k: v[firms] for k, v in hidden_state(run).items()}
    pq.write_table(pa.table(state), Path(folder) / f"fork-{at}-state.parquet")
    parts = []
    for number in range(futures):
        when = future(run, number)[firms]
        hit = (when >= day) & (when < FAR) & (run.state.firm["defaulted"][firms] == 0)
        parts.append(
            pa.table(
                {
                    "firm_id": firms.astype("i4"),
                    "future": np.full(len(firms), number, "i4"),
                    "default": hit,
                    "default_day": pa.array(np.where(hit, when - day, 0).astype("i4"), mask=~hit),
                    "at_risk": risk,
                }
            )
        )
        if progress:
            progress(number + 1, futures)
    rows = pa.concat_tables(parts)
    pq.write_table(rows, Path(folder) / f"fork-{at}.parquet", compression="zstd")
    share = rows["default"].to_numpy().reshape(futures, -1)[:, risk].mean(0)
    return {"firms": len(firms), "at_risk": int(risk.sum()), "mean_pd": float(share.mean()) if len(share) else 0.0}
