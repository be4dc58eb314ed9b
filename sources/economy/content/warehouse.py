"""Goods in warehouses: receipts that operators write, and daily readings of three sensors on every stored lot.

Merchants and dealers store part of their finished stock for some months and pledge some receipts. A colluding operator
writes more than there is, lets goods out before their release, or writes the same lot twice. The scales can be made to
lie by one who knows the rule; the scan of the volume and the count by camera cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts

STORED_DAYS = (30, 170)
RECEIPTS_A_YEAR = 2.2
PLEDGED_RATIO = 0.45
SENSORS = {"weight_kg": (12.5, 0.004), "volume_m3": (0.021, 0.02), "camera_boxes": (0.25, 0.03)}  # a unit, noise
LACK = (0.35, 0.8)  # share missing behind a false receipt
TAKEN = (0.4, 0.8)
MOISTURE = 0.09  # share of weight that grain and ore may lose while stored
STORE_KINDS = ("merchant", "dealer", "manufacturer")


@dataclass
class Lots:
    """Receipts while they are put together; lists run in step."""

    rows: list[dict]

    def frame(self) -> pd.DataFrame:
        """The receipts as a frame in the order of issue."""
        return pd.DataFrame(self.rows).sort_values(["issued_on", "owner_id", "lot_code"], ignore_index=True)


def storers(facts: Facts, rng: np.random.Generator) -> np.ndarray:
    """Firms that put goods into public warehouses: merchants and dealers mostly."""
    kind = facts.firm["kind"]
    chance = np.where(kind.isin(["merchant", "dealer"]), 0.5, np.where(kind == "manufacturer", 0.06, 0.0))
    holds = np.median(facts.day["finished_units"][::30], axis=0) > 20
    return np.flatnonzero((rng.random(facts.firms) < chance) & holds)


def operators(facts: Facts) -> tuple[np.ndarray, np.ndarray]:
    """(honest, colluding) warehouse firms: the least honest fifth, at least one, collude."""
    all_of = np.flatnonzero((facts.firm["kind"] == "warehouse").to_numpy())
    order = all_of[np.argsort(facts.firm["honesty"].to_numpy(float)[all_of], kind="stable")]
    bad = max(1, len(order) // 5) if len(order) else 0
    return order[bad:], order[:bad]


def receipts(facts: Facts, owners: np.ndarray, lenders: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """`warehouse_receipt`: stored lots of honest and lying owners; `lenders` are loans (firm_id, bank_id, span)."""
    honest, colluding = operators(facts)
    if not len(owners) or not len(honest) + len(colluding):
        return pd.DataFrame()
    first, last = facts.alive()
    lots = Lots([])
    for owner in owners:
        mean = RECEIPTS_A_YEAR * (last[owner] - first[owner]) / 365.25
        for day in np.sort(rng.integers(first[owner], last[owner] + 1, rng.poisson(mean))):
            operator = rng.choice(honest if len(honest) else colluding)
            _store(facts, lots, int(owner), int(day), int(operator), None, rng)
    for kind in ("false_receipt", "secret_withdrawal", "double_pledge"):
        for row in facts.lies.of(kind, look_alike=None).itertuples():
            pool = honest if row.look_alike and len(honest) else colluding if len(colluding) else honest
            day = int(facts.index(row.from_on))
            _store(facts, lots, int(row.firm_ids[0]), day, int(rng.choice(pool)), row, rng)
    frame = _pledge(facts, lots.frame(), lenders, rng)
    frame.insert(0, "receipt_id", rng.permutation(len(frame)) + 1)
    return frame


def _store(facts: Facts, lots: Lots, owner: int, day: int, operator: int, lie, rng: np.random.Generator) -> None:
    """Adds one stored lot (two receipts for one that is written twice or split)."""
    held = max(int(facts.day["finished_units"][day, owner]), 5)
    count = max(3, int(held * rng.uniform(0.2, 0.5)))
    days = int(rng.integers(*STORED_DAYS)) if lie is None else int((lie.to_on - lie.from_on).days)
    kind = "honest" if lie is None else lie.kind + ("_alike" if lie.look_alike else "")
    lot = {
        "warehouse_id": operator,
        "owner_id": owner,
        "good": facts.firm["good"].iat[owner],
        "quantity_units": count,
        "issued_on": facts.days[day],
        "released_on": facts.days[day] + days,
        "lot_code": "".join(rng.choice(list("ABCDEFGHJKLMNPRSTUVWXYZ0123456789"), 9)),
        "true_units": count,
        "planted_id": -1 if lie is None else lie.planted_id,
        "story": kind,
        "turn": int(rng.integers(days // 4, max(days // 4 + 1, days * 3 // 4))),
        "share": 1.0,
        "knows": False if lie is None else bool(lie.knows_rule),
        "wants_pledge": lie is not None,
    }
    if kind == "false_receipt":
        lot["true_units"] = int(count * (1 - rng.uniform(*LACK)))
    if kind == "secret_withdrawal":
        lot["share"] = 1 - rng.uniform(*TAKEN)
        lot["true_units"] = int(count * lot["share"])
    lots.rows.append(lot)
    if kind == "double_pledge":
        last = "7" if lot["lot_code"][-1] != "7" else "1"
        code = lot["lot_code"][:-1] + last if lot["knows"] else lot["lot_code"]
        lots.rows.append(lot | {"lot_code": code, "issued_on": lot["issued_on"] + 3})
    if kind == "double_pledge_alike":
        part = max(1, int(count * rng.uniform(0.35, 0.6)))
        lots.rows[-1] = lot | {"quantity_units": count - part, "true_units": count - part}
        lots.rows.append(lot | {"quantity_units": part, "true_units": part})


def _pledge(facts: Facts, lot: pd.DataFrame, lenders: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The bank that holds each receipt: one of the owner's lenders at the time; twins are held by different ones."""
    banks_of = dict(iter(lenders.groupby("firm_id")))
    everyone = np.unique(lenders["bank_id"]) if len(lenders) else np.array([-100, -101])
    pledged, first_holder = [], {}
    for row in lot.itertuples():
        loans = banks_of.get(row.owner_id)
        live = loans[(loans["started_on"] <= row.issued_on)] if loans is not None else None
        if row.wants_pledge or (live is not None and len(live) and rng.random() < PLEDGED_RATIO):
            own = live["bank_id"].to_numpy() if live is not None and len(live) else everyone
            bank = int(rng.choice(own))
            if row.story == "double_pledge":
                others = everyone[everyone != first_holder.get(row.planted_id)]
                bank = int(rng.choice(others)) if row.planted_id in first_holder and len(others) else bank
                first_holder[row.planted_id] = bank
            pledged.append(bank)
        else:
            pledged.append(None)
    return lot.assign(pledged_to_id=pd.array(pledged, dtype="Int64"))


