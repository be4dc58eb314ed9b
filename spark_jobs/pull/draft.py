"""A batch while it is being received: every part is kept with its cursor before the next one is fetched.

A draft survives a kill. The next run of its feed goes on after the last part that was kept whole, so a page is fetched
twice at most and an enquiry that costs a fee is kept once it was answered.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from lakehouse.contracts import Contract
from lakehouse.settings import get_settings
from spark_jobs import landing
from spark_jobs.landing import Batch
from spark_jobs.landing_files import ReceivedFile, digests
from spark_jobs.pull.part import Part

JOURNAL = "journal.jsonl"


class Draft:
    """The open batch of one feed, received on one date. One process at a time works on it."""

    def __init__(self, contract: Contract, received_on: date, cursor: Mapping[str, Any] | None) -> None:
        self.contract, self.received_on, self.started_from = contract, received_on, cursor
        self.folder = _folder(contract)
        self.files: list[ReceivedFile] = []
        self.cursor = cursor

    @property
    def spool(self) -> Path:
        """A folder for files on their way, on the same disk as the batch."""
        path = self.folder / "spool"
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def records(self) -> int:
        return sum(f.data_lines for f in self.files)

    def add(self, part: Part, received_sha256: str | None = None) -> None:
        """Keeps one part for good: its bytes first, then its line in the journal."""
        folder = self.folder / "files"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / part.name
        if isinstance(part.body, Path):
            part.body.replace(target)
        else:
            target.write_bytes(part.body)
        _sync(target)
        size, sha256, blocks = digests(target)
        seen = ReceivedFile(
            part.name,
            size,
            sha256,
            blocks,
            part.fields,
            part.records,
            part.format,
            part.schema_version,
            received_sha256,
        )
        line = json.dumps({"file": asdict(seen), "cursor": dict(part.cursor)}, ensure_ascii=False)
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(line + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.files.append(seen)
        self.cursor = dict(part.cursor)

    def commit(self) -> Batch | None:
        """Lands what was received as one batch with its cursor; None when there was nothing, or it was landed."""
        batch, last = None, landing.last_batch(self.contract.id)
        if self.files and not (last and last.batch_id == self._batch_id()):
            batch = landing.commit(
                self.contract, self._batch_id(), self.received_on, self.folder / "files", self.files, self.cursor
            )
        self.discard()
        return batch

    def discard(self) -> None:
        """Removes the draft with all that it holds."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _batch_id(self) -> str:
        digest = hashlib.sha256(f"{self.contract.id}|{self.received_on}|{_plain(self.started_from)}".encode())
        for file in self.files:
            digest.update(file.sha256.encode())
        return digest.hexdigest()[:16]


def open_draft(contract: Contract, received_on: date) -> tuple[Draft, Batch | None]:
    """The draft to go on with, and the batch that an earlier, interrupted day left and that was landed now.

    Parts that were received on another date are known since that date: they become a batch of their own.
    """
    left = _restore(contract)
    if left and left.received_on == received_on:
        return left, None
    batch = left.commit() if left else None
    fresh = Draft(contract, received_on, landing.last_cursor(contract.id))
    fresh.folder.mkdir(parents=True, exist_ok=True)
    _write(fresh.folder / "draft.json", {"received_on": str(received_on), "cursor": fresh.cursor})
    return fresh, batch


def _restore(contract: Contract) -> Draft | None:
    """What a killed run left, up to its last complete part; None where nothing was left to go on with."""
    head = _folder(contract) / "draft.json"
    if not head.exists():
        shutil.rmtree(_folder(contract), ignore_errors=True)
        return None
    stated = json.loads(head.read_text(encoding="utf-8"))
    draft = Draft(contract, date.fromisoformat(stated["received_on"]), stated["cursor"])
    for entry in _journal(draft.folder / JOURNAL):
        file = entry["file"]
        seen = ReceivedFile(**{**file, "header": tuple(file["header"]), "block_sha256": tuple(file["block_sha256"])})
        draft.files.append(seen)
        draft.cursor = entry["cursor"]
    if draft.files and not (draft.folder / "files").exists():
        draft.commit()  # killed while it was landed: all was received, and is landed now if it was not yet
        return None
    shutil.rmtree(draft.folder / "spool", ignore_errors=True)
    return draft


def _journal(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a journal; the last one may have been cut by a kill, and is then cut off."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        path.write_bytes(whole)
    for line in whole.decode("utf-8").splitlines():
        yield json.loads(line)


def _folder(contract: Contract) -> Path:
    return get_settings().landing_dir / ".incoming" / contract.id


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(_plain(content), encoding="utf-8")
    _sync(draft)
    draft.replace(path)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
