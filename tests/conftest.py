"""Fixtures shared by all tests: one engine for the whole run, and a lakehouse of its own for each test."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.settings import PROJECT_DIR, Settings, get_settings

REAL_INVOICES = PROJECT_DIR.parent / "shared" / "data" / "cumcm_2020_c"
# Tests have many tables of few rows: what pays for large ones (generated code, plans that adapt, several tasks a stage)
# takes a third of the processor time here. The services' tests and the demo run with the product's own settings.
SMALL_DATA = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    # Logs of lakehouses that earlier tests left are forgotten.
    "spark.databricks.delta.delta.log.cacheRetentionMinutes": "5",
}
_numbers = itertools.count(1)


def free_port() -> int:
    """A loopback port that nothing uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares out whole files, and all files marked `engine` as one: they share one engine and what was built on it.

    Files that are marked `apart` too use nothing of that: they share an engine of the process that is free sooner.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByEngineAndFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::")[0]
            text = (PROJECT_DIR / path).read_text(encoding="utf-8")
            if "mark.engine" in text:
                return "engine apart" if "mark.apart" in text else "engine"
            return path

    return ByEngineAndFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts tests that kill the engine last: the tests after them would wait for an engine that compiles all anew."""
    items.sort(key=lambda item: "engine.process().running().kill()" in item.path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder for the whole run, with an engine port of its own; no service is started by this."""
    folder = tmp_path_factory.mktemp("var")
    patch = pytest.MonkeyPatch()
    patch.setenv("VINELAKE_VAR_DIR", str(folder))
    patch.setenv("VINELAKE_ENGINE_PORT", str(free_port()))
    patch.setenv("VINELAKE_ENGINE_CONF", json.dumps(SMALL_DATA))
    get_settings.cache_clear()
    yield folder
    patch.undo()
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def running_engine(home: Path) -> Iterator[None]:
    """The Spark Connect engine, started once and stopped at the end of the run."""
    from lakehouse import engine

    engine.start()
    yield
    get_settings.cache_clear()
    engine.stop()


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of an empty lakehouse of the test's own: its schemas and folders carry a prefix."""
    monkeypatch.setenv("VINELAKE_ENVIRONMENT", f"t{next(_numbers)}")
    get_settings.cache_clear()
    yield get_settings()
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def lakehouse(running_engine: None, settings: Settings) -> Settings:
    """An empty lakehouse on the shared engine."""
    return settings


@pytest.fixture
def spark(lakehouse: Settings) -> Iterator:
    """A Connect session in the test's lakehouse; jobs under test open their own, so use it for plain reads."""
    from lakehouse import engine

    with engine.session() as session:
        yield session


@pytest.fixture(scope="session")
def real_invoices() -> Path:
    """The folder of real invoice files; the test is skipped where it is absent."""
    if not REAL_INVOICES.is_dir():
        pytest.skip(f"real invoice files are not here: {REAL_INVOICES.name}/ beside the project in shared/data")
    return REAL_INVOICES
