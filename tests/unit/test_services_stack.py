"""The stack as a whole: rivals, secrets, configuration, supervision and the command line. Nothing heavy starts."""

from __future__ import annotations

import configparser
import json
import os
import signal
import socket
import stat
import sys
import time
from collections import defaultdict, deque
from pathlib import Path

import pytest
from click.testing import CliRunner

from lakehouse.cli.services import status
from lakehouse.errors import ServiceError
from lakehouse.services import airflow, stack
from lakehouse.services import process as process_module
from lakehouse.services.process import Process
from lakehouse.services.secrets import read_secrets, secrets_file
from lakehouse.services.supervisor import RESTARTS, restart_crashed
from lakehouse.settings import get_settings

SLEEP = [sys.executable, "-c", "import time; time.sleep(120)"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A lakehouse of its own, whose processes are all gone afterwards."""
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path / "one"))
    monkeypatch.setenv("VINELAKE_AIRFLOW_PORT", "28080")
    for name in ("POSTGRES", "ENGINE", "MLFLOW"):
        monkeypatch.setenv(f"VINELAKE_{name}_PORT", str(free_port()))
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    monkeypatch.setattr(process_module, "STOP_GRACE_SECONDS", 1)
    get_settings.cache_clear()
    yield tmp_path / "one"
    for pid_file in tmp_path.glob("*/run/*.json"):
        process_module.stop_noted(pid_file)
    get_settings.cache_clear()


def in_other_home(tmp_path, monkeypatch, service: Process) -> None:
    """Starts a process as the lakehouse `two` beside this one."""
    with monkeypatch.context() as other:
        other.setenv("VINELAKE_VAR_DIR", str(tmp_path / "two"))
        get_settings.cache_clear()
        service.spawn()
    get_settings.cache_clear()


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("port", "survives"), [(28080, False), (28081, True)])
def test_a_lakehouse_beside_this_one_yields_only_if_it_holds_our_ports(tmp_path, monkeypatch, port, survives):
    in_other_home(tmp_path, monkeypatch, Process("airflow-api-server", SLEEP, port=port))
    in_other_home(tmp_path, monkeypatch, Process("airflow-scheduler", SLEEP))
    pid_files = list((tmp_path / "two" / "run").glob("*.json"))
    assert len(pid_files) == 2
    stack.stop_rivals()
    assert [file.exists() for file in pid_files] == [survives, survives]


def test_an_occupied_port_stops_the_start_before_anything_runs(monkeypatch):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        monkeypatch.setenv("VINELAKE_MLFLOW_PORT", str(holder.getsockname()[1]))
        get_settings.cache_clear()
        with pytest.raises(ServiceError, match="mlflow cannot start") as caught:
            stack.up()
    assert "VINELAKE_MLFLOW_PORT" in caught.value.remedy
    assert not list(get_settings().run_dir.glob("*.json"))


def test_secrets_are_made_once_and_private():
    first = read_secrets()
    assert read_secrets() == first
    assert mode(secrets_file()) == 0o600
    assert len(set(first.values())) == len(first) == 4


def test_damaged_secrets_are_not_replaced_silently():
    secrets_file().parent.mkdir(parents=True)
    secrets_file().write_text("{")
    with pytest.raises(ServiceError, match="damaged"):
        read_secrets()
    assert secrets_file().read_text() == "{"


def test_airflow_listens_on_loopback_only_and_its_files_are_private():
    airflow.write_configuration()
    cfg = configparser.ConfigParser()
    cfg.read(airflow.home() / "airflow.cfg")
    assert cfg["api"]["host"] == "127.0.0.1"
    assert cfg["core"]["execution_api_server_url"] == "http://127.0.0.1:28080/execution/"
    assert cfg["api"]["port"] == "28080"
    assert cfg["core"]["load_examples"] == "False"
    assert mode(airflow.home() / "airflow.cfg") == mode(airflow.passwords_file()) == 0o600
    assert all("--skip-serve-logs" in p.command for p in airflow.processes() if p.name.endswith("triggerer"))


def test_passwords_stay_when_the_configuration_is_written_again():
    airflow.write_configuration()
    first = json.loads(airflow.passwords_file().read_text())
    airflow.write_configuration()
    assert json.loads(airflow.passwords_file().read_text()) == first
    assert set(first) == {get_settings().author, get_settings().approver}


def test_secrets_do_not_show_in_any_command_line():
    secret = set(read_secrets().values())
    for process in [*stack.processes(), stack.supervisor()]:
        assert not any(value in part for value in secret for part in process.command), process.name


def test_tasks_see_the_same_settings_as_this_process(monkeypatch):
    monkeypatch.setenv("VINELAKE_APPROVER", "second_person")
    monkeypatch.setenv("VINELAKE_ENGINE_CONF", '{"spark.sql.ansi.enabled": "true"}')
    get_settings.cache_clear()
    environment = airflow.environment()
    assert json.loads(environment["VINELAKE_ENGINE_CONF"]) == get_settings().engine_conf != {}
    assert environment["VINELAKE_APPROVER"] == "second_person"
    assert environment["VINELAKE_VAR_DIR"] == str(get_settings().home)
    assert environment["PATH"].startswith(str(Path(sys.executable).parent))


def test_the_supervisor_restarts_what_died_and_leaves_alone_what_was_stopped():
    died, stopped = Process("died", SLEEP), Process("stopped", SLEEP)
    died.start()
    stopped.start()
    stopped.stop()
    os.kill(died.running().pid, signal.SIGKILL)
    time.sleep(0.2)
    history = defaultdict(deque)
    assert restart_crashed([died, stopped], history, now=0.0) == ["died"]
    assert died.status() == "up"
    assert stopped.status() == "down"
    assert restart_crashed([died, stopped], history, now=0.0) == []


def test_the_supervisor_gives_up_on_what_keeps_dying_until_the_window_has_passed():
    hopeless = Process("hopeless", [sys.executable, "-c", "pass"])
    history = defaultdict(deque)
    hopeless.spawn()
    for moment in range(RESTARTS + 2):
        hopeless.running() and hopeless.running().wait(5)
        restart_crashed([hopeless], history, now=float(moment))
    assert len(history["hopeless"]) == RESTARTS
    hopeless.running() and hopeless.running().wait(5)
    assert restart_crashed([hopeless], history, now=10_000.0) == ["hopeless"]


def test_stopping_the_supervisor_spares_what_it_restarted():
    assert stack.supervisor().spares_children


def rows(state: str) -> list[dict]:
    return [{"service": "mlflow", "state": state, "pid": 7, "port": 1, "memory_mb": 2, "log": "/l"}]


@pytest.mark.parametrize(("state", "code"), [("up", 0), ("crashed", 1), ("down", 1)])
def test_status_says_by_its_exit_code_whether_all_is_up(monkeypatch, state, code):
    monkeypatch.setattr(stack, "status", lambda: rows(state))
    table = CliRunner().invoke(status)
    assert table.exit_code == code
    assert "mlflow" in table.output
    machine = CliRunner().invoke(status, ["--json"])
    assert machine.exit_code == code
    assert json.loads(machine.output) == rows(state)


def test_status_works_before_anything_was_ever_started():
    found = stack.status()
    assert {row["state"] for row in found} == {"down"}
    assert [row["service"] for row in found][:2] == ["postgres", "engine"]
