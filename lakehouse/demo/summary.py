"""What a lakehouse holds, in figures that a reader can check: read from published views and ledgers alone."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lakehouse import control, engine, families, ledger, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Row = Mapping[str, Any]

MODEL = "enterprise_scorecard"
FEATURES, SCORES = "gold.enterprise_features", "gold.enterprise_score"
FRESHNESS = "gold.source_freshness"
# What of the ledger of gates is told.
GATES = (
    "layer string, partition string, passed boolean, expectations int, failed int, report string, checked_at timestamp"
)
# Columns of the feature table that describe the row rather than the enterprise.
NOT_FEATURES = {"enterprise_id", "as_of", "known_at_is_assumed", "history_months"}


def collect(partition: str | None = None) -> dict[str, Any]:
    """All figures of one drop; of the newest one when none is named. Takes one reader's session."""
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        booked = ledger.booked()
        partition = partition or _newest_partition(booked)
        facts = {
            "partition": partition,
            "rows": _rows(booked, partition),
            "sources": _sources(booked, _ages(spark, partition), partition),
            "gates": _gates(partition),
            "features": _features(spark),
            "portfolio": _portfolio(spark, partition),
            "jobs": _jobs(partition),
        }
    return facts | {"model": champion()}


def _newest_partition(booked: Sequence[Row]) -> str:
    if not booked:
        raise ConfigError("nothing has been taken in yet", remedy="run `make demo` first")
    return max(row["partition"] for row in booked)


def _rows(booked: Sequence[Row], partition: str) -> list[dict[str, Any]]:
    """Per contract: rows in, accepted, duplicate, quarantined, and the quarantined by reason code."""
    found: dict[str, dict[str, Any]] = {}
    for batch in booked:
        if batch["partition"] != partition:
            continue
        total = found.setdefault(batch["contract"], {"contract": batch["contract"], "reasons": {}})
        for name in ("files", "bytes", "rows_in", "rows_accepted", "rows_duplicate", "rows_quarantined"):
            total[name] = total.get(name, 0) + (batch[name] or 0)
        for code, rows in (batch["reasons"] or {}).items():
            total["reasons"][code] = total["reasons"].get(code, 0) + rows
    return [found[name] for name in sorted(found)]


def _sources(booked: Sequence[Row], ages: Mapping[str, Row], partition: str) -> list[dict[str, Any]]:
    """Per department that is pulled: feeds, rows in all, of these on the day, what became of them, and its age.

    `stale_days` is the age of its oldest feed on the day, `breached` how many feeds are older than allowed; both by
    `ages`, a row a contract.
    """
    by_contract: dict[str, list[Row]] = {}
    for row in booked:
        if row["partition"] <= partition:
            by_contract.setdefault(row["contract"], []).append(row)
    found = []
    for family in families.families(families.outlines(get_settings().contracts_dir)):
        for name, feeds in family.departments.items():
            rows = [row for f in feeds for row in by_contract.get(f.contract, ())]
            aged = [ages[f.contract] for f in feeds if f.contract in ages]
            if rows or aged:
                found.append({"department": name.replace("__", " ▸ "), "feeds": len(feeds)})
                found[-1] |= _source(rows, aged, partition)
    return found


def _source(rows: Sequence[Row], aged: Sequence[Row], partition: str) -> dict[str, Any]:
    total = {name: sum(row[name] or 0 for row in rows) for name in ("rows_duplicate", "rows_quarantined", "bytes")}
    days = [row["stale_days"] for row in aged if row["stale_days"] is not None]
    return {
        "rows_in": sum(row["rows_in"] for row in rows),
        "rows_today": sum(row["rows_in"] for row in rows if row["partition"] == partition),
        **total,
        "stale_days": max(days, default=None),
        "breached": sum(row["is_breached"] for row in aged),
    }


def _ages(spark: SparkSession, partition: str) -> dict[str, dict[str, Any]]:
    """The day's row of `gold.source_freshness` by contract; none where no feed is pulled."""
    if not tables.is_published(spark, FRESHNESS):
        return {}
    rows = tables.read(spark, FRESHNESS).where(f"as_of = date'{partition}'").collect()
    return {row["contract"]: row.asDict() for row in rows}


def _gates(partition: str) -> list[dict[str, Any]]:
    """The last look of each gate: layer, whether it passed, expectations, failed ones, report page."""
    told = ("layer", "passed", "expectations", "failed", "report")
    looks = [row for row in control.rows("gate", GATES) if row["partition"] == partition]
    return [{name: row[name] for name in told} for row in _newest(looks, "layer", "checked_at")]


def _features(spark: SparkSession) -> dict[str, Any] | None:
    """Number of features, and rows as enterprises × dates."""
    if not tables.is_published(spark, FEATURES):
        return None
    frame = tables.read(spark, FEATURES)
    counts = frame.selectExpr(
        "count(*) AS rows", "count(DISTINCT enterprise_id) AS enterprises", "count(DISTINCT as_of) AS dates"
    ).first()
    numbers = [name for name, kind in frame.dtypes if kind in ("double", "bigint", "int")]
    return {"features": len(set(numbers) - NOT_FEATURES), **counts.asDict()}


def _portfolio(spark: SparkSession, partition: str) -> list[dict[str, Any]]:
    """Per grade and decision: enterprises, mean PD, range of scores. Referred enterprises have no grade."""
    if not tables.is_published(spark, SCORES):
        return []
    rows = spark.sql(
        "SELECT coalesce(grade, '-') AS grade, decision, count(*) AS enterprises, avg(pd) AS mean_pd, "
        "min(score) AS lowest_score, max(score) AS highest_score, cast(max(model_version) AS string) AS model_version "
        f"FROM {tables.published_name(SCORES)} WHERE as_of = date'{partition}' "
        "GROUP BY 1, 2 ORDER BY decision DESC, grade"
    ).collect()
    return [row.asDict() for row in rows]


def _jobs(partition: str) -> list[dict[str, Any]]:
    """The last good run of every job on this drop, with its seconds, in order of time."""
    good = [row for row in ledger.past_runs() if row["partition"] == partition and row["state"] == "success"]
    return [{"job": row["job"], "seconds": round(row["seconds"], 1)} for row in _newest(good, "job", "started_at")]


def _newest(rows: Iterable[Row], of: str, at: str) -> list[Row]:
    """The last row of each value of a column, in order of time."""
    last = {row[of]: row for row in sorted(rows, key=lambda row: row[at])}
    return sorted(last.values(), key=lambda row: row[at])


def champion() -> dict[str, Any] | None:
    """The model in office with the evidence of its training, from the tracking server's REST interface.

    Asked over HTTP because importing the client would take longer than all the rest of a summary.
    """
    base = get_settings().mlflow_uri
    try:
        named = _json(
            f"{base}/api/2.0/mlflow/registered-models/alias?{urlencode({'name': MODEL, 'alias': 'champion'})}"
        )["model_version"]
        where = {"path": "evidence.json", "run_uuid": named["run_id"]}
        evidence = _json(f"{base}/get-artifact?{urlencode(where)}")
    except (OSError, ValueError, KeyError):
        return None
    tags = {tag["key"]: tag["value"] for tag in named.get("tags", [])}
    return {"version": named["version"], "run_id": named["run_id"], "tags": tags, "evidence": evidence}


def _json(url: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes by a proxy
    with opener.open(url, timeout=10) as answer:
        return json.loads(answer.read())
