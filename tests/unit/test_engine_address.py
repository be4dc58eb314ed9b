"""The engine's address, its password, its names for clients, and what an engine that is not there says."""

from __future__ import annotations

import re
import stat

import pytest

from lakehouse import engine
from lakehouse.settings import Settings, get_settings


def session_id(writer: str) -> str:
    found = re.search(r"session_id=([0-9a-f-]{36});user_id=vinelake$", engine.remote(writer))
    assert found
    return found[1]


def test_a_writer_keeps_its_session_and_shares_it_with_nobody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {writer: session_id(writer) for writer in ("bronze", "silver")}
    assert ids == {writer: session_id(writer) for writer in ids}
    monkeypatch.setenv("VINELAKE_ENVIRONMENT", "other")
    get_settings.cache_clear()
    ids["bronze elsewhere"] = session_id("bronze")
    assert len(set(ids.values())) == 3


def test_the_embedded_server_asks_for_a_password_only_its_owner_can_read(settings: Settings) -> None:
    address = engine.remote("reader")
    path = settings.run_dir / "engine.token"
    assert address.startswith(f"sc://localhost:{settings.engine_port}/;token={path.read_text()};")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert engine.remote("reader") == address
    server = engine.process()
    assert path.read_text() not in " ".join(server.command)
    assert server.env["SPARK_CONNECT_AUTHENTICATE_TOKEN"] == path.read_text()


@pytest.mark.parametrize("given", ["sc://cluster:15002", "sc://cluster:15002/", "sc://cluster:15002/;use_ssl=true"])
def test_a_cluster_s_address_is_used_as_it_is(settings: Settings, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("SPARK_REMOTE", given)
    get_settings.cache_clear()
    address = engine.remote("bronze")
    assert address.startswith(given.rstrip("/")) and "token" not in address
    assert address.count("/;") == 1
    engine.start()  # nothing of ours is started or stopped
    engine.stop()


def test_the_server_listens_on_loopback_alone_and_follows_the_time_rules(settings: Settings) -> None:
    conf = engine._server_conf(settings)
    assert conf["spark.connect.grpc.binding.address"] == "127.0.0.1" == conf["spark.driver.bindAddress"]
    assert conf["spark.sql.session.timeZone"] == settings.timezone
    assert conf["spark.sql.ansi.enabled"] == "true"
    assert conf["spark.databricks.delta.properties.defaults.logRetentionDuration"] == "interval 90 days"
