"""Bronze: landed batches parsed by contract, one row per record as sent, with its place and both times.

Sound rows go to `bronze.<contract>` with a disposition: `accepted` (new, or a new version of its record) or
`duplicate` (the same content again, within the batch or as last delivered). All others go to
`quarantine.record` with their reasons and raw values. For every batch, rows in = accepted + quarantined +
duplicates, asserted and stored in `control.batch`.

Batches of a feed that wait are taken in together: their sound rows are written in one pass, and what became of each is
then counted in the table. Only files that miss rows there are read again, for those that are held. Where anything is
wrong with the batches, they are taken apart until it is known which one holds up its feed.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from lakehouse import contracts, delta_log, engine, ledger, tables
from lakehouse.contracts import Contract
from lakehouse.errors import ContractError, GateFailed, IntegrityError, VinelakeError
from lakehouse.settings import get_settings
from spark_jobs import bronze_files, bronze_rows, landing
from spark_jobs.bronze_files import RecordFile
from spark_jobs.bronze_rows import Delivery

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

QUARANTINE = "quarantine.record"
RANKED_UP_TO = 200_000  # rows: for so few a query of its own takes longer than the sort
FILES_TOGETHER, BYTES_TOGETHER = 500, 128 << 20  # of batches that are taken in together; a larger one comes alone
COUNTED_WITHIN = "1GB"  # of memory, beyond which contents are counted on disk
SCHEMA_CHANGED = "schema_changed:"
HOLDING = (GateFailed, IntegrityError, ContractError)  # what holds up a feed and no other
FileOfBatch = tuple[str, str]  # a batch's id and the name of a file of it
Counts = Mapping[FileOfBatch, Mapping[str, int]]
_QUARANTINE_IS_WRITTEN = threading.Lock()  # all feeds write it
# By these files are skipped; keys, digests and tokens must not stand in a table's log.
STATISTICS = ("received_on", "batch_id", "batch_sequence", "known_at")


def build(partition: str) -> dict[str, Any]:
    """Parses every landed batch that is not published yet, in order of arrival.

    A batch that breaks its contract too often holds back its own feed: the others are built and booked first, then the
    error is raised. Returns batches and rows; the tables are written aside and still have to pass their gate.
    """
    known = contracts.load_all(get_settings().contracts_dir)
    with engine.session("bronze") as spark, ledger.run(spark, "bronze", partition) as run:
        waiting = pending(spark)
        accounts, held = _build_all(spark, waiting, known)
        ledger.forget_batches({b.batch_id for b in waiting} - {a.batch_id for a in accounts})
        ledger.record_batches(accounts, run.run_id)
        for account in accounts:
            run.details[account.contract] = run.details.get(account.contract, 0) + account.rows_accepted
        if held:
            run.details["held_back"] = sorted(held)
            raise _together(held)
        return {"batches": len(accounts), "rows_in": sum(a.rows_in for a in accounts)}


def pending(spark: SparkSession) -> list[landing.Batch]:
    """Landed batches whose rows have not been published (or rejected as a whole) yet."""
    closed = tables.published_batches(spark) | closed_batches()
    return [batch for batch in landing.landed() if batch.batch_id not in closed]


def closed_batches() -> set[str]:
    """The ids of batches with nothing to publish: without rows, or rejected as a whole by a person."""
    return {row["batch_id"] for row in ledger.booked() if row["rows_in"] == ledger.rows_rejected(row)}


def _build_all(
    spark: SparkSession, batches: Sequence[landing.Batch], known: Mapping[str, Contract]
) -> tuple[list[ledger.BatchAccount], dict[str, VinelakeError]]:
    """The accounts of what was built, and per contract the error that held it back."""
    first_days: dict[str, date] = {}
    for batch in landing.landed():
        first_days.setdefault(batch.contract, batch.received_on)
    feeds: dict[str, list[landing.Batch]] = {}
    for batch in batches:
        feeds.setdefault(batch.contract, []).append(batch)
    manifest = tables.current_manifest()
    if feeds:
        tables.begin_build(spark, QUARANTINE, manifest)

    def build_feed(name: str) -> tuple[list[ledger.BatchAccount], VinelakeError | None]:
        tables.begin_build(spark, known[name].bronze_table, manifest)
        return _build_feed(spark, feeds[name], known[name], first_days[name])

    built = dict(zip(feeds, engine.side_by_side(build_feed, feeds), strict=True))
    by_batch = {account.batch_id: account for accounts, _ in built.values() for account in accounts}
    held = {name: error for name, (_, error) in built.items() if error}
    return [by_batch[b.batch_id] for b in batches if b.batch_id in by_batch], held


def _build_feed(
    spark: SparkSession, batches: Sequence[landing.Batch], contract: Contract, first_day: date
) -> tuple[list[ledger.BatchAccount], VinelakeError | None]:
    """The accounts of a feed's batches in order of arrival, up to the first that is held back, and why it is."""
    accounts: list[ledger.BatchAccount] = []
    for together in _deliveries(batches, contract, first_day):
        built, error = _build_delivery(spark, together)
        accounts += built
        if error:
            return accounts, error  # those after it are judged by its rows
    return accounts, None


