"""How files of a batch are grouped and members of records placed, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import ConfigError
from lakehouse.settings import Settings
from spark_jobs import bronze_files
from spark_jobs.bronze_growth import batches_of
from spark_jobs.bronze_rows import Delivery
from spark_jobs.landing_files import ReceivedFile
from tests import feeds


def received(name: str, size: int = 10, records: int = 1, style: str = "csv") -> ReceivedFile:
    return ReceivedFile(name, size, "", (), ("a",), records, style)


def test_many_small_files_are_written_as_few() -> None:
    assert bronze_files.pieces([received(f"{i}") for i in range(8)]) is None
    assert bronze_files.pieces([received(f"{i}") for i in range(9)]) == 2
    large = [received(f"{i}", 64 << 20) for i in range(24)]
    assert bronze_files.pieces(large) is None
    assert bronze_files.pieces([*large, *(received(f"x{i}") for i in range(100))]) == 25


def test_a_window_is_a_number_of_days(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, days in (("", 0), (", duplicateWindowDays: 3", 3)):
        delivery = Delivery((), feeds.use_feed(tmp_path, monkeypatch, options=text))
        assert (delivery.window_days, delivery.repeats_are_expected) == (days, days > 0)
    odd = Delivery((), feeds.use_feed(tmp_path, monkeypatch, options=", duplicateWindowDays: many"))
    with pytest.raises(ConfigError, match="'many' is not a number of days"):
        _ = odd.window_days


def test_the_log_of_a_table_tells_whole_batches_from_anything_else() -> None:
    stated = "batch_sequence IN (4L, 17L)"
    for text in (stated, '["(batch_sequence#12L IN (4,17))"]', '["batch_sequence#3L INSET 4, 17"]'):
        assert batches_of(text) == {4, 17}
    assert batches_of("batch_sequence IN (4L)") == batches_of('["(batch_sequence#12L = 4)"]') == {4}
    others = ("", "batch_sequence > 4", f"{stated} OR true", f"NOT {stated}", "state = 'x'", "true", "batch_id IN (4)")
    assert [batches_of(text) for text in others] == [set()] * len(others)
