"""Machines, their hourly telemetry, and the production that a connected firm reports.

A firm's day output is spread over the hours of its shifts and over its machines by their rating; energy follows from
the load, heat from energy, vibration from wear, alarms from vibration. Where somebody spoofs, the output of the feed is
made up and the energy is not, or (who knows the rule) both are made up and the meter of the grid tells.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sources.economy.content.facts import Array, Facts, noise

CONNECTED_RATIO = 0.133  # machines per firm of the economy: about 400 at 3,000 firms
KINDS = ("cnc_lathe", "stamping_press", "injection_moulder", "loom", "furnace", "mixer", "filling_line", "crusher")
MAKERS = ("东锐重工", "华辰机床", "科恒装备", "立信精机", "北源机械", "Hartmann", "Takeda")
METERED_SHARE = 0.65  # of a firm's process energy that runs through connected machines
STANDBY = 0.08  # of rated power, while switched on and idle
SERVICE_DAYS = 90
REPORTED = 2.4  # stock reported over stock held by those who show stock that is not theirs


def equipment(facts: Facts, unit_kwh: Array, rng: np.random.Generator) -> pd.DataFrame:
    """Machines of equipped firms: more for larger ones; ratings add up to a quarter above the best day.

    `unit_kwh` is each firm's process energy per unit of output, kWh.
    """
    firm = facts.firm
    equipped = np.flatnonzero(firm["has_equipment"].to_numpy(bool) & (facts.day["output_units"].max(axis=0) > 0))
    if not len(equipped):
        return pd.DataFrame()
    best = np.percentile(facts.day["output_units"][:, equipped], 99, axis=0).clip(1)
    total = max(len(equipped), round(CONNECTED_RATIO * facts.day["active"][0].sum()))
    weight = np.sqrt(facts.day["staff"][:, equipped].max(axis=0) + 1.0)
    count = np.maximum(1, np.floor(total * weight / weight.sum() + rng.random(len(equipped)))).astype(int)
    owner = np.repeat(equipped, count)
    share = rng.gamma(4.0, 1.0, len(owner))
    start = np.r_[0, np.cumsum(count)[:-1]]
    share /= np.repeat(np.add.reduceat(share, start), count)
    rated_units_hour = 1.25 * np.repeat(best, count) * share / 20.0  # twenty productive hours a day at most
    rated_kw = rated_units_hour * unit_kwh[owner] * METERED_SHARE
    founded = firm["founded_on"].to_numpy("datetime64[D]")[owner]
    age = rng.integers(0, 2_000, len(owner)).astype("timedelta64[D]")
    kind = np.asarray(KINDS)[np.repeat(rng.integers(0, len(KINDS), len(equipped)), count)]
    frame = pd.DataFrame(
        {
            "equipment_id": np.empty(len(owner), int),
            "firm_id": owner,
            "kind": kind,
            "maker": rng.choice(MAKERS, len(owner)),
            "installed_on": np.maximum(founded, facts.days[0] - age),
            "rated_kw": np.round(rated_kw, 2).astype(np.float32).clip(0.01),
            "rated_units_hour": np.round(rated_units_hour, 3).astype(np.float32).clip(0.001),
            "leased": rng.random(len(owner)) < 0.25,
            "planted_id": -1,
        }
    )
    frame["equipment_id"] = rng.permutation(len(frame)) + 1
    return frame.sort_values("equipment_id", ignore_index=True)


def shifts(utilisation: Array) -> Array:
    """(…, 24) share of a day's output by hour: one shift below 0.45 utilisation, two below 0.8, else three."""
    hour = np.arange(24)
    one = ((hour >= 8) & (hour < 18) & (hour != 12)).astype(np.float32)
    two = ((hour >= 7) & (hour < 23) & (hour != 12)).astype(np.float32)
    three = np.where((hour == 7) | (hour == 15) | (hour == 23), 0.7, 1.0).astype(np.float32)
    choice = np.digitize(utilisation, [0.45, 0.8])
    return np.stack([one / one.sum(), two / two.sum(), three / three.sum()])[choice]


