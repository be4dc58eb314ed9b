"""Landing: received files are kept byte for byte, each batch with a manifest chained to the one before it.

Batches come from drops (here) and from pulls (`spark_jobs.pull`), whose manifests also say where the next pull goes on.

A drop is a folder of files received on one date. Each contract that claims files of it makes one batch; the
batch's id follows from the contract and the files' digests. The same bytes again are nothing new, unless others
came in between: then the source has gone back to an earlier state, and that is news.
A drop is inspected whole before any of it is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from lakehouse import contracts
from lakehouse.contracts import Contract
from lakehouse.errors import IntegrityError, LandingError
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition, utc_now
from spark_jobs.landing_files import ReceivedFile, inspect

GENESIS = "0" * 64
ATTEMPTS = 50
SEQUENCE = "batch_sequence"  # the column that holds a row's batch by its place in the chain


@dataclass(frozen=True)
class Batch:
    """One landed batch as its manifest states it. `sequence` counts batches of the lakehouse from 1.

    `cursor` says where the next pull of the feed goes on; None for drops. It is stored in the same commit as the batch.
    """

    sequence: int
    batch_id: str
    contract: str
    contract_version: str
    received_on: date
    files: tuple[ReceivedFile, ...]
    previous_hash: str
    manifest_hash: str
    cursor: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def folder(self) -> Path:
        return get_settings().landing_dir / self.contract / self.batch_id

    @property
    def bytes(self) -> int:
        return sum(f.bytes for f in self.files)


def land(partition: str, folder: Path | None = None) -> dict[str, Any]:
    """Takes in the drop of a partition from the inbox (or `folder`).

    Returns the ids of new batches, of those landed before, and the names of files no contract claims.
    """
    received_on = parse_partition(partition)
    drop = Path(folder) if folder else get_settings().inbox_dir / partition
    if not drop.is_dir():
        raise LandingError(
            "there is no drop for this partition", where=str(drop), remedy="put the received files there"
        )
    claims, unclaimed = _claims(drop, contracts.load_all(get_settings().contracts_dir))
    if not claims:
        raise LandingError(
            "no file of the drop fits any contract",
            where=f"{drop}: {', '.join(unclaimed[:10]) or 'empty'}",
            remedy="compare the names with filePattern in contracts/*.yaml",
        )
    inspected = {c: [(path, inspect(path, c)) for path in paths] for c, paths in claims.items()}
    known = landed()
    new, repeated = [], []
    for contract, files in inspected.items():
        received = [f for _, f in files]
        earlier = [b for b in known if b.contract == contract.id]
        same = [b for b in earlier if _content(contract.id, b.files) == _content(contract.id, received)]
        repeat = next((b for b in same if b.received_on == received_on or b is earlier[-1]), None)
        if repeat:
            repeated.append(repeat.batch_id)
        else:
            _refuse_past(contract, received_on, earlier)
            batch_id = _content(contract.id, received, received_on if same else None)
            new.append(_keep(contract, batch_id, received_on, files).batch_id)
    return {"new_batches": new, "repeated_batches": repeated, "unclaimed_files": unclaimed}


def landed() -> list[Batch]:
    """Every landed batch, in order of arrival."""
    return sorted(_manifests(), key=lambda b: b.sequence)


def slice_of(sequences: Iterable[int]) -> str:
    """The condition that the rows of some batches meet in bronze and in quarantine, by the batches' places.

    By numbers of the column's own type: with others, Delta would not pass over files by their least and greatest.
    """
    return f"{SEQUENCE} IN ({', '.join(f'{number}L' for number in sorted(sequences))})"


def last_batch(contract_id: str) -> Batch | None:
    """The newest batch of a contract; None before its first."""
    return next((b for b in reversed(landed()) if b.contract == contract_id), None)


def last_cursor(contract_id: str) -> Mapping[str, Any] | None:
    """Where the next pull of a contract goes on; None before its first."""
    return next((b.cursor for b in reversed(landed()) if b.contract == contract_id and b.cursor is not None), None)


def manifest_paths() -> list[Path]:
    """The manifests' files in order of arrival: their names begin with the sequence number."""
    return sorted((get_settings().landing_dir / "manifests").glob("*.json"))


