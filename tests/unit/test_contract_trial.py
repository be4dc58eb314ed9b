"""Values as sent, judged like bronze does: the same types, the same reason codes; and a dry pull that keeps nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracting import trial, values
from lakehouse import connections, contracts
from lakehouse.connections import Connection
from lakehouse.contracts import Column, Contract
from lakehouse.errors import ConfigError
from lakehouse.settings import PROJECT_DIR

KNOWN = contracts.load_all(PROJECT_DIR / "contracts")
DAY = date(2024, 3, 31)


def column(**facts: Any) -> Column:
    return replace(Column("c", "c", "string", ""), **facts)


@pytest.mark.parametrize(
    ("facts", "sent", "typed", "reasons"),
    [
        ({"spark_type": "decimal(18,2)"}, "12.50", Decimal("12.50"), []),
        ({"spark_type": "decimal(18,2)"}, 12.5, Decimal("12.50"), []),
        ({"spark_type": "decimal(18,2)"}, "12.505", None, ["bad_type:c"]),
        ({"spark_type": "decimal(18,2)"}, "1e3", None, ["bad_type:c"]),
        ({"spark_type": "decimal(18,2)"}, "1,234.50", None, ["bad_type:c"]),
        ({"spark_type": "decimal(18,2)", "group_separator": ","}, "1,234.50", Decimal("1234.50"), []),
        ({"spark_type": "decimal(18,2)", "group_separator": ","}, "12,34.50", None, ["bad_type:c"]),
        ({"spark_type": "decimal(18,2)", "scale": "0.01"}, 123456, Decimal("1234.56"), []),
        ({"spark_type": "decimal(4,2)"}, "100", None, ["bad_type:c"]),
        ({"spark_type": "bigint"}, "12.0", None, ["bad_type:c"]),
        ({"spark_type": "boolean"}, True, True, []),
        ({"spark_type": "date", "date_format": "yyyy年MM月dd日"}, "2024年03月05日", date(2024, 3, 5), []),
        ({"spark_type": "date", "date_format": "yyyyMM"}, "202403", date(2024, 3, 1), []),
        ({"spark_type": "date", "date_format": "yyyy[-][/]MM[-][/]dd"}, "2024/03/05", date(2024, 3, 5), []),
        ({"spark_type": "date", "date_format": "yyyy[-][/]MM[-][/]dd"}, "2024-03-05", date(2024, 3, 5), []),
        ({"spark_type": "date", "not_after_received": True}, "2024-04-01", date(2024, 4, 1), ["after_received:c"]),
        ({"spark_type": "date", "minimum": "2000-01-01"}, "1999-12-31", date(1999, 12, 31), ["below_minimum:c"]),
        ({"spark_type": "bigint", "maximum": "5"}, 6, 6, ["above_maximum:c"]),
        ({"pattern": "^[0-9]+$"}, "12a", "12a", ["bad_pattern:c"]),
        ({"codes": {"1": "open"}}, 1, "open", []),
        ({"codes": {"1": "open"}}, "2", None, ["unknown_code:c"]),
        ({"required": True}, "  ", None, ["missing:c"]),
        ({}, None, None, []),
        ({"classification": "personal"}, "330106197001010011", "sealed", []),
    ],
)
def test_a_value_is_judged_as_bronze_judges_it(facts: dict, sent: Any, typed: Any, reasons: list[str]) -> None:
    assert values.read(column(**facts), sent, DAY) == (typed, reasons)


def test_times_keep_their_zone() -> None:
    typed, reasons = values.read(column(spark_type="timestamp"), "2024-03-05T09:00:00+08:00", DAY)
    assert typed == datetime.fromisoformat("2024-03-05T01:00:00+00:00") and reasons == []


@pytest.fixture
def statements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contract:
    """A feed of files in a folder, with a bad row, a row that breaks a rule, and a field nobody stated."""
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "plots_1.csv").write_text(
        "plot_number,observed_on,sensed_area_mu,vegetation_index,cloud_ratio,crop_guess,satellite\n"
        "DK1,2024-03-01,10.5,0.4,0.1,rice,S2\nDK2,2024-03-01,10.5,0.4,1.5,rice,S2\nXX,01.03.2024,10.5,0.4,0.1,,S2\n"
    )
    monkeypatch.setattr(connections, "connection", lambda name: Connection(name, {"folder": str(folder)}))
    known = KNOWN["field__remote_sensing"]
    rule = contracts.RowRule("too_green", "vegetation_index < 0.4 OR cloud_ratio > 1", "")
    feed = replace(known.feed, path="plots_*.csv", options={"settledSeconds": 0})
    return replace(known, feed=feed, row_rules=(rule,))


def test_a_dry_pull_tells_rows_types_and_reasons_and_keeps_nothing(statements: Contract, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    found = trial.run(statements, DAY)
    assert (found.parts, found.records, found.quarantined) == (1, 3, 3)
    assert dict(found.reasons) == {
        "above_maximum:cloud_ratio": 1, "bad_pattern:plot_number": 1, "bad_type:observed_on": 1, "too_green": 2,
    }  # fmt: skip
    assert found.differences == ("+satellite",)
    fits = {fit.column: fit for fit in found.fits}
    assert (fits["sensed_area_mu"].found, fits["crop_guess"].share) == ("number", pytest.approx(2 / 3))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_contract_without_feed_cannot_be_tried() -> None:
    with pytest.raises(ConfigError, match="no feed"):
        trial.run(KNOWN["bank__loan"], DAY)


def test_every_row_rule_of_the_product_can_be_tried_without_the_engine() -> None:
    for contract in KNOWN.values():
        assert trial._broken_rules(contract, [{c.name: None for c in contract.columns}]) == []
