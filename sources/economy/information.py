"""The bound of a forked world beside what the reference learners reach on what its sources reveal."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from sources.economy import bound, learner, reference


def read_fork(world: Path, at: date) -> tuple[np.ndarray, np.ndarray]:
    """Firms at risk at the fork [firms] and whether each defaults in each future [firms, futures]."""
    file = world / f"fork-{at:%Y-%m-%d}.parquet"
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing: run `vinelake economy fork --world {world} --at {at}` first")
    rows = duckdb.execute(
        'select firm_id, future, "default" from read_parquet(?) where at_risk order by firm_id, future', [str(file)]
    ).fetchnumpy()
    firms, futures = np.unique(rows["firm_id"]), np.unique(rows["future"])
    if len(rows["firm_id"]) != len(firms) * len(futures):
        raise ValueError(
            f"{file} has {len(rows['firm_id'])} rows at risk, not {len(firms)} firms × {len(futures)} futures"
        )
    return firms, np.asarray(rows["default"], bool).reshape(len(firms), len(futures))


def realised(world: Path, at: date, firms: np.ndarray) -> np.ndarray:
    """Whether each firm was 90 days past due within twelve months of the date, in the world as it went on."""
    files = [str(file) for file in reference.table_files(world, "default_event")]
    rows = duckdb.execute(
        "select firm_id from read_parquet(?) where past_due_90_on >= ? and past_due_90_on < ? + interval 12 month",
        [files, at, at],
    ).fetchnumpy()
    return np.isin(firms, rows["firm_id"])


def hidden_state(world: Path, at: date, firms: np.ndarray) -> pd.DataFrame | None:
    """What only the world knows of each firm at the fork, in the order of `firms`; None when it was not written."""
    file = world / f"fork-{at:%Y-%m-%d}-state.parquet"
    if not file.exists():
        return None
    frame = pd.read_parquet(file).set_index("firm_id").reindex(firms)
    return frame.drop(columns="at_risk", errors="ignore").astype(float)


def study(world: Path, at: date, train: str = "futures", repeats: int = 200) -> dict:
    """The bound and the learners of a forked world, ready for `bound-<date>.json`; train: futures or realised."""
    firms, default = read_fork(world, at)
    happened = realised(world, at, firms)
    with threadpool_limits(1):
        best = bound.bound(default, repeats)
    blocks = reference.features(world, at, firms)
    hidden = hidden_state(world, at, firms)
    if hidden is not None:
        blocks["hidden"] = hidden
    learned = learner.compare(blocks, default, happened if train == "realised" else None, repeats)
    return {
        "at": f"{at:%Y-%m-%d}",
        "trained_on": train,
        "bound": best.as_dict(),
        "realised": {
            "defaults": int(happened.sum()),
            "auc_of_futures": bound.realised_auc(default, happened),
        },
        "learners": [item.as_dict() for item in learned],
    }


def write(world: Path, found: dict) -> Path:
    """Leaves the study beside the world's tables, where the grader looks for it."""
    file = world / f"bound-{found['at']}.json"
    file.write_text(json.dumps(found, indent=1) + "\n")
    return file


def as_text(found: dict) -> str:
    """A table that people can read."""
    best = found["bound"]
    lines = [
        f"bound at {found['at']}: {best['auc']:.3f} ± {best['error_firms']:.3f} (firms) ± {best['error_futures']:.3f} "
        f"(futures); {best['firms']} firms, {best['futures']} futures, mean PD {best['mean_pd']:.2%}",
        f"split halves {best['split_halves']:.3f}, plug-in {best['plug_in']:.3f}, mixture {best['mixture']:.3f}, "
        f"spread of logit PD {best['logit_spread']:.2f}",
        f"trained on {found['trained_on']}",
        f"{'block':<12} {'learner':<10} {'features':>8} {'AUC':>7} {'±':>6} {'gap':>7} {'±':>6}",
    ]
    lines += [
        f"{item['block']:<12} {item['learner']:<10} {item['features']:>8} {item['auc']:>7.3f} {item['error']:>6.3f} "
        f"{item['gap']:>7.3f} {item['gap_error']:>6.3f}"
        for item in found["learners"]
    ]
    return "\n".join(lines)
