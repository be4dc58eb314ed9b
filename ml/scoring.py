"""Scoring jobs: the champion's SQL over the features of one date, written aside and audited for the gate.

`gold.enterprise_score`, one row per enterprise × as_of: score, pd, grade, decision, refer_reason, reasons,
points, model_version, feature_snapshot, stale_sources. Nothing in it comes from the clock: the same champion over
the same features gives the same rows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd

from lakehouse import engine, ledger, tables
from lakehouse.errors import GateFailed, ModelError
from lakehouse.literals import quoted
from lakehouse.time import parse_partition
from ml import staleness
from ml.configuration import get_config
from ml.scorecard import Scorecard
from ml.sql import SOURCE
from ml.tables_io import FEATURES, feature_version, to_pandas
from ml.tracking import Registry, Version, client

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCORES = "gold.enterprise_score"
INPUT_VIEW = "features_to_score"


def score(partition: str) -> dict:
    """Scores every firm with features as of the partition's date with the champion, aside; its gate publishes.

    Without a champion nothing is done (`skipped` says so). Raises `ModelError` when alias champion was moved
    past the gate, `GateFailed` when the scores break a rule, `StaleSource` when a feed is so old that its contract
    says to stop.
    """
    from ml.decisions import DeltaLedger
    from ml.promotion import Promotion

    day = parse_partition(partition)
    registry = Registry(client())
    with engine.session("score") as spark, ledger.run(spark, "score", partition) as run:
        champion = Promotion(registry, DeltaLedger(), get_config()).champion()
        if champion is None:
            return {"skipped": "there is no champion yet: promote a model first"}
        stale = staleness.stale_feeds(spark, day)
        staleness.refuse_where_stopped(stale, day)
        version = feature_version()
        source = tables.read(spark, FEATURES).where(f"as_of = date'{day.isoformat()}'")
        statement = registry.artifact_text(champion.run_id, "scorecard.sql")
        scored = apply_statement(spark, statement, source, champion.number, f"{FEATURES}@{version}")
        tables.begin_build(spark, SCORES)
        tables.replace_where(staleness.apply(scored, stale), SCORES, f"as_of = date'{day.isoformat()}'")
        summary = audit(spark, tables.build_name(SCORES), source, partition)
        summary |= {"model_version": champion.number, "feature_snapshot": f"{FEATURES}@{version}"}
        summary["stale_sources"] = [f"{feed.contract}: {feed.effect}" for feed in stale]
        run.details.update(summary)
    return summary


def apply_statement(
    spark: SparkSession, statement: str, source: DataFrame, model_version: str, feature_snapshot: str
) -> DataFrame:
    """A champion's scoring statement over features; adds model version and feature snapshot."""
    source.createOrReplaceTempView(INPUT_VIEW)
    scored = spark.sql(statement.replace(SOURCE, INPUT_VIEW))
    return scored.selectExpr("*", f"'{model_version}' AS model_version", f"'{feature_snapshot}' AS feature_snapshot")


