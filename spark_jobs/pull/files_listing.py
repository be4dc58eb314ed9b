"""Which files of a folder are complete and not taken yet, and how a cursor remembers those that were.

With a manifest, the cursor is the last day and file taken, and the days that had no folder when they were passed.
Without one, it names every file that still lies there, with size and time of change.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from lakehouse.errors import SourceError, SourceUnavailable
from spark_jobs.pull.part import Pull

SETTLED_SECONDS = 60.0
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MANIFEST_BYTES = 64 << 20


@dataclass(frozen=True)
class Found:
    """A complete file: its path below the feed's folder, what it should be, and its day where it has one.

    `sha256` is what the manifest states; None without one. `is_late`: its day was passed before it had a folder.
    `changed` is its time of change in nanoseconds.
    """

    path: Path
    name: str
    size: int
    sha256: str | None = None
    day: str | None = None
    is_late: bool = False
    changed: int | None = None

    @property
    def suffix(self) -> str:
        """Of its name in small letters, without `.gz`."""
        return PurePosixPath(self.name.lower().removesuffix(".gz")).suffix

    @property
    def part_name(self) -> str:
        """A plain name of its own within a batch: of a day's file, or of a file as it stood at a time."""
        place = self.day or f"{self.changed:x}"
        plain = self.name.replace("/", "--")
        if "--" in self.name or not re.fullmatch(r"[\w.\-]{1,180}", plain, re.ASCII):
            plain = hashlib.sha256(self.name.encode()).hexdigest()[:16] + "".join(
                PurePosixPath(self.name).suffixes[-2:]
            )
        return f"{place}--{plain}"


class Listing(Protocol):
    """The files of a feed that are new, and the cursor after them."""

    def new(self) -> Iterator[Found]: ...

    def taken(self, files: Iterable[Found]) -> dict[str, Any]:
        """The cursor when these files are taken as well."""

    def entry(self, found: Found) -> list[Any]:
        """A file in a cursor; `again` finds it there."""

    def again(self, entry: list[Any]) -> Found: ...


def listing(pull: Pull) -> Listing:
    """The listing that the feed's options ask for; SourceUnavailable where the folder is not there."""
    root = Path(str(pull.connection.need("folder")))
    try:
        if not root.is_dir():
            raise FileNotFoundError(root)
        next(root.iterdir(), None)
    except OSError as error:
        raise SourceUnavailable(
            f"the folder is not there: {error}", where=str(root), remedy="see whether the share is mounted"
        ) from error
    return Days(pull, root) if pull.options.get("manifest") else Plain(pull, root)


