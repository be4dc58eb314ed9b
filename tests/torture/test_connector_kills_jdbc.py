"""Twenty kills of pulls from the bank's databases: `make torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.connectors.test_jdbc_pull import bank, killed_pulls_land_what_undisturbed_ones_do

__all__ = ["bank"]
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="long: run `make torture`"),
]


def test_twenty_kills_leave_the_same_rows(bank: Path, tmp_path: Path) -> None:
    assert killed_pulls_land_what_undisturbed_ones_do(bank, tmp_path, kills=20, seed=11) > 10
