"""How bronze grew: which tables new batches feed, which rows are theirs, and whether the ledger accounts for them.

A table that consists of what is published and whole new batches needs only those rows looked at, so that the cost of a
day follows the day. Whether it does is read from the table's own log; otherwise all of it is checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expectations import one_pass
from expectations.report import Finding
from expectations.suites import Expectation
from lakehouse import engine, ledger, tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUARANTINE = "quarantine.record"
ONE_BATCH = re.compile(r"""\W*batch_id(#\d+)? = ['"\\]*([0-9a-f]{16})\W*""")
BATCHES = "batch_id IN ({})"


def fed(spark: SparkSession) -> list[str]:
    """The tables to which booked, unpublished batches bring rows."""
    found = set()
    for row in ledger.unpublished(spark):
        if row["rows_accepted"] + row["rows_duplicate"]:
            found.add(f"bronze.{row['contract']}")
        if row["rows_quarantined"]:
            found.add(QUARANTINE)
    return sorted(table for table in found if spark.catalog.tableExists(tables.build_name(table)))


def slices(spark: SparkSession, changed: Mapping[str, int]) -> dict[str, str]:
    """Per table that grew by whole batches only, the condition that its new rows meet."""
    published = tables.current_manifest(spark).versions
    waiting = ledger.unpublished(spark)
    found = {}
    for table, version in changed.items():
        mine = {r["batch_id"] for r in waiting if table in (QUARANTINE, f"bronze.{r['contract']}")}
        if table in published and _grew_by_batches(spark, table, published[table], version, mine):
            found[table] = BATCHES.format(", ".join(f"'{batch}'" for batch in sorted(mine)))
    return found


def check(
    spark: SparkSession, changed: Mapping[str, int], expected: Mapping[str, Sequence[Expectation]]
) -> list[Finding]:
    """Per changed table: what its suite says of its new rows, and that the ledger accounts for these and all others."""
    held = "rows_quarantined - coalesce(reasons['batch_rejected'], 0)"
    booked = ledger.batches(spark).selectExpr("*", f"{held} AS rows_held").collect()
    waiting = {row["batch_id"] for row in ledger.unpublished(spark)}
    limits = slices(spark, changed)

    def check_table(table: str) -> list[Finding]:
        mine = [r for r in booked if table in (QUARANTINE, f"bronze.{r['contract']}")]
        limit = limits.get(table)
        new = [r for r in mine if r["batch_id"] in waiting] if limit else mine
        return _check_table(spark, table, changed[table], expected[table], limit, mine, new)

    return [finding for found in engine.side_by_side(check_table, changed) for finding in found]


def _check_table(
    spark: SparkSession,
    table: str,
    version: int,
    expected: Sequence[Expectation],
    limit: str | None,
    booked: Sequence[Any],
    new: Sequence[Any],
) -> list[Finding]:
    """What comes of one table: `booked` are all its batches in the ledger, `new` those whose rows are looked at."""
    build = f"{tables.build_name(table)} VERSION AS OF {version}"
    is_quarantine = table == QUARANTINE
    words = {"quarantined": "held"} if is_quarantine else {"accepted": "accepted", "duplicate": "duplicate"}
    figures = {word: "count(*)" if is_quarantine else f"count_if(disposition = '{word}')" for word in words}
    rows = f"{build} WHERE {limit}" if limit else build
    found, counted = one_pass.findings(spark, table, rows, expected, figures)
    for word, name in words.items():
        found.append(_equals(table, f"{word} rows", counted[word], sum(r[f"rows_{name}"] for r in new)))
    # Without a condition a count is read from the table's log.
    every = spark.sql(f"SELECT count(*) FROM {build}").collect()[0][0]
    found.append(_equals(table, "all rows", every, sum(r[f"rows_{name}"] for r in booked for name in words.values())))
    return found


def _equals(table: str, what: str, counted: int, booked: int) -> Finding:
    rule = f"{tables.split(table)[1]}: {what} equal the batch ledger"
    return Finding("between tables", rule, counted == booked, None, None, f"{counted} against {booked}")


def _grew_by_batches(spark: SparkSession, table: str, since: int, until: int, batches: set[str]) -> bool:
    """Whether all that happened to a table since a version is that slices of these batches were replaced."""
    history = spark.sql(f"DESCRIBE HISTORY {tables.build_name(table)}").where(f"version > {since}")
    for row in history.where(f"version <= {until}").orderBy("version", ascending=False).collect():
        facts = dict(row["operationParameters"] or {})
        if row["operation"] == "RESTORE" and facts.get("version") == str(since):
            return True
        found = ONE_BATCH.fullmatch(facts.get("predicate", ""))
        if row["operation"] not in ("WRITE", "DELETE") or not found or found[2] not in batches:
            return False
    return True
