"""Twenty kills of pulls from the industrial platform: `make torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sources.systems.process import Process
from tests.connectors.test_stream_pull import killed_pulls_land_what_undisturbed_ones_do, platform

__all__ = ["platform"]
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="long: run `make torture`"),
]


def test_twenty_kills_leave_the_same_rows(platform: Process, tmp_path: Path) -> None:
    assert killed_pulls_land_what_undisturbed_ones_do(tmp_path, kills=20, seed=11) > 10
