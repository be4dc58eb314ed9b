"""What the records of batches become: sound rows with keys, times and disposition, or rows held with their reasons.

DataFrames out, nothing written. All that is decided of a row follows from its batch's manifest and the batches before
it, never from a clock or from which batches are taken in together, so that a repeat gives the same rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import reduce
from typing import TYPE_CHECKING

from lakehouse import tables
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings
from lakehouse.time import business_midnight
from lakehouse.vault import erasing
from spark_jobs import bronze_files, row_rules
from spark_jobs.bronze_files import RecordFile
from spark_jobs.landing import SEQUENCE, Batch, slice_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PLACE = "source_file, row_number"
VERSION, GUARD = "__schema_version", "__guard"
PUBLISHED_AT = "published_at"
WINDOW_OPTION = "duplicateWindowDays"
EARLIER = "RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"  # rows of earlier batches

# What a row's batch says of all its rows: beside `batch_id`.
RECEIVED_ON, RECEIVED_AT, IS_HISTORY = "received_on", "__received_at", "__is_history"
FACTS = f"batch_id string, {SEQUENCE} bigint, {RECEIVED_ON} date, {RECEIVED_AT} timestamp, {IS_HISTORY} boolean"


@dataclass(frozen=True)
class Delivery:
    """Batches of one contract that are taken in together, in order of arrival.

    What was received on `first_day` is the history of a pulled feed.
    """

    batches: tuple[Batch, ...]
    contract: Contract
    first_day: date | None = None

    @property
    def slice(self) -> str:
        """The condition that the batches' rows meet, in bronze and in quarantine."""
        return slice_of(batch.sequence for batch in self.batches)

    def halves(self) -> tuple[Delivery, Delivery]:
        """The first half of the batches and the others; the first is empty for a single batch."""
        middle = len(self.batches) // 2
        return replace(self, batches=self.batches[:middle]), replace(self, batches=self.batches[middle:])

    @property
    def window_days(self) -> int:
        """In how many days before a record's repeats are looked for; for a pulled feed, its contract says so."""
        days = self.contract.feed.options.get(WINDOW_OPTION, 0) if self.contract.feed else 0
        if not isinstance(days, int) or isinstance(days, bool) or days < 0:
            raise ConfigError(
                f"{WINDOW_OPTION} {days!r} is not a number of days",
                where=f"contracts/{self.contract.id}.yaml, feed options",
                remedy="write a whole number, 0 or more",
            )
        return days

    @property
    def repeats_are_expected(self) -> bool:
        """Whether the source sends records again: files do, feeds whose contract states a window, no others."""
        return self.contract.feed is None or self.window_days > 0

    @property
    def keeps_extra(self) -> bool:
        """Whether fields that the contract does not know are kept beside the known ones."""
        return keeps_extra(self.contract)


def keeps_extra(contract: Contract) -> bool:
    """Whether fields that the contract does not know are kept beside the known ones."""
    return contract.feed is not None and contract.feed.schema_change == "evolve"


def columns(contract: Contract) -> list[str]:
    """The columns of a bronze table: the contract's, then where the row came from and when it was known."""
    extra = [row_rules.EXTRA] if keeps_extra(contract) else []
    return [
        *(c.name for c in contract.columns),
        *extra,
        "record_key",
        "record_hash",
        "disposition",
        "known_at",
        "known_at_is_assumed",
        "received_on",
        "batch_id",
        "batch_sequence",
        "source_file",
        "row_number",
    ]


def sound(spark: SparkSession, delivery: Delivery, files: Collection[RecordFile], ranked: bool) -> DataFrame:
    """The rows of batches that break no rule, as they stand in bronze.

    Without `ranked` no row is looked up: all are taken for new.
    """
    contract = delivery.contract
    keyed = _judged(spark, delivery, files, "is_sound").selectExpr(
        *(f"`{c.name}`" for c in contract.columns),
        *([row_rules.EXTRA] if delivery.keeps_extra else []),
        *(f"{sql} AS {name}" for name, sql in digests(contract).items()),
        "batch_id",
        SEQUENCE,
        RECEIVED_ON,
        RECEIVED_AT,
        IS_HISTORY,
        "source_file",
        "cast(row_number AS bigint) AS row_number",
    )
    keyed = _ranked(spark, delivery, keyed) if ranked else keyed.selectExpr("*", "'accepted' AS disposition")
    placed = _with_first_delivery(spark, delivery, keyed)
    return placed.selectExpr("*", *_known_at(contract)).select(*columns(contract))


