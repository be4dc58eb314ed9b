"""`vinelake backfill`: which days it takes, in which order, and what is followed to where."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from lakehouse.cli import main
from lakehouse.demo import steps
from lakehouse.demo.watch import BUILDING, DROP
from lakehouse.settings import get_settings


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What would be followed in Airflow: day, DAGs that begin and that go on, and whether bronze is paused then."""
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    paused: set[str] = set()
    monkeypatch.setattr(steps.airflow, "client", lambda: SimpleNamespace(pause=paused.add, unpause=paused.discard))
    told: list[tuple] = []

    def follow(console, partition, route, ask, prepare=None):
        if prepare:
            prepare()
        told.append((partition, route.begins, route.goes_on, "build_bronze" in paused))
        if partition == "2024-01-13":
            raise RuntimeError("broken off")
        return SimpleNamespace(remarks={})

    monkeypatch.setattr(steps, "follow", follow)
    told.append(paused)
    yield told
    get_settings.cache_clear()


def run(*words: str):
    return CliRunner().invoke(main, ["backfill", *words])


def test_days_are_built_one_after_another(followed: list) -> None:
    assert run("--from", "2024-01-01", "--to", "2024-01-08", "--every", "7").exit_code == 0
    days = [(told[0], told[2], told[3]) for told in followed[1:]]
    assert days == [("2024-01-01", BUILDING, False), ("2024-01-08", BUILDING, False)]


def test_together_all_days_land_and_the_last_alone_is_built(followed: list) -> None:
    inbox = get_settings().inbox_dir
    for day in ("2024-01-02", "2024-01-05", "2024-01-09"):
        (inbox / day).mkdir(parents=True)
    assert run("--from", "2024-01-01", "--to", "2024-01-12", "--files", "--together").exit_code == 0
    assert followed[1:] == [
        ("2024-01-02", DROP, (), True),
        ("2024-01-05", DROP, (), True),
        ("2024-01-09", DROP, BUILDING, False),
    ]


def test_bronze_is_let_go_when_a_day_breaks_off(followed: list) -> None:
    assert run("--from", "2024-01-13", "--to", "2024-01-14", "--together").exit_code != 0
    assert followed[1][3] and followed[0] == set()


def test_a_range_that_ends_before_it_begins_is_refused(followed: list) -> None:
    result = run("--from", "2024-01-02", "--to", "2024-01-01")
    assert result.exit_code != 0 and "before the first" in result.output
