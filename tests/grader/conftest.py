"""A world written by hand, small enough to grade by hand."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest

from grader.truth import World

FIRMS = range(6)
KEYS = [("tax", "tax_returns", f"T{f}", f) for f in FIRMS] + [("water", "water", f"W{f}", f) for f in FIRMS]
LOANS = [(f, date(2021, 1, 1), None if f else date(2021, 12, 31)) for f in FIRMS]  # firm 0 has paid its loan back
SINCE, UNTIL = date(2022, 3, 1), date(2022, 9, 1)


def save(world: Path, name: str, columns: list[str], rows: list[tuple]) -> None:
    pd.DataFrame(rows, columns=columns).to_parquet(world / f"{name}.parquet")


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "world.json").write_text(json.dumps({"last_day": "2023-12-31"}))
    day = date(2021, 5, 1)
    save(tmp_path, "firm", ["firm_id", "uscc"], [(f, f"U{f}") for f in FIRMS])
    save(
        tmp_path,
        "identity_map",
        ["system", "department", "key", "firm_id", "from_on"],
        [(*key, date(2020, 1, 1)) for key in KEYS] + [("tax", "tax_returns", "later", 0, date(2025, 1, 1))],
    )
    save(
        tmp_path,
        "department_subject",
        ["system", "department", "key", "firm_id", "uscc", "registration_number"],
        [(s, d, k, f, f"U{f}" if s == "tax" else None, None) for s, d, k, f in KEYS]
        + [("tax", "vat_invoices", f"U{f}", f, f"U{f}", None) for f in FIRMS]
        + [("platform", "platform", "P1", 1, None, None)],
    )
    save(
        tmp_path,
        "planted",
        ["planted_id", "kind", "look_alike", "firm_ids", "from_on", "to_on", "knows_rule"],
        [(1, "pos_ring", False, [1, 2], SINCE, UNTIL, True), (2, "pos_ring", True, [3], SINCE, UNTIL, False),
         (3, "farm_area", False, [4], SINCE, UNTIL, False)],
    )  # fmt: skip
    save(tmp_path, "loan", ["firm_id", "started_on", "closed_on"], LOANS)
    save(tmp_path, "default_event", ["firm_id", "past_due_90_on"], [(5, date(2022, 6, 1)), (4, date(2023, 6, 1))])
    save(
        tmp_path,
        "invoice",
        ["invoice_id", "invoice_number", "seller_id", "buyer_id", "order_id", "delivery_id", "issued_on", "voided_on",
         "red_of_id"],
        [(1, "N1", 1, 2, 11, 21, day, None, None), (2, "N2", 1, 2, 12, 22, day, day, None),
         (3, "N3", 1, 2, None, None, day, None, 1.0),
         (4, "N4", 2, 3, 13, None, day, None, None),  # neither is a member of the platform
         (5, "N5", 1, 98, 14, None, day, None, None), (6, "N6", 98, 99, 14, None, day, None, None)],  # 98, 99: outside
    )  # fmt: skip
    save(
        tmp_path,
        "trade_order",
        ["order_id", "ordered_on", "quantity_units"],
        [(11, day, 7), (12, day, 9), (13, day, 1), (14, day, 2)],
    )
    save(tmp_path, "delivery", ["delivery_id", "shipped_on", "quantity_units"], [(21, day, 7), (22, day, 9)])
    save(
        tmp_path,
        "payment",
        ["payment_id", "invoice_id", "paid_at", "amount_fen", "reverses_id"],
        [(31, 1, datetime(2021, 6, 1, 9), 12345, None), (32, 1, datetime(2021, 6, 2, 9), 5, None),
         (33, 1, datetime(2021, 6, 3, 9), -5, 32.0)],
    )  # fmt: skip
    return World.open(tmp_path)
