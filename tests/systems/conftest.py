"""A small world and loaded systems, shared by the tests of the REST systems."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_world import write_small_world

from sources.systems.clock import Clock
from sources.systems.settings import get_settings


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years and a month of 24 firms."""
    return write_small_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def loaded(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the REST systems loaded; tests work on copies of it."""
    from sources.systems import bureau, government, market

    home = tmp_path_factory.mktemp("loaded")
    for system in (government, bureau, market):
        system.load(home, world)
    return home


@pytest.fixture
def home(loaded: Path, world: Path, tmp_path: Path) -> Path:
    """A state folder of the test's own, with its clock at the default day."""
    copy = tmp_path / "sources"
    big = [loaded / "government" / name for name in ("logs", "history")]
    shutil.copytree(loaded, copy, ignore=lambda folder, names: [n for n in names if Path(folder) / n in big])
    for folder in big:
        (copy / "government" / folder.name).symlink_to(folder)
    Clock(copy).start(world)
    return copy


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets `SOURCES_*` for a test; the rate limit is out of the way unless a test sets it."""

    def put(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"SOURCES_{name.upper()}", str(value))
        get_settings.cache_clear()

    put(rate_per_second=100_000, rate_burst=100_000)
    yield put
    monkeypatch.undo()
    get_settings.cache_clear()
