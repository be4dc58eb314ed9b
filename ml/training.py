"""Training jobs: freeze the sample, fit and validate, log everything, register the version as candidate.

A repeat with the same sample, policy and code gives the version there is, so a killed task can be rerun.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakehouse import engine, ledger
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition
from ml import tracking
from ml.catalogue import feature_groups
from ml.configuration import ModelConfig, get_config
from ml.dataset import Sample, build_sample, is_thin
from ml.development import Development, develop, time_cut
from ml.engine_counts import EngineCounter
from ml.reasons import reason_groups
from ml.reports import model_card, validation_report
from ml.snapshot import Snapshot, freeze, load
from ml.sql import portfolio_sql
from ml.stability import Stability, stability
from ml.tables_io import Inputs, read_inputs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Raised when fitting changes in a way that gives other models from equal samples.
CODE_VERSION = "2"


def datasets_dir() -> Path:
    """Where frozen samples are kept."""
    return get_settings().home / "datasets" / get_settings().environment


def _pointer(partition: str) -> Path:
    return datasets_dir() / f"{partition}.json"


def freeze_dataset(partition: str) -> dict:
    """Joins features and matured outcomes as known at the partition's date; freezes the sample."""
    parse_partition(partition)
    with engine.session("freeze_dataset") as spark, ledger.run(spark, "freeze_dataset", partition) as run:
        snapshot, _, _ = _freeze(spark, partition, get_config())
        run.details.update(
            snapshot_id=snapshot.snapshot_id, rows=snapshot.manifest["rows"], bads=snapshot.manifest["bads"]
        )
    return {
        "snapshot_id": snapshot.snapshot_id,
        "path": str(snapshot.path),
        "rows": snapshot.manifest["rows"],
        "bads": snapshot.manifest["bads"],
        "label_source": snapshot.manifest["label_source"],
        "waterfall": snapshot.manifest["waterfall"],
    }


def _freeze(spark: SparkSession, partition: str, config: ModelConfig) -> tuple[Snapshot, Inputs, Sample]:
    inputs = read_inputs(spark, parse_partition(partition))
    sample = make_sample(inputs, partition, config)
    about = {
        "partition": partition,
        "query_date": partition,
        "target_version": config.target.version,
        "target_fingerprint": target_fingerprint(config),
        "policy_fingerprint": config.fingerprint,
        "label_source": sample.label_source,
        "waterfall": sample.waterfall,
        "manifest_id": inputs.manifest_id,
        "feature_version": inputs.feature_version,
        "indeterminate": len(sample.indeterminate),
    }
    snapshot = freeze(sample.rows, about, datasets_dir())
    _pointer(partition).write_text(json.dumps({"snapshot_id": snapshot.snapshot_id}), encoding="utf-8")
    return snapshot, inputs, sample


def make_sample(inputs: Inputs, partition: str, config: ModelConfig) -> Sample:
    """The labelled sample as known at 00:00 of the partition's date."""
    return build_sample(
        inputs.features,
        inputs.loans,
        inputs.records,
        config.target,
        config.scorecard.minimum_history,
        config.features,
        pd.Timestamp(partition),
    )


def target_fingerprint(config: ModelConfig) -> str:
    """sha256 of what decides who is in the sample: target definition and minimum history."""
    text = config.target.model_dump_json() + config.scorecard.minimum_history.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()


def train(partition: str, progress=None) -> dict:
    """Fits scorecard and challenger on the partition's frozen sample, logs and registers both."""
    parse_partition(partition)
    config, settings = get_config(), get_settings()
    registry = tracking.Registry(tracking.client())
    with engine.session("train") as spark, ledger.run(spark, "train", partition) as run:
        snapshot, inputs = _frozen(spark, partition, config)
        identity = hashlib.sha256(
            "|".join([partition, snapshot.snapshot_id, config.fingerprint, CODE_VERSION]).encode()
        ).hexdigest()
        found = registry.find("identity", identity)
        reused = found is not None
        if found is None:
            rows = snapshot.rows()
            drop = config.target.undated.drop_groups if snapshot.manifest["label_source"] == "credit_record" else []
            # A cluster's engine need not see this machine's files; then the same counts are taken in memory.
            counting = {} if settings.spark_remote else {"counter": EngineCounter(spark, snapshot.path)}
            model = develop(rows, feature_groups(settings.project_dir), config, drop, progress=progress, **counting)
            about = describe(model, rows, inputs, snapshot, partition, settings.author, config)
            _log(registry, model, rows, snapshot, about, identity, config)
            found = registry.find("identity", identity)
        _name_aliases(spark, registry, partition, identity, found, settings.author, config)
        run.details.update(version=found.number, snapshot_id=snapshot.snapshot_id, reused=reused)
    evidence = registry.evidence(found)
    return {
        "version": found.number,
        "run_id": found.run_id,
        "snapshot_id": snapshot.snapshot_id,
        "reused": reused,
        "auc": evidence["auc"],
        "ks": evidence["ks"],
        "gains": evidence["gains"],
        "bads": evidence["bads"],
    }