def audit(spark: SparkSession, build: str, source: DataFrame, partition: str) -> dict:
    """Row rules of the scores of one date; raises `GateFailed` with counts, else gives a summary."""
    source.select("enterprise_id").createOrReplaceTempView("scored_enterprises")
    row = (
        spark.sql(
            f"WITH s AS (SELECT * FROM {build} WHERE as_of = date'{partition}') SELECT "
            "(SELECT count(*) FROM scored_enterprises) AS expected, count(*) AS scores, "
            "count(DISTINCT enterprise_id) AS enterprises, count_if(decision = 'refer') AS referred, "
            "count_if(decision = 'scored' AND (score IS NULL OR pd IS NULL OR grade IS NULL)) AS without_score, "
            "count_if(decision = 'refer' AND (score IS NOT NULL OR refer_reason IS NULL)) AS wrongly_referred, "
            "count_if(pd < 0 OR pd > 1) AS impossible_pd, count_if(size(reasons) > 4) AS too_many_reasons, "
            "count_if(score <> aggregate(map_values(points), 0, (a, b) -> a + b)) AS points_not_adding_up, "
            "avg(pd) AS mean_pd FROM s"
        )
        .collect()[0]
        .asDict()
    )
    faults = {
        name: row[name]
        for name in ("without_score", "wrongly_referred", "impossible_pd", "too_many_reasons", "points_not_adding_up")
        if row[name]
    }
    if not row["expected"]:
        raise ModelError(
            f"there are no features as of {partition}", where=FEATURES, remedy="build the features of that date first"
        )
    if row["scores"] != row["expected"] or row["enterprises"] != row["expected"]:
        faults["enterprises_expected"] = row["expected"]
        faults["rows_scored"] = row["scores"]
    if faults:
        raise GateFailed(
            "scores break their rules; nothing was published",
            remedy="report it with the model version",
            where=f"{build}, as_of {partition}: {', '.join(f'{k} {v}' for k, v in faults.items())}",
        )
    grades = spark.sql(
        f"SELECT grade, count(*) FROM {build} WHERE as_of = date'{partition}' AND decision = 'scored' "
        "GROUP BY grade ORDER BY grade"
    ).collect()
    return {
        "enterprises": row["scores"],
        "scored": row["scores"] - row["referred"],
        "referred": row["referred"],
        "mean_pd": row["mean_pd"],
        "grades": {row[0]: row[1] for row in grades},
    }


def replay(as_of: str) -> dict:
    """Scores a date again from what its rows name (model version, feature version) and compares, bit for bit.

    Returns rows, whether all are equal, and the content hashes of stored and recomputed scores.
    """
    day = parse_partition(as_of)
    registry = Registry(client())
    with engine.session() as spark:
        if not tables.is_published(spark, SCORES):
            raise ModelError("nothing was scored yet", where=SCORES, remedy="promote a model, then score")
        stored = tables.read(spark, SCORES).where(f"as_of = date'{day.isoformat()}'")
        named = stored.select("model_version", "feature_snapshot").distinct().collect()
        if len(named) != 1:
            raise ModelError(
                f"scores as of {day} name {len(named)} pairs of model and features, not one",
                where=SCORES,
                remedy="score the date again" if named else "score the date first",
            )
        number, snapshot = named[0]
        version = registry.version(number)
        if version is None:
            raise ModelError(f"model version {number} is gone from the registry", where=SCORES)
        source = spark.sql(
            f"SELECT * FROM {tables.at_version(FEATURES, int(snapshot.split('@')[1]))} "
            f"WHERE as_of = date'{day.isoformat()}'"
        )
        statement = registry.artifact_text(version.run_id, "scorecard.sql")
        again = apply_statement(spark, statement, source, number, snapshot)
        again = staleness.apply(again, staleness.stale_feeds(spark, day)).select(*stored.columns)
        hashes = [tables.content_hash(df) for df in (stored, again)]
        rows = stored.count()
    return {
        "as_of": as_of,
        "rows": rows,
        "equal": hashes[0] == hashes[1],
        "model_version": number,
        "feature_snapshot": snapshot,
        "stored": hashes[0],
        "recomputed": hashes[1],
    }


