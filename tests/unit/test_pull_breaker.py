"""A department's breaker opens after failures in a row, holds off, lets one try through, and closes again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lakehouse.errors import SourceError, SourceUnavailable
from lakehouse.settings import Settings, get_settings
from spark_jobs.pull import breaker


@pytest.fixture
def quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A breaker that stays open for a fifth of a second."""
    monkeypatch.setenv("VINELAKE_BREAKER_SECONDS", "0.2")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def attempt(error: Exception | None = None, department: str = "courts") -> None:
    with breaker.guard(department):
        if error:
            raise error


def fail(times: int) -> None:
    for _ in range(times):
        with pytest.raises(SourceUnavailable, match="away"):
            attempt(SourceUnavailable("away"))


def test_it_opens_after_failures_in_a_row_and_then_asks_nothing(settings: Settings) -> None:
    fail(breaker.FAILURES - 1)
    assert breaker.state("courts") == "closed"
    fail(1)
    assert breaker.state("courts") == "open"
    with pytest.raises(breaker.Open) as refused:
        attempt(AssertionError("the block must not run"))
    assert isinstance(refused.value.reason, SourceUnavailable)
    assert "left alone for 300 s" in str(refused.value.reason)


def test_a_success_in_between_starts_the_count_anew(settings: Settings) -> None:
    fail(breaker.FAILURES - 1)
    attempt()
    fail(breaker.FAILURES - 1)
    assert breaker.state("courts") == "closed"


def test_after_its_time_one_try_goes_through_and_decides(quick: None) -> None:
    fail(breaker.FAILURES)
    time.sleep(0.25)
    fail(1)  # half open: the try ran, failed, and opened it again at once
    with pytest.raises(breaker.Open):
        attempt()
    time.sleep(0.25)
    attempt()
    assert breaker.state("courts") == "closed"
    fail(breaker.FAILURES - 1)
    assert breaker.state("courts") == "closed"


def test_nonsense_is_no_sign_that_a_department_is_away(settings: Settings) -> None:
    for error in (SourceError("nonsense"), ValueError("a fault of ours")):
        for _ in range(breaker.FAILURES + 1):
            with pytest.raises(type(error)):
                attempt(error)
    assert breaker.state("courts") == "closed"


def test_departments_have_breakers_of_their_own(settings: Settings) -> None:
    fail(breaker.FAILURES)
    attempt(department="customs")


def test_a_damaged_state_counts_as_closed(settings: Settings) -> None:
    fail(breaker.FAILURES)
    (settings.landing_dir / "breakers" / "courts.json").write_text("{")
    attempt()
