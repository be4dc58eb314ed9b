"""Electricity by day, water and gas by month: base load, process energy per unit of output, climate, tariff.

Energy is spent on the true output and by the true staff, whatever the firm tells anyone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Array, Facts, noise

TARIFF_FEN = 72.0  # mean price of a kWh for trade and industry, fen
PEAK_FACTOR, VALLEY_FACTOR = 1.35, 0.62
WATER_FEN, GAS_FEN = 460.0, 345.0  # a cubic metre

# Share of sales that a division spends on electricity, gas; m³ of water per 10,000 yuan of sales (GB/T 4754 division).
ENERGY_SHARE = {
    "13": 0.012, "14": 0.014, "15": 0.012, "17": 0.040, "18": 0.008, "22": 0.035, "26": 0.045, "29": 0.030,
    "30": 0.055, "31": 0.065, "32": 0.080, "33": 0.028, "34": 0.015, "35": 0.013, "36": 0.016, "38": 0.012,
    "06": 0.040, "08": 0.050, "10": 0.045,
}  # fmt: skip
GAS_SHARE = {"13": 0.006, "14": 0.008, "15": 0.006, "17": 0.006, "30": 0.030, "31": 0.010, "32": 0.020, "33": 0.008,
             "36": 0.003}  # fmt: skip
WATER_M3 = {"01": 0.4, "03": 3.0, "13": 2.2, "14": 2.0, "15": 3.5, "17": 4.0, "26": 3.0, "31": 2.5}
DEFAULT_SHARE, DEFAULT_WATER = 0.010, 0.5
KWH_A_HEAD = {"maker": 2.5, "trader": 12.0}  # light, office, cold counters: a day

# A firm that has its goods worked elsewhere, or worked itself for others, is honest and has little energy on them.
TOLL_FACTOR = 0.12


def unit_energy(facts: Facts, rng: np.random.Generator) -> Array:
    """Process energy of each firm per unit of output, kWh: the division's cost share at the firm's mean price."""
    made = facts.day["output_units"].sum(axis=0, dtype=np.int64)
    price = facts.day["sales_fen"].sum(axis=0, dtype=np.int64) / np.maximum(made, 1)
    share = facts.firm["division"].map(ENERGY_SHARE).fillna(DEFAULT_SHARE).to_numpy(float)
    own = share * price / TARIFF_FEN * noise(rng, facts.firms, 0.22)
    return np.where(made > 0, own, 0.0).astype(np.float32)


def electricity(facts: Facts, unit_kwh: Array, rng: np.random.Generator) -> pd.DataFrame:
    """`electricity`: a row an active firm and day."""
    energy, peak = daily_energy(facts, unit_kwh, rng)
    energy = _premises(facts, energy)
    row, column = np.nonzero(facts.day["active"])
    kwh, ratio = energy[row, column], peak[row, column]
    price = TARIFF_FEN * (PEAK_FACTOR * ratio + VALLEY_FACTOR * (1 - ratio))
    return pd.DataFrame(
        {
            "firm_id": column.astype(np.int32),
            "day": facts.days[row],
            "energy_kwh": np.round(kwh, 1),
            "peak_ratio": np.round(ratio, 3),
            "fee_fen": np.rint(kwh.astype(np.float64) * price).astype(np.int64),
            "planted_id": np.int32(-1),
        }
    )


def daily_energy(facts: Facts, unit_kwh: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """(energy kWh, share at peak hours), both (days × firms) float32."""
    shape = facts.day["active"].shape
    toll = facts.lies.marks("invoice_ring", facts.days, facts.firms, look_alike=True) >= 0
    per_unit = np.where(toll, TOLL_FACTOR * unit_kwh, unit_kwh)
    maker = facts.day["output_units"].max(axis=0) > 0
    head = np.where(maker, KWH_A_HEAD["maker"], KWH_A_HEAD["trader"]).astype(np.float32)
    day = np.arange(shape[0])
    weekday = (facts.days.astype("datetime64[D]").view("int64") + 3) % 7
    yearday = (facts.days - facts.days.astype("datetime64[Y]")).astype(int)
    climate = 1 + 0.35 * np.cos((yearday - 205) / 365 * 4 * np.pi) ** 2 * (np.abs(yearday - 205) < 60)
    rest = np.where(weekday >= 5, 0.75, 1.0) * climate
    base = facts.day["staff"] * head * rest[day][:, None].astype(np.float32)
    energy = (base + per_unit * facts.day["output_units"]) * noise(rng, shape, 0.05)
    night = facts.day["utilisation_ratio"]
    peak = np.clip(0.78 - 0.28 * night + 0.03 * rng.standard_normal(shape, dtype=np.float32), 0.2, 0.95)
    return energy.astype(np.float32) * facts.day["active"], peak.astype(np.float32)


def _premises(facts: Facts, energy: Array) -> Array:
    """A firm that moves has some weeks with next to nothing on its meter while it sells from stock."""
    changes = facts.tables.get("firm_change")
    if changes is None or changes.empty:
        return energy
    for row in changes[changes["kind"] == "moved"].itertuples():
        start = int(facts.index(row.changed_on))
        energy[start : start + 12 + row.firm_id % 13, row.firm_id] *= 0.06
    return energy


def water(facts: Facts, rng: np.random.Generator) -> pd.DataFrame:
    """`water`: monthly volume from output and staff; paid in the next month, later by firms in arrears."""
    use = facts.firm["division"].map(WATER_M3).fillna(DEFAULT_WATER).to_numpy(float)
    process = use * _output_value(facts) / 1_000_000
    volume = (process + 1.1 * _staff(facts)) * noise(rng, process.shape, 0.12)
    return _bill(facts, volume, WATER_FEN, rng)


def gas(facts: Facts, rng: np.random.Generator) -> pd.DataFrame:
    """`gas`: monthly volume of the divisions that burn it."""
    share = facts.firm["division"].map(GAS_SHARE).fillna(0.0).to_numpy(float)
    volume = share * _output_value(facts) / GAS_FEN * noise(rng, (len(facts.months), facts.firms), 0.15)
    return _bill(facts, volume, GAS_FEN, rng, only=share > 0)


def _output_value(facts: Facts) -> Array:
    """Output of a month at the firm's mean price, fen; sales where nothing is made."""
    made = facts.monthly(facts.day["output_units"])
    sold = facts.monthly(facts.day["sales_fen"])
    price = sold.sum(axis=0) / np.maximum(made.sum(axis=0), 1)
    return np.where(made.sum(axis=0) > 0, made * price, sold)


def _staff(facts: Facts) -> Array:
    return facts.monthly(facts.day["staff"]) / np.maximum(facts.monthly(facts.day["active"]), 1)


def _bill(facts: Facts, volume: Array, price_fen: float, rng: np.random.Generator, only: Array | None = None):
    open_days = facts.monthly(facts.day["active"])
    keep = (open_days > 0) & (only if only is not None else True)
    row, column = np.nonzero(keep)
    amount = np.round(volume[row, column], 1)
    due = (facts.months[row] + 1).astype("datetime64[D]") + rng.integers(4, 20, len(row)).astype("timedelta64[D]")
    late = facts.day["arrears_fen"][facts.month_end][row, column] > 0
    paid = due + np.where(late, rng.integers(20, 90, len(row)), 0).astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "firm_id": column.astype(np.int32),
            "period": facts.first_days()[row],
            "volume_m3": amount.astype(np.float32),
            "fee_fen": np.rint(amount * price_fen).astype(np.int64),
            "paid_on": paid,
        }
    )
