"""Twenty kills of pulls from the field office's drop folder: `make torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.connectors.test_files_pull import dropped, killed_pulls_land_what_undisturbed_ones_do

__all__ = ["dropped"]
pytestmark = pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="long: run `make torture`")


def test_twenty_kills_leave_the_same_rows(dropped: Path, tmp_path: Path) -> None:
    assert killed_pulls_land_what_undisturbed_ones_do(dropped, tmp_path, kills=20, seed=11) > 10