def _deliveries(batches: Sequence[landing.Batch], contract: Contract, first_day: date) -> Iterator[Delivery]:
    """Batches of a feed in runs that are written together."""
    run: list[landing.Batch] = []
    for batch in batches:
        files, size = sum(len(b.files) for b in [*run, batch]), sum(b.bytes for b in [*run, batch])
        if run and (files > FILES_TOGETHER or size > BYTES_TOGETHER):
            yield Delivery(tuple(run), contract, first_day)
            run = []
        run.append(batch)
    if run:
        yield Delivery(tuple(run), contract, first_day)


def _build_delivery(spark: SparkSession, delivery: Delivery) -> tuple[list[ledger.BatchAccount], VinelakeError | None]:
    """The accounts of batches up to the first that is held back, of which and of those after it nothing stays."""
    try:
        return build_batches(spark, delivery), None
    except HOLDING as error:
        tables.remove_where(spark, delivery.contract.bronze_table, delivery.slice)
        first, others = delivery.halves()
        if not first.batches:
            return [], error
    accounts, held = _build_delivery(spark, first)
    if held:
        return accounts, held
    more, held = _build_delivery(spark, others)
    return [*accounts, *more], held


def _together(held: Mapping[str, VinelakeError]) -> VinelakeError:
    errors = list(held.values())
    if len(errors) == 1:
        return errors[0]
    return GateFailed(
        f"{len(errors)} feeds are held back: " + "; ".join(f"{name}: {error.what}" for name, error in held.items()),
        where="; ".join(str(error.where) for error in errors),
        remedy="the other feeds were built; " + str(errors[0].remedy),
    )


def build_batches(spark: SparkSession, delivery: Delivery) -> list[ledger.BatchAccount]:
    """Writes batches of a feed aside and returns their accounts; one with too many bad rows is an error of them all."""
    batches, contract = delivery.batches, delivery.contract
    files = bronze_files.record_files(batches)
    if not files:
        return [_account(batch, contract, {}, _Held()) for batch in batches]
    # Sorting many rows costs more than all else. A source that gives each record once is taken at its word, and
    # checked in the table afterwards; only if it broke that, they are written again.
    ranked = delivery.repeats_are_expected or sum(f.data_lines for _, f in files) <= RANKED_UP_TO
    _write_sound(spark, delivery, files, ranked)
    if not ranked and _has_copies(delivery):
        _write_sound(spark, delivery, files, ranked=True)
    sound = _count_sound(spark, delivery)
    short = [(b, f) for b, f in files if sound.get((b.batch_id, f.name), {"n": 0})["n"] != f.data_lines]
    return _hold(spark, delivery, short, sound) if short else _accounts(delivery, sound, {})


def bronze_columns(contract: Contract) -> list[str]:
    """The columns of a bronze table: the contract's, then where the row came from and when it was known."""
    return bronze_rows.columns(contract)


def _write_sound(spark: SparkSession, delivery: Delivery, files: Collection[RecordFile], ranked: bool) -> None:
    sound = bronze_rows.sound(spark, delivery, files, ranked)
    number = bronze_files.pieces([file for _, file in files])
    if number:
        sound = sound.coalesce(number)
    tables.replace_where(sound, delivery.contract.bronze_table, delivery.slice, STATISTICS)


def _written(spark: SparkSession, delivery: Delivery) -> DataFrame:
    return spark.table(tables.build_name(delivery.contract.bronze_table)).where(delivery.slice)


def _has_copies(delivery: Delivery) -> bool:
    """Whether any content stands twice in a batch as written.

    Asked of the files themselves: for millions of contents, nearly all different, the engine takes a fifth of the time
    that it took to write them. Two contents alike in 64 bits by accident would only be looked at more closely.
    """
    import duckdb

    settings, batches = get_settings(), [batch.sequence for batch in delivery.batches]
    place = tables.build_location(delivery.contract.bronze_table)
    paths = delta_log.paths(place, landing.SEQUENCE, min(batches), max(batches))
    if not paths:
        return False  # no row was sound
    of_batches = f"{landing.SEQUENCE} IN ({', '.join(map(str, batches))})"
    same = f"SELECT 1 FROM read_parquet(?) WHERE {of_batches} GROUP BY hash(record_hash, {landing.SEQUENCE})"
    limits = {
        "memory_limit": COUNTED_WITHIN,
        "threads": settings.engine_cores,
        "temp_directory": str(settings.home / "spill"),
    }
    with duckdb.connect(config=limits) as database:
        return bool(database.execute(f"{same} HAVING count(*) > 1 LIMIT 1", [paths]).fetchall())


def _count_sound(spark: SparkSession, delivery: Delivery) -> Counts:
    """Per file: its rows in the table (`n`), those that are duplicates, and the contract's counts."""
    from pyspark.sql import functions

    counted = [f"count_if({c.condition}) AS `count_{c.name}`" for c in delivery.contract.counts]
    measures = ["count(*) AS n", "count_if(disposition = 'duplicate') AS n_duplicate", *counted]
    rows = _written(spark, delivery).groupBy("batch_id", "source_file").agg(*map(functions.expr, measures)).collect()
    return {(row["batch_id"], row["source_file"]): row.asDict() for row in rows}