def _frozen(spark: SparkSession, partition: str, config: ModelConfig) -> tuple[Snapshot, Inputs]:
    """The sample frozen for the partition; frozen now where that was not done."""
    pointer = _pointer(partition)
    if not pointer.exists():
        snapshot, inputs, _ = _freeze(spark, partition, config)
        return snapshot, inputs
    snapshot = load(datasets_dir() / json.loads(pointer.read_text(encoding="utf-8"))["snapshot_id"])
    return snapshot, read_inputs(spark, parse_partition(partition))


def _name_aliases(spark, registry, partition: str, identity: str, version, author: str, config) -> None:
    """Candidate and challenger, through the ledger; a version that was decided keeps its decision."""
    from ml.decisions import DeltaLedger, decision_on
    from ml.promotion import CANDIDATE, CHALLENGER, Promotion

    promotion = Promotion(registry, DeltaLedger(), config)
    if decision_on(promotion.entries(), version.number):
        return
    booster = registry.find("booster_identity", identity)
    if booster:
        promotion.register(partition, CHALLENGER, booster.number, author)
    promotion.register(partition, CANDIDATE, version.number, author)


def population_shifts(card, rows: pd.DataFrame, features: pd.DataFrame, config: ModelConfig) -> dict[str, Stability]:
    """Stability of the score at birth: over time, and between firms with and without an outcome.

    `time`: early against late observation dates of the sample; with a single date, the same firms at an earlier
    date of the features. `coverage`: firms at the latest date that have no outcome, against those that have one.
    """
    confidence = config.promotion.stability_confidence
    features = features.assign(as_of=pd.to_datetime(features["as_of"]))
    features = features[~is_thin(features, config.scorecard.minimum_history, config.features)]
    latest = rows["as_of"].max()
    shifts = {}
    cut = time_cut(rows, config.target.out_of_time_share)
    now = rows[rows["as_of"] >= cut] if cut is not None else rows
    before = rows[rows["as_of"] < cut] if cut is not None else _same_firms_before(rows, features, latest)
    if len(before) >= 30:
        shifts["time"] = stability(card.score(before), card.score(now), confidence=confidence)
    known = set(rows["enterprise_id"])
    others = features[(features["as_of"] == latest) & ~features["enterprise_id"].isin(known)]
    if len(others) >= 30:
        present = rows[rows["as_of"] == latest]
        shifts["coverage"] = stability(card.score(present), card.score(others), confidence=confidence)
    return shifts


def _same_firms_before(rows: pd.DataFrame, features: pd.DataFrame, latest: pd.Timestamp) -> pd.DataFrame:
    earlier = features[
        (features["as_of"] <= latest - pd.DateOffset(months=3))
        & features["enterprise_id"].isin(set(rows["enterprise_id"]))
    ]
    return earlier[earlier["as_of"] == earlier["as_of"].max()]


def describe(
    model: Development,
    rows: pd.DataFrame,
    inputs: Inputs,
    snapshot: Snapshot,
    partition: str,
    author: str,
    config: ModelConfig,
) -> dict:
    """What reports and gate need to know beside the model itself."""
    return {
        "name": tracking.model_name(),
        "partition": partition,
        "author": author,
        "snapshot_id": snapshot.snapshot_id,
        "manifest_id": snapshot.manifest["manifest_id"],
        "label_source": snapshot.manifest["label_source"],
        "waterfall": snapshot.manifest["waterfall"],
        "known_at_is_assumed": bool(rows.get("known_at_is_assumed", pd.Series([False])).any()),
        "stability": population_shifts(model.card, rows, inputs.features, config),
    }


def evidence(model: Development, about: dict) -> dict:
    """Figures the gate and later readers use, as JSON-able numbers."""
    check, later = model.calibration, model.out_of_time
    return {
        "author": about["author"],
        "partition": about["partition"],
        "snapshot_id": about["snapshot_id"],
        "label_source": about["label_source"],
        "rows": len(model.folds.is_bad),
        "bads": int(model.folds.is_bad.sum()),
        "features": len(model.card.bins),
        "features_tried": len(model.features),
        "dropped_groups": model.dropped_groups,
        "auc": {name: quality.auc.to_dict() for name, quality in model.qualities.items()},
        "ks": {name: quality.ks.to_dict() for name, quality in model.qualities.items()},
        "gains": {pair: {**gain.gain.to_dict(), "verdict": gain.verdict} for pair, gain in model.gains.items()},
        "calibration": {
            "mean_pd": check.mean_pd,
            "bad_rate": check.bad_rate,
            "gap": check.gap,
            "brier": check.brier,
            "hosmer_lemeshow_p": check.hosmer_lemeshow.p_value,
            "slope": check.slope,
            "intercept": check.intercept,
            "by_grade": [asdict(test) for test in check.by_grade],
        },
        "out_of_time": {
            "cut": str(later.cut.date()),
            "rows": later.test_rows,
            "bads": later.test_bads,
            "auc": {name: interval.to_dict() for name, interval in later.auc.items()},
        }
        if later
        else None,
        "stability": {name: {**asdict(item), "drifted": item.drifted} for name, item in about["stability"].items()},
    }


