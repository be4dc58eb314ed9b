"""A tax office sends a quarter anew: the report names what a recomputation by other means says moves, and a person
decides.

Silver is made by hand, so that a day takes seconds: sales and tax returns of a dozen firms over two years.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from click.testing import CliRunner

from expectations import gate as gates
from expectations import restatement
from expectations import restating as restating_rows
from expectations.gate import gate
from lakehouse import differences, engine, known, ledger, restatements, tables, waivers
from lakehouse.cli import main
from lakehouse.errors import ConfigError, GateFailed
from lakehouse.ledger import BatchAccount
from lakehouse.settings import Settings
from ml import bands
from ml.reasons import reason_groups
from ml.sql import portfolio_sql
from spark_jobs.source_features import catalogue
from tests.drops import APPLICANT_HEAD, PURCHASE_HEAD, SALE_HEAD, VALID, VOID, publish_builds, write_csv
from tests.oracle import features_oracle
from tests.unit import ml_factories

pytestmark = [pytest.mark.engine, pytest.mark.apart]

ZONE = ZoneInfo("Asia/Shanghai")
FIRST, SECOND, THIRD = date(2020, 1, 20), date(2020, 2, 20), date(2020, 3, 20)
FIRMS = [f"E{number}" for number in range(12)]
RETURNS, INVOICES = "silver.tax_return", "silver.vat_invoice"
OF = {"t": "tax_returns__return", "i": "vat_invoices__invoice"}
QUARTER = (7, 8, 9)
RESENT, CUT, VOIDED, LATE = FIRMS[:5], "E6", "E7", "E8"
COLUMNS = {
    INVOICES: "invoice_id string, version_no int, enterprise_id string, direction string, invoice_number string, "
    "issued_on date, event_at timestamp, counterparty_id string, amount_excl_tax_cny decimal(18,2), "
    "tax_cny decimal(18,2), amount_incl_tax_cny decimal(18,2), status string, is_red_letter boolean, "
    "red_letter_link string, reverses_invoice_id string, reversed_on date, superseded_at timestamp, source string",
    RETURNS: "taxpayer_id string, period_start date, version_no int, declared_sales_cny decimal(18,2), "
    "output_tax_cny decimal(18,2), input_tax_cny decimal(18,2), payable_tax_cny decimal(18,2), "
    "paid_tax_cny decimal(18,2), filed_on date, paid_on date",
    "silver.enterprise": "enterprise_id string, version_no int, registered_on date, "
    "registered_capital_cny decimal(18,2), staff bigint",
    "silver.loan": "loan_id string, version_no int, enterprise_id string, drawn_on date, due_on date, closed_on date, "
    "principal_cny decimal(18,2)",
    "silver.registered_enterprise": "enterprise_key string, version_no int, uscc string, registration_number string",
    "silver.department_subject": "department string, department_key string, version_no int, code string",
}
TRACE = (
    "known_at timestamp, known_at_is_assumed boolean, received_on date, batch_id string, batch_sequence bigint, "
    "source_file string, row_number bigint"
)
Rows = list[dict[str, Any]]


def months(first: date, last: date) -> list[date]:
    serials = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(s // 12, s % 12 + 1, 1) for s in serials]


def cny(amount: float) -> Decimal:
    return Decimal(round(amount * 100)).scaleb(-2)


def traced(rows: Rows, batch: str, known_on: date) -> Rows:
    """The rows as one batch of a day brought them, versions known then."""
    moment = datetime(known_on.year, known_on.month, known_on.day, tzinfo=ZONE)
    return [
        {"version_no": 1} | row | {
            "known_at": moment, "known_at_is_assumed": False, "received_on": known_on, "batch_id": batch,
            "batch_sequence": known_on.toordinal(), "source_file": "f", "row_number": number,
        }
        for number, row in enumerate(rows)
    ]  # fmt: skip


def sale(firm: str, month: date, **cells: Any) -> dict[str, Any]:
    """The sale of a firm's month; its amount follows from both."""
    amount = cny(1000 * (FIRMS.index(firm) + 1) + 37 * month.month)
    number, day = f"{firm}{month:%y%m}", month + timedelta(days=14)
    row = {"invoice_number": number, "invoice_id": number, "enterprise_id": firm, "direction": "sale", "issued_on": day,
           "event_at": datetime(day.year, day.month, day.day, tzinfo=ZONE), "counterparty_id": f"B{month.month % 3}",
           "amount_excl_tax_cny": amount, "status": "valid", "is_red_letter": False, "source": OF["i"]}  # fmt: skip
    row |= cells
    tax = cny(float(row["amount_excl_tax_cny"]) * 0.13)
    return row | {"tax_cny": tax, "amount_incl_tax_cny": row["amount_excl_tax_cny"] + tax}


