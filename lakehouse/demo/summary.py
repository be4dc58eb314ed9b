"""What a lakehouse holds, in figures that a reader can check: read from published views and ledgers alone."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lakehouse import engine, families, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MODEL = "enterprise_scorecard"
FEATURES, SCORES = "gold.enterprise_features", "gold.enterprise_score"
FRESHNESS = "gold.source_freshness"
# Columns of the feature table that describe the row rather than the enterprise.
NOT_FEATURES = {"enterprise_id", "as_of", "known_at_is_assumed", "history_months"}


def collect(partition: str | None = None) -> dict[str, Any]:
    """All figures of one drop; of the newest one when none is named. Takes one reader's session."""
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        partition = partition or _newest_partition(spark)
        facts = {
            "partition": partition,
            "rows": _rows(spark, partition),
            "sources": _sources(spark, partition),
            "gates": _gates(spark, partition),
            "features": _features(spark),
            "portfolio": _portfolio(spark, partition),
            "jobs": _jobs(spark, partition),
        }
    return facts | {"model": champion()}


def _newest_partition(spark: SparkSession) -> str:
    found = _ledger(spark, "batch", "SELECT max(partition) AS newest FROM {}")
    if not found or found[0]["newest"] is None:
        raise ConfigError("nothing has been taken in yet", remedy="run `make demo` first")
    return found[0]["newest"]


def _ledger(spark: SparkSession, name: str, statement: str) -> list[dict[str, Any]]:
    """Rows of a query on a ledger table of schema `control`; none where the table is not there yet."""
    table = f"{get_settings().schema_name('control')}.{name}"
    if not spark.catalog.tableExists(table):
        return []
    return [row.asDict() for row in spark.sql(statement.format(table)).collect()]


def _rows(spark: SparkSession, partition: str) -> list[dict[str, Any]]:
    """Per contract: rows in, accepted, duplicate, quarantined, and the quarantined by reason code."""
    batches = _ledger(
        spark,
        "batch",
        "SELECT contract, files, bytes, rows_in, rows_accepted, rows_duplicate, rows_quarantined, reasons "
        f"FROM {{}} WHERE partition = '{partition}'",
    )
    found: dict[str, dict[str, Any]] = {}
    for batch in batches:
        total = found.setdefault(batch["contract"], {"contract": batch["contract"], "reasons": {}})
        for name in ("files", "bytes", "rows_in", "rows_accepted", "rows_duplicate", "rows_quarantined"):
            total[name] = total.get(name, 0) + (batch[name] or 0)
        for code, rows in (batch["reasons"] or {}).items():
            total["reasons"][code] = total["reasons"].get(code, 0) + rows
    return [found[name] for name in sorted(found)]


def _sources(spark: SparkSession, partition: str) -> list[dict[str, Any]]:
    """Per department that is pulled: feeds, rows in all, of these on the day, what became of them, and its age.

    `stale_days` is the age of its oldest feed on the day, `breached` how many feeds are older than allowed.
    """
    booked = _ledger(
        spark,
        "batch",
        f"SELECT contract, sum(rows_in) AS rows_in, sum(if(partition = '{partition}', rows_in, 0)) AS rows_today, "
        "sum(rows_duplicate) AS rows_duplicate, sum(rows_quarantined) AS rows_quarantined, sum(bytes) AS bytes "
        f"FROM {{}} WHERE partition <= '{partition}' GROUP BY contract",
    )
    by_contract = {row["contract"]: row for row in booked}
    ages = _ages(spark, partition)
    found = []
    for family in families.families(families.outlines(get_settings().contracts_dir)):
        for name, feeds in family.departments.items():
            rows = [by_contract[f.contract] for f in feeds if f.contract in by_contract]
            aged = [ages[f.contract] for f in feeds if f.contract in ages]
            if rows or aged:
                found.append(_source(name, len(feeds), rows, aged))
    return found


def _source(name: str, feeds: int, rows: list[dict[str, Any]], aged: list[dict[str, Any]]) -> dict[str, Any]:
    counted = ("rows_in", "rows_today", "rows_duplicate", "rows_quarantined", "bytes")
    days = [row["stale_days"] for row in aged if row["stale_days"] is not None]
    return {
        "department": name.replace("__", " ▸ "),
        "feeds": feeds,
        **{column: sum(int(row[column] or 0) for row in rows) for column in counted},
        "stale_days": max(days, default=None),
        "breached": sum(row["is_breached"] for row in aged),
    }


def _ages(spark: SparkSession, partition: str) -> dict[str, dict[str, Any]]:
    """The day's row of `gold.source_freshness` by contract; none where no feed is pulled."""
    if not tables.is_published(spark, FRESHNESS):
        return {}
    rows = tables.read(spark, FRESHNESS).where(f"as_of = date'{partition}'").collect()
    return {row["contract"]: row.asDict() for row in rows}


def _gates(spark: SparkSession, partition: str) -> list[dict[str, Any]]:
    """The last look of each gate: layer, whether it passed, expectations, failed ones, report page."""
    return _ledger(
        spark,
        "gate",
        "SELECT layer, passed, expectations, failed, report FROM (SELECT *, row_number() OVER "
        f"(PARTITION BY layer ORDER BY checked_at DESC) AS age FROM {{}} WHERE partition = '{partition}') "
        "WHERE age = 1 ORDER BY checked_at",
    )


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


def _jobs(spark: SparkSession, partition: str) -> list[dict[str, Any]]:
    """The last good run of every job on this drop, with its seconds, in order of time."""
    return _ledger(
        spark,
        "run",
        "SELECT job, round(seconds, 1) AS seconds FROM (SELECT *, row_number() OVER (PARTITION BY job "
        f"ORDER BY started_at DESC) AS age FROM {{}} WHERE partition = '{partition}' AND state = 'success') "
        "WHERE age = 1 ORDER BY started_at",
    )


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
