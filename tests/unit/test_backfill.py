"""`vinelake backfill`: which days it takes, in which order, and what is followed to where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from lakehouse.cli import main
from lakehouse.demo import steps
from lakehouse.demo.watch import BUILDING, DROP
from lakehouse.settings import get_settings


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """In place of Airflow: `followed` (day, DAGs that begin and go on, whether bronze is paused then) and `paused`.

    `breaks_on` is the day whose run fails.
    """
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    seen = SimpleNamespace(followed=[], paused=set(), breaks_on="")
    client = SimpleNamespace(pause=seen.paused.add, unpause=seen.paused.discard)
    monkeypatch.setattr(steps.airflow, "client", lambda: client)

    def follow(console, partition, route, ask, prepare=None):
        if prepare:
            prepare()
        seen.followed.append((partition, route.begins, route.goes_on, "build_bronze" in seen.paused))
        if partition == seen.breaks_on:
            raise RuntimeError("broken off")
        return SimpleNamespace(remarks={})

    monkeypatch.setattr(steps, "follow", follow)
    yield seen
    get_settings.cache_clear()


def run(*words: str):
    return CliRunner().invoke(main, ["backfill", *words])


def test_days_are_built_one_after_another(airflow: SimpleNamespace) -> None:
    assert run("--from", "2024-01-01", "--to", "2024-01-08", "--every", "7").exit_code == 0
    days = [(told[0], told[2], told[3]) for told in airflow.followed]
    assert days == [("2024-01-01", BUILDING, False), ("2024-01-08", BUILDING, False)]


def test_together_all_days_land_and_the_last_alone_is_built(airflow: SimpleNamespace) -> None:
    inbox = get_settings().inbox_dir
    for day in ("2024-01-02", "2024-01-05", "2024-01-09"):
        (inbox / day).mkdir(parents=True)
    assert run("--from", "2024-01-01", "--to", "2024-01-12", "--files", "--together").exit_code == 0
    assert airflow.followed == [
        ("2024-01-02", DROP, (), True),
        ("2024-01-05", DROP, (), True),
        ("2024-01-09", DROP, BUILDING, False),
    ]


def test_bronze_is_let_go_when_a_day_breaks_off(airflow: SimpleNamespace) -> None:
    airflow.breaks_on = "2024-01-13"
    assert run("--from", "2024-01-13", "--to", "2024-01-14", "--together").exit_code != 0
    assert airflow.followed[0][3] and airflow.paused == set()


def test_a_range_that_ends_before_it_begins_is_refused(airflow: SimpleNamespace) -> None:
    result = run("--from", "2024-01-02", "--to", "2024-01-01")
    assert result.exit_code != 0 and "before the first" in result.output
