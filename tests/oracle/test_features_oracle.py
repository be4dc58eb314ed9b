"""The oracle itself: by hand on a dozen invoices, by properties, and by name against the definitions."""

from __future__ import annotations

import gzip
import math
import random
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from tests.oracle.features_oracle import compare, features

PROJECT_DIR = Path(__file__).resolve().parents[2]
REAL = PROJECT_DIR.parent / "shared" / "data" / "cumcm_2020_c"
VALID, VOID = "有效发票", "作废发票"
AS_OF, RECEIVED = date(2022, 1, 10), date(2022, 1, 15)

SALES = [  # number, day, buyer, amount, tax, total, status
    ("1", "2021/1/4", "B1", "1000.0", "130.0", "1130.0", VALID),
    ("1", "2021/1/4", "B1", "1000.0", "130.0", "1130.0", f"{VALID} "),  # a duplicate once trimmed
    ("2", "2021/7/30", "B1", "3000.0", "390.0", "3390.0", VALID),
    ("3", "2021/12/1", "B2", "884.96", "115.04", "1000.0", VALID),
    ("4", "2021/12/31", "B1", "-1000.0", "-130.0", "-1130.0", VALID),  # red, 361 days after number 1
    ("5", "2021/12/31", "B2", "500.0", "65.0", "565.0", f" {VOID}"),
    ("6", "2021/12/31", "B3", "200.0", "26.0", "226.0", VALID),
    ("6", "2021/12/31", "B3", "200.0", "26.0", "226.0", VOID),  # listed both ways: void
    ("7", "2021/12/31", "B3", "70.0", "9.1", "80.0", VALID),  # total does not add up: out
    ("8", "2202/7/8", "B3", "70.0", "9.1", "79.1", VALID),  # after the drop: out
    ("9", "2022/1/3", "B2", "100.0", "13.0", "113.0", VALID),  # in the as-of month
    ("10", "2022/1/10", "B2", "100.0", "13.0", "113.0", VALID),  # not known before 2022-01-11
]
PURCHASES = [
    ("3", "2021/12/1", "A1", "884.96", "115.04", "1000.0", VALID),  # mirrors sale 3
    ("11", "2021/11/15", "A2", "1000.0", "0.0", "1000.0", VALID),
]


def write(folder: Path, sales: list[tuple], purchases: list[tuple], firm: str = "E1") -> Path:
    """A drop folder of one firm, plus E2 that is listed and has no invoices."""
    folder.mkdir(parents=True, exist_ok=True)
    header = "企业代号,发票号码,开票日期,单位代号,金额,税额,价税合计,发票状态"
    for name, rows in (("output_invoices_x.csv.gz", sales), ("input_invoices_x.csv.gz", purchases)):
        lines = [header, *(",".join((firm, *row)) for row in rows)]
        (folder / name).write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    (folder / "enterprises_without_credit_record.csv").write_text(f"企业代号,企业名称\n{firm},甲\nE2,乙\n")
    return folder


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> pd.Series:
    folder = write(tmp_path_factory.mktemp("oracle") / "drop", SALES, PURCHASES)
    return features(folder, AS_OF, RECEIVED).loc["E1"]


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("sales_amount_12m_cny", 1000 + 3000 + 884.96 - 1000),
        ("sales_amount_3m_cny", 884.96 - 1000),
        ("sales_invoice_12m_count", 4),
        ("purchase_amount_12m_cny", 1884.96),
        ("sales_month_median_12m_cny", 0),
        ("sales_amount_12m_log", math.log(1 + 3884.96)),
        ("sales_recent_3m_to_12m_ratio", -115.04 / 3884.96),
        ("sales_growth_12m_ratio", math.nan),  # 12 months of history only
        ("sales_peak_month_12m_ratio", 3000 / 4000),  # December is negative and counts as 0
        ("sales_active_12m_months", 3),
        ("sales_zero_12m_months", 8),  # nine empty months, February left out
        ("sales_longest_zero_run_12m_months", 5),  # February to June
        ("sales_void_count_12m_ratio", 2 / 6),
        ("sales_void_amount_12m_ratio", 700 / (700 + 5884.96)),
        ("sales_red_amount_12m_ratio", 1000 / 4884.96),
        ("sales_red_late_amount_12m_ratio", 1000 / 4884.96),
        ("sales_void_or_red_count_12m_ratio", 3 / 6),
        ("purchase_to_sales_12m_ratio", 1884.96 / 3884.96),
        ("sales_minus_purchase_12m_cny", 2000),
        ("vat_gap_12m_ratio", (130 + 390 + 115.04 - 130 - 115.04) / 3884.96),
        ("vat_gap_positive_12m_months", 2),
        ("customer_12m_count", 2),
        ("customer_top1_12m_ratio", 3000 / 3884.96),
        ("customer_repeat_12m_ratio", 1 / 2),
        ("supplier_hhi_12m_ratio", (884.96**2 + 1000**2) / 1884.96**2),
        ("new_customer_24m_count", math.nan),
        ("sales_ticket_max_12m_ratio", 3000 / 3884.96),
        ("sales_ticket_median_12m_cny", 1000),
        ("sales_ticket_p90_12m_cny", 1000 + 0.8 * 2000),
        ("sales_round_count_12m_ratio", 1 / 3),
        ("sales_month_end_count_12m_ratio", 2 / 4),
        ("sales_weekend_count_12m_ratio", 0),
        ("related_trade_12m_ratio", 884.96 / 5884.96),
        ("since_last_sale_days", 7),
        ("sales_amount_30d_cny", 100 - 1000),
        ("sales_max_gap_12m_days", (date(2021, 7, 30) - date(2021, 1, 4)).days - 1),
        ("sales_gap_mean_12m_days", (date(2021, 12, 31) - date(2021, 1, 4)).days / 3),
        ("sales_active_12m_days", 4),
        ("invoice_tenure_days", 371),
        ("history_months", 12),
    ],
)
def test_by_hand(by_hand: pd.Series, feature: str, value: float) -> None:
    assert float(by_hand[feature]) == pytest.approx(value, rel=1e-12, abs=1e-12, nan_ok=True)


