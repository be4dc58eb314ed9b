"""Twenty kills of pulls from REST systems, and twenty of bureau enquiries: `make torture`."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors import test_enquiries, test_rest_systems
from tests.connectors.rest_systems import Systems, running

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="long: run `make torture`"),
]
KILLS, KILLS_A_ROUND = 20, 5


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    with running(tmp_path_factory.mktemp("systems"), "government", "market", "bureau") as started:
        yield started


def rounds(one_round) -> None:
    """Round by round, each in lakehouses of its own, until there were enough kills."""
    done, numbers = 0, itertools.count(11)
    while done < KILLS:
        done += one_round(seed=next(numbers))


def test_twenty_kills_of_rest_pulls_leave_the_same_rows(systems: Systems, tmp_path: Path) -> None:
    def one_round(seed: int) -> int:
        folder = tmp_path / str(seed)
        folder.mkdir()
        return test_rest_systems.killed_pulls_land_what_undisturbed_ones_do(systems, folder, 2 * KILLS_A_ROUND, seed)

    rounds(one_round)


def test_twenty_kills_of_enquiries_cost_nothing_twice(systems: Systems, tmp_path: Path) -> None:
    systems.today(test_enquiries.DAY)
    with sqlite3.connect(systems.home / "bureau" / "ledger.sqlite", isolation_level=None) as book:

        def one_round(seed: int) -> int:
            return test_enquiries.killed_pulls_are_charged_once(systems, book, tmp_path, KILLS_A_ROUND, seed)

        rounds(one_round)