def tax_return(firm: str, month: date, factor: float = 1, *, paid: bool = True, **cells: Any) -> dict[str, Any]:
    """The return of a firm's month; declared and due a `factor` of the usual."""
    sales = 1100 * (FIRMS.index(firm) + 1) + 53 * month.month
    out, in_ = cny(factor * sales * 0.13), cny(sales * 0.09)
    return {"taxpayer_id": f"N{firm}", "period_start": month, "declared_sales_cny": cny(factor * sales),
            "output_tax_cny": out, "input_tax_cny": in_, "payable_tax_cny": out - in_,
            "paid_tax_cny": out - in_ if paid else Decimal(0), "filed_on": month + timedelta(days=40),
            "paid_on": month + timedelta(days=44) if paid else None} | cells  # fmt: skip


def history() -> dict[str, Rows]:
    """What readers have: two years, the last return not yet paid."""
    past = months(date(2018, 1, 1), date(2019, 12, 1))
    returns = [tax_return(f, m, paid=m != past[-1]) for f in FIRMS for m in past]
    firms = [{"enterprise_id": f, "registered_on": date(2017, 1, 1)} for f in FIRMS]
    register = [{"enterprise_key": f"R{f}", "uscc": f, "registration_number": f"G{f}"} for f in FIRMS]
    subjects = [{"department": "tax_returns", "department_key": f"N{f}", "code": f} for f in FIRMS]
    return {
        INVOICES: traced([sale(f, m) for f in FIRMS for m in past], "i1", FIRST),
        RETURNS: traced(returns, "t1", FIRST),
        "silver.enterprise": traced(firms, "r1", FIRST),
        "silver.loan": [],
        "silver.registered_enterprise": traced(register, "r1", FIRST),
        "silver.department_subject": traced(subjects, "r1", FIRST),
    }  # fmt: skip


def ordinary(month: date, known_on: date, batch: str) -> tuple[Rows, Rows]:
    """News of a day: the sales and returns of a month, and the payment of the returns before it."""
    before = (month - timedelta(days=1)).replace(day=1)
    news = [tax_return(f, month, paid=False) for f in FIRMS]
    payments = [tax_return(f, before, version_no=2) for f in FIRMS]
    return (
        traced([sale(f, month) for f in FIRMS], f"i{batch}", known_on),
        traced([*news, *payments], f"t{batch}", known_on),
    )


def restating() -> tuple[Rows, Rows]:
    """What changes history on the second day: a quarter of five firms' returns, and sales of three firms."""
    quarter = [date(2019, month, 1) for month in QUARTER]
    cut = [sale(CUT, m, version_no=2, amount_excl_tax_cny=cny(70 + m.month)) for m in quarter]
    void = sale(VOIDED, quarter[1], version_no=2, status="void")
    late = sale(LATE, date(2019, 3, 1), invoice_id="late", invoice_number="900", counterparty_id="B9",
                amount_excl_tax_cny=cny(40))  # fmt: skip
    returns = [tax_return(f, m, 1.5, version_no=2) for f in RESENT for m in quarter]
    sales = traced([*cut, void, late], "i2", SECOND)
    for row in sales:
        row["row_number"] += 1000
    return sales, traced(returns, "t2", SECOND)


def write(silver: dict[str, Rows]) -> None:
    """Builds tables of silver aside."""
    with engine.session("test_restatement") as spark:
        tables.ensure_schemas(spark)
        for table, rows in silver.items():
            columns = f"{COLUMNS[table]}, {TRACE}"
            names = [column.split()[0] for column in columns.split(", ")]
            cells = [tuple(row.get(name) for name in names) for row in rows]
            frame = spark.createDataFrame(cells, columns)
            if table == INVOICES:
                superseded = known.macro("superseded", ["invoice_id"])
                frame = frame.drop("superseded_at").selectExpr("*", f"{superseded} AS superseded_at")
            tables.overwrite(frame, table)


def newest(rows: Rows, *keys: str) -> Rows:
    """Of each record its highest version, by plain Python."""
    held: dict[tuple, dict] = {}
    for row in rows:
        key = tuple(row[k] for k in keys)
        if row["version_no"] > held.get(key, {"version_no": 0})["version_no"]:
            held[key] = row
    return list(held.values())


def invoice_features(folder: Path, sales: Rows) -> pd.DataFrame:
    """Every invoice feature of the second day, by the oracle that reads raw files with DuckDB."""
    cells = [
        (r["enterprise_id"], r["invoice_number"], f"{r['issued_on']:%Y/%m/%d}", r["counterparty_id"],
         str(r["amount_excl_tax_cny"]), str(r["tax_cny"]), str(r["amount_incl_tax_cny"]),
         VALID if r["status"] == "valid" else VOID)
        for r in newest(sales, "invoice_id")
    ]  # fmt: skip
    write_csv(folder / "output_invoices.csv", SALE_HEAD, cells)
    write_csv(folder / "input_invoices.csv", PURCHASE_HEAD, [])
    write_csv(folder / "enterprises_without_credit_record.csv", APPLICANT_HEAD, [(f, f) for f in FIRMS])
    return features_oracle.features(folder, SECOND, SECOND)


