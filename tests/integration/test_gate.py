"""The gate: what breaks a rule is held back with its table, rule and count, and published once it is mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expectations.gate import gate
from lakehouse import engine, ledger, tables
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from spark_jobs import bronze, landing, silver
from tests.drops import drop, invoice

pytestmark = pytest.mark.engine
DAY = "2020-03-01"
SALES, INVOICE, FEATURES = "bronze.gov_tax__sale_invoice", "silver.vat_invoice", "gold.enterprise_features"


def plant(statement: str, table: str) -> None:
    """Changes a build behind the job's back."""
    with engine.session() as spark:
        spark.sql(statement.format(tables.build_name(table)))


def held_back(layer: str, *words: str) -> str:
    """Asks the gate, which must refuse with these words; nothing is published. Returns the report's text."""
    with engine.session() as spark:
        before = tables.current_manifest()
    with pytest.raises(GateFailed) as caught:
        gate(layer, DAY)
    error = caught.value
    for word in words:
        assert word in error.what, error.what
    assert str(error.where).startswith(f"{layer}, partition {DAY}; report ")
    with engine.session() as spark:
        assert tables.current_manifest() == before
        assert ledger.runs(spark).where(f"job = 'gate_{layer}' AND state = 'failed'").count() >= 1
    page = Path(str(error.where).split("; report ")[1])
    broken = [f for f in json.loads(page.with_suffix(".json").read_text())["findings"] if not f["passed"]]
    html = page.read_text()
    assert "nothing was published" in html and all(f["table"] in html for f in broken)
    return html


def test_each_layer_is_held_back_and_let_through_once_mended(lakehouse: Settings) -> None:
    # amounts that appear nowhere else, to look for in the reports
    secret = [invoice(number=n, amount=amount, party=f"BUYER{n}") for n, amount in ((1, 731941.57), (2, 64197.31))]
    drop(DAY, sales=[*secret, invoice(number=3)], firms=["E1"])
    landing.land(DAY)
    bronze.build(DAY)
    plant("UPDATE {} SET status = 'perhaps' WHERE invoice_number IN ('1', '2')", SALES)
    plant("INSERT INTO {0} SELECT * FROM {0} WHERE invoice_number = '3'", SALES)
    page = held_back("bronze", SALES, "status", "(2 rows)", "unique", "accepted rows equal the batch ledger")
    bronze.build(DAY)
    assert gate("bronze", DAY)["tables"] == 2

    silver.build(DAY)
    plant("UPDATE {} SET enterprise_id = 'E404', amount_excl_tax_cny = NULL WHERE invoice_number = '2'", INVOICE)
    page += held_back(
        "silver", INVOICE, "amount_excl_tax_cny", "(1 rows)", "every invoice belongs to a known enterprise"
    )
    silver.build(DAY)
    passed = gate("silver", DAY)
    assert passed["tables"] == 4
    page += Path(passed["report"]).read_text()

    with engine.session() as spark:
        columns = "enterprise_id string, as_of date, known_at_is_assumed boolean, history_months int, void_count bigint"
        rows = "('E1', date'2020-03-01', false, 14, 0), ('E2', date'2020-03-01', false, 2, -1)"
        names = ", ".join(c.split()[0] for c in columns.split(", "))
        tables.overwrite(spark.sql(f"SELECT * FROM VALUES {rows} AS t({names})"), FEATURES)
    page += held_back("gold", FEATURES, "void_count", "(1 rows)")
    plant("UPDATE {} SET void_count = 1 WHERE enterprise_id = 'E2'", FEATURES)
    assert gate("gold", DAY)["tables"] == 1

    with engine.session() as spark:
        now = tables.current_manifest()
        assert set(now.versions) >= {SALES, INVOICE, FEATURES}
        assert tables.read(spark, INVOICE).count() == 3
        checks = spark.table(f"{lakehouse.schema_name('control')}.gate").collect()
        assert sorted((r["layer"], r["passed"]) for r in checks) == [
            ("bronze", False), ("bronze", True), ("gold", False), ("gold", True),
            ("silver", False), ("silver", True),
        ]  # fmt: skip
    pages = [json.loads(p.read_text()) for p in lakehouse.reports_dir.glob("*-*.json")]
    kept = [f for body in pages for f in body["findings"] if f["passed"] and f["checked"]]
    assert len(kept) > 50 and all(f["broken"] == 0 for f in kept if not f["batch_id"])
    for value in ("731941.57", "731,941.57", "64197.31", "BUYER", "E404"):
        assert value not in page

    assert gate("bronze", DAY) == {"tables": 0, "expectations": 0, "report": None}
    with engine.session() as spark:
        assert tables.current_manifest() == now
    index = (lakehouse.reports_dir / "index.html").read_text()
    assert index.count("<tr>") == 1 + 6 and index.count("failed") == 3
