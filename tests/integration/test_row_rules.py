"""Row rules: every raw text becomes a typed value or a reason, and no text whatever stops the job."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import HealthCheck, Phase, given, strategies
from hypothesis import settings as rules

from lakehouse import contracts, engine
from lakehouse.contracts import Contract
from lakehouse.settings import PROJECT_DIR, Settings
from spark_jobs import row_rules
from tests.drops import SALE_HEAD, VOID, invoice

SALE = contracts.load(PROJECT_DIR / "contracts" / "gov_tax__sale_invoice.yaml")
LOAN = contracts.load(PROJECT_DIR / "contracts" / "bank__loan.yaml")
CREDIT = contracts.load(PROJECT_DIR / "contracts" / "bank__credit_record.yaml")
RECEIVED = date(2020, 3, 1)

# a raw invoice row → its reasons; none: it is sound
CASES: list[tuple[tuple[str | None, ...], set[str]]] = [
    (invoice(), set()),
    (invoice(status=" 作废发票"), set()),
    (invoice(status="作废发票  "), set()),
    (invoice(amount=-100.0), set()),
    (invoice(amount=0.0), set()),
    (invoice(day="2020/03/01"), set()),
    (invoice(day="2000/1/1"), set()),
    (invoice(total="113.01"), set()),
    (invoice(number="0" * 20), set()),
    (invoice(amount=0.1, tax="0.0", total="0.1"), set()),
    (invoice(amount=1e9, tax="0", total="1000000000"), set()),
    (invoice(status="正常"), {"unknown_code:status"}),
    (invoice(status="valid"), {"unknown_code:status"}),
    (invoice(status=""), {"missing:status"}),
    (invoice(status="   "), {"missing:status"}),
    (invoice(day="2020/3/2"), {"after_received:issued_on"}),
    (invoice(day="2099/12/31"), {"after_received:issued_on"}),
    (invoice(day="1900/1/1"), {"below_minimum:issued_on"}),
    (invoice(day="1999/12/31"), {"below_minimum:issued_on"}),
    (invoice(day="2019/2/29"), {"bad_type:issued_on"}),
    (invoice(day="2019-01-05"), {"bad_type:issued_on"}),
    (invoice(day="5/1/2019"), {"bad_type:issued_on"}),
    (invoice(day="300000/1/1"), {"bad_type:issued_on"}),
    (invoice(day="999999999/1/1"), {"bad_type:issued_on"}),
    (invoice(day="2019/1/5 10:00"), {"bad_type:issued_on"}),
    (
        invoice(amount=1e15),
        {f"above_maximum:{name}" for name in ("amount_excl_tax_cny", "tax_cny", "amount_incl_tax_cny")},
    ),
    (invoice(amount=1e15, tax="0", total="0"), {"above_maximum:amount_excl_tax_cny", "total_mismatch"}),
    (invoice(tax="1e1000000000"), {"bad_type:tax_cny"}),
    (invoice(tax="0e-1000000000"), {"bad_type:tax_cny"}),
    (invoice(tax="1.3E+01"), {"bad_type:tax_cny"}),
    (invoice(tax="."), {"bad_type:tax_cny"}),
    (invoice(tax="13.001"), {"bad_type:tax_cny"}),
    (invoice(tax="1,3.00"), {"bad_type:tax_cny"}),
    (invoice(tax="NaN"), {"bad_type:tax_cny"}),
    (invoice(tax=""), {"missing:tax_cny"}),
    (invoice(total="113.02"), {"total_mismatch"}),
    (invoice(tax="25.00", total="125.00"), {"tax_above_any_rate"}),
    (invoice(amount=13.0, tax="100.00", total="113.00"), {"tax_above_any_rate"}),  # amount and tax swapped
    (invoice(number="12a"), {"bad_pattern:invoice_number"}),
    (invoice(number="1" * 21), {"bad_pattern:invoice_number"}),
    (invoice(number="1\u2028"), {"bad_pattern:invoice_number"}),
    (invoice(number="1\u0085"), {"bad_pattern:invoice_number"}),
    (invoice(firm="E 1"), {"bad_pattern:enterprise_id"}),
    (invoice(firm="'; DROP"), {"bad_pattern:enterprise_id"}),
    (invoice(firm="", number="1"), {"missing:enterprise_id"}),
    (invoice(firm="", status="?"), {"missing:enterprise_id", "unknown_code:status"}),
    ((None,) * 8, {f"missing:{c.name}" for c in SALE.columns}),
]  # fmt: skip


def judge(spark, contract: Contract, rows: list[tuple[str | None, ...]]) -> list:
    """Rows in the contract's column order through the rules, in their order; reasons as sets."""
    names = [f"{row_rules.RAW}{c.name} string" for c in contract.columns]
    schema = ", ".join([*names, f"{row_rules.CORRUPT} string", "row_number bigint", "received_on date"])
    raw = spark.createDataFrame([(*row, None, i, RECEIVED) for i, row in enumerate(rows)], schema)
    typed = row_rules.apply(raw, contract)
    # Dates before year 1 cannot be read by Python, and such rows are quarantined with their text only.
    shown = [f"cast(`{c.name}` AS string) AS `{c.name}`" for c in contract.columns]
    return typed.selectExpr(*shown, "row_number", "reasons", "raw").orderBy("row_number").collect()


