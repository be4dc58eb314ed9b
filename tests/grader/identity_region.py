"""A region of firms with no economy: who there is, what changes, and how departments hold it, in a world's own tables.

Names, faults, keys and the truth come from the simulated economy's own code, in seconds for hundreds of firms.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from sources.economy import names
from sources.economy.content import identity
from sources.economy.population import address

FIRST, LAST = pd.Timestamp(2019, 1, 1), pd.Timestamp(2021, 12, 31)
BRANDS = "恒鑫宏瑞盛诚德源泰丰嘉昌润祥信安顺和新远博联正隆"
# Of firms, in three years.
RENAMED, MERGED, SPLIT = 0.07, 0.02, 0.02


def write(folder: Path, firms: int, seed: int = 1) -> Path:
    """Writes world.json, firm, firm_change, department_subject and identity_map."""
    rng = np.random.default_rng(seed)
    firm = _firms(firms, rng)
    change = _changes(firm, rng)
    firm["closed_on"] = firm["firm_id"].map(change[change["kind"] == "merged_into"].set_index("firm_id")["changed_on"])
    few = {"customs": rng.random(firms) < 0.25, "gas": rng.random(firms) < 0.4, "land": rng.random(firms) < 0.1,
           "platform": rng.random(firms) < 0.7}  # fmt: skip
    home = rng.random(firms) < 0.95
    member = {d: few.get(d, np.ones(firms, bool)) & home for d in identity.TWELVE} | {"platform": few["platform"]}
    held, truth = identity.subjects(firm, change, member, rng)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("firm", firm), ("firm_change", change), ("department_subject", held), ("identity_map", truth)):
        for column in table.columns[table.columns.str.endswith("_on")]:
            table[column] = pd.to_datetime(table[column]).dt.date
        table.to_parquet(folder / f"{name}.parquet")
    days = {"first_day": str(FIRST.date()), "last_day": str(LAST.date())}
    (folder / "world.json").write_text(json.dumps({"seed": seed, **days}))
    return folder


def year_ends() -> list[date]:
    """The last day of each year."""
    return [date(year, 12, 31) for year in range(FIRST.year, LAST.year + 1)]


def _firms(count: int, rng: np.random.Generator) -> pd.DataFrame:
    chains, seen, rows = list(names.TRADE), set(), []
    for firm in range(count):
        code, city = names.REGIONS[rng.integers(len(names.REGIONS))]
        name = ""
        while not name or name in seen:
            name = names.firm_name(rng, city.removesuffix("市"), chains[rng.integers(len(chains))])
        seen.add(name)
        uscc = names.uscc(code, firm * 97 + 10_000)
        founded = pd.Timestamp(2000, 1, 1) + pd.Timedelta(days=int(rng.integers(7_600)))
        number, phone = f"{code}{rng.integers(10**8, 10**9)}", f"1{rng.integers(3, 10)}{rng.integers(10**8, 10**9)}"
        tax = uscc if rng.random() < 0.92 else uscc[2:17]
        rows.append((firm, uscc, tax, number, code, name, address(rng, city), phone, founded))
    columns = ["firm_id", "uscc", "tax_number", "registration_number", "region_code", "name", "address", "phone",
               "founded_on"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _changes(firm: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for at in np.flatnonzero(rng.random(len(firm)) < RENAMED):
        name = firm["name"].iat[at]
        brand = "".join(rng.choice(list(BRANDS), 2, replace=False))
        rows.append((at, _day(firm, at, rng), "renamed", name, name[:2] + brand + name[4:], None))
    for kind, share in (("merged_into", MERGED), ("split", SPLIT)):
        for at in np.flatnonzero(rng.random(len(firm) - 1) < share):
            other = int(rng.integers(at + 1, len(firm)))
            rows.append((at, _day(firm, at, rng), kind, None, firm["name"].iat[other], other))
    columns = ["firm_id", "changed_on", "kind", "old_value", "new_value", "other_firm_id"]
    frame = pd.DataFrame(rows, columns=columns).astype({"other_firm_id": "Int64"})
    # A firm merges once, last of all, and not into one that has gone.
    merged = frame[frame["kind"] == "merged_into"]
    gone = set(merged["firm_id"])
    frame = frame[~(frame["kind"].eq("merged_into") & frame["other_firm_id"].isin(gone))]
    frame = frame[frame["kind"].eq("merged_into") | ~frame["firm_id"].isin(gone)].reset_index(drop=True)
    frame.insert(0, "change_id", range(1, len(frame) + 1))
    return frame


def _day(firm: pd.DataFrame, at: int, rng: np.random.Generator) -> pd.Timestamp:
    begin = max(FIRST, firm["founded_on"].iat[at])
    return begin + pd.Timedelta(days=int(rng.integers(1, max(2, (LAST - begin).days))))
