"""What runs inside the engine: counting, scoring with reasons, the ledger's table. Marked engine: slow to start."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ml_factories import CONFIG, FEATURES, portfolio

from lakehouse.errors import GateFailed, IntegrityError
from ml.binning import count_prebins, prebin_edges
from ml.decisions import DeltaLedger, Entry, record, verified
from ml.engine_counts import EngineCounter
from ml.reasons import reason_groups, reasons_of
from ml.scorecard import fit_scorecard
from ml.scoring import apply_statement, audit
from ml.snapshot import freeze
from ml.sql import portfolio_sql

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def firms() -> pd.DataFrame:
    rows = portfolio(400, seed=21)
    rows.loc[:4, "history_months"] = 3
    rows.loc[5:9, "sales_active_24m_months"] = np.nan
    rows["known_at_is_assumed"] = True
    return rows


@pytest.fixture(scope="module")
def fitted(firms):
    return fit_scorecard(firms, firms["is_bad"].to_numpy(), FEATURES, CONFIG.scorecard)[0]


@pytest.fixture
def statement(fitted) -> str:
    return portfolio_sql(
        fitted, reason_groups(fitted, CONFIG.features), CONFIG.scorecard.minimum_history, CONFIG.features.history
    )


def test_counts_in_the_engine_equal_counts_in_memory(spark, firms, tmp_path):
    snapshot = freeze(firms, {"target_fingerprint": "t", "query_date": "2024-01-01"}, tmp_path)
    edges = {name: prebin_edges(firms[name].to_numpy(float), 20) for name in FEATURES}
    ours = count_prebins(firms, firms["is_bad"].to_numpy(), edges)
    theirs = EngineCounter(spark, snapshot.path)(firms, firms["is_bad"].to_numpy(), edges)
    for name in FEATURES:
        assert ours[name].goods.tolist() == theirs[name].goods.tolist()
        assert ours[name].bads.tolist() == theirs[name].bads.tolist()
        assert (ours[name].missing_goods, ours[name].missing_bads) == (
            theirs[name].missing_goods,
            theirs[name].missing_bads,
        )


def test_scores_in_the_engine_equal_scores_in_memory(spark, firms, fitted, statement):
    source = spark.createDataFrame(firms.drop(columns=["is_bad", "true_logit"]))
    found = apply_statement(spark, statement, source, "7", "gold.enterprise_features@3").toPandas()
    found = found.set_index("enterprise_id").loc[firms["enterprise_id"]]
    assert (found["decision"] == "refer").tolist() == [i < 10 for i in range(400)]
    thin = found[found["decision"] == "refer"]
    assert thin[["score", "pd", "grade", "reasons", "points"]].isna().all().all()
    assert set(thin["refer_reason"]) == {"history shorter than 6 months", "sales in fewer than 3 of the last 24 months"}
    scored, rows = found[10:], firms[10:]
    expected = fitted.score(rows)
    assert scored["score"].astype(int).tolist() == expected.tolist()
    assert scored["pd"].tolist() == np.asarray(fitted.pd_of_score(expected)).tolist()
    groups, points = reason_groups(fitted, CONFIG.features), fitted.points(rows)
    for i in range(len(rows)):
        assert dict(scored["points"].iloc[i]) == points.iloc[i].to_dict()
        missing = {name for name in fitted.features if pd.isna(rows.iloc[i][name])}
        ours = reasons_of(fitted, groups, points.iloc[i], missing)
        theirs = scored["reasons"].iloc[i]
        assert [(r.code, r.feature, r.points, r.points_lost, r.text_en, r.text_zh) for r in ours] == [
            tuple(r.asDict().values()) if hasattr(r, "asDict") else tuple(r.values()) for r in theirs
        ]


def test_scores_that_break_their_rules_are_held_back(spark, firms, statement):
    source = spark.createDataFrame(firms.drop(columns=["is_bad", "true_logit"]))
    good = apply_statement(spark, statement, source, "7", "f@3")
    good.createOrReplaceTempView("good_scores")
    summary = audit(spark, "good_scores", source, "2020-01-01")
    assert summary["enterprises"] == 400 and summary["referred"] == 10
    assert sum(summary["grades"].values()) == 390
    for change, fault in (
        ("* EXCEPT (score), score + 1 AS score", "points_not_adding_up 390"),
        ("* EXCEPT (pd), CAST(NULL AS DOUBLE) AS pd", "without_score 390"),
    ):
        spark.sql(f"SELECT {change} FROM good_scores").createOrReplaceTempView("bad_scores")
        with pytest.raises(GateFailed) as held:
            audit(spark, "bad_scores", source, "2020-01-01")
        assert fault in held.value.where
    spark.sql("SELECT * FROM good_scores LIMIT 300").createOrReplaceTempView("few_scores")
    with pytest.raises(GateFailed, match="nothing was published"):
        audit(spark, "few_scores", source, "2020-01-01")


def test_the_ledger_table_keeps_order_chain_and_refuses_a_taken_number(spark):
    ledger = DeltaLedger()
    about = {"partition": "2024-01-01", "model": "m", "version": "1", "actor": "a", "outcome": "o"}
    first = record(ledger, action="register", comment="评语 'quoted'", **about)
    record(ledger, action="check", **about)
    stored = verified(ledger.entries())
    assert [entry.action for entry in stored] == ["register", "check"]
    assert stored[0] == first
    with pytest.raises(IntegrityError, match="same moment"):
        ledger.append(Entry(seq=2, recorded_at="t", action="approve", entry_hash="h", **about))
    assert len(ledger.entries()) == 2
