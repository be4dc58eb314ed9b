"""`silver.vat_invoice` brought up to date by what is new: the invoices that new batches speak of, those whose parties
turned out to be others, and the red letters that name either.

All versions of such an invoice are made anew, from all that was ever said of it, and merged in. The build starts from
the published version and may repeat itself, so a kill at any moment leaves the same table.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING

from lakehouse.builds import Input
from spark_jobs import silver_economy, silver_files, silver_merge
from spark_jobs.landing import slice_of
from spark_jobs.silver_plan import PublishedReader, Reader

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TABLE = "silver.vat_invoice"
KEYS = ["invoice_id", "version_no"]
FILES = {silver_files.SALES: "sale", silver_files.PURCHASES: "purchase"}
DAY = "issued_on"


def update(reader: Reader, before: Input, now: Input) -> bool:
    """Merges what is new into the build, which stands at the version that was made from `before`; False where a merge
    would not do or not pay."""
    contracts = [reader.known[name] for name in (*FILES, silver_economy.INVOICES) if name in reader.known]
    new = silver_merge.new_batches_of(reader.spark, contracts, before, now)
    if new is None:
        return False
    parts, gone = [_of_files(reader, name, new[name]).localCheckpoint() for name in FILES if new.get(name)], None
    # Of an invoice of files the day is a part of its identity; one of the ledger lay where any of its versions lies.
    days = [silver_merge.within(part, DAY) for part in parts]
    if reader.has(silver_economy.INVOICES):
        strangers = _other_parties(reader)
        if strangers is None:
            return False
        made, gone, of_days = _of_ledger(reader, new.get(silver_economy.INVOICES, []), strangers)
        parts, days = [*parts, made], [*days, of_days]
    if parts:
        silver_merge.put(_all(parts), TABLE, KEYS, gone, days)
    return True


def _of_files(reader: Reader, contract: str, batches: list[int]) -> DataFrame:
    """The invoices of new batches of files, and all between two firms whose red letters these may link anew."""
    from pyspark.sql import functions

    accepted, parties = reader.accepted(contract), ["enterprise_id", "counterparty_id"]
    new, red = accepted.where(slice_of(batches)), accepted.where("amount_excl_tax_cny < 0")
    told = new.select("record_key").distinct()
    # A red letter reverses what was known when it came: what is new is among that only if it was known by then.
    since = new.groupBy(*parties).agg(functions.expr("min(known_at) AS since"))
    later = red.join(since, parties).where("known_at >= since").select(*parties)
    linked = red.join(told, "record_key", "left_semi").select(*parties).unionByName(later).distinct()
    between = accepted.join(linked, parties, "left_semi").select("record_key")
    rows = accepted.join(told.unionByName(between).distinct(), "record_key", "left_semi")
    return silver_files.invoices_of(rows, FILES[contract])


def _of_ledger(reader: Reader, batches: list[int], strangers: DataFrame) -> tuple[DataFrame, DataFrame, str]:
    """The invoices of the ledger that new batches speak of, that have parties among the strangers, or that name these.

    Then those rows of theirs in the build that are no more, since a version or a side may be nobody's here now, and
    among which days rows of theirs are.
    """
    ledger, number, named = silver_economy.ledger(reader), "invoice_number", "reverses_invoice_number"
    told = reader.accepted(silver_economy.INVOICES).where(slice_of(batches) if batches else "false").select(number)
    if not strangers.isEmpty():
        sides = [ledger[f"{side}_tax_number"] == strangers["tax_number"] for side in ("seller", "buyer")]
        told = _all([told, *(ledger.join(strangers, on, "left_semi").select(number) for on in sides)])
    told = told.distinct()
    naming = ledger.join(told.withColumnRenamed(number, named), named, "left_semi").select(number)
    touched = told.unionByName(naming).distinct().localCheckpoint()
    beside = ledger.join(touched, number, "left_semi").where(f"{named} IS NOT NULL").selectExpr(f"{named} AS {number}")
    issued = ledger.join(touched.unionByName(beside).distinct(), number, "left_semi").localCheckpoint()
    made = silver_economy.invoices_of(issued, silver_economy.tax_parties(reader)).join(touched, number, "left_semi")
    made = made.localCheckpoint()
    days = silver_merge.within(issued, DAY)
    held = (
        reader.silver(TABLE)
        .where(f"source = '{silver_economy.INVOICES}' AND {days}")
        .join(touched, number, "left_semi")
    )
    return made, held.join(made, KEYS, "left_anti").select(*KEYS), days


def _other_parties(reader: Reader) -> DataFrame | None:
    """`tax_number` of who is somebody else, or somebody again, than when the published invoices were made; None where
    readers do not have what tells."""
    published = PublishedReader(reader.spark, reader.known)
    if not set(silver_economy.party_tables(reader)) <= published.versions.keys():
        return None
    sides = [silver_economy.tax_parties(of) for of in (published, reader)]
    gone, come = sides[0].exceptAll(sides[1]), sides[1].exceptAll(sides[0])
    return gone.unionByName(come).select("tax_number").distinct().localCheckpoint()


def _all(parts: Iterable[DataFrame]) -> DataFrame:
    return reduce(lambda one, other: one.unionByName(other), parts)