def write_artifacts(model: Development, rows: pd.DataFrame, about: dict, config: ModelConfig, folder: Path) -> None:
    """Card, SQL, evidence, predictions, plots and reports under `folder`."""
    from ml.plots import write_plots

    groups = reason_groups(model.card, config.features)
    statement = portfolio_sql(model.card, groups, config.scorecard.minimum_history, config.features.history)
    texts = {
        "scorecard.json": model.card.to_json(),
        "scorecard.sql": statement,
        "evidence.json": json.dumps(evidence(model, about), indent=1, ensure_ascii=False),
        "model_card.md": model_card(model, config, about),
        "validation_report.md": validation_report(model, config, about),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    out_of_fold_table(model).to_parquet(folder / "out_of_fold.parquet", index=False)
    write_plots(model, model.card.score(rows), rows["is_bad"].to_numpy(), folder / "plots")


def out_of_fold_table(model: Development) -> pd.DataFrame:
    """Predictions out of fold: one row per model × repeat × row of the sample."""
    parts = []
    for name, logits in model.folds.logits.items():
        repeats, size = logits.shape
        parts.append(
            pd.DataFrame(
                {
                    "model": name,
                    "repeat": np.repeat(np.arange(repeats), size),
                    "row": np.tile(np.arange(size), repeats),
                    "fold": model.folds.folds.ravel(),
                    "is_bad": np.tile(model.folds.is_bad, repeats),
                    "logit": logits.ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _log(
    registry,
    model: Development,
    rows: pd.DataFrame,
    snapshot: Snapshot,
    about: dict,
    identity: str,
    config: ModelConfig,
) -> None:
    """One MLflow run with everything, and two registered versions: the card and the boosted challenger."""
    import mlflow

    tags = {
        "partition": about["partition"],
        "author": about["author"],
        "snapshot_id": about["snapshot_id"],
        "target_version": config.target.version,
        "policy": config.fingerprint,
    }
    with tracking.run(f"{about['name']} {about['partition']}", tags) as run_id, tempfile.TemporaryDirectory() as t:
        folder = Path(t)
        write_artifacts(model, rows, about, config, folder)
        (folder / "dataset_manifest.json").write_text(
            json.dumps(snapshot.manifest, indent=1, ensure_ascii=False), encoding="utf-8"
        )
        mlflow.log_params(_params(model, about, config))
        mlflow.log_metrics(_metrics(model))
        mlflow.log_artifacts(str(folder))
        card_uri = tracking.log_scorecard(folder, rows.head(5))
        booster_uri = tracking.log_booster(model.booster.model)
        tracking.register(
            registry.client, booster_uri, run_id, {**tags, "kind": "booster", "booster_identity": identity}
        )
        tracking.register(
            registry.client,
            card_uri,
            run_id,
            {**tags, "kind": "scorecard", "identity": identity, "candidate_of": about["partition"]},
        )


def _params(model: Development, about: dict, config: ModelConfig) -> dict[str, object]:
    card, cv = config.scorecard, config.scorecard.crossval
    return {
        "partition": about["partition"],
        "snapshot_id": about["snapshot_id"],
        "manifest_id": about["manifest_id"],
        "label_source": about["label_source"],
        "target_version": config.target.version,
        "policy": config.fingerprint[:16],
        "rows": len(model.folds.is_bad),
        "bads": int(model.folds.is_bad.sum()),
        "folds": cv.folds,
        "repeats": model.folds.folds.shape[0],
        "features_tried": len(model.features),
        "features_kept": len(model.card.bins),
        "dropped_groups": ",".join(model.dropped_groups) or "none",
        "c": card.regression.c,
        "max_bins": card.binning.max_bins,
        "min_bin_share": card.binning.min_bin_share,
    }


def _metrics(model: Development) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name, quality in model.qualities.items():
        for label, interval in (("auc", quality.auc), ("ks", quality.ks)):
            metrics |= {
                f"{name}_{label}": interval.value,
                f"{name}_{label}_low": interval.low,
                f"{name}_{label}_high": interval.high,
            }
    for pair, gain in model.gains.items():
        key = pair.replace(" ", "_")
        for end in ("value", "low", "high"):
            metrics[f"gain_{key}_{end}"] = getattr(gain.gain, end)
    check = model.calibration
    metrics |= {
        "brier": check.brier,
        "mean_pd": check.mean_pd,
        "bad_rate": check.bad_rate,
        "hosmer_lemeshow_p": check.hosmer_lemeshow.p_value,
        "calibration_slope": check.slope,
    }
    if model.out_of_time:
        metrics |= {f"out_of_time_{name}_auc": interval.value for name, interval in model.out_of_time.auc.items()}
    return metrics
