"""How files of a batch are grouped and members of records placed, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.growth import ONE_BATCH
from lakehouse.errors import ConfigError
from lakehouse.settings import Settings
from spark_jobs import bronze_files
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
        delivery = Delivery(None, feeds.use_feed(tmp_path, monkeypatch, options=text))  # type: ignore[arg-type]
        assert (delivery.window_days, delivery.repeats_are_expected) == (days, days > 0)
    odd = Delivery(None, feeds.use_feed(tmp_path, monkeypatch, options=", duplicateWindowDays: many"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'many' is not a number of days"):
        _ = odd.window_days


def test_the_log_of_a_table_tells_a_batch_from_anything_else() -> None:
    for text in ("batch_id = '0123456789abcdef'", '["(batch_id#12 = 0123456789abcdef)"]'):
        found = ONE_BATCH.fullmatch(text)
        assert found and found[2] == "0123456789abcdef"
    for text in ("", "batch_id > '0123456789abcdef'", "batch_id = '0123456789abcdef' OR true", "state = 'x'", "true"):
        assert ONE_BATCH.fullmatch(text) is None