def broken(spark: SparkSession, delivery: Delivery, files: Collection[RecordFile]) -> DataFrame:
    """The rows of some files that break a rule: typed as far as they go, reasons, raw values and schema version."""
    return _judged(spark, delivery, files, "NOT is_sound")


def quarantine_columns(contract: Contract) -> list[str]:
    """The columns of the quarantine, as expressions over `broken`."""
    return [
        f"'{contract.id}' AS contract",
        f"'{contract.version}' AS contract_version",
        "reasons",
        "raw",
        "raw_line",
        RECEIVED_ON,
        "batch_id",
        SEQUENCE,
        "source_file",
        "cast(row_number AS bigint) AS row_number",
        f"{VERSION} AS schema_version",
    ]


def digests(contract: Contract) -> dict[str, str]:
    """How `record_key` and `record_hash` follow from a row's own columns."""
    return {"record_key": _key(contract), "record_hash": _content_hash(contract)}


def _judged(spark: SparkSession, delivery: Delivery, files: Collection[RecordFile], condition: str) -> DataFrame:
    frames = []
    erased = erasing.erased_subjects(get_settings().vault_dir) if delivery.contract.personal_columns else {}
    for group in bronze_files.read(spark, delivery.contract, files):
        ruled = row_rules.apply(
            _with_facts(spark, delivery, group.frame),
            group.contract,
            group.malformed,
            group.held_for,
            delivery.keeps_extra,
            erased,
        )
        # The running id keeps the filter above the judgement: pushed below, every typed value would be computed anew
        # for each reason that reads it.
        placed = ruled.selectExpr(
            "*", f"{group.schema_version} AS {VERSION}", f"monotonically_increasing_id() AS {GUARD}"
        )
        frames.append(placed.where(f"{condition} AND {GUARD} >= 0").drop(GUARD))
    return reduce(lambda left, right: left.unionByName(right), frames)


def _with_facts(spark: SparkSession, delivery: Delivery, frame: DataFrame) -> DataFrame:
    """Adds what each row's batch says of it; of a single batch as constants, of which the engine makes more."""
    from pyspark.sql import functions

    facts = [
        (b.batch_id, b.sequence, b.received_on, business_midnight(b.received_on), b.received_on == delivery.first_day)
        for b in delivery.batches
    ]
    if len(facts) > 1:
        return frame.join(functions.broadcast(spark.createDataFrame(facts, FACTS)), "batch_id")
    batch_id, sequence, received_on, received_at, is_history = facts[0]
    return frame.drop("batch_id").selectExpr(
        "*",
        f"'{batch_id}' AS batch_id",
        f"{sequence}L AS {SEQUENCE}",
        f"date'{received_on}' AS {RECEIVED_ON}",
        f"timestamp'{received_at.isoformat()}' AS {RECEIVED_AT}",
        f"{str(is_history).lower()} AS {IS_HISTORY}",
    )


def _digest(names: Iterable[str]) -> str:
    cells = ", ".join(f"coalesce(cast(`{c}` AS string), '\\u0000')" for c in names)
    return f"sha2(concat_ws('\\u001f', {cells}), 256)"


def _key(contract: Contract) -> str:
    """What identifies a row's record: for drops a digest that conformed tables name records by, for feeds 64 bits."""
    if contract.feed is None:
        return _digest(contract.keys)
    return _hash64([f"`{name}`" for name in contract.keys])


def _content_hash(contract: Contract) -> str:
    """What tells contents of one record apart; for feeds 64 bits, in which nulls count by their place.

    How a record was carried (a partition, an offset) is no part of it: a delivery repeated elsewhere is a duplicate.
    """
    if contract.feed is None:
        return _digest(c.name for c in contract.columns)
    cells = []
    for column in contract.content_columns:
        cells += [f"`{column.name}`", *([] if column.required else [f"isnull(`{column.name}`)"])]
    if keeps_extra(contract):
        cells.append(f"array_sort(map_entries({row_rules.EXTRA}))")
    return _hash64(cells)


def _hash64(cells: Iterable[str]) -> str:
    return f"lower(hex(xxhash64({', '.join(cells)})))"