def parse_manifest(path: Path) -> Batch:
    """Reads one manifest; an IntegrityError when it is not readable."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(
            ReceivedFile(**{**f, "header": tuple(f["header"]), "block_sha256": tuple(f["block_sha256"])})
            for f in body["files"]
        )
        return Batch(
            sequence=body["sequence"],
            batch_id=body["batch_id"],
            contract=body["contract"],
            contract_version=body["contract_version"],
            received_on=date.fromisoformat(body["received_on"]),
            files=files,
            previous_hash=body["previous_hash"],
            manifest_hash=body["manifest_hash"],
            cursor=body.get("cursor"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"the manifest is not readable: {error}", where=str(path), remedy="restore it from a backup"
        ) from error


def body_hash(body: Mapping[str, Any]) -> str:
    """The digest of a manifest's content without its own hash."""
    plain = {k: v for k, v in body.items() if k != "manifest_hash"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def manifest_text(body: Mapping[str, Any]) -> str:
    """A manifest as it is written; any other text, if only by a space, is not what was landed."""
    return json.dumps(body, ensure_ascii=False, indent=1)


def _manifests() -> Iterator[Batch]:
    for path in manifest_paths():
        facts = path.stat()
        yield _read_once(path, facts.st_mtime_ns, facts.st_size)


@cache
def _read_once(path: Path, _changed: int, _bytes: int) -> Batch:
    """A manifest never changes, so each process reads it once; its time and size tell a damaged one apart."""
    return parse_manifest(path)


def _claims(drop: Path, known: Mapping[str, Contract]) -> tuple[dict[Contract, list[Path]], list[str]]:
    claims: dict[Contract, list[Path]] = {}
    unclaimed = []
    for path in sorted(p for p in drop.iterdir() if p.is_file()):
        owners = [c for c in known.values() if c.file_pattern and fnmatch(path.name, c.file_pattern)]
        if len(owners) > 1:
            raise LandingError(
                f"two contracts claim the file: {', '.join(c.id for c in owners)}",
                where=path.name,
                remedy="make their filePattern tell the files apart",
            )
        if owners:
            claims.setdefault(owners[0], []).append(path)
        else:
            unclaimed.append(path.name)
    return claims, unclaimed


def _content(contract_id: str, files: Iterable[ReceivedFile], received_on: date | None = None) -> str:
    """The id of a batch of these bytes; with the date where the same bytes were an earlier batch."""
    digest = hashlib.sha256(contract_id.encode())
    for sha in sorted(f.sha256 for f in files):
        digest.update(sha.encode())
    digest.update(received_on.isoformat().encode() if received_on else b"")
    return digest.hexdigest()[:16]


def _refuse_past(contract: Contract, received_on: date, earlier: Iterable[Batch]) -> None:
    latest = max((b.received_on for b in earlier), default=None)
    if latest and received_on < latest:
        raise LandingError(
            f"a drop received on {latest} is already in: knowledge cannot be put in before it",
            where=f"{contract.id}, partition {received_on}",
            remedy=f"land it under the date it really came in, {latest} or later",
        )


def _keep(contract: Contract, batch_id: str, received_on: date, files: list[tuple[Path, ReceivedFile]]) -> Batch:
    """Copies the files, then commits the batch by writing its manifest; a repeat after a kill is the same."""
    draft = get_settings().landing_dir / ".incoming" / batch_id
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for path, seen in files:
        shutil.copyfile(path, draft / path.name)
        if hashlib.sha256((draft / path.name).read_bytes()).hexdigest() != seen.sha256:
            raise LandingError(
                "the file changed while it was read", where=path.name, remedy="land it when it is complete"
            )
    return commit(contract, batch_id, received_on, draft, [seen for _, seen in files])


def commit(
    contract: Contract,
    batch_id: str,
    received_on: date,
    draft: Path,
    files: Iterable[ReceivedFile],
    cursor: Mapping[str, Any] | None = None,
) -> Batch:
    """Moves a complete folder of files into landing and commits it as a batch, by its manifest.

    The manifest is the commit: without it the files count for nothing, and a repeat after a kill is the same. Several
    jobs may commit at once: each takes the next free number of the chain, and what a rival landed is landed.
    """
    landing = get_settings().landing_dir
    target = landing / contract.id / batch_id
    if draft.exists():
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(target)
    stated = {
        "batch_id": batch_id,
        "contract": contract.id,
        "contract_version": contract.version,
        "contract_fingerprint": contract.fingerprint,
        "received_on": received_on.isoformat(),
        "files": [asdict(seen) for seen in files],
    } | ({"cursor": dict(cursor)} if cursor is not None else {})
    for _ in range(ATTEMPTS):
        earlier = landed()
        last = next((b for b in reversed(earlier) if b.contract == contract.id), None)
        if last and last.batch_id == batch_id:
            return last
        body = {
            "sequence": len(earlier) + 1,
            **stated,
            "landed_at": utc_now().isoformat(),
            "previous_hash": earlier[-1].manifest_hash if earlier else GENESIS,
        }
        body["manifest_hash"] = body_hash(body)
        if path := _commit(landing / "manifests", batch_id, body):
            return parse_manifest(path)
    raise LandingError(
        "other jobs kept landing batches at the same moment", where=str(landing), remedy="run the task again"
    )


def _commit(folder: Path, batch_id: str, body: Mapping[str, Any]) -> Path | None:
    """Puts the manifest in place; of two writers of one sequence number, the second gets None."""
    folder.mkdir(parents=True, exist_ok=True)
    slot = folder / f"{body['sequence']:08d}.json"
    draft = folder / f".{batch_id}"
    draft.write_text(manifest_text(body), encoding="utf-8")
    try:
        os.link(draft, slot)
    except FileExistsError:
        return None
    finally:
        draft.unlink()
    return slot
