"""How bronze grew: which tables new batches feed, which rows are theirs, and whether the ledger accounts for them.

A table that consists of what is published and whole new batches needs only those rows looked at, so that the cost of a
day follows the day. Whether it does is read from the table's own log; otherwise all of it is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from expectations.suites import Identity
from lakehouse import ledger, tables
from lakehouse.settings import get_settings

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


def accounts(changed: Iterable[str], slices: Mapping[str, str]) -> list[Identity]:
    """Per changed table: its new rows, by disposition, and all its rows are those the batch ledger accounts for."""
    booked = f"{get_settings().schema_name('control')}.batch"
    held = "rows_quarantined - coalesce(reasons['batch_rejected'], 0)"
    found = []
    for table in changed:
        new = slices.get(table, "true")
        if table == QUARANTINE:
            found.append(_booked("quarantined rows equal the batch ledger", table, "count(*)", new, booked, held, new))
            found.append(_booked("all quarantined rows are booked", table, "count(*)", "true", booked, held, "true"))
            continue
        contract = tables.split(table)[1]
        own = f"contract = '{contract}'"
        for word in ("accepted", "duplicate"):
            name, counted = f"{contract}: {word} rows equal the batch ledger", f"count_if(disposition = '{word}')"
            found.append(_booked(name, table, counted, new, booked, f"rows_{word}", f"{own} AND {new}"))
        every = "rows_accepted + rows_duplicate"
        found.append(_booked(f"{contract}: all rows are booked", table, "count(*)", "true", booked, every, own))
    return found


def _booked(name: str, table: str, counted: str, rows: str, booked: str, summed: str, batches: str) -> Identity:
    # Without a condition a count is read from the table's log.
    where = "" if rows == "true" else f" WHERE {rows}"
    return Identity(
        name,
        f"SELECT {counted} FROM {{{table}}}{where}",
        f"SELECT coalesce(sum({summed}), 0) FROM {booked} WHERE {batches}",
    )


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
