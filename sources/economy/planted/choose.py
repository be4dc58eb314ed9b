"""Who lies when: dishonest firms first, spread over the years, never two episodes of a kind at once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.planted.catalogue import KNOWING_RATIO, Kind

COLUMNS = ["planted_id", "kind", "look_alike", "firm_ids", "from_on", "to_on", "knows_rule", "victim", "checks"]


def draw_windows(
    kind: Kind,
    count: int,
    able: np.ndarray,
    honesty: np.ndarray,
    alive_from: np.ndarray,
    alive_to: np.ndarray,
    days: int,
    rng: np.random.Generator,
    dishonest: bool = True,
    log_size: np.ndarray | None = None,
) -> list[tuple[np.ndarray, int, int]]:
    """(firms, first day, last day) of up to `count` episodes: each of firms in `able` alive over the whole window.

    Lies fall on firms in proportion to exp(−4 honesty), look-alikes in proportion to exp(2 honesty). With `log_size`
    the members of a group are of about the same size. `alive_to` may be unknown (large) before the run. Two episodes
    of one firm and kind never overlap.
    """
    able = np.asarray(able)
    taken: dict[int, list[tuple[int, int]]] = {}
    windows: list[tuple[np.ndarray, int, int]] = []
    if not len(able):
        return windows
    weight = np.exp((-4.0 if dishonest else 2.0) * honesty[able])
    for _ in range(count * 30):
        if len(windows) >= count:
            break
        size = int(rng.integers(kind.group[0], kind.group[1] + 1))
        length = int(30.4 * rng.integers(kind.months[0], kind.months[1] + 1))
        length = min(length, max(days // 2, 20))
        first = int(rng.integers(0, max(days - length, 1)))
        free = (alive_from[able] <= first) & (alive_to[able] >= first + length)
        free &= [all(b < first or a > first + length for a, b in taken.get(int(f), ())) for f in able]
        if free.sum() < size:
            continue
        chance = weight * free
        if log_size is not None:
            lead = rng.choice(len(able), p=chance / chance.sum())
            chance = chance * np.exp(-3.0 * np.abs(log_size[able] - log_size[able[lead]]))
            chance[lead] = chance.max() * 1e6  # the one it began with stays
        firms = able[rng.choice(len(able), size=size, replace=False, p=chance / chance.sum())]
        windows.append((firms, first, first + length))
        for firm in firms:
            taken.setdefault(int(firm), []).append((first, first + length))
    return windows


def rows(kind: Kind, windows, first_day: np.datetime64, look_alike: bool, rng: np.random.Generator) -> list[dict]:
    """Rows of `planted` without ids; every third liar of a kind knows the rule."""
    knows = rng.permutation(len(windows)) < round(len(windows) * KNOWING_RATIO)
    out = []
    for (firms, first, last), aware in zip(windows, knows, strict=True):
        broken = kind.look_alike_checks if look_alike else kind.checks + (() if aware else kind.naive_checks)
        out.append(
            {
                "kind": kind.name,
                "look_alike": look_alike,
                "firm_ids": [int(f) for f in firms],
                "from_on": first_day + np.timedelta64(int(first), "D"),
                "to_on": first_day + np.timedelta64(int(last), "D"),
                "knows_rule": bool(aware) and not look_alike,
                "victim": kind.victim,
                "checks": ",".join(broken),
            }
        )
    return out


def numbered(episodes: list[dict], first_id: int) -> pd.DataFrame:
    """The rows as a frame, ids counted on from `first_id`."""
    frame = pd.DataFrame(episodes, columns=[c for c in COLUMNS if c != "planted_id"])
    frame.insert(0, "planted_id", np.arange(first_id, first_id + len(frame), dtype=np.int64))
    return frame
