"""What the summary tells of the ledgers, without an engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse import control, families, ledger
from lakehouse.demo import summary
from lakehouse.errors import ConfigError
from lakehouse.ledger import BatchAccount
from lakehouse.settings import Settings, get_settings

DAY, BEFORE, LATER = "2024-02-02", "2024-02-01", "2024-02-03"
AT = datetime(2024, 2, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def account(batch_id: str, contract: str, day: str, rows: int, **reasons: int) -> BatchAccount:
    """A batch with one duplicate, and as many held rows as the reasons say."""
    held = sum(reasons.values())
    return BatchAccount(batch_id, contract, day, "", 2, 100, rows, rows - held - 1, held, 1, reasons, {})


def test_nothing_was_taken_in_yet(settings: Settings) -> None:
    with pytest.raises(ConfigError):
        summary._newest_partition(ledger.booked())
    assert summary._gates(DAY) == summary._jobs(DAY) == [] and control.names() == set()


def test_batches_are_added_up_by_contract_and_by_source(settings: Settings) -> None:
    one, two, *_ = [f.contract for f in families.outlines(get_settings().contracts_dir)]
    accounts = [
        account("a", one, DAY, 10, bad_type=2), account("b", one, DAY, 5, bad_type=1, no_key=1),
        account("c", two, BEFORE, 7), account("d", two, LATER, 9),
    ]  # fmt: skip
    ledger.record_batches(accounts, "run")
    booked = ledger.booked()
    assert summary._newest_partition(booked) == LATER
    assert summary._rows(booked, DAY) == [
        {"contract": one, "reasons": {"bad_type": 3, "no_key": 1}, "files": 4, "bytes": 200, "rows_in": 15,
         "rows_accepted": 9, "rows_duplicate": 2, "rows_quarantined": 4},
    ]  # fmt: skip
    ages = {one: {"stale_days": 3, "is_breached": True}, two: {"stale_days": None, "is_breached": False}}
    found = summary._sources(booked, ages, DAY)
    told = ("rows_in", "rows_today", "rows_duplicate", "rows_quarantined", "bytes", "breached")
    assert [sum(source[name] for source in found) for name in told] == [22, 15, 3, 4, 300, 1]
    assert max(source["stale_days"] or 0 for source in found) == 3


def test_of_gates_and_jobs_the_last_of_the_day_counts(settings: Settings) -> None:
    looks = [("bronze", True, 4, 3), ("bronze", False, 3, 1), ("silver", True, 5, 2)]
    rows = [(layer, DAY, passed, n, 0, "page", AT + after * HOUR) for layer, passed, n, after in looks]
    control.append("gate", summary.GATES, [*rows, ("gold", BEFORE, True, 1, 0, "page", AT)])
    assert [(g["layer"], g["passed"], g["expectations"]) for g in summary._gates(DAY)] == [
        ("silver", True, 5), ("bronze", True, 4),
    ]  # fmt: skip
    runs = [("silver", "success", 9.26, 2), ("bronze", "failed", 8.0, 3), ("bronze", "success", 7.14, 1)]
    rows = [("id", job, DAY, state, AT + after * HOUR, took, "{}", None) for job, state, took, after in runs]
    control.append("run", ledger.RUN_SCHEMA, rows)
    assert summary._jobs(DAY) == [{"job": "bronze", "seconds": 7.1}, {"job": "silver", "seconds": 9.3}]
