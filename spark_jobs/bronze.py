"""Bronze: landed batches parsed by contract, one row per record as sent, with its place and both times.

Sound rows go to `bronze.<contract>` with a disposition: `accepted` (new, or a new version of its record) or
`duplicate` (the same content again, within the batch or as last delivered). All others go to
`quarantine.record` with their reasons and raw values. For every batch, rows in = accepted + quarantined +
duplicates, asserted and stored in `control.batch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lakehouse import contracts, engine, ledger, tables
from lakehouse.contracts import Contract
from lakehouse.errors import GateFailed, IntegrityError
from lakehouse.settings import get_settings
from lakehouse.time import business_midnight
from spark_jobs import landing, row_rules

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

QUARANTINE = "quarantine.record"
ONE_SPLIT_PER_FILE = str(1 << 40)


def build(partition: str) -> dict[str, Any]:
    """Parses every landed batch that is not in the batch ledger yet, in order of arrival.

    Returns rows per contract; the tables are written aside and still have to pass their gate.
    """
    known = contracts.load_all(get_settings().contracts_dir)
    with engine.session("bronze") as spark, ledger.run(spark, "bronze", partition) as run:
        accounts, begun = [], set()
        for batch in pending(spark):
            contract = known[batch.contract]
            for table in {contract.bronze_table, QUARANTINE} - begun:
                tables.begin_build(spark, table)
                begun.add(table)
            accounts.append(build_batch(spark, batch, contract))
        ledger.record_batches(spark, accounts, run.run_id)
        run.details.update({a.contract: a.rows_accepted for a in accounts})
        return {"batches": len(accounts), "rows_in": sum(a.rows_in for a in accounts)}


def pending(spark: SparkSession) -> list[landing.Batch]:
    """Landed batches whose rows have not been published (or rejected as a whole) yet."""
    closed = published_batches(spark) | closed_batches(spark)
    return [batch for batch in landing.landed() if batch.batch_id not in closed]


def closed_batches(spark: SparkSession) -> set[str]:
    """The ids of batches with nothing to publish: without rows, or rejected as a whole by a person."""
    nothing = "rows_in = 0 OR reasons['batch_rejected'] = rows_in"
    rows = ledger.batches(spark).where(nothing).select("batch_id").collect()
    return {row[0] for row in rows}


def published_batches(spark: SparkSession) -> set[str]:
    """The ids of batches that readers can see, from the published tables themselves."""
    seen: set[str] = set()
    manifest = tables.current_manifest(spark)
    for table in manifest.versions:
        if table.startswith("bronze.") or table == QUARANTINE:
            rows = tables.read(spark, table).select("batch_id").distinct().collect()
            seen |= {row[0] for row in rows}
    return seen


def build_batch(spark: SparkSession, batch: landing.Batch, contract: Contract) -> ledger.BatchAccount:
    """Writes one batch aside and returns its account; a batch with too many bad rows stops the job."""
    judged = _judge(spark, batch, contract).persist()
    try:
        account = _account(judged, batch, contract)
        _check_quarantined_ratio(account, contract)
        slice_ = f"batch_id = '{batch.batch_id}'"
        if account.rows_quarantined:
            quarantined = judged.where("disposition = 'quarantined'").selectExpr(*_quarantine_columns(contract))
            tables.replace_where(quarantined, QUARANTINE, slice_)
        if account.rows_accepted + account.rows_duplicate:
            sound = judged.where("disposition <> 'quarantined'").select(*bronze_columns(contract))
            tables.replace_where(sound, contract.bronze_table, slice_)
        return account
    finally:
        judged.unpersist()


def bronze_columns(contract: Contract) -> list[str]:
    """The columns of a bronze table: the contract's, then where the row came from and when it was known."""
    return [c.name for c in contract.columns] + [
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


def _judge(spark: SparkSession, batch: landing.Batch, contract: Contract) -> DataFrame:
    """Every row of the batch with its typed columns, reasons, keys, known_at and disposition."""
    ruled = row_rules.apply(_read_files(spark, batch, contract), contract, batch.received_on)
    keyed = ruled.selectExpr(
        "*",
        f"{_digest(contract.keys)} AS record_key",
        f"{_digest(c.name for c in contract.columns)} AS record_hash",
        f"'{batch.batch_id}' AS batch_id",
        f"{batch.sequence}L AS batch_sequence",
        f"date'{batch.received_on}' AS received_on",
    )
    first = "size(reasons) = 0 AS is_sound"
    rank = "row_number() OVER (PARTITION BY size(reasons), record_hash ORDER BY source_file, row_number)"
    ranked = keyed.selectExpr("*", first, f"{rank} AS copy")
    earlier = _earlier(spark, contract)
    if earlier is None:
        joined = ranked.selectExpr("*", "false AS was_delivered", "true AS is_first_delivery")
    else:
        delivered, subjects = earlier
        joined = (
            ranked.join(delivered, ["record_key", "record_hash"], "left")
            .join(subjects, contract.subject, "left")
            .selectExpr("*", "last_seen IS NOT NULL AS was_delivered", "subject_seen IS NULL AS is_first_delivery")
        )
    return joined.selectExpr(
        "*",
        "CASE WHEN NOT is_sound THEN 'quarantined' WHEN copy > 1 OR was_delivered THEN 'duplicate' "
        "ELSE 'accepted' END AS disposition",
        *_known_at(contract, batch),
    )


def _read_files(spark: SparkSession, batch: landing.Batch, contract: Contract) -> DataFrame:
    """The batch's files as text columns with file name and 1-based record number (header not counted)."""
    # One partition per file makes the running id within a partition the record's number in its file.
    spark.conf.set("spark.sql.files.maxPartitionBytes", ONE_SPLIT_PER_FILE)
    spark.conf.set("spark.sql.files.openCostInBytes", ONE_SPLIT_PER_FILE)
    by_header: dict[tuple[str, ...], list[str]] = {}
    for file in batch.files:
        # Spark takes a path for a pattern: a name such as `invoices[1].csv` has to be escaped.
        path = re.sub(r"([\\*?\[\]{}])", r"\\\1", str(batch.folder / file.name))
        by_header.setdefault(file.header, []).append(path)
    frames = []
    for header, paths in by_header.items():
        frame = (
            spark.read.schema(row_rules.raw_schema(contract, header))
            .option("header", True)
            .option("enforceSchema", True)
            .option("encoding", contract.encoding)
            .option("escape", '"')  # a quote within quotes is doubled (RFC 4180); a backslash is a letter
            .option("columnNameOfCorruptRecord", row_rules.CORRUPT)
            .csv(paths)
        )
        wanted = [f"`{row_rules.RAW}{c.name}`" for c in contract.columns]
        frames.append(
            frame.selectExpr(
                *wanted,
                f"`{row_rules.CORRUPT}`",
                # Spark writes the name as in an address, with %20 for a space; `+` stands for itself.
                "url_decode(replace(_metadata.file_name, '+', '%2B')) AS source_file",
                f"monotonically_increasing_id() % {1 << 33}L + 1 AS row_number",
            )
        )
    union = frames[0]
    for frame in frames[1:]:
        union = union.unionByName(frame)
    return union


def _digest(columns: Iterable[str]) -> str:
    cells = ", ".join(f"coalesce(cast(`{c}` AS string), '\\u0000')" for c in columns)
    return f"sha2(concat_ws('\\u001f', {cells}), 256)"


def _earlier(spark: SparkSession, contract: Contract) -> tuple[DataFrame, DataFrame] | None:
    """(record contents as last delivered, subjects delivered before) from what is published."""
    if not tables.is_published(spark, contract.bronze_table):
        return None
    seen = tables.read(spark, contract.bronze_table)
    latest = seen.selectExpr(
        "record_key",
        "record_hash",
        "batch_sequence",
        "max(batch_sequence) OVER (PARTITION BY record_key) AS last_seen",
    )
    delivered = latest.where("batch_sequence = last_seen").select("record_key", "record_hash", "last_seen")
    subjects = seen.select(contract.subject).distinct().selectExpr("*", "true AS subject_seen")
    return delivered.distinct(), subjects


def _known_at(contract: Contract, batch: landing.Batch) -> list[str]:
    received = f"timestamp'{business_midnight(batch.received_on).isoformat()}'"
    rule = contract.known_at
    if rule.history == "received":
        return [f"{received} AS known_at", "false AS known_at_is_assumed"]
    assumed = f"least(cast(date_add(`{rule.event_column}`, {rule.lag_days}) AS timestamp), {received})"
    return [
        f"CASE WHEN is_first_delivery THEN {assumed} ELSE {received} END AS known_at",
        "is_first_delivery AS known_at_is_assumed",
    ]


def _account(judged: DataFrame, batch: landing.Batch, contract: Contract) -> ledger.BatchAccount:
    counts = [f"count_if({c.condition}) AS `{c.name}`" for c in contract.counts]
    total = judged.selectExpr(
        "count(*) AS n",
        *(f"count_if(disposition = '{d}') AS {d}" for d in ("accepted", "quarantined", "duplicate")),
        *counts,
    ).collect()[0]
    reasons = {}
    if total["quarantined"]:
        listed = judged.where("disposition = 'quarantined'").selectExpr("explode(reasons) AS reason")
        reasons = {row[0]: row[1] for row in listed.groupBy("reason").count().collect()}
    stated = sum(f.data_lines for f in batch.files)
    if total["n"] != stated:
        raise IntegrityError(
            f"landing counted {stated:,} records, parsing found {total['n']:,}",
            where=f"batch {batch.batch_id} of {contract.id}",
            remedy="a record may hold a line break; nothing was published: ask for one record per line",
        )
    return ledger.BatchAccount(
        batch_id=batch.batch_id,
        contract=contract.id,
        partition=batch.received_on.isoformat(),
        manifest_hash=batch.manifest_hash,
        files=len(batch.files),
        bytes=batch.bytes,
        rows_in=total["n"],
        rows_accepted=total["accepted"],
        rows_quarantined=total["quarantined"],
        rows_duplicate=total["duplicate"],
        reasons=reasons,
        profile={c.name: total[c.name] for c in contract.counts},
    )


def _check_quarantined_ratio(account: ledger.BatchAccount, contract: Contract) -> None:
    allowed = contract.max_quarantined_ratio * account.rows_in
    if account.rows_quarantined > max(allowed, 1):
        worst = sorted(account.reasons.items(), key=lambda item: -item[1])[:5]
        raise GateFailed(
            f"{account.rows_quarantined:,} of {account.rows_in:,} rows break the contract, more than the "
            f"{contract.max_quarantined_ratio:.0%} it tolerates: " + ", ".join(f"{r} {n:,}" for r, n in worst),
            where=f"batch {account.batch_id} of {contract.id}",
            remedy="nothing was published. If the feed is right, version its contract; if the file is wrong, "
            f"`vinelake batch reject {account.batch_id} --why …` and land the corrected one",
        )


def _quarantine_columns(contract: Contract) -> list[str]:
    return [
        f"'{contract.id}' AS contract",
        f"'{contract.version}' AS contract_version",
        "reasons",
        "raw",
        "raw_line",
        "received_on",
        "batch_id",
        "batch_sequence",
        "source_file",
        "row_number",
    ]
