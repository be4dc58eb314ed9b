"""Every source feature of every family from silver cut at its date, on the random silver of the integration test."""

from __future__ import annotations

import os
from datetime import date

import pytest

from tests import silver_world
from tests.integration.test_source_features_engine import DATES, World, world

__all__ = ["world"]
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="minutes: run `make torture`"),
]


@pytest.mark.parametrize("as_of", DATES)
def test_all_features_are_the_same_from_silver_cut_at_their_date(world: World, as_of: date) -> None:
    assert world.compare(as_of) == len(silver_world.FIRMS)
