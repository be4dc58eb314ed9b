"""The main job on real invoices of 223 firms: counted, quarantined and turned into features as an independent
reading of the raw files has it; a model trained, promoted and applied. Skipped where the files are absent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from lakehouse import engine, ledger, tables
from lakehouse.errors import ModelError
from lakehouse.settings import Settings, get_settings
from lakehouse.time import session_conf
from tests.conftest import free_port
from tests.integration.conftest import run_main_job
from tests.oracle import features_oracle, raw_counts

pytestmark = [pytest.mark.engine, pytest.mark.apart, pytest.mark.real]
RECEIVED = "2020-03-01"
# The tests' engine is set for small tables; a million rows pay for generated code.
MANY_ROWS = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.shuffle.partitions": str(Settings().shuffle_partitions),
}
CUTS = ["2019-01-01", "2019-07-01", "2020-01-01", RECEIVED]


@pytest.fixture(scope="module")
def real_lakehouse(running_engine: None, real_invoices: Path) -> Iterator[None]:
    """The main job run on the real files, from landing to published features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VINELAKE_ENVIRONMENT", "realinvoices")
        patch.setenv("VINELAKE_POSTGRES_PORT", str(free_port()))
        patch.setenv("VINELAKE_MLFLOW_PORT", str(free_port()))
        patch.setattr(engine, "session_conf", lambda timezone: session_conf(timezone) | MANY_ROWS)
        get_settings.cache_clear()
        run_main_job(RECEIVED, real_invoices)
        yield
    get_settings.cache_clear()


@pytest.fixture
def model_registry(real_lakehouse: None) -> Iterator[None]:
    """A real MLflow server on PostgreSQL, for as long as the test lasts."""
    from lakehouse.services import mlflow, postgres

    try:
        postgres.start()
        mlflow.prepare()
        mlflow.process().start()
        yield
    finally:
        mlflow.process().stop()
        postgres.process().stop()


def test_real_invoices_are_counted_and_become_the_oracles_features(real_lakehouse: None, real_invoices: Path) -> None:
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


@pytest.mark.services
def test_a_model_of_the_real_firms_is_trained_promoted_by_a_second_person_and_scores_all(model_registry: None) -> None:
    from expectations.gate import gate
    from ml import promotion, scoring, training

    settings = get_settings()
    frozen = training.freeze_dataset(RECEIVED)
    assert (frozen["rows"], frozen["bads"]) == (123, 27)
    training.train(RECEIVED)
    assert scoring.score(RECEIVED)["skipped"].startswith("there is no champion yet")
    checked = promotion.check(RECEIVED)
    assert checked["passed"] and checked["author"] == settings.author
    with pytest.raises(ModelError, match="not the approver"):
        promotion.decide(RECEIVED, settings.author, "approve", "my own work")
    decided = promotion.decide(RECEIVED, settings.approver, "approve", "for a test")
    assert decided["aliases"]["champion"] == checked["version"]
    scored = scoring.score(RECEIVED)
    assert scored["scored"] + scored["referred"] == 223
    gate("scores", RECEIVED)
    with engine.session() as spark:
        scores = tables.read(spark, "gold.enterprise_score").toPandas()
    firms = scores[scores["decision"] == "scored"]
    assert len(scores) == 223 and set(scores["model_version"]) == {checked["version"]}
    assert [sum(dict(points).values()) for points in firms["points"]] == firms["score"].tolist()
    assert firms["pd"].between(0, 1).all()
    assert scoring.replay(RECEIVED)["equal"]