def explain(enterprise_id: str, as_of: str | None = None) -> dict:
    """One firm's published score with reasons, and the value, bin and points of every feature behind it.

    The latest score, or that of one date (`YYYY-MM-DD`). Feature values are read from the very version of the
    features that was scored.
    """
    with engine.session() as spark:
        if not tables.is_published(spark, SCORES):
            raise ModelError("nothing was scored yet", where=SCORES, remedy="promote a model, then score the portfolio")
        condition = f" AND as_of = date'{parse_partition(as_of).isoformat()}'" if as_of else ""
        found = (
            spark.table(tables.published_name(SCORES))
            .where(f"enterprise_id = {quoted(enterprise_id)}{condition}")
            .orderBy("as_of", ascending=False)
            .limit(1)
            .collect()
        )
        if not found:
            raise ModelError(
                f"there is no score of {enterprise_id}",
                where=f"{SCORES}, as_of {as_of or 'any'}",
                remedy='see the ids: vinelake sql "select enterprise_id from gold.enterprise_score"',
            )
        row = found[0].asDict(recursive=True)
        registry = Registry(client())
        version = registry.version(row["model_version"])
        card = Scorecard.from_json(registry.artifact_text(version.run_id, "scorecard.json"))
        names = ", ".join(f"`{name}`" for name in card.features)
        scored_version = int(row["feature_snapshot"].split("@")[1])
        values = to_pandas(
            spark.sql(
                f"SELECT {names} FROM {tables.at_version(FEATURES, scored_version)} "
                f"WHERE enterprise_id = {quoted(enterprise_id)} AND as_of = date'{row['as_of']}'"
            )
        )
    return {
        **row,
        "features": _feature_lines(card, values) if row["decision"] == "scored" else [],
        "score_range": list(card.score_range()),
    }


def _feature_lines(card: Scorecard, values: pd.DataFrame) -> list[dict]:
    """Value, points and best points per feature, most points lost first."""
    points, best = card.points(values).iloc[0], card.best_points()
    lines = []
    for name in card.features:
        value = values[name].iloc[0]
        lines.append(
            {
                "feature": name,
                "value": None if pd.isna(value) else float(value),
                "points": int(points[name]),
                "best_points": best[name],
                "points_lost": best[name] - int(points[name]),
            }
        )
    return sorted(lines, key=lambda line: -line["points_lost"])


def load_card(registry: Registry, number: str) -> tuple[Version, Scorecard]:
    """A registered scorecard by version number."""
    version = registry.version(number)
    if version is None or version.kind != "scorecard":
        raise ModelError(
            f"there is no scorecard version {number}", where=registry.name, remedy="see `vinelake model candidates`"
        )
    return version, Scorecard.from_json(registry.artifact_text(version.run_id, "scorecard.json"))


def compare_cards(features: pd.DataFrame, first: Scorecard, second: Scorecard) -> pd.DataFrame:
    """Scores and PDs of two cards per firm, and the points by which the second differs; biggest move first."""
    from ml.scorecard import grade_of

    result = pd.DataFrame({"enterprise_id": features["enterprise_id"].to_numpy()})
    for side, card in (("first", first), ("second", second)):
        points = card.score(features)
        result[f"score_{side}"] = points
        result[f"pd_{side}"] = card.pd_of_score(points)
        result[f"grade_{side}"] = [grade_of(float(value), card.grades) for value in result[f"pd_{side}"]]
    result["difference"] = result["score_second"] - result["score_first"]
    return result.sort_values(
        ["difference", "enterprise_id"], key=lambda c: -c.abs() if c.name == "difference" else c, ignore_index=True
    )


def diff(partition: str, first: str, second: str) -> dict:
    """How two versions score the same firms at one date: per firm, and grades crossed (the swap set)."""
    day = parse_partition(partition)
    registry = Registry(client())
    cards = [load_card(registry, number)[1] for number in (first, second)]
    with engine.session() as spark:
        features = to_pandas(tables.read(spark, FEATURES).where(f"as_of = date'{day.isoformat()}'"))
    table = compare_cards(features, *cards)
    crossed = pd.crosstab(table["grade_first"], table["grade_second"])
    return {
        "enterprises": len(table),
        "unchanged": int((table["difference"] == 0).sum()),
        "moved_grade": int((table["grade_first"] != table["grade_second"]).sum()),
        "mean_absolute_difference": float(table["difference"].abs().mean()),
        "grades": json.loads(crossed.to_json(orient="index")),
        "firms": table.to_dict("records"),
    }