def tax_features(returns: Rows, invoiced_12m: float) -> dict[str, float | None]:
    """The tax features of one firm's returns on the second day, from their definitions."""
    of = {(SECOND.year - r["period_start"].year) * 12 + SECOND.month - r["period_start"].month: r for r in returns}

    def total(column: str, last: int, first: int = 1) -> float:
        return sum(float(r[column]) for n, r in of.items() if first <= n <= last)

    def count(last: int, condition=lambda r: True) -> int:
        return sum(1 for n, r in of.items() if 1 <= n <= last and condition(r))

    def ratio(part: float, whole: float) -> float | None:
        return part / whole if whole > 0 else None

    def growth(w: int) -> float | None:
        new, old = total("declared_sales_cny", w), total("declared_sales_cny", 12 + w, 13)
        return (new - old) / (abs(new) + abs(old)) if max(of) >= 12 + w else None

    def unpaid(r: dict) -> float:
        return float(r["payable_tax_cny"] - r["paid_tax_cny"]) if r["paid_on"] is None else 0.0

    arrears, declared = sum(map(unpaid, of.values())), total("declared_sales_cny", 12)
    return {
        **{f"tax_declared_sales_{w}m_cny": total("declared_sales_cny", w) for w in (3, 6, 12, 24)},
        **{f"tax_paid_{w}m_cny": total("paid_tax_cny", w) for w in (12, 24)},
        **{f"tax_return_{w}m_count": count(w) for w in (12, 24)},
        **{f"tax_zero_declaration_{w}m_months": count(w, lambda r: r["declared_sales_cny"] == 0) for w in (12, 24)},
        "tax_arrears_cny": arrears,
        **{f"tax_unpaid_{w}m_months": count(w, lambda r: unpaid(r) > 0) for w in (6, 12)},
        "tax_filing_lag_12m_days": max((r["filed_on"] - r["period_start"]).days for n, r in of.items() if n <= 12),
        **{f"tax_burden_{w}m_ratio": ratio(total("paid_tax_cny", w), total("declared_sales_cny", w)) for w in (12, 24)},
        "tax_input_to_output_12m_ratio": ratio(total("input_tax_cny", 12), total("output_tax_cny", 12)),
        **{f"tax_declared_growth_{w}m_ratio": growth(w) for w in (6, 12)},
        "tax_declared_to_invoiced_12m_ratio": ratio(declared, invoiced_12m),
        "tax_arrears_to_sales_ratio": ratio(arrears, declared),
    }  # fmt: skip


class Naive:
    """All features of the second day, from one side's rows."""

    def __init__(self, folder: Path, sales: Rows, returns: Rows) -> None:
        self.invoices = invoice_features(folder, sales)
        held = newest(returns, "taxpayer_id", "period_start")
        invoiced = self.invoices["sales_amount_12m_cny"]
        taxes = {f: tax_features([r for r in held if r["taxpayer_id"] == f"N{f}"], invoiced[f]) for f in FIRMS}
        self.all = self.invoices.drop(columns=["history_months", "known_at_is_assumed"]).join(
            pd.DataFrame.from_dict(taxes, orient="index").astype(float)
        )
        self.all["partner_count"] = self.all["customer_12m_count"] + self.all["supplier_12m_count"]


@pytest.fixture
def champion(monkeypatch: pytest.MonkeyPatch):
    """A card on sales of a year, in office as version 7."""
    splits = tuple(12_000.0 * n for n in range(1, 13))
    bins = ml_factories.bins("sales_amount_12m_cny", splits, tuple(3 - n / 2 for n in range(13)))
    card = ml_factories.card(bins, betas=(1.0,), intercept=-2.5)
    config = ml_factories.CONFIG
    statement = portfolio_sql(
        card, reason_groups(card, config.features), config.scorecard.minimum_history, config.features.history
    )
    monkeypatch.setattr(bands, "champion", lambda _: bands.Champion("7", statement))
    return card


@pytest.fixture
def second_day(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Rows]]:
    """Readers have the history; the second day's silver waits, with its batches in the ledger.

    The gate's expectations, which take most of its time and have tests of their own, are left out.
    """
    monkeypatch.setattr(gates, "check", lambda *_: [])
    silver = history()
    write(silver)
    with engine.session("test_restatement") as spark:
        publish_builds(spark, "silver", FIRST.isoformat())
        accounts = [
            BatchAccount(f"{kind}{n}", OF[kind], day.isoformat(), "h", 1, 1, 1, 1, 0, 0, {}, {})
            for kind in OF
            for n, day in ((2, SECOND), (3, THIRD))
        ]
        ledger.record_batches(accounts, "test")
    sales, returns = ordinary(date(2020, 1, 1), SECOND, "2")
    silver[INVOICES] += sales
    silver[RETURNS] += returns
    yield silver


