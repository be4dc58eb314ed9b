"""Quarantine: what was held back and why, and its way back in after a fix.

Released rows are written as a file into a drop of the release date and land like any other file: same rules, same
ledger, same chain. Those of a pulled feed are landed as a batch of their own, as JSON in the schema version they came
in. They are known from that date on.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Collection, Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import contracts, control, engine, ledger, tables
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition, utc_now
from spark_jobs import bronze, landing
from spark_jobs.landing_files import ReceivedFile, digests

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RELEASE_SCHEMA = (
    "batch_id string, source_file string, row_number bigint, contract string, release_partition string, "
    "released_by string, reason string, released_at timestamp"
)


def held(spark: SparkSession, contract: str | None = None, reason: str | None = None) -> DataFrame:
    """Quarantined rows that were not released yet, optionally of one contract or with one reason code."""
    tables.ensure_schemas(spark)
    released = spark.table(tables.ensure_control_table(spark, "release", RELEASE_SCHEMA))
    rows = tables.read(spark, bronze.QUARANTINE).join(
        released.select("batch_id", "source_file", "row_number"), ["batch_id", "source_file", "row_number"], "left_anti"
    )
    if contract:
        rows = rows.where(rows.contract == contract)
    return rows.where(f"array_contains(reasons, '{reason}')") if reason else rows


def release(contract_id: str, partition: str, by: str, why: str, reason: str | None = None) -> dict[str, Any]:
    """Puts held rows of a contract into the drop of `partition`, to be ingested there; notes who and why.

    Run it after the contract or the source's data was mended; rows that still break a rule come back to
    quarantine. Returns the file or folder written and the number of rows.
    """
    received_on = parse_partition(partition)
    known = contracts.load_all(get_settings().contracts_dir)
    if contract_id not in known:
        raise ConfigError(f"no contract {contract_id!r}", remedy=f"one of {', '.join(known)}")
    with engine.session("quarantine") as spark, ledger.run(spark, "release", partition) as run:
        rows = held(spark, contract_id, reason).orderBy("batch_sequence", "source_file", "row_number").collect()
        if not rows:
            return {"rows": 0, "file": None}
        contract = known[contract_id]
        if contract.feed:
            path = _land_again(contract, received_on, rows)
        else:
            path = _write_drop(contract, partition, run.run_id, rows)
        noted = [
            (r["batch_id"], r["source_file"], r["row_number"], contract_id, partition, by, why, utc_now()) for r in rows
        ]
        control.append("release", RELEASE_SCHEMA, noted)
        run.details.update(rows=len(rows), file=str(path))
        return {"rows": len(rows), "file": str(path)}


def reject_batches(batch_ids: Collection[str], by: str, why: str) -> dict[str, Any]:
    """Closes landed batches that must never be published: every row counts as quarantined, bytes stay."""
    landed = {b.batch_id: b for b in landing.landed()}
    if missing := sorted(set(batch_ids) - set(landed)):
        raise ConfigError(f"no landed batch {missing[0]!r}", remedy="`vinelake batch list` shows them")
    batches = [landed[batch_id] for batch_id in dict.fromkeys(batch_ids)]
    day = max(batch.received_on for batch in batches).isoformat()
    with engine.session("bronze") as spark, ledger.run(spark, "reject_batch", day) as run:
        if published := sorted(set(batch_ids) & tables.published_batches(spark)):
            raise ConfigError(
                f"batch {published[0]} is published already", remedy="correct it by a later drop; history is kept"
            )
        accounts = [_rejected(batch) for batch in batches]
        ledger.record_batches(accounts, run.run_id)
        for table in sorted({f"bronze.{batch.contract}" for batch in batches} | {bronze.QUARANTINE}):
            tables.begin_build(spark, table)  # rows of them that were built, but held back, go
        run.details.update(batches=list(batch_ids), by=by, why=why)
        return {"batches": list(batch_ids), "rows": sum(account.rows_in for account in accounts)}


def _rejected(batch: landing.Batch) -> ledger.BatchAccount:
    rows = sum(f.data_lines for f in batch.files)
    return ledger.BatchAccount(
        batch_id=batch.batch_id,
        contract=batch.contract,
        partition=batch.received_on.isoformat(),
        manifest_hash=batch.manifest_hash,
        files=len(batch.files),
        bytes=batch.bytes,
        rows_in=rows,
        rows_accepted=0,
        rows_quarantined=rows,
        rows_duplicate=0,
        reasons={ledger.REJECTED: rows},
        profile={},
    )


def _land_again(contract: Contract, received_on: date, rows: Iterable[Any]) -> Path:
    """Lands rows of a pulled feed as a batch, one file a schema version; a repeat after a kill lands nothing anew."""
    last = landing.last_batch(contract.id)
    if last and received_on < last.received_on:
        raise ConfigError(
            f"{contract.id} has a batch received on {last.received_on} already: knowledge cannot be put in before it",
            remedy=f"release into {last.received_on} or later",
        )
    by_version: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        # Rows that were held before their version was noted came in the first.
        version = row.asDict().get("schema_version") or 1
        by_version.setdefault(version, []).append(_record(contract, row))
    draft = get_settings().landing_dir / ".incoming" / f"{contract.id}.released"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    files, digest = [], hashlib.sha256(f"{contract.id}|released|{received_on}".encode())
    for version, records in sorted(by_version.items()):
        path = draft / f"released-v{version}.jsonl"
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
        size, sha256, blocks = digests(path)
        fields = tuple(dict.fromkeys(name for record in records for name in record))
        files.append(ReceivedFile(path.name, size, sha256, blocks, fields, len(records), "jsonl", version))
        digest.update(sha256.encode())
    batch_id = digest.hexdigest()[:16]
    if any(b.batch_id == batch_id for b in landing.landed()):
        shutil.rmtree(draft)
    else:
        landing.commit(contract, batch_id, received_on, draft, files)
    return get_settings().landing_dir / contract.id / batch_id


def _record(contract: Contract, row: Any) -> dict[str, Any]:
    """A held row as a record again: its fields as sent, as text; members with others inside as what they were."""
    if row["raw_line"] is not None:
        return {"_raw": row["raw_line"]}
    holds_others = {c.source_name.split(".")[0] for c in contract.columns if "." in c.source_name}
    record = dict(row["raw"] or {})
    for name in holds_others & set(record):
        if record[name] is not None:
            record[name] = json.loads(record[name])
    return record


def _write_drop(contract: Contract, partition: str, run_id: str, rows: list[Any]) -> Path:
    """One file per release: a second one into the same drop must not replace the first."""
    folder = get_settings().inbox_dir / partition
    if folder.is_symlink():
        raise ConfigError(
            f"the drop of {partition} is a link to {folder.readlink()}, where nothing of ours is written",
            remedy="release into a later date that has no drop yet",
        )
    folder.mkdir(parents=True, exist_ok=True)
    stem = contract.file_pattern.split("*")[0]
    path = folder / f"{stem}__released_{run_id}.csv"
    header = [c.source_name for c in contract.columns]
    with path.open("w", encoding=contract.encoding, newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            if row["raw_line"] is None:
                writer.writerow([row["raw"].get(name) or "" for name in header])
            else:  # its cells cannot be told apart, so it goes as it came
                stream.write(row["raw_line"] + "\n")
    return path
