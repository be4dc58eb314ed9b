"""How bronze grew: which tables new batches feed, which rows are theirs, and whether the ledger accounts for them.

A table that consists of what is published and whole new batches needs only those rows looked at, so that the cost of a
day follows the day. Whether it does is read from the table's own log; otherwise all of it is checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expectations import one_pass
from expectations.report import Finding
from expectations.suites import Expectation
from lakehouse import delta_log, engine, ledger, tables
from lakehouse.waivers import BETWEEN_TABLES
from spark_jobs import bronze_growth, landing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUARANTINE = "quarantine.record"
Account = Mapping[str, Any]  # a batch's row of the ledger


def waiting_batches(spark: SparkSession) -> list[dict[str, Any]]:
    """The booked, unpublished batches: each account with its `place` in the chain and the tables that it `feeds`.

    The place is 0, where no batch is, for one whose manifest is gone.
    """
    places = {batch.batch_id: batch.sequence for batch in landing.landed()}
    return [{**row, "place": places.get(row["batch_id"], 0), "feeds": _feeds(row)} for row in ledger.unpublished(spark)]


def fed(waiting: Iterable[Account]) -> list[str]:
    """The tables to which waiting batches bring rows."""
    found = {table for account in waiting for table in account["feeds"]}
    return sorted(table for table in found if tables.has_build(table))


def put_back(spark: SparkSession, waiting: Sequence[Account]) -> None:
    """Gives builds back what a gate that was killed took out of them (`without`): rows of batches that wait."""
    for table in fed(waiting):
        version = tables.build_version(table)
        removed = bronze_growth.removed_by(table, version)
        if removed and removed <= {account["place"] for account in waiting if table in account["feeds"]}:
            tables.restore(spark, table, version - 1)


def without(
    spark: SparkSession, changed: Mapping[str, int], waiting: Sequence[Account], held: Collection[str]
) -> dict[str, int]:
    """The versions of the changed tables that hold nothing of some batches; tables to which nothing else came go.

    The builds themselves keep the batches: a gate that is asked again has to find them.
    """
    if not held:
        return dict(changed)
    found = {}
    for table, version in changed.items():
        here = [account for account in waiting if table in account["feeds"]]
        places = {account["place"] for account in here if account["batch_id"] in held}
        if len(places) < len(here):
            slice_held = landing.slice_of(places)
            found[table] = tables.version_without(spark, table, version, slice_held) if places else version
    return found


def _feeds(booked: Account) -> set[str]:
    """The tables to which a batch of the ledger brings rows."""
    sound = {f"bronze.{booked['contract']}"} if booked["rows_accepted"] + booked["rows_duplicate"] else set()
    return sound | ({QUARANTINE} if booked["rows_quarantined"] else set())


def _rows_held(booked: Account) -> int:
    """How many rows of a batch stand in quarantine: of one that was rejected as a whole, none were parsed."""
    return booked["rows_quarantined"] - ledger.rows_rejected(booked)


def _slices(changed: Mapping[str, int], waiting: Sequence[Account]) -> dict[str, str]:
    """Per table that grew by whole waiting batches only, the condition that its new rows meet."""
    published = tables.current_manifest().versions
    found = {}
    for table, version in changed.items():
        mine = {r["place"] for r in waiting if table in (QUARANTINE, f"bronze.{r['contract']}")}
        grew = bronze_growth.grew_by(table, published[table], version) if table in published else None
        if grew is not None and grew <= mine:
            found[table] = landing.slice_of(mine)
    return found


def check(
    spark: SparkSession,
    changed: Mapping[str, int],
    expected: Mapping[str, Sequence[Expectation]],
    waiting: Sequence[Account],
    held: Collection[str],
) -> list[Finding]:
    """Per changed table: what its suite says of its new rows, and that the ledger accounts for these and all others.

    Batches that are `held` back are not in the versions that are looked at, whatever the ledger has of them.
    """
    booked = [{**row, "rows_held": _rows_held(row)} for row in ledger.booked() if row["batch_id"] not in held]
    unpublished, limits = {account["batch_id"] for account in waiting}, _slices(changed, waiting)

    def check_table(table: str) -> list[Finding]:
        mine = [r for r in booked if table in (QUARANTINE, f"bronze.{r['contract']}")]
        limit = limits.get(table)
        new = [r for r in mine if r["batch_id"] in unpublished] if limit else mine
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
    build = tables.at_version(table, version)
    is_quarantine = table == QUARANTINE
    words = {"quarantined": "held"} if is_quarantine else {"accepted": "accepted", "duplicate": "duplicate"}
    figures = {word: "count(*)" if is_quarantine else f"count_if(disposition = '{word}')" for word in words}
    rows = f"{build} WHERE {limit}" if limit else build
    found, counted = one_pass.findings(spark, table, rows, expected, figures)
    for word, name in words.items():
        found.append(_equals(table, f"{word} rows", counted[word], sum(r[f"rows_{name}"] for r in new)))
    every = delta_log.count(tables.build_location(table), version)
    found.append(_equals(table, "all rows", every, sum(r[f"rows_{name}"] for r in booked for name in words.values())))
    return found


def _equals(table: str, what: str, counted: int, booked: int) -> Finding:
    rule = f"{tables.split(table)[1]}: {what} equal the batch ledger"
    detail = f"{counted} against {booked}"
    return Finding(BETWEEN_TABLES, rule, counted == booked, None, None, detail, can_be_waived=False)