def report(partition: str | None = None):
    return restatements.last(partition)


def test_a_quarter_sent_anew_is_reported_held_approved_and_forgotten(
    second_day: dict[str, Rows], champion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Naive(tmp_path / "plain", second_day[INVOICES], second_day[RETURNS])
    sales, returns = restating()
    second_day[INVOICES] += sales
    second_day[RETURNS] += returns
    other = Naive(tmp_path / "restated", second_day[INVOICES], second_day[RETURNS])
    write({table: second_day[table] for table in (INVOICES, RETURNS)})

    with pytest.raises(GateFailed, match=restatement.RULE) as held:
        gate("silver", SECOND.isoformat())
    assert "waiver add silver.tax_return restatement_within_limit --batch t2" in str(held.value)
    sources, features, enterprises = report(SECOND.isoformat())
    with engine.session() as spark:
        waits = {table: tables.build_version(table) for table in (INVOICES, RETURNS)}
        looks = catalogue.load(), waits, tables.current_manifest().versions
        of_all = restating_rows.look(spark, *looks)[1]
        monkeypatch.setattr(differences, "LEAST_ROWS", 0)  # as large tables are read, where something is new
        assert of_all == restating_rows.look(spark, *looks)[1] and len(of_all) == 2
        assert spark.table(tables.published_name(RETURNS)).where("batch_id = 't2'").isEmpty()

    # What moves, by DuckDB and plain Python.
    equal = (plain.all - other.all).abs() <= 1e-9 * plain.all.abs()
    moved = ~(equal | (plain.all.isna() & other.all.isna()))
    assert {f.feature: f.enterprises for f in features} == {n: int(c) for n, c in moved.sum().items() if c}
    assert {e.enterprise_id: e.features for e in enterprises} == {n: int(c) for n, c in moved.sum(axis=1).items() if c}
    assert {e.enterprise_id for e in enterprises} == {*RESENT, CUT, VOIDED, LATE}
    name = "tax_declared_sales_12m_cny"
    change = ((other.all[name] - plain.all[name]) / plain.all[name])[RESENT]
    found = next(f for f in features if f.feature == name)
    assert (found.enterprises, found.median_change) == (5, pytest.approx(change.median()))
    assert found.largest_change == pytest.approx(change.max())

    # By source: what came, whose it is, and whose score changes band.
    tax, invoice = sources
    assert (tax.department, tax.restated, tax.deleted, tax.late, tax.touched) == ("tax_returns", 15, 0, 0, 5)
    assert (invoice.restated, invoice.deleted, invoice.late, invoice.touched) == (3, 1, 1, 3)
    assert tax.enterprises == 12 and tax.moved == 5 and tax.band_moves == 0
    scores = [champion.score(side.invoices.loc[FIRMS]) for side in (plain, other)]
    grades = [[champion_grade(champion, score) for score in side] for side in scores]
    crossed = {f: pair for f, *pair in zip(FIRMS, *grades, strict=True) if pair[0] != pair[1]}
    assert CUT in crossed and invoice.band_moves == len(crossed)
    assert {
        e.enterprise_id: [e.band_before, e.band_after] for e in enterprises if e.band_before != e.band_after
    } == crossed

    for table, batch in ((RETURNS, "t2"), (INVOICES, "i2")):
        waivers.add(table, restatement.RULE, "anna", "the office says why", "2099-12-31", batch)
    passed = gate("silver", SECOND.isoformat())
    assert passed["tables"] == 2
    assert Counter(s.outcome for s in report()[0]) == {"waived": 2}
    shown = CliRunner().invoke(main, ["restatement", "show", "--part", "sources"])
    assert shown.exit_code == 0 and "waived" in shown.output and "tax_returns" in shown.output
    page = next(Path(str(passed["report"])).parent.glob(f"restatement-{SECOND}-*.html"))
    assert "tax_declared_sales_12m_cny" in page.read_text(encoding="utf-8")

    sales, returns = ordinary(date(2020, 2, 1), THIRD, "3")
    write({INVOICES: [*second_day[INVOICES], *sales], RETURNS: [*second_day[RETURNS], *returns]})
    assert gate("silver", THIRD.isoformat())["tables"] == 2
    with pytest.raises(ConfigError, match="no restatement was found for 2020-03-20"):
        report(THIRD.isoformat())


def champion_grade(card, score: int) -> str:
    from ml.scorecard import grade_of

    return grade_of(float(card.pd_of_score(score)), card.grades)
