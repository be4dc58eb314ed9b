"""The commands of Spark's servers for a team."""

from __future__ import annotations

import subprocess

import pytest

from lakehouse import engine
from lakehouse.services import spark
from lakehouse.settings import get_settings


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path / "home"))
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def configuration(command: list[str]) -> dict[str, str]:
    pairs = [command[place + 1] for place, part in enumerate(command) if part == "--conf"]
    assert len(pairs) == len({pair.split("=")[0] for pair in pairs}), "a value is given twice"
    return dict(pair.split("=", 1) for pair in pairs)


def test_the_connect_server_is_the_engine_with_only_the_named_values_changed():
    changed = {"spark.master": "spark://m:7077", "spark.executor.memory": "1g"}
    local, team = configuration(engine.process().command), configuration(spark.connect_command(changed))
    assert team.items() >= changed.items()
    differing = {name for name in local if team[name] != local[name]}
    assert differing == {"spark.master"}
    assert set(team) - set(local) <= {"spark.executor.memory", "spark.jars"}


@pytest.mark.parametrize("resolved", [True, False])
def test_executors_get_delta_whether_or_not_it_was_fetched_before(home, monkeypatch, resolved):
    monkeypatch.setattr(engine, "_ivy_dir", lambda: home / "ivy")
    if resolved:
        (home / "ivy" / "jars").mkdir(parents=True)
        for name in engine.DELTA_JARS:
            (home / "ivy" / "jars" / f"io.delta_{name}").touch()
    conf = configuration(spark.connect_command({}, object_store="http://storage:7070"))
    assert ("io.delta" in conf.get("spark.jars", "")) is resolved
    assert ("io.delta" in conf["spark.jars.packages"]) is not resolved
    assert "hadoop-aws" in conf["spark.jars.packages"]
    assert "org.apache*:*" not in conf["spark.jars.excludes"]
    assert conf["spark.hadoop.fs.s3a.endpoint"] == "http://storage:7070"
    assert not any("secret" in name or "access.key" in name for name in conf)


def test_the_workers_java_leaves_out_the_module_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(spark.sys, "prefix", str(tmp_path))
    program = spark.java_home() / "bin" / "java"
    done = subprocess.run([program, spark.UNKNOWN_MODULE, "-version"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "21" in done.stderr
    text = program.read_text()
    program.write_text(text.replace("/java", "/java-of-before-packages-were-moved"))
    assert (spark.java_home() / "bin" / "java").read_text() == text
