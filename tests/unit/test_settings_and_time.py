"""Settings are typed, read once and say what is wrong; dates and time zones are fixed in one place."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from lakehouse import time
from lakehouse.errors import ConfigError, VinelakeError
from lakehouse.settings import PROJECT_DIR, Settings, get_settings


@pytest.fixture(autouse=True)
def fresh(settings: Settings):
    """Settings of the test's own, and none left in the cache afterwards."""
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VINELAKE_ENGINE_PORT", "many"),
        ("VINELAKE_ENVIRONMENT", "Not-A-Name"),
        ("VINELAKE_ENVIRONMENT", "x; drop schema silver"),
        ("VINELAKE_RETENTION_DAYS", "1"),
    ],
)
def test_an_unusable_setting_is_named_with_its_value_and_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name) as caught:
        get_settings()
    assert caught.value.where == f"{name}={value!r}"
    assert name in str(caught.value.remedy)


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_settings()
    monkeypatch.setenv("VINELAKE_MLFLOW_PORT", "1")
    assert get_settings() is first
    get_settings.cache_clear()
    assert get_settings().mlflow_uri == "http://127.0.0.1:1"


def test_an_environment_keeps_its_schemas_and_folders_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VINELAKE_ENVIRONMENT", "ann")
    ann = Settings()
    monkeypatch.setenv("VINELAKE_ENVIRONMENT", "")
    nobody = Settings()
    assert (ann.schema_name("silver"), nobody.schema_name("silver")) == ("ann_silver", "silver")
    for folder in ("inbox_dir", "landing_dir", "reports_dir"):
        assert getattr(ann, folder) == getattr(nobody, folder) / "ann"


def test_a_relative_folder_is_taken_from_the_project_and_links_are_resolved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VINELAKE_VAR_DIR", "var/elsewhere")
    assert Settings().var_dir == PROJECT_DIR / "var" / "elsewhere"
    (tmp_path / "real").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "real")
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path / "current"))
    assert Settings().warehouse_dir == tmp_path / "real" / "warehouse"


@pytest.mark.parametrize("key", ["2024-01-01", "2020-02-29"])
def test_a_partition_is_a_date(key: str) -> None:
    assert time.parse_partition(key) == date.fromisoformat(key)


@pytest.mark.parametrize(
    "key",
    [None, "", "2024-1-1", "20240101", "2024-13-01", "2023-02-29", "2024-W01-1", "2024-01-01T00", "２０２４-01-01"],
)
def test_anything_else_is_not_a_partition(key: str | None) -> None:
    with pytest.raises(ConfigError, match="not a date") as caught:
        time.parse_partition(key)
    assert "YYYY-MM-DD" in str(caught.value.remedy)


def test_midnight_is_that_of_the_business_calendar() -> None:
    midnight = time.business_midnight(date(2020, 3, 1))
    assert midnight.isoformat() == "2020-03-01T00:00:00+08:00"
    assert midnight.utcoffset() == timedelta(hours=8)


def test_every_client_gets_ansi_rules_and_the_business_time_zone() -> None:
    conf = time.session_conf("Asia/Shanghai")
    assert conf["spark.sql.ansi.enabled"] == "true"
    assert conf["spark.sql.session.timeZone"] == "Asia/Shanghai"


def test_an_error_says_what_where_and_what_to_do() -> None:
    assert str(VinelakeError("it broke", "here", "mend it")) == "it broke\n  where:  here\n  remedy: mend it"
    assert str(VinelakeError("it broke")) == "it broke"