class _Held:
    """What is held of a batch: rows, those of them held for a change of schema, rows per reason and count."""

    def __init__(self, rows: int = 0, changed: int = 0, reasons: Mapping = (), profile: Mapping = ()) -> None:
        self.rows, self.changed, self.reasons, self.profile = rows, changed, dict(reasons), dict(profile)


def _hold(
    spark: SparkSession, delivery: Delivery, files: Collection[RecordFile], sound: Counts
) -> list[ledger.BatchAccount]:
    """The accounts of batches; files are read again for the rows that are not sound, which go to quarantine."""
    broken = bronze_rows.broken(spark, delivery, files).persist()
    try:
        held = _count_broken(broken, delivery.contract)
        for batch in delivery.batches:
            _check_quarantined_ratio(batch, delivery.contract, held.get(batch.batch_id, _Held()))
        accounts = _accounts(delivery, sound, held)
        if held:
            rows = broken.selectExpr(*bronze_rows.quarantine_columns(delivery.contract))
            statistics = ("contract", "received_on", "batch_id", "batch_sequence")
            slice_held = landing.slice_of(b.sequence for b in delivery.batches if b.batch_id in held)
            with _QUARANTINE_IS_WRITTEN:
                tables.replace_where(rows, QUARANTINE, slice_held, statistics)
        return accounts
    finally:
        broken.unpersist()


def _count_broken(broken: DataFrame, contract: Contract) -> dict[str, _Held]:
    """What is held of each batch of which anything is."""
    from pyspark.sql import functions

    counted = [f"count_if({c.condition}) AS `count_{c.name}`" for c in contract.counts]
    changed = f"count_if(exists(reasons, r -> r LIKE '{SCHEMA_CHANGED}%')) AS changed"
    measures = map(functions.expr, ["count(*) AS n", changed, *counted])
    totals = broken.groupBy("batch_id").agg(*measures).collect()
    reasons: dict[str, dict[str, int]] = {}
    found = broken.selectExpr("batch_id", "explode(reasons) AS reason").groupBy("batch_id", "reason").count()
    for row in found.collect():
        reasons.setdefault(row["batch_id"], {})[row["reason"]] = row["count"]
    return {t["batch_id"]: _Held(t["n"], t["changed"], reasons.get(t["batch_id"], {}), t.asDict()) for t in totals}


def _accounts(delivery: Delivery, sound: Counts, held: Mapping[str, _Held]) -> list[ledger.BatchAccount]:
    by_batch: dict[str, dict[str, Mapping[str, int]]] = {batch.batch_id: {} for batch in delivery.batches}
    for (batch_id, name), counts in sound.items():
        by_batch[batch_id][name] = counts
    return [
        _account(batch, delivery.contract, by_batch[batch.batch_id], held.get(batch.batch_id, _Held()))
        for batch in delivery.batches
    ]


def _account(
    batch: landing.Batch, contract: Contract, sound: Mapping[str, Mapping[str, int]], held: _Held
) -> ledger.BatchAccount:
    found = sum(row["n"] for row in sound.values())
    duplicates = sum(row["n_duplicate"] for row in sound.values())
    stated = sum(f.data_lines for f in batch.files)
    if found + held.rows != stated:
        raise IntegrityError(
            f"landing counted {stated:,} records, parsing found {found + held.rows:,}",
            where=f"batch {batch.batch_id} of {contract.id}",
            remedy="a record may hold a line break; nothing was published: ask for one record per line",
        )
    profile = {}
    for count in contract.counts:
        name = f"count_{count.name}"
        profile[count.name] = sum(row[name] for row in sound.values()) + held.profile.get(name, 0)
    return ledger.BatchAccount(
        batch_id=batch.batch_id,
        contract=contract.id,
        partition=batch.received_on.isoformat(),
        manifest_hash=batch.manifest_hash,
        files=len(batch.files),
        bytes=batch.bytes,
        rows_in=stated,
        rows_accepted=found - duplicates,
        rows_quarantined=held.rows,
        rows_duplicate=duplicates,
        reasons=held.reasons,
        profile=profile,
    )


def _check_quarantined_ratio(batch: landing.Batch, contract: Contract, held: _Held) -> None:
    """Too many rows that break the contract stop their feed; a change of schema is held by policy instead."""
    rows_in, broken = sum(f.data_lines for f in batch.files), held.rows - held.changed
    if broken > max(contract.max_quarantined_ratio * rows_in, 1):
        worst = sorted(held.reasons.items(), key=lambda item: -item[1])[:5]
        raise GateFailed(
            f"{broken:,} of {rows_in:,} rows break the contract, more than the "
            f"{contract.max_quarantined_ratio:.0%} it tolerates: " + ", ".join(f"{r} {n:,}" for r, n in worst),
            where=f"batch {batch.batch_id} of {contract.id}",
            remedy="nothing was published. If the feed is right, version its contract; if the file is wrong, "
            f"`vinelake batch reject {batch.batch_id} --why …` and land the corrected one",
        )
