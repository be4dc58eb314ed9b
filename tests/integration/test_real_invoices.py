"""The main job on real invoices of 223 firms: counted, quarantined and turned into features as an independent
reading of the raw files has it. Skipped where the files are absent."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from lakehouse import engine, ledger, tables
from lakehouse.settings import Settings
from tests.integration.conftest import run_main_job
from tests.oracle import features_oracle, raw_counts

pytestmark = [pytest.mark.engine, pytest.mark.real]
RECEIVED = "2020-03-01"
CUTS = ["2019-01-01", "2019-07-01", "2020-01-01", RECEIVED]


def test_real_invoices_are_counted_and_become_the_oracles_features(lakehouse: Settings, real_invoices: Path) -> None:
    run_main_job(RECEIVED, real_invoices)
    with engine.session() as spark:
        booked = {row["contract"]: row.asDict() for row in ledger.batches(spark).collect()}
        features = tables.read(spark, "gold.enterprise_features").toPandas()

    counted = raw_counts.count_folder(real_invoices)
    for prefix, contract in (("output", "gov_tax__sale_invoice"), ("input", "gov_tax__purchase_invoice")):
        raw = [counts for name, counts in counted.items() if name.startswith(prefix)]
        account = booked[contract]
        assert account["rows_in"] == sum(c.rows for c in raw)
        assert account["rows_duplicate"] == sum(c.exact_duplicates for c in raw)
        assert account["rows_quarantined"] == sum(c.total_mismatch for c in raw)
        assert account["profile"] == {
            "void": sum(c.void for c in raw),
            "red_letter": sum(c.negative for c in raw),
            "zero_amount": sum(c.zero for c in raw),
            "void_red_letter": sum(c.negative_and_void for c in raw),
        }

    assert sorted({d.isoformat() for d in features["as_of"]}) == CUTS
    for as_of in map(date.fromisoformat, CUTS):
        expected = features_oracle.features(real_invoices, as_of, date.fromisoformat(RECEIVED))
        got = features[features["as_of"] == as_of]
        assert len(got) == 223
        assert features_oracle.compare(expected, got) == []
