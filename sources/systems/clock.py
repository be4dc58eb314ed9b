"""The world's today: one file in the systems' state folder that every server reads at each request.

A world is generated to its last day at once. The systems show only what had been published by today, and
`vinelake sources advance` moves today onwards, never back and never past the world's last day.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from sources.systems.errors import SourcesError

DAYS_LEFT_AT_START = 30  # a new clock stands this long before the world's end, so that there is something to advance to


@dataclass(frozen=True)
class Reading:
    """What the clock says: the world it belongs to, its first and last day, today, and the world's digest."""

    world: str
    first_day: date
    last_day: date
    today: date
    fingerprint: str


class Clock:
    """The clock of one state folder; reading is cheap, the file is parsed again only when it was replaced."""

    def __init__(self, home: Path) -> None:
        self.file = home / "clock.json"
        self._seen: tuple[int, int] | None = None
        self._reading: Reading | None = None

    def read(self) -> Reading:
        """What the clock says now."""
        try:
            stat = self.file.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if self._reading is None or stamp != self._seen:
                self._reading, self._seen = _parse(self.file.read_text()), stamp
        except (OSError, ValueError, KeyError) as error:
            raise SourcesError(
                "the world's clock cannot be read", where=str(self.file), remedy="vinelake sources load --world DIR"
            ) from error
        return self._reading

    def today(self) -> date:
        """The world's today."""
        return self.read().today

    def exists(self) -> bool:
        """Whether a clock has been set in this folder."""
        return self.file.exists()

    def start(self, world: Path, today: date | None = None) -> Reading:
        """Sets the clock of a world: at `today`, or some weeks before the world's end; a set clock only goes on."""
        first, last = world_days(world)
        mark = fingerprint(world)
        with self._alone():
            if self.exists():
                held = self.read()
                if held.fingerprint != mark:
                    raise SourcesError(
                        f"this state folder holds another world, {held.world}, generated with other content",
                        where=str(self.file.parent),
                        remedy="choose another folder with --home, or empty this one: vinelake sources clear",
                    )
                if today is not None and today < held.today:
                    raise SourcesError(f"the clock stands at {held.today} and does not go back to {today}")
                chosen = today or held.today
            else:
                chosen = today or max(first, last - timedelta(days=DAYS_LEFT_AT_START))
            if not first <= chosen <= last:
                raise SourcesError(f"{chosen} is outside this world, which runs from {first} to {last}")
            self._write(Reading(str(world), first, last, chosen, mark))
        return self.read()

    def advance(self, days: int) -> Reading:
        """Moves today by `days`, at most to the world's last day."""
        if days < 1:
            raise SourcesError(f"the clock moves forward by whole days, not by {days}")
        with self._alone():
            now = self.read()
            if now.today == now.last_day:
                raise SourcesError(f"the world ends on {now.last_day}; there is no later day to advance to")
            today = min(now.last_day, now.today + timedelta(days=days))
            self._write(replace(now, today=today))
        return self.read()

    def _write(self, reading: Reading) -> None:
        draft = self.file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({name: str(value) for name, value in vars(reading).items()}, indent=1))
        draft.replace(self.file)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps two advances from reading the same day."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def world_days(world: Path) -> tuple[date, date]:
    """First and last day of a world, from its `world.json`."""
    try:
        note = json.loads((world / "world.json").read_text())
        return date.fromisoformat(note["first_day"]), date.fromisoformat(note["last_day"])
    except (OSError, ValueError, KeyError) as error:
        raise SourcesError(
            f"{world} is no generated world: {error}",
            where=str(world / "world.json"),
            remedy="vinelake economy generate --out DIR, then give that folder",
        ) from error


def fingerprint(world: Path) -> str:
    """Tells one generated world from another, and from the same folder generated anew."""
    return hashlib.sha256((world / "world.json").read_bytes()).hexdigest()


def _parse(text: str) -> Reading:
    note = json.loads(text)
    days = (date.fromisoformat(note[name]) for name in ("first_day", "last_day", "today"))
    return Reading(note["world"], *days, note["fingerprint"])
