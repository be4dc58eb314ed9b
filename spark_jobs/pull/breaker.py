"""Circuit breakers, one a department: after failures in a row it is left alone for a while, and told so at once.

Tasks are processes of their own, so a breaker's state lies in a file beside landing. Source of the pattern: Nygard,
Release It!, 2nd ed., chapter 5; kept by pybreaker.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pybreaker

from lakehouse.errors import SourceUnavailable
from lakehouse.settings import get_settings

FAILURES = 3


class Open(Exception):
    """The breaker is open: nothing was asked. `reason` says so in the project's form."""

    def __init__(self, reason: SourceUnavailable) -> None:
        super().__init__(str(reason))
        self.reason = reason


@contextlib.contextmanager
def guard(department: str) -> Iterator[None]:
    """Lets a pull of a department through, or raises Open. Only SourceUnavailable counts as a failure."""
    try:
        with _breaker(department).calling():
            yield
    except pybreaker.CircuitBreakerError:
        seconds = get_settings().breaker_seconds
        raise Open(
            SourceUnavailable(
                f"{department} failed {FAILURES} times in a row and is left alone for {seconds:g} s",
                where=str(_path(department)),
                remedy="wait, or remove that file to ask again at once",
            )
        ) from None


def state(department: str) -> str:
    """`closed`, `open` or `half-open`."""
    return _Storage(department).state


def _breaker(department: str) -> pybreaker.CircuitBreaker:
    return pybreaker.CircuitBreaker(
        fail_max=FAILURES,
        reset_timeout=get_settings().breaker_seconds,
        exclude=[lambda error: not isinstance(error, SourceUnavailable)],
        state_storage=_Storage(department),
        name=department,
        throw_new_error_on_trip=False,
    )


def _path(department: str) -> Path:
    return get_settings().landing_dir / "breakers" / f"{department}.json"


class _Storage(pybreaker.CircuitBreakerStorage):
    """A breaker's state in a file: read on every question, replaced whole on every change."""

    def __init__(self, department: str) -> None:
        super().__init__(f"file of {department}")
        self._file = _path(department)

    def _read(self) -> dict:
        try:
            return json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}

    def _change(self, **facts: object) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps(self._read() | facts), encoding="utf-8")
        draft.replace(self._file)

    @property
    def state(self) -> str:
        return str(self._read().get("state", pybreaker.STATE_CLOSED))

    @state.setter
    def state(self, state: str) -> None:
        self._change(state=state)

    @property
    def counter(self) -> int:
        return int(self._read().get("failures", 0))

    def increment_counter(self) -> None:
        self._change(failures=self.counter + 1)

    def reset_counter(self) -> None:
        if self.counter:
            self._change(failures=0)

    @property
    def success_counter(self) -> int:
        return int(self._read().get("successes", 0))

    def increment_success_counter(self) -> None:
        self._change(successes=self.success_counter + 1)

    def reset_success_counter(self) -> None:
        if self.success_counter:
            self._change(successes=0)

    @property
    def opened_at(self) -> datetime | None:
        text = self._read().get("opened_at")
        return datetime.fromisoformat(text) if text else None

    @opened_at.setter
    def opened_at(self, moment: datetime) -> None:
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        self._change(opened_at=aware.isoformat())
