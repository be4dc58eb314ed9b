"""Courts, penalties, environment: what follows from bills unpaid for long, from arrears, from pollution.

The plaintiff is the supplier that was not paid, or the bank after default. A judgement follows after months; one that
stays unpaid is enforced.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts
from sources.economy.schema import FIRST_BANK

SUES_AFTER_DAYS = 120  # past the due date, at least
SUES_RATIO = 0.22  # of suppliers unpaid that long
LEAST_CLAIM_FEN = 2_000_000
CLAIM = ["plaintiff_id", "defendant_id", "kind", "filed_on", "amount_fen", "settled_on"]
FINE = ["firm_id", "department", "decided_on", "kind", "amount_fen"]
POLLUTANTS = {"17": "COD", "13": "COD", "14": "COD", "22": "COD", "26": "VOC", "30": "dust", "31": "SO2", "32": "SO2",
              "33": "VOC", "36": "VOC"}  # fmt: skip


def court_cases(facts: Facts, invoices: pd.DataFrame, defaults: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """`court_case`: suppliers sue over unpaid invoices (grouped by pair), banks over defaults, a few over labour."""
    rows = [*_suppliers(facts, invoices, rng), *_banks(facts, defaults, rng), *_labour(facts, rng)]
    frame = pd.DataFrame(rows, columns=CLAIM)
    if frame.empty:
        return frame
    judged = frame["filed_on"].to_numpy("datetime64[D]") + rng.integers(40, 170, len(frame))
    settled = frame.pop("settled_on").to_numpy("datetime64[D]")
    before = ~np.isnat(settled) & (settled < judged)
    enforced = judged + rng.integers(30, 120, len(frame))
    paid_in_time = ~np.isnat(settled) & (settled < enforced)
    closed = np.where(np.isnat(settled), enforced + rng.integers(150, 400, len(frame)), settled + 10)
    frame["judged_on"] = np.where(before, np.datetime64("NaT"), judged)
    frame["enforced_on"] = np.where(paid_in_time, np.datetime64("NaT"), enforced)
    frame["closed_on"] = np.maximum(closed, frame["filed_on"].to_numpy("datetime64[D]") + 5)
    for column in ("judged_on", "enforced_on", "closed_on"):
        frame[column] = facts.within(frame[column].to_numpy("datetime64[D]"))
    frame = frame.sort_values(["filed_on", "defendant_id", "plaintiff_id"], ignore_index=True)
    year = frame["filed_on"].to_numpy("datetime64[Y]").astype(int) + 1970
    region = facts.firm["region_code"].to_numpy()[frame["defendant_id"].to_numpy(int)]
    serial = rng.permutation(len(frame)) + 100
    frame.insert(0, "case_id", rng.permutation(len(frame)) + 1)
    frame.insert(
        1, "case_number", [f"({y})民初{str(r)[:4]}{n}号" for y, r, n in zip(year, region, serial, strict=True)]
    )
    return frame


def _suppliers(facts: Facts, invoices: pd.DataFrame, rng: np.random.Generator) -> list[tuple]:
    last = facts.days[-1]
    due = invoices["due_on"].to_numpy("datetime64[D]")
    settled = invoices["settled_on"].to_numpy("datetime64[D]")
    until = np.where(np.isnat(settled), last, settled)
    buyer, seller = invoices["buyer_id"].to_numpy(), invoices["seller_id"].to_numpy()
    long = (until - due).astype(np.int64) > SUES_AFTER_DAYS
    long &= np.isnat(invoices["voided_on"].to_numpy("datetime64[D]")) & (invoices["total_fen"].to_numpy() > 0)
    long &= ~invoices["taken_back"].to_numpy(bool)
    long &= invoices["red_of_id"].isna().to_numpy() & (invoices["planted_id"].fillna(-1).to_numpy() < 0)
    long &= (buyer >= 0) & (buyer < facts.firms) & (seller >= 0) & (seller != buyer)
    frame = pd.DataFrame(
        {
            "seller": seller[long],
            "buyer": buyer[long],
            "due": due[long],
            "settled": settled[long],
            "total": invoices["total_fen"].to_numpy()[long],
        }
    )
    rows = []
    for (supplier, customer), group in frame.groupby(["seller", "buyer"], sort=True):
        if group["total"].sum() < LEAST_CLAIM_FEN or rng.random() > SUES_RATIO:
            continue
        filed = group["due"].min().to_datetime64().astype("datetime64[D]") + SUES_AFTER_DAYS + int(rng.integers(5, 90))
        if filed > last or filed < facts.days[0]:
            continue
        claim = group[group["due"] <= filed]
        end = np.datetime64("NaT") if claim["settled"].isna().any() else claim["settled"].max().to_datetime64()
        if not np.isnat(end) and end.astype("datetime64[D]") <= filed:
            continue
        rows.append(
            (supplier, customer, "sale_contract", filed, int(claim["total"].sum()), end.astype("datetime64[D]"))
        )
    return rows


def _banks(facts: Facts, defaults: pd.DataFrame, rng: np.random.Generator) -> list[tuple]:
    rows = []
    for event in defaults.itertuples():
        filed = np.datetime64(event.past_due_90_on, "D") + int(rng.integers(20, 150))
        if filed <= facts.days[-1] and rng.random() < 0.75:
            bank = FIRST_BANK if pd.isna(event.bank_id) else int(event.bank_id)
            never = np.datetime64("NaT")
            rows.append((bank, event.firm_id, "loan_contract", filed, int(event.exposure_fen), never))
    return rows


def _labour(facts: Facts, rng: np.random.Generator) -> list[tuple]:
    """Wages in arrears for two months running bring staff to court, some of them."""
    owed = facts.month["wage_arrears_fen"] > 0
    begins = owed & np.vstack([owed[:1] & False, owed[:-1]])
    begins &= ~np.vstack([begins[:1] & False, begins[:-1]])
    rows = []
    for m, firm in zip(*np.nonzero(begins), strict=True):
        filed = facts.days[facts.month_end[m]] + int(rng.integers(10, 60))
        if rng.random() < 0.25 and filed <= facts.days[-1]:
            amount = int(facts.month["wage_arrears_fen"][m, firm])
            clear = np.flatnonzero(~owed[m:, firm])
            end = facts.days[facts.month_end[m + clear[0]]] if len(clear) else np.datetime64("NaT")
            if np.isnat(end) or end > filed:
                rows.append((-1, firm, "labour", filed, amount, end))
    return rows


def penalties(facts: Facts, environment: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """`penalty`: for tax in arrears, for limits exceeded, and the usual small ones of any firm."""
    rows = []
    owed = facts.month["tax_arrears_fen"] > 0
    fined = owed & (rng.random(owed.shape) < 0.10)
    for m, firm in zip(*np.nonzero(fined), strict=True):
        decided = facts.days[facts.month_end[m]] + int(rng.integers(5, 40))
        amount = int(np.clip(facts.month["tax_arrears_fen"][m, firm] * 0.5, 20_000, 5_000_000))
        rows.append((firm, "tax", decided, "late_payment", amount))
    if len(environment):
        for row in environment[environment["finding"] == "limit_exceeded"].itertuples():
            if rng.random() < 0.35:
                amount = int(rng.integers(100, 1_000)) * 10_000
                rows.append((row.firm_id, "environment", row.day + np.timedelta64(30, "D"), "discharge", amount))
    usual = facts.monthly(facts.day["active"]) > 0
    rare = usual & (rng.random(usual.shape) < 0.0025 * np.exp(-facts.firm["prudence"].to_numpy(float)))
    kinds = [("market", "labelling"), ("fire", "safety"), ("market", "registration"), ("work", "safety")]
    for m, firm in zip(*np.nonzero(rare), strict=True):
        department, kind = kinds[int(rng.integers(len(kinds)))]
        decided = facts.first_days()[m] + int(rng.integers(0, 28))
        rows.append((firm, department, decided, kind, int(rng.integers(2, 60)) * 100_000))
    frame = pd.DataFrame(rows, columns=FINE)
    frame = frame[frame["decided_on"].to_numpy("datetime64[D]") <= facts.days[-1]].reset_index(drop=True)
    frame.insert(0, "penalty_id", rng.permutation(len(frame)) + 1)
    frame["published_on"] = frame["decided_on"].to_numpy("datetime64[D]") + rng.integers(7, 20, len(frame))
    return frame.sort_values("decided_on", ignore_index=True)


def environment(facts: Facts, rng: np.random.Generator) -> pd.DataFrame:
    """`environment`: a permit a polluter, a monthly discharge reading that follows output, findings where exceeded."""
    pollutant = facts.firm["division"].map(POLLUTANTS)
    firms = np.flatnonzero(pollutant.notna().to_numpy() & (facts.day["staff"].max(axis=0) >= 10))
    output = facts.monthly(facts.day["output_units"])[:, firms].astype(float)
    usual = np.maximum(output.mean(axis=0), 1)
    size = facts.day["staff"].max(axis=0)[firms] * rng.lognormal(0, 0.3, len(firms))
    clean = rng.lognormal(-0.95, 0.25, len(firms))  # discharge at usual output, as a share of the limit
    kilos = output / usual * clean * size * rng.lognormal(0, 0.18, output.shape)
    alive = facts.monthly(facts.day["active"])[:, firms] > 0
    row, column = np.nonzero(alive)
    day = facts.first_days()[row] + rng.integers(0, 27, len(row))
    readings = pd.DataFrame(
        {
            "firm_id": firms[column],
            "day": day,
            "kind": "reading",
            "pollutant": pollutant.to_numpy()[firms[column]],
            "discharge_kg": kilos[row, column].round(2),
            "limit_kg": size[column].round(2),
            "finding": np.where(kilos[row, column] > size[column], "limit_exceeded", None),
        }
    )
    first = np.argmax(alive, axis=0) if len(facts.months) else np.zeros(0, int)
    permits = pd.DataFrame(
        {
            "firm_id": firms,
            "day": np.maximum(
                facts.firm["founded_on"].to_numpy("datetime64[D]")[firms] + 90, facts.first_days()[first]
            ),
            "kind": "permit",
            "pollutant": pollutant.to_numpy()[firms],
            "discharge_kg": np.nan,
            "limit_kg": size.round(2),
            "finding": None,
        }
    )
    frame = pd.concat([permits[alive.any(axis=0)], readings], ignore_index=True).sort_values("day", ignore_index=True)
    frame = frame[frame["day"].to_numpy("datetime64[D]") <= facts.days[-1]].reset_index(drop=True)
    frame.insert(0, "record_id", rng.permutation(len(frame)) + 1)
    return frame
