"""The demo's source systems: programs of their own, started and stopped from here only where nobody else runs them."""

from __future__ import annotations

import json
import stat

import pytest

from lakehouse.errors import ConfigError, VinelakeError
from lakehouse.services import source_world
from lakehouse.services.source_world import World
from lakehouse.settings import get_settings


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path / "demo"))
    monkeypatch.delenv("SOURCES_HOME", raising=False)
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


@pytest.fixture
def commands(monkeypatch):
    """Notes the commands of the source systems in place of running them; `answers` are what they print."""
    seen, answers = [], {}

    def run(*words):
        seen.append(words[:2])
        return answers.get(words[1], "")

    def follow(words, name, say):
        seen.append(words[:2])
        say("2 processes serve")

    monkeypatch.setattr(source_world, "_run", run)
    monkeypatch.setattr(source_world, "_follow", follow)
    seen.append(answers)
    return seen


def status_of(world, state):
    process = {"name": "market", "status": state}
    return json.dumps({"world": str(world.folder), "today": "2021-11-30", "processes": [process], "addresses": {}})


def test_world_and_systems_lie_beside_the_lakehouse(home):
    assert World(24, 2).folder == home / "worlds" / "24_firms_2_years_seed_1_lender_60"
    assert source_world.sources_home() == home / "sources"


def test_nothing_is_loaded_at_first(home):
    found = source_world.status()  # the real command
    assert found["processes"] == [] and not source_world.is_up(found)
    assert not source_world.stop_systems()
    with pytest.raises(VinelakeError, match="no system is loaded"):
        source_world.write_connections()


def test_a_world_that_is_there_is_not_generated_again():
    world = World(24, 2)
    world.folder.mkdir(parents=True)
    assert source_world.start_generating(world) is None


def test_systems_that_were_started_here_are_stopped_with_the_lakehouse(commands):
    commands[0]["status"] = status_of(World(24, 2), "down")
    said = []
    source_world.start_systems(World(24, 2), said.append)
    assert said == ["2 processes serve"]
    assert source_world.stop_systems()
    assert commands[-1] == ("sources", "down")
    assert not source_world.stop_systems()


def test_systems_that_somebody_else_runs_are_used_and_left_alone(commands):
    commands[0]["status"] = status_of(World(24, 2), "up")
    source_world.start_systems(World(24, 2), lambda line: None)
    assert not source_world.stop_systems()
    with pytest.raises(ConfigError, match="another world"):
        source_world.start_systems(World(99, 2), lambda line: None)


def test_another_world_takes_the_place_of_one_that_was_started_here(commands):
    commands[0]["status"] = status_of(World(24, 2), "up")
    source_world.sources_home().mkdir(parents=True)
    (source_world.sources_home() / source_world.NOTE).touch()
    source_world.start_systems(World(99, 2), lambda line: None)
    assert commands[2:5] == [("sources", "down"), ("sources", "clear"), ("sources", "up")]


def test_connections_are_private_and_marked_as_simulated(commands, home):
    path = get_settings().connections_file
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"market": {"url": "http://127.0.0.1:1"}}))  # as the command writes it
    assert source_world.write_connections() == path
    assert json.loads(path.read_text()) == {"market": {"url": "http://127.0.0.1:1", "simulated": True}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
