"""A batch while it is being received: every part is kept with its cursor before the next one is fetched.

A draft survives a kill. The next run of its feed goes on after the last part that was kept whole, so a page is fetched
twice at most and an enquiry that costs a fee is kept once it was answered.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from lakehouse.contracts import Contract
from lakehouse.errors import LandingError
from lakehouse.settings import get_settings
from spark_jobs import landing
from spark_jobs.landing import Batch
from spark_jobs.landing_files import ReceivedFile, digests
from spark_jobs.pull.part import Part

HEAD, JOURNAL = "draft.json", "journal.jsonl"
WAIT_SECONDS = 10


class Draft:
    """The open batch of one feed, received on one date. One process at a time works on it (`alone`).

    `after` is the feed's batch before this one, empty at its first: with the bytes it makes the batch's id.
    """

    def __init__(self, contract: Contract, received_on: date, cursor: Mapping[str, Any] | None, after: str) -> None:
        self.contract, self.received_on, self.after = contract, received_on, after
        self.folder = _folder(contract)
        self.files: list[ReceivedFile] = []
        self.cursor = cursor

    @property
    def spool(self) -> Path:
        """A folder for files on their way, on the batch's disk but outside landing: nothing is sealed yet."""
        path = _spool(self.contract)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    @property
    def is_closed(self) -> bool:
        """Whether its files have left for landing: it takes no further part."""
        return bool(self.files) and not (self.folder / "files").exists()

    @property
    def records(self) -> int:
        return sum(f.data_lines for f in self.files)

    def add(self, part: Part, received_sha256: str | None = None) -> None:
        """Keeps one part for good: its bytes first, then its line in the journal."""
        if Path(part.name).name != part.name or any(part.name == file.name for file in self.files):
            raise LandingError(
                f"{part.name!r} is no name for a further part of the batch",
                where=self.contract.id,
                remedy="a connector must give each part of a batch a plain name of its own",
            )
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
        """Lands what was received as one batch with its cursor; None when nothing was received."""
        batch = None
        if self.files:
            last = landing.last_batch(self.contract.id)
            if last and last.batch_id == self._batch_id():
                batch = last  # a run that was killed afterwards landed it
            else:
                batch = landing.commit(
                    self.contract, self._batch_id(), self.received_on, self.folder / "files", self.files, self.cursor
                )
        self.discard()
        return batch

    def discard(self) -> None:
        """Removes the draft with all that it holds; its head first, so that half of it is none."""
        (self.folder / HEAD).unlink(missing_ok=True)
        for folder in (self.folder, _spool(self.contract)):
            shutil.rmtree(folder, ignore_errors=True)

    def _batch_id(self) -> str:
        digest = hashlib.sha256(f"{self.contract.id}|{self.received_on}|{self.after}".encode())
        for file in self.files:
            digest.update(file.sha256.encode())
        return digest.hexdigest()[:16]


@contextlib.contextmanager
def alone(contract: Contract) -> Iterator[None]:
    """Keeps other processes from working on the feed's draft; a LandingError if one does and goes on doing so."""
    path = _folder(contract).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LandingError(
                        "another process is pulling this feed",
                        where=contract.id,
                        remedy="wait until it has ended, or end it; then run the task again",
                    ) from None
                time.sleep(0.1)
        yield


def open_draft(contract: Contract, received_on: date) -> tuple[Draft, Batch | None]:
    """The draft to go on with, and the batch that an earlier, interrupted run left complete or on another date.

    Parts that were received on another date are known since that date: they become a batch of their own.
    """
    shutil.rmtree(_spool(contract), ignore_errors=True)  # what a kill left there is fetched again
    left = _restore(contract)
    if left and left.received_on == received_on and not left.is_closed:
        return left, None
    batch = left.commit() if left else None
    last = landing.last_batch(contract.id)
    fresh = Draft(contract, received_on, landing.last_cursor(contract.id), last.batch_id if last else "")
    fresh.folder.mkdir(parents=True, exist_ok=True)
    _write(fresh.folder / HEAD, {"received_on": str(received_on), "cursor": fresh.cursor, "after": fresh.after})
    return fresh, batch


def open_since(contract: Contract) -> date | None:
    """The date on which a draft's parts were received; None where no draft is open."""
    head = _folder(contract) / HEAD
    return date.fromisoformat(json.loads(head.read_text(encoding="utf-8"))["received_on"]) if head.exists() else None


def _restore(contract: Contract) -> Draft | None:
    """What a killed run left, up to its last complete part; None where nothing was left to go on with."""
    head = _folder(contract) / HEAD
    if not head.exists():
        shutil.rmtree(_folder(contract), ignore_errors=True)
        return None
    stated = json.loads(head.read_text(encoding="utf-8"))
    draft = Draft(contract, date.fromisoformat(stated["received_on"]), stated["cursor"], stated["after"])
    for entry in _journal(draft.folder / JOURNAL):
        file = entry["file"]
        seen = ReceivedFile(**{**file, "header": tuple(file["header"]), "block_sha256": tuple(file["block_sha256"])})
        draft.files.append(seen)
        draft.cursor = entry["cursor"]
    kept = {file.name for file in draft.files}
    for stray in (draft.folder / "files").glob("*"):
        if stray.name not in kept:
            stray.unlink()
    return draft


def _journal(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a journal; the last one may have been cut by a kill, and is then cut off."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))
    for line in whole.split(b"\n")[:-1]:  # not `splitlines`: a field's name may hold what it takes for a break
        yield json.loads(line)


def _folder(contract: Contract) -> Path:
    return get_settings().landing_dir / ".incoming" / contract.id


def _spool(contract: Contract) -> Path:
    settings = get_settings()
    return settings.home / "spool" / (settings.environment or "main") / contract.id


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
