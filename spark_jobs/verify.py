"""Verification of landing: every byte against its digest, every manifest against the chain and the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import IntegrityError
from spark_jobs import landing
from spark_jobs.landing_files import BLOCK_BYTES


@dataclass(frozen=True)
class Finding:
    """One difference between what is stored and what was recorded; `where` names batch, file and bytes."""

    batch_id: str
    where: str
    what: str


def verify(recorded: Mapping[str, str] | None = None) -> tuple[list[Finding], int, int]:
    """Checks all of landing. `recorded`: batch id → manifest hash as the ledger has it, to find a chain
    that was cut or rewritten as a whole. Returns findings, batches checked, bytes checked."""
    findings: list[Finding] = []
    previous, size, seen = landing.GENESIS, 0, set()
    paths = landing.manifest_paths()
    for position, path in enumerate(paths, start=1):
        try:
            batch = landing.parse_manifest(path)
        except IntegrityError as error:
            findings.append(Finding("?", str(path), error.what))
            continue
        seen.add(batch.batch_id)
        findings += _check_manifest(path, batch, position, previous, recorded or {})
        previous = batch.manifest_hash
        for file in batch.files:
            findings += _check_file(batch, file)
            size += file.bytes
    for batch_id in sorted(set(recorded or {}) - seen):
        findings.append(Finding(batch_id, "landing/manifests", "the ledger knows this batch, landing has no manifest"))
    return findings, len(paths), size


def _check_manifest(
    path: Path, batch: landing.Batch, position: int, previous: str, recorded: Mapping[str, str]
) -> list[Finding]:
    found, stored = [], path.read_bytes()
    body = json.loads(stored)
    if landing.body_hash(body) != batch.manifest_hash or landing.manifest_text(body).encode() != stored:
        found.append(Finding(batch.batch_id, str(path), "the manifest was changed: its hash does not fit its content"))
    if batch.sequence != position or batch.previous_hash != previous:
        found.append(
            Finding(
                batch.batch_id, str(path), "the chain is broken: a manifest before this one is not the one it names"
            )
        )
    if batch.batch_id in recorded and recorded[batch.batch_id] != batch.manifest_hash:
        found.append(Finding(batch.batch_id, str(path), "the manifest differs from the one in the batch ledger"))
    return found


def _check_file(batch: landing.Batch, file: landing.ReceivedFile) -> list[Finding]:
    path = batch.folder / file.name
    if not path.exists():
        return [Finding(batch.batch_id, str(path), "the file is gone")]
    found = []
    with path.open("rb") as stream:
        for number, digest in enumerate(file.block_sha256):
            block = stream.read(BLOCK_BYTES)
            if hashlib.sha256(block).hexdigest() != digest:
                start = number * BLOCK_BYTES
                found.append(
                    Finding(
                        batch.batch_id,
                        f"{path}, bytes {start:,} to {start + max(len(block), 1) - 1:,}",
                        "bytes differ from those received",
                    )
                )
        if stream.read(1):
            found.append(
                Finding(batch.batch_id, str(path), f"the file is longer than the {file.bytes:,} bytes received")
            )
    return found
