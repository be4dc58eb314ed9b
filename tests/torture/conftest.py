"""The campaigns use the drops and the reference run of the integration tests, and several lakehouses on one engine."""

from collections.abc import Callable, Iterator

import pytest

from lakehouse.settings import get_settings
from tests.integration.conftest import first_drop, second_drop, two_drops

__all__ = ["first_drop", "lakehouse_of", "second_drop", "two_drops"]


@pytest.fixture
def lakehouse_of(running_engine: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Switches to a lakehouse of the given name."""

    def use(name: str) -> None:
        monkeypatch.setenv("VINELAKE_ENVIRONMENT", name)
        get_settings.cache_clear()

    yield use
    monkeypatch.undo()
    get_settings.cache_clear()