def hours(facts: Facts, machines: pd.DataFrame, rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    """`equipment_hour` month by month; a firm's machines and day add up to its true output (unless spoofed)."""
    if machines.empty:
        return
    owner = machines["firm_id"].to_numpy(int)
    rate, power = machines["rated_units_hour"].to_numpy(np.float32), machines["rated_kw"].to_numpy(np.float32)
    total = np.zeros(facts.firms)
    np.add.at(total, owner, rate)
    share = rate / total[owner]
    wear = rng.integers(0, SERVICE_DAYS, len(owner))
    rough = rng.gamma(6.0, 0.3, len(owner)).astype(np.float32)
    spoofed = facts.lies.marks("spoofed_telemetry", facts.days, facts.firms)
    pattern = rng.random((24, len(owner)), dtype=np.float32)
    for month in range(len(facts.months)):
        span = slice(facts.month_start[month], facts.month_end[month] + 1)
        frame = _month(facts, span, machines, owner, rate, power, share, wear, rough, spoofed, pattern, rng)
        if len(frame):
            yield frame


def _month(facts, span, machines, owner, rate, power, share, wear, rough, spoofed, pattern, rng) -> pd.DataFrame:
    days = np.arange(span.start, span.stop)
    active = facts.day["active"][span][:, owner]
    true = (facts.day["output_units"][span][:, owner] * share).astype(np.float32)  # (days, machines)
    by_hour = shifts(facts.day["utilisation_ratio"][span][:, owner])  # (days, machines, 24)
    steady = facts.lies.marks("spoofed_telemetry", facts.days[days], facts.firms, look_alike=True)[:, owner] >= 0
    by_hour = np.where(steady[:, :, None], np.float32(1 / 24), by_hour)  # a furnace knows no shifts
    planned = true[:, :, None] * by_hour * np.where(steady[:, :, None], np.float32(1), noise(rng, by_hour.shape, 0.12))
    whole = planned.sum(2)
    planned *= np.where(whole > 0, true / whole.clip(1e-9), 0)[:, :, None]
    # Whole units hour by hour that add up to the day's: differences of the rounded running sum.
    effort = np.ascontiguousarray(planned.transpose(0, 2, 1)).reshape(len(days) * 24, -1)
    flat = np.rint(np.cumsum(effort, axis=0, dtype=np.float64))
    output = np.diff(flat, axis=0, prepend=0.0).astype(np.int32)
    load = np.minimum(effort / rate, 1.3)
    minutes = np.where(load > 0, np.clip(60 * np.minimum(load * 1.1, 1) * noise(rng, load.shape, 0.03), 1, 60), 0)
    energy = power * (load + STANDBY * (minutes > 0)) * noise(rng, load.shape, 0.04)
    mark = np.repeat(spoofed[span][:, owner], 24, axis=0)
    if (mark >= 0).any():
        output, minutes, energy = _spoof(facts, mark, output, minutes, energy, rate, power, pattern, rng)
    age = np.repeat((days[:, None] + wear[None, :]) % SERVICE_DAYS, 24, axis=0)
    warm = (18 + 10 * np.sin((np.repeat(days, 24) % 365 - 110) / 365 * 2 * np.pi)).astype(np.float32)[:, None]
    heat = warm + 42 * np.minimum(energy / power, 1.2) + rng.standard_normal(load.shape, dtype=np.float32)
    shake = rough * (0.6 + 0.5 * age / SERVICE_DAYS) * (0.15 + (minutes > 0)) * noise(rng, load.shape, 0.08)
    luck = rng.random(load.shape, dtype=np.float32)
    alarm = np.where((shake > 3.4) & (minutes > 0) & (luck < 0.05), np.int8(3), np.int8(0))
    alarm = np.where((heat > 75) & (luck > 0.9), np.int8(7), alarm)
    keep = np.repeat(active, 24, axis=0) & (
        np.repeat(facts.days[days], 24)[:, None] >= machines["installed_on"].to_numpy("datetime64[D]")
    )
    at = (facts.days[days].astype("datetime64[s]")[:, None] + np.arange(24).astype("timedelta64[h]")).reshape(-1)
    number = np.broadcast_to(machines["equipment_id"].to_numpy(np.int32), keep.shape)
    return pd.DataFrame(
        {
            "equipment_id": number[keep],
            "hour_at": np.broadcast_to(at[:, None], keep.shape)[keep],
            "running_minutes": np.rint(minutes[keep]).astype(np.int8),
            "output_units": output[keep],
            "energy_kwh": np.round(energy[keep], 2),
            "temperature_c": np.round(heat[keep], 1),
            "vibration_mm_s": np.round(shake[keep], 2),
            "alarm_code": alarm[keep],
            "planted_id": mark[keep],
        }
    )


def _spoof(facts, mark, output, minutes, energy, rate, power, pattern, rng):
    """A made-up feed: high steady output; the naive one keeps the true energy, the knowing one makes up energy too."""
    made_up = mark >= 0
    knows = facts.lies.knowing(mark)
    hour = np.arange(len(mark)) % 24
    steady = 0.72 + 0.06 * pattern[hour]  # the same day over and over
    by_day = np.repeat(noise(rng, (len(mark) // 24, mark.shape[1]), 0.15), 24, axis=0)
    lively = np.minimum(steady * noise(rng, mark.shape, 0.08) * by_day, 1.0)
    wanted = rate * np.where(knows, lively, steady)
    output = np.where(made_up, np.rint(wanted), output).astype(np.int32)
    minutes = np.where(made_up, np.where(knows, 52 + 6 * pattern[hour], 56), minutes)
    energy = np.where(knows, power * lively * 1.02, energy)
    return output, minutes, energy


def production(facts: Facts, rng: np.random.Generator) -> pd.DataFrame:
    """`production_day` of makers on the platform: what the firm reports; a spoofer reports what its feed says."""
    firm = facts.firm
    reports = firm["on_platform"].to_numpy(bool) & (facts.day["output_units"].max(axis=0) > 0)
    keep = facts.day["active"] & reports
    row, column = np.nonzero(keep)
    output = facts.day["output_units"][row, column].astype(np.int64)
    spoofed = facts.lies.marks("spoofed_telemetry", facts.days, facts.firms)[row, column]
    usual = np.percentile(facts.day["output_units"], 90, axis=0)[column]
    output = np.where(spoofed >= 0, np.rint(usual * (0.93 + 0.02 * rng.random(len(row)))), output).astype(np.int64)
    skill = firm["skill"].to_numpy(float)[column]
    poor = np.clip(0.03 * np.exp(-0.3 * skill), 0.002, 0.15) * rng.gamma(4.0, 0.25, len(row))
    day = {c: facts.day[c][row, column] for c in ("wip_units", "finished_units", "raw_units", "utilisation_ratio")}
    # Who shows stock that is not there and knows that reports are compared with visits reports it as well.
    shown = facts.lies.marks("stock_shown", facts.days, facts.firms)[row, column]
    day["finished_units"] = np.where(
        facts.lies.knowing(shown), np.rint((day["finished_units"] + 5) * REPORTED), day["finished_units"]
    ).astype(np.int64)
    return pd.DataFrame(
        {
            "firm_id": column.astype(np.int32),
            "day": facts.days[row],
            "good": firm["good"].to_numpy()[column],
            "output_units": output,
            "defect_units": rng.binomial(output, poor.clip(0, 1)),
            "wip_units": day["wip_units"],
            "finished_units": day["finished_units"],
            "raw_units": day["raw_units"],
            "line_utilisation_ratio": np.where(spoofed >= 0, 0.9, day["utilisation_ratio"]),
            "planted_id": np.maximum(spoofed, shown),
        }
    )