class Days:
    """Folders of days, each complete with its manifest, in order up to the pull's date."""

    def __init__(self, pull: Pull, root: Path) -> None:
        self.root, self.until, self.pattern = root, pull.until, pull.contract.feed.path
        self.manifest = str(pull.options["manifest"])
        self.every_day = bool(pull.options.get("everyDay", True))
        cursor = pull.cursor or {}
        self.day, self.file = cursor.get("day", ""), cursor.get("file", "")
        self.absent: dict[str, str] = dict(cursor.get("absent", {}))
        self.passed: list[str] = []

    def new(self) -> Iterator[Found]:
        """Days that came late, then those after the cursor. Waits (SourceUnavailable) for one that is missing."""
        for text, file in list(self.absent.items()):
            if (self.root / text / self.manifest).is_file():
                yield from self._files(text, file, is_late=True)
        day = self._first()
        while day is not None and day < self.until:
            text = str(day)
            if (self.root / text / self.manifest).is_file():
                yield from self._files(text, self.file if text == self.day else "")
            elif self.every_day or (self.root / text).is_dir():
                raise SourceUnavailable(
                    f"the folder of {text} is not complete: it has no {self.manifest}",
                    where=str(self.root / text),
                    remedy="it is read once the sender has completed it; where days may be left out, set everyDay: "
                    "false in the feed's options",
                )
            else:
                self.passed.append(text)
            day += timedelta(days=1)

    def taken(self, files: Iterable[Found]) -> dict[str, Any]:
        """The last day and file, and of days that had no folder how far each is taken since."""
        for found in files:
            if found.is_late:
                self.absent[found.day] = found.name
            else:
                self.day, self.file = found.day, found.name
        self.absent |= {text: "" for text in self.passed if text < self.day and text not in self.absent}
        return {"day": self.day, "file": self.file, "absent": dict(self.absent)}

    def entry(self, found: Found) -> list[Any]:
        return [found.day, found.name]

    def again(self, entry: list[Any]) -> Found:
        day, name = entry
        for found in self._files(day, ""):
            if found.name == name:
                return found
        raise _refused(f"{name} is no longer listed", self.root / day / self.manifest)

    def _first(self) -> date | None:
        if self.day:
            return date.fromisoformat(self.day)
        days = [path.name for path in self.root.iterdir() if DAY.fullmatch(path.name) and path.is_dir()]
        return date.fromisoformat(min(days)) if days else None

    def _files(self, day: str, after: str, is_late: bool = False) -> Iterator[Found]:
        """The listed files of a day that fit the pattern, by name; those up to `after` are taken already."""
        folder = self.root / day
        listed = {entry["file"]: entry for entry in self._listed(folder) if _fits(entry["file"], self.pattern)}
        for path in folder.glob(self.pattern):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in listed and not path.name.startswith("."):
                raise _refused(f"{name} is not listed, though the day is complete", folder / self.manifest)
        for name in listed:
            if not _inside(folder, name).is_file():
                raise _refused(f"{name} is listed and not there", folder / name)
        for name in sorted(listed):
            if name > after:
                entry = listed[name]
                yield Found(folder / name, name, int(entry["bytes"]), str(entry["sha256"]).lower(), day, is_late)

    def _listed(self, folder: Path) -> list[Mapping[str, Any]]:
        path = folder / self.manifest
        try:
            if path.stat().st_size > MANIFEST_BYTES:
                raise ValueError("it is too large to be one")
            stated = json.loads(path.read_text(encoding="utf-8"))
            if stated.get("day", folder.name) != folder.name:
                raise ValueError(f"it is the list of {stated['day']}")
            if not isinstance(stated["files"], list):
                raise ValueError("its files are no list")
            names = [entry["file"] for entry in stated["files"]]
            for entry in stated["files"]:
                if not isinstance(entry["file"], str) or not re.fullmatch(r"[0-9a-fA-F]{64}", str(entry["sha256"])):
                    raise ValueError(f"{entry!r} is no file with its SHA-256")
                int(entry["bytes"])
            if len(set(names)) < len(names):
                raise ValueError("it names a file twice")
            return stated["files"]
        except OSError as error:
            raise SourceUnavailable(f"the list cannot be read: {error}", where=str(path)) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _refused(f"{self.manifest} is no list of files: {error!r}"[:300], path) from error


class Plain:
    """A folder without days: whatever fits the pattern, has lain still, and is not in the cursor as it is now."""

    def __init__(self, pull: Pull, root: Path) -> None:
        self.root, self.pattern = root, pull.contract.feed.path
        self.settled = float(pull.options.get("settledSeconds", SETTLED_SECONDS))
        self.known: dict[str, list[int]] = dict((pull.cursor or {}).get("taken", {}))

    def new(self) -> Iterator[Found]:
        """Files by name. One that was taken and removed since is forgotten."""
        present = {found.name: found for found in self._present()}
        self.known = {name: state for name, state in self.known.items() if name in present}
        youngest = time.time_ns() - int(self.settled * 1e9)
        for name in sorted(present):
            found = present[name]
            if self.known.get(name) != [found.size, found.changed] and found.changed <= youngest:
                yield found

    def taken(self, files: Iterable[Found]) -> dict[str, Any]:
        """Every file taken so far, with size and time of change."""
        self.known |= {found.name: [found.size, found.changed] for found in files}
        return {"taken": dict(self.known)}

    def entry(self, found: Found) -> list[Any]:
        return [found.name, found.size, found.changed]

    def again(self, entry: list[Any]) -> Found:
        name, size, changed = entry
        for found in self._present():
            if found.name == name and [found.size, found.changed] == [size, changed]:
                return found
        raise _refused(f"{name} was removed or changed before it was kept", self.root / name)

    def _present(self) -> Iterator[Found]:
        for path in self.root.glob(self.pattern):
            name = path.relative_to(self.root).as_posix()
            if path.is_file() and not path.name.startswith("."):
                facts = _inside(self.root, name).stat()
                yield Found(path, name, facts.st_size, changed=facts.st_mtime_ns)


def _fits(name: str, pattern: str) -> bool:
    """Whether a path fits a pattern, step by step: a star stays within its step, as in a shell."""
    steps, wanted = name.split("/"), pattern.split("/")
    return len(steps) == len(wanted) and all(map(fnmatchcase, steps, wanted))


def _inside(folder: Path, name: str) -> Path:
    """The file of that name below a folder; refused where name or link lead out of it."""
    path = folder / name
    if PurePosixPath(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise _refused(f"{name!r} leads out of the folder", folder)
    return path


def _refused(what: str, where: Path) -> SourceError:
    return SourceError(what, where=str(where), remedy="ask the sender to put it right; the feed goes on from there")
