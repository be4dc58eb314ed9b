"""The registered form of a card, and the registry client against a real registry in a file."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner
from ml_factories import CONFIG, FEATURES, portfolio

from lakehouse.errors import ModelError
from ml.scorecard import fit_scorecard
from ml.study import gain_rows, quality_rows, report


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return portfolio(400, seed=31)


@pytest.fixture(scope="module")
def card(rows):
    return fit_scorecard(rows, rows["is_bad"].to_numpy(), FEATURES, CONFIG.scorecard)[0]


@pytest.mark.services
def test_a_logged_card_is_registered_found_and_predicts_what_the_card_does(rows, card, tmp_path, monkeypatch):
    from ml import tracking

    monkeypatch.chdir(tmp_path)
    client = tracking.client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    import mlflow

    registry = tracking.Registry(client)
    assert registry.aliases() == {} and registry.version("1") is None
    (tmp_path / "scorecard.json").write_text(card.to_json(), encoding="utf-8")
    (tmp_path / "scorecard.sql").write_text("SELECT 1", encoding="utf-8")
    with tracking.run("test", {"author": "engineer"}) as run_id:
        mlflow.log_text("# card", "model_card.md")
        mlflow.log_text(json.dumps({"bads": 27}), "evidence.json")
        uri = tracking.log_scorecard(tmp_path, rows.head())
    tags = {"author": "engineer", "kind": "scorecard", "identity": "abc"}
    number = tracking.register(client, uri, run_id, tags)
    version = registry.find("identity", "abc")
    assert (version.number, version.author, version.kind) == (number, "engineer", "scorecard")
    assert registry.find("identity", "xyz") is None
    assert registry.evidence(version) == {"bads": 27}
    assert "model_card.md" in registry.artifact_names(run_id)
    registry.set_alias("champion", number)
    assert registry.aliases() == {"champion": number}
    assert tracking.document(client, None, "model_card.md") == "# card"
    assert tracking.list_versions(client)[0]["aliases"] == "champion"
    with pytest.raises(ModelError, match="no version 99"):
        tracking.document(client, "99", "model_card.md")
    model = mlflow.pyfunc.load_model(f"models:/{registry.name}@champion")
    found = model.predict(rows[card.features].astype(float))
    assert found["score"].tolist() == card.score(rows).tolist()
    assert found["pd"].tolist() == list(card.pd_of_score(card.score(rows)))
    registry.delete_alias("champion")
    assert registry.aliases() == {}


def studied() -> list[dict]:
    interval = {"value": 0.91, "low": 0.8, "high": 0.97}
    models = {
        name: {"auc": interval, "ks": interval, "auc_spread_over_repeats": 0.01}
        for name in ("scorecard", "plain_regression", "size_only", "booster")
    }
    gain = {"value": 0.01, "low": -0.03, "high": 0.05, "verdict": "no difference shown"}
    pairs = (
        "scorecard over size_only",
        "scorecard over plain_regression",
        "plain_regression over size_only",
        "booster over size_only",
    )
    return [
        {
            "cut": "2019-01-01",
            "recency": recency,
            "label_source": "credit_record",
            "rows": 123,
            "bads": 27,
            "features": 40,
            "models": models,
            "gains": dict.fromkeys(pairs, gain),
        }
        for recency in (True, False)
    ]


def test_a_study_reports_what_it_found_and_claims_nothing_more():
    text = report(studied(), "2020-03-01", CONFIG)
    assert "have no date" in text and "a leak is assumed" in text
    assert text.count("no difference shown") == len(gain_rows(studied())) == 8
    assert len(quality_rows(studied())) == 8
    assert "0.910 (0.800–0.970)" in text


def test_the_command_line_prints_a_study_and_refuses_on_errors(monkeypatch):
    from lakehouse.cli.model import model
    from ml import promotion
    from ml import study as studies

    monkeypatch.setattr(
        studies, "run", lambda partition, cuts, progress: {"results": studied(), "paths": {"json": "p"}}
    )
    shown = CliRunner().invoke(model, ["study", "--as-of", "2020-03-01", "--cuts", "2019-01-01"])
    assert shown.exit_code == 0, shown.output
    assert "without" in shown.output and "no difference shown" in shown.output

    def refuse(as_of):
        raise ModelError("version 1 must not be promoted")

    monkeypatch.setattr(promotion, "check", refuse)
    refused = CliRunner().invoke(model, ["check", "2020-03-01"])
    assert isinstance(refused.exception, ModelError)
    assert CliRunner().invoke(model, ["reject", "2020-03-01", "--by", "x"]).exit_code == 2