def test_a_firm_without_invoices_has_zeros_and_nulls(tmp_path: Path) -> None:
    table = features(write(tmp_path / "d", SALES, PURCHASES), RECEIVED, RECEIVED)
    silent = table.loc["E2"]
    assert silent["sales_amount_12m_cny"] == silent["customer_12m_count"] == silent["history_months"] == 0
    assert pd.isna(silent["since_last_sale_days"]) and pd.isna(silent["sales_max_gap_12m_days"])
    assert list(features(tmp_path / "d", date(2022, 1, 14), RECEIVED).index) == ["E1"]  # before the drop


def test_order_and_doubling_of_rows_change_nothing(tmp_path: Path) -> None:
    first = features(write(tmp_path / "a", SALES, PURCHASES), AS_OF, RECEIVED)
    mixed = SALES * 2
    random.Random(4).shuffle(mixed)
    assert compare(first, features(write(tmp_path / "b", mixed, PURCHASES[::-1]), AS_OF, RECEIVED)) == []


def test_money_scales_sums_and_leaves_ratios(tmp_path: Path) -> None:
    def times_three(rows: list[tuple]) -> list[tuple]:
        return [(*row[:3], *(str(round(float(x) * 3, 2)) for x in row[3:6]), row[6]) for row in rows]

    first = features(write(tmp_path / "a", SALES, PURCHASES), AS_OF, RECEIVED)
    three = features(write(tmp_path / "b", times_three(SALES), times_three(PURCHASES)), AS_OF, RECEIVED)
    depends_on_units = ("_round_count_", "_log_trend_")
    for name in first:
        if name.endswith("_cny"):
            assert three[name].tolist() == pytest.approx((first[name] * 3).tolist(), nan_ok=True), name
        elif name.endswith("_ratio") and not any(part in name for part in depends_on_units):
            assert three[name].tolist() == pytest.approx(first[name].tolist(), nan_ok=True), name


def test_compare_reports_values_rows_and_features() -> None:
    ours = pd.DataFrame({"a": [1.0, math.nan], "b": [2.0, 3.0]}, index=["E1", "E2"])
    near = ours.assign(a=ours["a"] * (1 + 1e-10))
    assert compare(ours, near) == []
    theirs = pd.DataFrame({"enterprise_id": ["E1", "E3"], "as_of": AS_OF, "a": [1.1, 0.0], "c": [0.0, 0.0]})
    assert compare(ours, theirs) == [
        ("b", "every", "there", "missing"),
        ("c", "every", "missing", "there"),
        ("row", "E2", "there", "missing"),
        ("row", "E3", "missing", "there"),
        ("a", "E1", 1.0, 1.1),
    ]
    assert compare(ours, ours.fillna(0.0)) == [("a", "E2", pytest.approx(math.nan, nan_ok=True), 0.0)]


def test_every_defined_feature_is_recomputed(by_hand: pd.Series) -> None:
    folder = PROJECT_DIR / "dbt_project" / "models" / "features"
    defined = {
        column["name"]
        for path in folder.glob("*.yml")
        for model in YAML(typ="safe").load(path).get("models", [])
        for column in model["columns"]
    }
    assert defined - {"as_of", "enterprise_id"} == set(by_hand.index)


@pytest.mark.real
def test_the_real_files_give_every_firm_its_features() -> None:
    if not REAL.exists():
        pytest.skip(f"{REAL} is absent")
    table = features(REAL, date(2020, 1, 1), date(2020, 3, 1))
    assert len(table) == 223 and (table["sales_invoice_12m_count"] > 0).sum() > 200
