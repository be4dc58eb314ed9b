"""How good is prediction, from which date, and how much of it is size: candidates at several observation dates.

Each date is cross-validated by itself, with and without the recency features, all candidates on the same folds.
Nothing is registered; the result is a table to judge the method by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date

import pandas as pd

from lakehouse import engine
from lakehouse.errors import ModelError
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition
from ml.catalogue import feature_groups
from ml.configuration import ModelConfig, get_config
from ml.dataset import build_sample
from ml.development import candidate_features, evaluate
from ml.reports import signed, table
from ml.tables_io import Inputs, as_of_dates, read_inputs
from ml.validation import Interval

RECENCY = "recency"
SHOWN_GAINS = [
    "scorecard over size_only",
    "scorecard over plain_regression",
    "plain_regression over size_only",
    "booster over size_only",
]


def study_cut(
    inputs: Inputs,
    cut: date,
    query_date: date,
    groups: Mapping[str, str],
    config: ModelConfig,
    progress: Callable[[str], None] | None = None,
) -> list[dict]:
    """Two results for one observation date: with and without the recency features."""
    features = inputs.features[pd.to_datetime(inputs.features["as_of"]) == pd.Timestamp(cut)]
    sample = build_sample(
        features,
        inputs.loans,
        inputs.records,
        config.target,
        config.scorecard.minimum_history,
        config.features,
        pd.Timestamp(query_date),
    )
    results = []
    for dropped in ([], [RECENCY]):
        if progress:
            progress(f"{cut}, {'without' if dropped else 'with'} recency")
        folds, qualities, gains = evaluate(sample.rows, groups, config, dropped, progress)
        results.append(
            {
                "cut": cut.isoformat(),
                "recency": not dropped,
                "label_source": sample.label_source,
                "rows": len(folds.is_bad),
                "bads": int(folds.is_bad.sum()),
                "features": len(candidate_features(sample.rows, groups, config, dropped)),
                "waterfall": sample.waterfall,
                "models": {
                    name: {
                        "auc": quality.auc.to_dict(),
                        "ks": quality.ks.to_dict(),
                        "auc_spread_over_repeats": quality.auc_spread_over_repeats,
                    }
                    for name, quality in qualities.items()
                },
                "gains": {pair: {**gain.gain.to_dict(), "verdict": gain.verdict} for pair, gain in gains.items()},
            }
        )
    return results


def run(partition: str, cuts: list[str], progress: Callable[[str], None] | None = None) -> dict:
    """The study at the given dates, outcomes as known at the partition; writes Markdown and JSON reports.

    Returns results and the paths written. Raises `ModelError` naming the dates there are when one is missing.
    """
    day, wanted = parse_partition(partition), [parse_partition(cut) for cut in cuts]
    config = get_config()
    with engine.session() as spark:
        present = as_of_dates()
        missing = [str(cut) for cut in wanted if cut not in present]
        if missing:
            raise ModelError(
                f"there are no features as of {', '.join(missing)}",
                where=f"dates there are: {', '.join(map(str, present))}",
                remedy="add the dates in dbt_project/observation.yml and build the features again",
            )
        inputs = read_inputs(spark, day)
    groups = feature_groups(get_settings().project_dir)
    results = [result for cut in wanted for result in study_cut(inputs, cut, day, groups, config, progress)]
    folder = get_settings().reports_dir / "models"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"json": folder / f"study_{partition}.json", "markdown": folder / f"study_{partition}.md"}
    paths["json"].write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")
    paths["markdown"].write_text(report(results, partition, config), encoding="utf-8")
    return {"results": results, "paths": {kind: str(path) for kind, path in paths.items()}}


def _interval(content: Mapping) -> Interval:
    return Interval(content["value"], content["low"], content["high"])


def quality_rows(results: list[dict]) -> list[list[object]]:
    """One line per date, feature set and model: AUC and KS with intervals."""
    return [
        [
            item["cut"],
            "with" if item["recency"] else "without",
            f"{item['bads']} of {item['rows']}",
            item["features"],
            name.replace("_", " "),
            _interval(model["auc"]),
            _interval(model["ks"]),
        ]
        for item in results
        for name, model in item["models"].items()
    ]


def gain_rows(results: list[dict]) -> list[list[object]]:
    """One line per date, feature set and pair: AUC gain with its paired interval, and what may be said."""
    return [
        [
            item["cut"],
            "with" if item["recency"] else "without",
            pair.replace("_", " "),
            signed(_interval(item["gains"][pair])),
            item["gains"][pair]["verdict"],
        ]
        for item in results
        for pair in SHOWN_GAINS
    ]


QUALITY_HEADER = ["cut", "recency", "bads", "features", "model", "AUC (95 %)", "KS (95 %)"]
GAIN_HEADER = ["cut", "recency", "AUC gain", "paired 95 % interval", "reading"]


def report(results: list[dict], partition: str, config: ModelConfig) -> str:
    """The study as Markdown."""
    cv = config.scorecard.crossval
    undated = any(item["label_source"] == "credit_record" for item in results)
    lines = [
        f"# Model quality at several observation dates, outcomes as known on {partition}",
        f"{cv.folds}-fold cross-validation, {cv.repeats} repeats while bads are fewer than {cv.enough_bads}; "
        "selection, binning and fitting inside the folds; figures are means over repeats; intervals by bootstrap over "
        "borrowers, gains on the same folds and the same drawn borrowers. No gain is claimed where its interval "
        "covers zero. The credit rating is no feature.",
        "## Discrimination\n" + table(QUALITY_HEADER, quality_rows(results)),
        "## Gains\n" + table(GAIN_HEADER, gain_rows(results)),
    ]
    if undated:
        lines.append(
            "The outcomes have no date. Later cuts see more of what may already have been the default (firms "
            "that stopped selling), so a rise of AUC with the cut is no proof of better prediction."
        )
    high = [
        item
        for item in results
        if item["models"]["scorecard"]["auc"]["value"] > config.promotion.suspicious_auc
        or item["models"]["plain_regression"]["auc"]["value"] > config.promotion.suspicious_auc
    ]
    if high:
        named = ", ".join(f"{item['cut']} {'with' if item['recency'] else 'without'} recency" for item in high)
        lines.append(f"Above {config.promotion.suspicious_auc:.2f} a leak is assumed until explained: {named}.")
    return "\n\n".join(lines) + "\n"
