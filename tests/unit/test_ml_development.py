"""Development as a whole on data with known truth: folds, evidence, reports; and no leak from outside a fold."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from ml_factories import CONFIG, FEATURES, SIZE, portfolio

from lakehouse.errors import ConfigError, ModelError
from lakehouse.settings import PROJECT_DIR
from ml.candidates import BoosterCandidate, RegressionCandidate, ScorecardCandidate, signed_log
from ml.catalogue import family_of, feature_groups, size_features, usable_features
from ml.configuration import CONFIG_DIR, load_config
from ml.development import candidate_features, develop, time_cut
from ml.experiments import cross_validate, out_of_time, repeats_for, stratified_folds
from ml.scoring import compare_cards
from ml.stability import stability
from ml.validation import auc

CV = CONFIG.scorecard.crossval
GROUPS = dict.fromkeys(FEATURES, "scale") | {"since_last_sale_days": "recency"}


@pytest.fixture(scope="module")
def developed():
    """Six hundred firms observed at four dates, developed once for several tests."""
    rows = portfolio(600, seed=11)
    rows["as_of"] = np.repeat(pd.to_datetime(["2022-01-01", "2022-04-01", "2022-07-01", "2022-10-01"]), 150)
    rows["known_at_is_assumed"] = True
    return rows, develop(rows, GROUPS, CONFIG, ["recency"])


def test_folds_are_stratified_keep_borrowers_together_and_differ_by_repeat():
    is_bad = np.array([1] * 27 + [0] * 96)
    groups = np.arange(123)
    folds = list(stratified_folds(is_bad, groups, CV))
    assert len(folds) == CV.repeats and not (folds[0] == folds[1]).all()
    for fold in folds:
        assert max(np.bincount(fold)) - min(np.bincount(fold)) <= 2
        assert set(np.bincount(fold, weights=is_bad)) == {5.0, 6.0}
    for fold in stratified_folds(np.tile([0, 1, 0], 40), np.repeat(np.arange(60), 2), CV):
        assert (fold.reshape(60, 2)[:, 0] == fold.reshape(60, 2)[:, 1]).all()
    assert (next(stratified_folds(is_bad, groups, CV)) == folds[0]).all()


def test_few_bads_mean_many_repeats():
    assert repeats_for(np.ones(CV.enough_bads - 1), CV) == CV.repeats
    assert repeats_for(np.ones(CV.enough_bads), CV) == CV.repeats_with_enough_bads


def test_predictions_out_of_fold_come_from_models_that_did_not_see_the_row():
    """A candidate that remembers the outcomes it was fitted on must score no better than chance."""

    class Parrot:
        def fit(self, frame, is_bad):
            self.seen = dict(zip(frame["enterprise_id"], is_bad, strict=True))
            return self

        def logit(self, frame):
            return np.array([self.seen.get(name, 0.5) for name in frame["enterprise_id"]], float)

    rows = portfolio(200)
    found = cross_validate(rows, rows["is_bad"].to_numpy(), rows["enterprise_id"].to_numpy(), {"p": Parrot}, CV)
    assert (found.logits["p"] == 0.5).all()


def test_selection_inside_the_folds_finds_nothing_in_noise():
    """Sixty noise features on 120 firms: with selection outside the folds AUC would come out near 0.7."""
    rng = np.random.default_rng(5)
    noise = pd.DataFrame(rng.normal(size=(120, 60)), columns=[f"n{i}" for i in range(60)])
    noise["enterprise_id"] = [f"E{i}" for i in range(120)]
    is_bad = (np.arange(120) % 4 == 0).astype(int)
    once = CV.model_copy(update={"repeats": 2})
    found = cross_validate(
        noise,
        is_bad,
        noise["enterprise_id"].to_numpy(),
        {"s": lambda: ScorecardCandidate([f"n{i}" for i in range(60)], CONFIG.scorecard)},
        once,
    )
    assert abs(np.mean([auc(is_bad, run) for run in found.logits["s"]]) - 0.5) < 0.13


@pytest.mark.parametrize(
    "make",
    [
        lambda: ScorecardCandidate(FEATURES, CONFIG.scorecard),
        lambda: RegressionCandidate(FEATURES),
        lambda: BoosterCandidate(FEATURES),
    ],
)
def test_every_candidate_ranks_nearly_as_well_as_the_truth(make):
    rows = portfolio(5000, seed=3)
    model = make().fit(rows[:3000], rows["is_bad"].to_numpy()[:3000])
    test = rows[3000:]
    assert auc(test["is_bad"], model.logit(test)) > auc(test["is_bad"], test["true_logit"]) - 0.025


def test_regression_takes_rows_without_any_value():
    rows = portfolio(300)
    rows["customer_hhi_12m_ratio"] = np.nan
    assert np.isfinite(RegressionCandidate(FEATURES).fit(rows, rows["is_bad"]).logit(rows)).all()
    assert signed_log(np.array([-(np.e - 1), 0, np.e - 1])) == pytest.approx([-1, 0, 1])


def test_development_is_deterministic(developed):
    rows, first = developed
    again = develop(rows, GROUPS, CONFIG, ["recency"])
    assert again.card == first.card
    assert all((again.folds.logits[name] == first.folds.logits[name]).all() for name in first.folds.logits)


def test_evidence_is_complete_and_sane(developed):
    from ml.training import evidence, population_shifts

    rows, model = developed
    others = portfolio(80, seed=12).assign(as_of=rows["as_of"].max())
    others["enterprise_id"] = "X" + others["enterprise_id"]
    shifts = population_shifts(model.card, rows, pd.concat([rows, others]), CONFIG)
    assert set(shifts) == {"time", "coverage"} and not shifts["time"].psi > 0.25
    found = json.loads(
        json.dumps(
            evidence(
                model,
                {"author": "a", "partition": "p", "snapshot_id": "s", "label_source": "loan", "stability": shifts},
            )
        )
    )
    assert found["out_of_time"]["bads"] > 0
    assert found["calibration"]["gap"] < 0.03
    for interval in found["auc"].values():
        assert interval["low"] < interval["value"] < interval["high"]
    assert "since_last_sale_days" not in model.features
    assert set(model.card.features) <= set(model.features)
    assert model.size_features == SIZE


def test_artifacts_hold_what_the_gate_requires(developed, tmp_path):
    from ml.training import write_artifacts

    rows, model = developed
    scores = model.card.score(rows)
    about = {
        "name": "enterprise_scorecard",
        "partition": "2024-01-01",
        "author": "engineer",
        "snapshot_id": "ab" * 32,
        "manifest_id": 3,
        "label_source": "credit_record",
        "known_at_is_assumed": True,
        "stability": {"time": stability(scores[:300], scores[300:])},
        "waterfall": [{"step": "s", "leaving": 1, "remaining": 2}],
    }
    write_artifacts(model, rows, about, CONFIG, tmp_path)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert set(CONFIG.promotion.required_artifacts) <= written
    report = (tmp_path / "validation_report.md").read_text()
    for heading in ("Sample", "Discrimination", "Out of time", "Calibration", "Stability at birth", "Bins", "Limits"):
        assert f"\n## {heading}" in report
    assert "has no date" in report and "nan" not in report.lower().replace("finance", "")
    stored = pd.read_parquet(tmp_path / "out_of_fold.parquet")
    wide = stored[stored["model"] == "scorecard"].pivot(index="row", columns="repeat", values="logit").to_numpy().T
    assert (wide == model.folds.logits["scorecard"]).all()


def test_time_is_split_by_date_and_never_guessed(developed):
    rows, _ = developed
    assert time_cut(rows, 0.3) == pd.Timestamp("2022-10-01")
    assert time_cut(rows[rows["as_of"] < "2022-07-01"], 0.3) is None
    found = out_of_time(
        rows, rows["is_bad"], pd.Timestamp("2022-07-01"), {"r": lambda: RegressionCandidate(FEATURES)}, CV
    )
    assert (found.train_rows, found.test_rows) == (240, 300)
    assert found.test_index.tolist() == list(range(300, 600))
    assert out_of_time(rows, rows["is_bad"], pd.Timestamp("2030-01-01"), {}, CV) is None


def test_out_of_time_learns_neither_later_rows_nor_the_tested_borrowers():
    seen = []

    class Witness:
        def fit(self, frame, is_bad):
            self.borrowers, self.latest = set(frame["enterprise_id"]), frame["as_of"].max()
            return self

        def logit(self, frame):
            assert self.latest < frame["as_of"].min()
            assert not self.borrowers & set(frame["enterprise_id"])
            seen.extend(frame["enterprise_id"])
            return np.zeros(len(frame))

    firms = portfolio(100, seed=6)
    rows = pd.concat([firms.assign(as_of=pd.Timestamp(day)) for day in ("2022-01-01", "2022-04-01", "2022-07-01")])
    rows = rows.reset_index(drop=True)
    out_of_time(rows, rows["is_bad"].to_numpy(), pd.Timestamp("2022-07-01"), {"w": Witness}, CV)
    assert sorted(seen) == sorted(firms["enterprise_id"])


def test_two_cards_compared_firm_by_firm(developed):
    rows, model = developed
    table = compare_cards(rows, model.card, model.card.calibrated(1.0, 0.5))
    assert (table["difference"] < 0).all()
    assert table["difference"].abs().is_monotonic_decreasing
    assert (compare_cards(rows, model.card, model.card)["difference"] == 0).all()


def test_every_defined_feature_has_a_group_and_a_reason_of_its_own():
    groups = feature_groups(PROJECT_DIR)
    assert len(groups) >= 60
    unnamed = [name for name in groups if family_of(name, CONFIG.features).code == "R99"]
    assert unnamed == []
    assert {name for name, group in groups.items() if group == "recency"} >= {"since_last_sale_days"}
    assert set(CONFIG.features.size.values()) | {CONFIG.features.history["active_sale_months"]} <= set(groups)


def test_forbidden_columns_never_become_features():
    groups = dict.fromkeys(["credit_rating", "is_bad", "region_code", "max_dpd_days", "sales_amount_12m_cny"], "x")
    columns = [*groups, "enterprise_id", "undefined_ratio"]
    assert usable_features(columns, groups, CONFIG.features) == ["sales_amount_12m_cny"]
    assert usable_features(columns, groups, CONFIG.features, ["x"]) == []
    with pytest.raises(ModelError, match="size feature"):
        size_features(columns, CONFIG.features)
    frame = portfolio(5).assign(region="north")
    assert "region" not in candidate_features(frame, {**GROUPS, "region": "x"}, CONFIG, [])


@pytest.mark.parametrize(
    ("text", "place"),
    [("pdo: 20 ", "scaling.pdo"), ("pd_below: 1.01", "grades"), ("max_features: 12", "selection.max_features")],
)
def test_a_policy_file_that_is_wrong_names_its_field(tmp_path, text, place):
    for path in CONFIG_DIR.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = tmp_path / "scorecard.yaml"
    content = broken.read_text()
    assert text in content
    broken.write_text(content.replace(text, text.split(":")[0] + ": -1 "))
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path)
    assert place in error.value.where
    broken.unlink()
    with pytest.raises(ConfigError, match="missing"):
        load_config(tmp_path)