def _ranked(spark: SparkSession, delivery: Delivery, keyed: DataFrame) -> DataFrame:
    """Adds `disposition`: the first of equal rows is accepted, unless its record was last delivered like that."""
    copy = f"row_number() OVER (PARTITION BY record_key, record_hash, {SEQUENCE} ORDER BY {PLACE}) AS copy"
    seen = _before(spark, delivery) if delivery.repeats_are_expected else None
    if not delivery.repeats_are_expected or (seen is None and len(delivery.batches) == 1):
        ranked = keyed.selectExpr("*", copy, "false AS was_delivered")
    else:
        every = keyed.selectExpr("*", "true AS is_new")
        if seen is not None:
            if delivery.contract.feed is not None:
                since = min(b.received_on for b in delivery.batches) - timedelta(days=delivery.window_days)
                seen = seen.where(f"{RECEIVED_ON} >= date'{since}'")
            known = seen.selectExpr("record_key", "record_hash", SEQUENCE, RECEIVED_ON, "false AS is_new")
            every = every.unionByName(known, allowMissingColumns=True)
        last = f"max(struct({SEQUENCE}, {RECEIVED_ON})) OVER (PARTITION BY {{}} ORDER BY {SEQUENCE} {EARLIER}) AS {{}}"
        looked_up = every.selectExpr(
            "*",
            copy,
            last.format("record_key", "last_delivery"),
            last.format("record_key, record_hash", "last_like_that"),
        ).where("is_new")
        was_delivered = "last_like_that = last_delivery"
        if delivery.contract.feed is not None:
            was_delivered += f" AND last_delivery.{RECEIVED_ON} >= date_sub({RECEIVED_ON}, {delivery.window_days})"
        ranked = looked_up.selectExpr("*", f"coalesce({was_delivered}, false) AS was_delivered")
    return ranked.selectExpr(
        "*", "CASE WHEN copy > 1 OR was_delivered THEN 'duplicate' ELSE 'accepted' END AS disposition"
    )


def _with_first_delivery(spark: SparkSession, delivery: Delivery, keyed: DataFrame) -> DataFrame:
    """Adds `is_first_delivery`: of the feed where it is pulled, of the row's subject where it comes in drops."""
    contract = delivery.contract
    if contract.feed is not None or contract.known_at.history == "received":
        return keyed.selectExpr("*", f"{IS_HISTORY} AS is_first_delivery")
    is_first = "true"
    if len(delivery.batches) > 1:
        is_first = f"{SEQUENCE} = min({SEQUENCE}) OVER (PARTITION BY `{contract.subject}`)"
    seen = _before(spark, delivery)
    if seen is None:
        return keyed.selectExpr("*", f"{is_first} AS is_first_delivery")
    subjects = seen.select(contract.subject).distinct().selectExpr("*", "true AS subject_seen")
    joined = keyed.join(subjects, contract.subject, "left")
    return joined.selectExpr("*", f"subject_seen IS NULL AND {is_first} AS is_first_delivery")


def _before(spark: SparkSession, delivery: Delivery) -> DataFrame | None:
    """Rows of the contract's batches before these: published, or built just now; None where there is no table."""
    table = delivery.contract.bronze_table
    if not tables.has_build(table):
        return None
    return spark.table(tables.build_name(table)).where(f"{SEQUENCE} < {delivery.batches[0].sequence}")


def _known_at(contract: Contract) -> list[str]:
    """`known_at`: when a row was received, and never before its source published it; history by the contract's rule."""
    rule, received = contract.known_at, RECEIVED_AT
    published = rule.event_column if rule.history == "published" else None
    if published is None and any(c.name == PUBLISHED_AT and c.spark_type == "timestamp" for c in contract.columns):
        published = PUBLISHED_AT
    usual = f"greatest({received}, `{published}`)" if published else received
    if rule.history == "received":
        return [f"{usual} AS known_at", "false AS known_at_is_assumed"]
    if rule.history == "published":
        return [
            f"CASE WHEN is_first_delivery THEN coalesce(`{published}`, {received}) ELSE {usual} END AS known_at",
            f"coalesce(is_first_delivery AND `{published}` < {received}, false) AS known_at_is_assumed",
        ]
    assumed = f"least(cast(date_add(`{rule.event_column}`, {rule.lag_days}) AS timestamp), {received})"
    if published:
        assumed = f"greatest({assumed}, `{published}`)"
    return [
        f"CASE WHEN is_first_delivery THEN {assumed} ELSE {usual} END AS known_at",
        "is_first_delivery AS known_at_is_assumed",
    ]
