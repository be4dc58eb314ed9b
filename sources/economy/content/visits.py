"""Branch visits: what a client manager saw on the day, with error, gaps and a note put together from it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts
from sources.economy.content.machines import REPORTED

VISITS_A_YEAR = {True: 2.5, False: 0.25}  # with and without a loan
MISSING = {"staff_seen": 0.12, "stock_seen_units": 0.25, "machines": 0.3, "note": 0.03}
SHOWN = (1.8, 3.2)  # stock that is carried in for the visit
CLIENTS_A_MANAGER = 45
FAMILIES, GIVEN = "沈韩冯邓曹曾彭萧蔡潘袁于董余叶", "立诚敏学文远海平思宁家和子建"


def visits(facts: Facts, machines: pd.DataFrame, loans: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """`branch_visit`: borrowers a few times a year, others rarely; always while somebody has stock to show."""
    firm, day = _when(facts, loans, rng)
    staff = facts.day["staff"][day, firm].astype(float)
    finished = facts.day["finished_units"][day, firm].astype(float)
    shown = facts.lies.marks("stock_shown", facts.days, facts.firms)[day, firm] >= 0
    guests = facts.lies.marks("stock_shown", facts.days, facts.firms, look_alike=True)[day, firm] >= 0
    use = facts.day["utilisation_ratio"][day, firm]
    owned = np.bincount(machines["firm_id"].to_numpy(int), minlength=facts.firms) if len(machines) else None
    owned = np.zeros(facts.firms, int) if owned is None else owned
    confidence = rng.choice(["high", "medium", "low"], len(firm), p=[0.3, 0.5, 0.2])
    error = np.select([confidence == "high", confidence == "medium"], [0.04, 0.1], 0.25)
    staff_seen = np.rint(staff * rng.uniform(0.85, 1.0, len(firm)) * (1 + error * rng.standard_normal(len(firm))))
    more = np.where(shown | guests, rng.uniform(*SHOWN, len(firm)), 1.0)
    knows = facts.lies.knowing(facts.lies.marks("stock_shown", facts.days, facts.firms)[day, firm])
    more = np.where(knows, REPORTED, more)
    stock_seen = np.rint((finished + shown * 5) * more * (1 + error * rng.standard_normal(len(firm))))
    seen = owned[firm]
    running = rng.binomial(seen, np.clip(use, 0, 1))
    frame = pd.DataFrame(
        {
            "firm_id": firm.astype(np.int32),
            "visited_on": facts.days[day],
            "manager": _managers(facts, firm, rng),
            "confidence": confidence,
            "staff_seen": pd.array(np.maximum(staff_seen, 0), dtype="Int64"),
            "stock_seen_units": pd.array(np.maximum(stock_seen, 0), dtype="Int64"),
            "machines_running": pd.array(running, dtype="Int64"),
            "machines_seen": pd.array(seen, dtype="Int64"),
        }
    )
    frame["note"] = _notes(facts, frame, day, guests, rng)
    for column, chance in MISSING.items():
        gone = rng.random(len(frame)) < chance
        for name in ("machines_running", "machines_seen") if column == "machines" else (column,):
            frame.loc[gone, name] = None if name == "note" else pd.NA
    frame.loc[seen == 0, ["machines_running", "machines_seen"]] = pd.NA
    frame = frame.sort_values(["visited_on", "firm_id"], ignore_index=True)
    frame.insert(0, "visit_id", rng.permutation(len(frame)) + 1)
    return frame


def _when(facts: Facts, loans: pd.DataFrame, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    first, last = facts.alive()
    years = np.maximum(last - first, 0) / 365.25
    borrows = np.isin(np.arange(facts.firms), loans["firm_id"].unique() if len(loans) else [])
    rate = np.where(borrows, VISITS_A_YEAR[True], VISITS_A_YEAR[False])
    firm = np.repeat(np.arange(facts.firms), rng.poisson(rate * years))
    day = first[firm] + (rng.random(len(firm)) * (last[firm] - first[firm] + 1)).astype(int)
    asked = [
        (int(row.firm_ids[0]), int(facts.index(row.from_on)) + 20 + int(rng.integers(0, 40)))
        for kind in ("stock_shown", "understated_heads", "padded_payroll")
        for row in facts.lies.of(kind, look_alike=None).itertuples()
    ]
    asked = [(f, d) for f, d in asked if d < len(facts.days)]
    firm = np.r_[firm, [f for f, _ in asked]].astype(int)
    day = np.r_[day, [d for _, d in asked]].astype(int)
    day = facts.next_workday(day)
    keep = facts.day["active"][day, firm]
    return firm[keep], day[keep]


def _managers(facts: Facts, firm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count = max(2, facts.firms // CLIENTS_A_MANAGER)
    names = [str(rng.choice(list(FAMILIES))) + "".join(rng.choice(list(GIVEN), 2)) for _ in range(count)]
    region = pd.factorize(facts.firm["region_code"])[0]
    return np.asarray(names)[(region[firm] * 7 + firm % 3) % count]


def _notes(
    facts: Facts, frame: pd.DataFrame, day: np.ndarray, guests: np.ndarray, rng: np.random.Generator
) -> list[str]:
    """Free text from what was there: orders, lines, stock, staff, mood; phrases vary."""
    order_now, order_before = _pace(facts, facts.day["orders_open_units"], day, frame["firm_id"].to_numpy(int))
    arrears = facts.day["arrears_fen"][day, frame["firm_id"].to_numpy(int)] > 0
    notes = []
    for i, row in enumerate(frame.itertuples()):
        parts = []
        if row.machines_seen is not pd.NA and row.machines_seen > 0:
            parts.append(f"车间{row.machines_seen}台设备，{row.machines_running}台在运行")
        elif rng.random() < 0.5:
            parts.append(str(rng.choice(["现场正常营业", "门店开门营业", "办公室有人值班"])))
        if order_before[i] > 0 and rng.random() < 0.7:
            turn = order_now[i] / order_before[i]
            word = "订单较上月增加" if turn > 1.15 else "订单较上月减少" if turn < 0.85 else "订单基本持平"
            parts.append(word)
        if rng.random() < 0.6 and row.stock_seen_units is not pd.NA:
            parts.append(
                str(rng.choice(["库存约{}件", "成品库大约{}件", "仓库估计有{}件"])).format(row.stock_seen_units)
            )
        if guests[i]:
            parts.append(str(rng.choice(["部分货物贴有其他单位标签", "老板称其中有代管货物"])))
        if arrears[i] and rng.random() < 0.5:
            parts.append(str(rng.choice(["员工反映工资晚发", "老板提到近期资金紧张", "社保有欠缴"])))
        parts.append(
            str(rng.choice(["实际控制人在场", "会计接待", "老板外出，由厂长接待", "配合度较好", "资料需补充"]))
        )
        notes.append("；".join(parts) + "。")
    return notes


def _pace(facts: Facts, table: np.ndarray, day: np.ndarray, firm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    before = np.maximum(day - 30, 0)
    return table[day, firm].astype(float), table[before, firm].astype(float)