@pytest.mark.engine
def test_reasons_are_exact(lakehouse: Settings) -> None:
    with engine.session() as spark:
        found = judge(spark, SALE, [row for row, _ in CASES])
        loans = judge(
            spark, LOAN,
            [
                ("L1", "E1", "2019-01-01", "2020-01-01", "1000.00", *[""] * 5),
                ("L1", "E1", "2019-01-01", "", "1000.00", "2019-13-01", *[None] * 4),
            ],
        )  # fmt: skip
        credit = judge(spark, CREDIT, [("E1", "公司", "A", "否"), ("E2", "公司", "E", "yes")])
    wrong = [(row, why, set(got["reasons"])) for (row, why), got in zip(CASES, found, strict=True)
             if set(got["reasons"]) != why or len(got["reasons"]) != len(why)]  # fmt: skip
    assert wrong == []
    assert found[1]["status"] == "void" and found[0]["amount_incl_tax_cny"] == "113.00"
    assert found[0]["raw"] is None
    assert found[11]["raw"] == dict(zip(SALE_HEAD, CASES[11][0], strict=True))
    assert [set(r["reasons"]) for r in loans] == [set(), {"missing:due_on", "bad_type:dpd31_on"}]
    assert [set(r["reasons"]) for r in credit] == [set(), {"unknown_code:credit_rating", "unknown_code:is_bad"}]
    assert credit[0]["is_bad"] == "false"


NUMBERS = strategies.one_of(
    strategies.decimals(allow_nan=True, allow_infinity=True).map(str),
    strategies.floats().map(repr),
    strategies.from_regex(r"[+-]?[0-9]{0,30}[.]?[0-9]{0,30}([eE][+-]?[0-9]{1,9})?", fullmatch=True),
)
DATES = strategies.one_of(
    strategies.from_regex(r"[+-]?[0-9]{1,10}/[0-9]{1,3}/[0-9]{1,3}", fullmatch=True),
    strategies.dates().map(lambda d: f"{d.year}/{d.month}/{d.day}"),
)
ANYTHING = strategies.one_of(
    strategies.text(strategies.characters(exclude_categories=["Cs"]), max_size=30), NUMBERS, DATES, strategies.none()
)
SOUND = strategies.sampled_from([invoice(), invoice(status=VOID), invoice(amount=-5.0)])


@strategies.composite
def raw_row(draw: strategies.DrawFn) -> tuple[str | None, ...]:
    """A sound row of which one to three cells are anything."""
    cells: list[str | None] = list(draw(SOUND))
    kinds = [ANYTHING, ANYTHING, DATES, ANYTHING, NUMBERS, NUMBERS, NUMBERS, ANYTHING]
    for place in draw(strategies.sets(strategies.integers(0, 7), min_size=1, max_size=3)):
        cells[place] = draw(strategies.one_of(kinds[place], ANYTHING))
    return tuple(cells)


def number(text: str | None) -> Decimal | None:
    try:
        return Decimal(text or "")
    except InvalidOperation:
        return None


@pytest.mark.engine
def test_no_text_stops_the_job_and_a_sound_row_is_sound(lakehouse: Settings) -> None:
    rows: list[tuple[str | None, ...]] = []

    @rules(max_examples=600, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(raw_row())
    def gather(row: tuple[str | None, ...]) -> None:
        rows.append(row)  # judged together below: a job for each would take seconds

    gather()
    with engine.session() as spark:
        found = judge(spark, SALE, rows)
    assert len(found) == len(rows) >= 300
    sound = 0
    for raw, row in zip(rows, found, strict=True):
        if row["reasons"]:
            assert row["raw"] == dict(zip(SALE_HEAD, raw, strict=True))
            continue
        sound += 1
        amounts = [number(cell.strip(" ")) for cell in raw[4:7] if cell is not None]
        assert amounts == [Decimal(row[n]) for n in ("amount_excl_tax_cny", "tax_cny", "amount_incl_tax_cny")], raw
        assert abs(amounts[0] + amounts[1] - amounts[2]) <= Decimal("0.01"), raw
        year, month, day = map(int, str(raw[2]).strip(" ").split("/"))
        assert date(2000, 1, 1) <= date(year, month, day) <= RECEIVED, raw
        assert str(raw[7]).strip(" ") in ("有效发票", "作废发票"), raw
    assert sound >= 5
