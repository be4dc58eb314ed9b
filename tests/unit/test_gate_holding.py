"""Which batches wait: a feed's in order behind the first that strays, and what days a batch covers."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from expectations import holding, profiles
from expectations.history import Profile, Statistic
from expectations.profiles import Arrival
from lakehouse import contracts
from lakehouse.settings import PROJECT_DIR
from lakehouse.waivers import Waiver

CONTRACT = contracts.load(PROJECT_DIR / "contracts" / "gov_tax__sale_invoice.yaml")
START = date(2023, 1, 2)


def booked(batch: str, day: int, rows: int = 10, **facts: Any) -> dict[str, Any]:
    """A row of the batch ledger, received some days after the start."""
    return {
        "batch_id": batch, "contract": CONTRACT.id, "partition": (START + timedelta(days=day)).isoformat(),
        "rows_in": rows, "rows_accepted": rows, "rows_duplicate": 0,
        "recorded_at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day),
    } | facts  # fmt: skip


def test_a_batch_covers_the_days_since_the_one_before_it() -> None:
    ledger = [
        booked("history", 0), booked("more_history", 0), booked("week", 7), booked("empty", 14, rows=0),
        booked("later", 21), booked("released", 23, rows=3), booked("last", 28),
    ]  # fmt: skip
    waiting = {row["batch_id"] for row in ledger} - {"history"}
    released = {(CONTRACT.id, (START + timedelta(days=23)).isoformat()): 3}
    spans = {a.batch_id: a.span_days for a in profiles.arrivals(CONTRACT, ledger, waiting, released)}
    # The first day brings history; what was let out of quarantine alone covers no days.
    assert spans == {"more_history": None, "week": 7, "later": 7, "released": None, "last": 7}
    assert profiles.arrivals(CONTRACT, [booked("other", 1, contract="bank__loan")], {"other"}, {}) == []
    (arrival,) = profiles.arrivals(CONTRACT, [booked("a", 0), booked("b", 3, rows_duplicate=5)], {"b"}, {})
    assert arrival == Arrival("b", START + timedelta(days=3), 15, 3)


def week(number: int, amount: float = 4.0) -> Profile:
    statistics = {
        "volume": Statistic(math.log10(300 / 7), 300),
        "location:tax_cny:q50": Statistic(amount + number % 5 / 50, 300, 0.8),
        "repeated": Statistic(0.0, 300),
    }
    keys = frozenset(range(number * 300, number * 300 + 300))
    return Profile(f"b{number}", CONTRACT.id, START + number * timedelta(days=7), 7, statistics, keys, 1 << 62, 300)


PAST = [week(n) for n in range(20)]


def judged(*batches: Profile, granted: tuple[Waiver, ...] = ()) -> holding.Judgement:
    order, measured = [b.batch_id for b in batches], {b.batch_id: b for b in batches}
    return holding.judge_in_order(CONTRACT, order, measured, PAST, granted)


def test_good_batches_before_a_bad_one_pass_and_those_behind_it_wait() -> None:
    found = judged(week(20), week(21, 0.0), week(22))
    assert [p.batch_id for p in found.passing] == ["b20"]
    assert (found.held, found.broken) == (["b21", "b22"], ["b21"])
    (broken,) = [f for f in found.findings if f.holds_back]
    assert (broken.table, broken.rule, broken.batch_id) == (CONTRACT.bronze_table, "location:tax_cny", "b21")
    assert broken.detail.startswith("expected ") and ", found 1.047; by 21 earlier batches" in broken.detail


def test_a_waived_batch_passes_with_the_word_and_is_history_for_the_next() -> None:
    word = Waiver("w", CONTRACT.bronze_table, "location:*", "b20", "ann", "agreed", date(2999, 1, 1), datetime.now(UTC))
    found = judged(week(20, 0.0), week(21), granted=(word,))
    assert [p.batch_id for p in found.passing] == ["b20", "b21"] and not found.held
    assert [f.waived for f in found.findings if not f.passed] == ["ann until 2999-01-01: agreed"]
    # Of another batch the waiver says nothing.
    assert judged(week(21, 0.0), granted=(word,)).held == ["b21"]


def test_a_delivery_that_came_before_is_held_though_all_its_figures_are_as_ever() -> None:
    again = replace(week(20), keys=PAST[16].keys)
    found = judged(again)
    assert found.held == ["b20"] and [f.rule for f in found.findings if f.holds_back] == ["repeated"]


def test_a_batch_that_is_not_measured_passes() -> None:
    found = holding.judge_in_order(CONTRACT, ["history"], {}, [], ())
    assert not found.findings and not found.held
