"""Identity against the truth of a small region, and what a day of new records costs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import identity_region
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from identity_world import Shown, judge, shown

from grader.truth import World
from spark_jobs.identity import ledger
from spark_jobs.identity.ledger import Ledger

FIRMS = 250


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return identity_region.write(tmp_path_factory.mktemp("region"), FIRMS, seed=8)


@pytest.fixture(scope="module")
def told(region: Path) -> Shown:
    return shown(region)


@pytest.fixture(scope="module")
def built(told: Shown) -> Ledger:
    return ledger.build(told.rows, told.changes)


def test_keys_are_linked_as_in_truth_at_each_years_end(region: Path, built: Ledger) -> None:
    world = World.open(region)
    for day in identity_region.year_ends():
        found = judge(world, built, day)
        assert found["all keys"][0].value >= 0.995
        assert found["all keys"][1].value >= 0.97
        assert found["pairs with a key without code"][1].value >= 0.9
        assert found["pairs with a key without code"][1].of > FIRMS


def test_the_grader_sees_planted_errors(region: Path, built: Ledger) -> None:
    """A link wrongly made or left out must show, else the figures above say nothing."""
    world, day = World.open(region), identity_region.year_ends()[-1]
    keys = ledger.identity_as_of(built, datetime(day.year, day.month, day.day)).column("enterprise_id").unique()
    two_as_one = {keys[1].as_py(): keys[0].as_py()}
    merged = judge(world, built, day, lambda enterprise, key: two_as_one.get(enterprise, enterprise))
    assert merged["all keys"][0].value < judge(world, built, day)["all keys"][0].value
    apart = judge(world, built, day, lambda enterprise, key: enterprise if hash(key) % 10 else key)
    assert apart["all keys"][1].value < 0.9


def test_a_day_of_one_new_record_in_a_hundred_costs_a_twentieth_at_most(told: Shown, built: Ledger) -> None:
    rng = np.random.default_rng(2)
    new = pa.array(rng.random(told.rows.num_rows) < 0.01)
    before = ledger.build(told.rows.filter(pc.invert(new)), told.changes)
    day = ledger.build(told.rows.filter(new), told.changes, before=before)
    assert 0 < day.compared <= built.compared / 20
    for part in ("mention", "pair", "link", "key", "review"):
        assert getattr(day, part).equals(getattr(built, part))
