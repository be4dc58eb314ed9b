"""Landing: received files are kept byte for byte, each batch with a manifest chained to the one before it.

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
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from lakehouse import contracts
from lakehouse.contracts import Contract
from lakehouse.errors import IntegrityError, LandingError
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition, utc_now
from spark_jobs.landing_files import ReceivedFile, inspect

GENESIS = "0" * 64


@dataclass(frozen=True)
class Batch:
    """One landed batch as its manifest states it. `sequence` counts batches of the lakehouse from 1."""

    sequence: int
    batch_id: str
    contract: str
    contract_version: str
    received_on: date
    files: tuple[ReceivedFile, ...]
    previous_hash: str
    manifest_hash: str

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
    return (parse_manifest(path) for path in manifest_paths())


def _claims(drop: Path, known: Mapping[str, Contract]) -> tuple[dict[Contract, list[Path]], list[str]]:
    claims: dict[Contract, list[Path]] = {}
    unclaimed = []
    for path in sorted(p for p in drop.iterdir() if p.is_file()):
        owners = [c for c in known.values() if fnmatch(path.name, c.file_pattern)]
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
    landing = get_settings().landing_dir
    target = landing / contract.id / batch_id
    draft = landing / ".incoming" / batch_id
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for path, seen in files:
        shutil.copyfile(path, draft / path.name)
        if hashlib.sha256((draft / path.name).read_bytes()).hexdigest() != seen.sha256:
            raise LandingError(
                "the file changed while it was read", where=path.name, remedy="land it when it is complete"
            )
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft.rename(target)
    earlier = landed()
    body = {
        "sequence": len(earlier) + 1,
        "batch_id": batch_id,
        "contract": contract.id,
        "contract_version": contract.version,
        "contract_fingerprint": contract.fingerprint,
        "received_on": received_on.isoformat(),
        "landed_at": utc_now().isoformat(),
        "files": [asdict(seen) for _, seen in files],
        "previous_hash": earlier[-1].manifest_hash if earlier else GENESIS,
    }
    body["manifest_hash"] = body_hash(body)
    return parse_manifest(_commit(landing / "manifests", batch_id, body))


def _commit(folder: Path, batch_id: str, body: Mapping[str, Any]) -> Path:
    """Puts the manifest in place; of two writers of one sequence number, the second fails."""
    folder.mkdir(parents=True, exist_ok=True)
    slot = folder / f"{body['sequence']:08d}.json"
    draft = folder / f".{batch_id}"
    draft.write_text(manifest_text(body), encoding="utf-8")
    try:
        os.link(draft, slot)
    except FileExistsError as error:
        raise LandingError(
            "another job landed a batch at the same moment", where=str(slot), remedy="run the task again"
        ) from error
    finally:
        draft.unlink()
    return slot
