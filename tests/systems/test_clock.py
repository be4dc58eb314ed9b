"""The world's clock: monotone, inside the world, seen at once."""

from datetime import date
from pathlib import Path

import pytest

from sources.systems.clock import Clock
from sources.systems.errors import SourcesError


def test_it_starts_some_weeks_before_the_end_and_goes_on_from_where_it_was(world: Path, tmp_path: Path) -> None:
    assert Clock(tmp_path).start(world).today == date(2020, 12, 30)
    Clock(tmp_path).advance(3)
    assert Clock(tmp_path).start(world).today == date(2021, 1, 2)


def test_another_reader_sees_a_move_at_once(world: Path, tmp_path: Path) -> None:
    reader, mover = Clock(tmp_path), Clock(tmp_path)
    mover.start(world, date(2019, 5, 1))
    assert reader.today() == date(2019, 5, 1)
    mover.advance(1)
    assert reader.today() == date(2019, 5, 2)


def test_it_never_goes_back_nor_past_the_end(world: Path, tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    clock.start(world, date(2020, 5, 1))
    with pytest.raises(SourcesError, match="does not go back"):
        clock.start(world, date(2020, 4, 30))
    with pytest.raises(SourcesError, match="forward"):
        clock.advance(0)
    assert clock.advance(100_000).today == date(2021, 1, 29)
    with pytest.raises(SourcesError, match="the world ends"):
        clock.advance(1)


def test_a_day_outside_the_world_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match="outside this world"):
        Clock(tmp_path).start(world, date(2018, 12, 31))


def test_a_missing_clock_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match="vinelake sources load"):
        Clock(tmp_path).today()
