"""No column that a system may show tells the truth the world hides."""

from __future__ import annotations

import pytest

from sources.economy.schema import TABLES

TRAITS = {"skill", "honesty", "prudence", "patience"}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_hidden_columns_stay_hidden(name: str) -> None:
    table = TABLES[name]
    shown = set(table.visible)
    assert not any(c.startswith("true_") or c == "planted_id" for c in shown)
    assert not shown & TRAITS
    assert set(table.key) <= set(table.schema.names)
    if table.system == "truth":
        assert not shown


def test_settling_days_and_diverted_shares_are_truth() -> None:
    assert {"due_on", "settled_on"} <= TABLES["invoice"].hidden
    assert "diverted_ratio" in TABLES["loan"].hidden
    assert {t for t in TABLES if TABLES[t].system == "truth"} >= {"firm_day", "trade_link", "default_event", "planted"}