def sensors(facts: Facts, lot: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """`warehouse_sensor`: weight, scanned volume and camera count of every lot and day, and door openings."""
    if lot.empty:
        return pd.DataFrame()
    issued = facts.index(lot["issued_on"].to_numpy("datetime64[D]"))
    ended = np.minimum(facts.index(lot["released_on"].to_numpy("datetime64[D]")), len(facts.days) - 1)
    length = np.maximum(ended - issued, 0)
    row = np.repeat(np.arange(len(lot)), length)
    age = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
    day = issued[row] + age
    story = lot["story"].to_numpy()[row]
    knows = lot["knows"].to_numpy(bool)[row]
    written = lot["quantity_units"].to_numpy(float)[row]
    gone = (story == "secret_withdrawal") & (age >= lot["turn"].to_numpy()[row])
    there = np.where(story == "false_receipt", lot["true_units"].to_numpy(float)[row], written)
    there = np.where(gone, written * lot["share"].to_numpy(float)[row], there)
    twin_of = _twins(lot)
    source = twin_of[row]  # a lot written twice is one heap: both receipts show its readings
    rest_day = (facts.days[day].astype("datetime64[D]").view("int64") + 3) % 7 >= 5
    doors = np.where(rest_day, rng.poisson(0.05, len(row)), rng.poisson(1.2, len(row)))
    recount = (story == "secret_withdrawal_alike") & (np.abs(age - lot["turn"].to_numpy()[row]) <= 3)
    moved = (story == "secret_withdrawal") & ~knows & (np.abs(age - lot["turn"].to_numpy()[row]) <= 3)
    doors = np.where((recount | moved) & rest_day, rng.integers(4, 15, len(row)), doors)
    dry = np.where(np.char.startswith(story.astype(str), "false_receipt_alike"), MOISTURE, 0.01)
    frames = []
    for name, (unit, sigma) in SENSORS.items():
        shown = written if name == "weight_kg" else there
        shown = np.where(knows, shown, there)
        drift = 1 - dry * np.minimum(age / 60, 1) if name == "weight_kg" else 1.0
        same = _heap_noise(source, day, name, sigma)
        frames.append(
            pd.DataFrame(
                {
                    "receipt_id": lot["receipt_id"].to_numpy()[row],
                    "day": facts.days[day],
                    "sensor": name,
                    "reading": np.round(shown * unit * drift * same, 3).astype(np.float32),
                    "door_openings": doors.astype(np.int16),
                    "planted_id": lot["planted_id"].to_numpy()[row],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _twins(lot: pd.DataFrame) -> np.ndarray:
    """For each lot the lot whose heap it is: itself, or for the second receipt on a heap the first one."""
    heap = np.arange(len(lot))
    double = lot["story"] == "double_pledge"
    for _, group in lot[double].groupby("planted_id"):
        heap[group.index] = group.index.min()
    return heap


def _heap_noise(heap: np.ndarray, day: np.ndarray, sensor: str, sigma: float) -> np.ndarray:
    """Noise that depends on the heap, day and sensor alone (two receipts on one heap see the same reading)."""
    salt = sum(ord(c) * 31**i for i, c in enumerate(sensor)) % 2**31
    seed = (heap.astype(np.uint64) * np.uint64(1_000_003) + day.astype(np.uint64)) * np.uint64(2_654_435_761)
    mixed = (seed + np.uint64(salt)) % np.uint64(2**32)
    mixed = (mixed ^ (mixed >> np.uint64(15))) * np.uint64(2_246_822_519) % np.uint64(2**32)
    mixed = (mixed ^ (mixed >> np.uint64(13))) * np.uint64(3_266_489_917) % np.uint64(2**32)
    uniform = ((mixed ^ (mixed >> np.uint64(16))) % np.uint64(2**32)).astype(np.float64) / 2**32
    return 1 + sigma * 1.732 * (2 * uniform - 1)
