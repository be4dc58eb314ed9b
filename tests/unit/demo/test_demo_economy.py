"""The economy's demo: applications first and once, then the systems' today through every DAG."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rich.console import Console

from lakehouse.demo import economy, steps
from lakehouse.errors import ConfigError

TODAY = {"today": "2021-11-30", "addresses": {"market": "http://127.0.0.1:16082/docs"}, "processes": []}


@pytest.fixture
def demo(monkeypatch):
    """Notes what the demo does; `runs` are those of build_bronze that Airflow knows."""
    seen = SimpleNamespace(done=[], runs=[])
    api = SimpleNamespace(runs=lambda dag_id: seen.runs, pause=lambda dag_id: seen.done.append(("pause", dag_id)))
    monkeypatch.setattr(economy.airflow, "client", lambda: api)
    monkeypatch.setattr(economy.place, "enter", lambda name: None)
    world = economy.source_world
    monkeypatch.setattr(world, "write_connections", lambda: seen.done.append(("connections",)))
    monkeypatch.setattr(world, "pull", lambda names, day: seen.done.append(("pull", names, day)))
    monkeypatch.setattr(steps, "pulled", lambda: ("ingest_government", "ingest_market"))

    def follow(console, partition, route, ask, prepare=None):
        if prepare:
            prepare()
        seen.done.append(("follow", partition, route.begins, route.goes_on))
        return SimpleNamespace(partition=partition)

    monkeypatch.setattr(steps, "follow", follow)
    monkeypatch.setattr(steps, "finish", lambda console, watch, phases, pages: seen.done.append(("finish", pages)))
    return seen


def day(demo):
    return economy._day(Console(quiet=True), TODAY, [], ask=False)


def test_applications_come_first_and_silver_waits_for_the_whole_day(demo):
    day(demo)
    assert demo.done[:4] == [
        ("connections",),
        ("pull", economy.APPLICATIONS, "2021-11-29"),
        ("pause", "build_silver"),
        ("follow", "2021-11-29", ("build_bronze",), ()),
    ]
    name, partition, begins, goes_on = demo.done[4]
    assert (name, partition, begins) == ("follow", "2021-11-30", ("ingest_government", "ingest_market"))
    assert goes_on[-1] == "promote_model" and "build_silver" in goes_on
    assert demo.done[5:] == [("finish", TODAY["addresses"])]


def test_a_later_day_has_them_already(demo):
    demo.runs = [{"partition_key": "2021-11-29", "state": "success"}]
    day(demo)
    assert [done[0] for done in demo.done] == ["connections", "follow", "finish"]


def test_applications_that_did_not_get_through_are_taken_in_again(demo):
    demo.runs = [{"partition_key": "2021-11-29", "state": "failed"}, {"partition_key": None, "state": "success"}]
    day(demo)
    assert ("pull", economy.APPLICATIONS, "2021-11-29") in demo.done


def test_days_pass_only_where_the_systems_run(demo, monkeypatch):
    monkeypatch.setattr(economy.source_world, "status", lambda: TODAY)
    with pytest.raises(ConfigError, match="do not run"):
        economy.advance(Console(quiet=True), 7, ask=False)


def test_the_size_of_the_world_can_be_chosen():
    assert (economy.world(50, 2).firms, economy.world(50, 2).years) == (50, 2)
    assert economy.world(None, None) == economy.World()
