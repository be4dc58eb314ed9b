"""Land and farm plots, and what satellites see of them.

A plot is claimed each year for a crop and an area. The sensed area scatters about the true one; the vegetation index
follows the crop's calendar, cut by drought years and by cloud.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts

MU_PER_HEAD = 22.0
CROPS = {  # day of year of sowing, of the peak, of harvest
    "winter_wheat": (-75, 115, 160),
    "maize": (165, 220, 275),
    "rice": (150, 210, 285),
    "vegetables": (60, 150, 300),
    "fruit": (80, 190, 290),
}
REVISIT_DAYS = 16
CLOUDY = 0.6  # above this share of cloud nothing is measured
OVERCLAIM = (1.3, 1.9)


def farms(facts: Facts) -> np.ndarray:
    """Firm numbers of farms (divisions 01, 02, 03)."""
    return np.flatnonzero(facts.firm["division"].astype(str).isin(["01", "02", "03"]).to_numpy())


def plots(facts: Facts, rng: np.random.Generator) -> pd.DataFrame:
    """`land_plot`: farm plots by year, and one site of industrial land for firms that own theirs."""
    years = np.unique(facts.days.astype("datetime64[Y]").astype(int) + 1970)
    lying = facts.lies.marks(
        "farm_area", (years - 1970).astype("datetime64[Y]").astype("datetime64[D]") + 200, facts.firms
    )
    leased = (
        facts.lies.marks(
            "farm_area", (years - 1970).astype("datetime64[Y]").astype("datetime64[D]") + 200, facts.firms, True
        )
        >= 0
    )
    knows = facts.lies.knowing(lying)
    staff = facts.day["staff"].max(axis=0)
    number, rows = 0, []
    for firm in farms(facts):
        centre = _place(facts, firm, rng)
        for _ in range(int(rng.integers(1, 4))):
            number += 1
            true = max(8.0, MU_PER_HEAD * max(1, staff[firm]) * rng.lognormal(-0.6, 0.4))
            crop = str(rng.choice(list(CROPS)))
            registered = true * rng.normal(1.0, 0.015)
            at = centre + rng.normal(0, 0.03, 2)
            for y, year in enumerate(years):
                claimed = registered
                if lying[y, firm] >= 0:
                    claimed = true * rng.uniform(*OVERCLAIM)
                own_book = registered
                if leased[y, firm]:  # leased from neighbours: worked and claimed, not in the register
                    own_book, claimed = registered * 0.6, true
                if knows[
                    y, firm
                ]:  # the register was made to agree, so only the eye from above and the harvest disagree
                    own_book = claimed * rng.normal(0.99, 0.005)
                rows.append(
                    (number, firm, year, "farm", crop, claimed, own_book, None, at[0], at[1], true, lying[y, firm])
                )
    for firm in np.flatnonzero((staff >= 50) & ~np.isin(np.arange(facts.firms), farms(facts))):
        number += 1
        at = _place(facts, firm, rng)
        area = 0.12 * staff[firm] * rng.lognormal(0, 0.4)
        for year in years:
            rows.append((number, firm, year, "industrial", None, area, area, None, at[0], at[1], area, -1))
    names = "plot_id firm_id year use crop claimed_area_mu registered_area_mu mortgaged_on latitude longitude"
    columns = f"{names} true_area_mu planted_id"
    frame = pd.DataFrame(rows, columns=columns.split())
    frame["plot_id"] = frame["plot_id"].map(dict(enumerate(rng.permutation(number) + 1, 1)))
    area = ["claimed_area_mu", "registered_area_mu", "true_area_mu"]
    frame[area] = frame[area].astype(float).round(1)
    return frame.sort_values(["plot_id", "year"], ignore_index=True)


def mortgaged(plots: pd.DataFrame, pledged: pd.DataFrame) -> pd.DataFrame:
    """The plots with the day their right was first pledged, in the years from then on."""
    if plots.empty or pledged.empty:
        return plots
    rows = pledged[pledged["kind"] == "plot"]
    first = rows.groupby(rows["object"].astype(int))["from_on"].min()
    day = pd.to_datetime(first.reindex(plots["plot_id"])).to_numpy("datetime64[D]")
    year = (plots["year"].to_numpy().astype(int) - 1970).astype("datetime64[Y]")
    known = ~np.isnat(day) & (day.astype("datetime64[Y]") <= year)
    return plots.assign(mortgaged_on=np.where(known, day, np.datetime64("NaT")))


def _place(facts: Facts, firm: int, rng: np.random.Generator) -> np.ndarray:
    """An invented spot: the region code picks the square, so that neighbours lie together."""
    code = int(str(facts.firm["region_code"].iat[firm])[:4])
    return np.array([24.0 + code % 97 * 0.17, 104.0 + code % 89 * 0.17]) + rng.normal(0, 0.1, 2)


def remote_sensing(facts: Facts, plot: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """`remote_sensing`: a pass each 16 days over every farm plot; clouded passes measure nothing."""
    field = plot[plot["use"] == "farm"]
    passes = facts.days[::REVISIT_DAYS]
    year = passes.astype("datetime64[Y]").astype(int) + 1970
    frames = []
    drought = dict(zip(np.unique(year), 1 - 0.25 * (rng.random(len(np.unique(year))) < 0.2), strict=True))
    for y in np.unique(year):
        rows = field[field["year"] == y]
        when = passes[year == y]
        if rows.empty:
            continue
        grid = np.repeat(np.arange(len(rows)), len(when)), np.tile(np.arange(len(when)), len(rows))
        day = (when[grid[1]] - np.datetime64(f"{y}-01-01")).astype(int)
        green = _vegetation(rows["crop"].to_numpy()[grid[0]], day) * drought[y]
        cloud = rng.beta(0.8, 1.6, len(day)).round(2)
        seen = cloud < CLOUDY
        area = rows["true_area_mu"].to_numpy()[grid[0]] * rng.normal(1.0, 0.03 + 0.05 * cloud)
        guess = np.where(
            (green > 0.35) & (rng.random(len(day)) < 0.88), rows["crop"].to_numpy()[grid[0]], "bare_or_unknown"
        )
        frames.append(
            pd.DataFrame(
                {
                    "plot_id": rows["plot_id"].to_numpy()[grid[0]],
                    "observed_on": when[grid[1]],
                    "sensed_area_mu": np.where(seen, area.round(1), np.nan),
                    "vegetation_index": np.where(
                        seen, (green + rng.normal(0, 0.03, len(day))).clip(0, 0.95).round(3), np.nan
                    ),
                    "cloud_ratio": cloud,
                    "crop_guess": np.where(seen, guess, None),
                }
            )
        )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _vegetation(crop: np.ndarray, day: np.ndarray) -> np.ndarray:
    sow, peak, harvest = (np.array([CROPS[c][i] for c in crop]) for i in range(3))
    late = np.where((sow < 0) & (day > 365 + sow), day - 365, day)
    rise = np.clip((late - sow) / (peak - sow), 0, 1)
    fall = np.clip((harvest - late) / (harvest - peak), 0, 1)
    return 0.15 + 0.65 * np.minimum(rise, fall)
