"""The real local services: up, again up, a killed scheduler, down; nothing of them remains."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time

import psutil
import pytest
from mlflow import MlflowClient

from lakehouse import engine, tables
from lakehouse.errors import ServiceError
from lakehouse.services import airflow, clearing, mlflow, postgres, stack
from lakehouse.services.process import noted_process
from lakehouse.settings import get_settings

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A lakehouse of its own on free ports."""
    folder = tmp_path_factory.mktemp("stack") / "home"
    ports = free_ports(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VINELAKE_VAR_DIR", str(folder))
        patch.setenv("VINELAKE_ENGINE_MEMORY", "1g")
        patch.delenv("VINELAKE_ENGINE_CONF", raising=False)
        for name, port in zip(("ENGINE", "POSTGRES", "MLFLOW", "AIRFLOW"), ports, strict=True):
            patch.setenv(f"VINELAKE_{name}_PORT", str(port))
        get_settings.cache_clear()
        yield folder
        stack.down()
    get_settings.cache_clear()


def pids() -> dict[str, int]:
    return {row["service"]: row["pid"] for row in stack.status()}


def members(home) -> list[psutil.Process]:
    """Every process that runs in this lakehouse's folder or names it on its command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(home) in " ".join(process.cmdline()) or process.cwd().startswith(str(home)):
                found.append(process)
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def test_up_and_again_up_changes_nothing(home):
    stack.up()
    assert {row["state"] for row in stack.status()} == {"up"}
    first = pids()
    stack.up()
    assert pids() == first


def test_the_services_hold_what_they_are_for(home):
    assert postgres.query("airflow", "select 1 from pg_tables where tablename = 'dag_run'")
    assert postgres.query("mlflow", "select 1 from pg_tables where tablename = 'experiments'")
    assert mlflow.answers(f"{get_settings().mlflow_uri}/health")
    pools = {p["name"]: p["slots"] for p in airflow.client().request("GET", "/pools")["pools"]}
    assert {name: pools[name] for name in airflow.POOLS} == {n: slots for n, (slots, _) in airflow.POOLS.items()}


def test_both_people_can_log_in_and_only_the_author_administers(home):
    author, approver = airflow.client(), airflow.client(get_settings().approver)
    assert isinstance(author.dags(), list)
    assert isinstance(approver.questions(), list)
    with pytest.raises(Exception, match="403"):
        approver.set_pool("engine", 64)


def test_everything_listens_on_loopback_only(home):
    own = {process.pid for process in members(home)}
    for row in stack.status():
        if row["pid"]:
            own |= {p.pid for p in psutil.Process(row["pid"]).children(recursive=True)} | {row["pid"]}
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in own]
    assert listening
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


def leave_traces() -> None:
    """One publication, one experiment, one run of a DAG, one landed file."""
    settings = get_settings()
    with engine.session("bronze") as spark:
        tables.ensure_schemas(spark)
        tables.overwrite(spark.range(3), "bronze.thing")
        tables.publish(spark, {"bronze.thing": tables.build_version("bronze.thing")}, "test", "2024-01-01")
        assert tables.read(spark, "bronze.thing").count() == 3
    MlflowClient(settings.mlflow_uri).create_experiment("risk")
    airflow.client().trigger("ingest_file_drop", "2024-01-01")
    settings.landing_dir.mkdir(parents=True, exist_ok=True)
    (settings.landing_dir / "received").write_text("bytes")


def wait_until_settled(api) -> None:
    deadline = time.monotonic() + 240
    while not {run["state"] for run in api.runs()} <= {"success", "failed"}:
        assert time.monotonic() < deadline, api.runs()
        time.sleep(0.5)


def test_clearing_removes_all_data_and_keeps_the_services(home):
    api = airflow.client()
    api.wait_for_dags(["ingest_file_drop"])
    api.unpause("ingest_file_drop")
    for _ in range(2):  # what is written after clearing meets nothing of before, in the same engine
        leave_traces()
        before = pids()
        with pytest.raises(ServiceError, match="under way"):
            clearing.clear()
        wait_until_settled(api)
        known = {run["dag_run_id"] for run in api.runs()}
        assert clearing.clear()
        assert pids() | {"mlflow": 0} == before | {"mlflow": 0}
        with engine.session("bronze") as spark:
            tables.ensure_schemas(spark)
            assert tables.current_manifest().versions == {}
        assert [e.name for e in MlflowClient(get_settings().mlflow_uri).search_experiments()] == ["Default"]
        # The schedule may start a run meanwhile; one of a moment just past has the name of the one that was removed.
        removed = {run_id for run_id in known if run_id.startswith("manual__")}
        assert removed and not removed & {run["dag_run_id"] for run in api.runs()}
        assert not get_settings().landing_dir.exists()


def test_a_killed_scheduler_comes_back_by_itself(home):
    before = pids()
    os.kill(before["airflow-scheduler"], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while (now := pids())["airflow-scheduler"] in (None, before["airflow-scheduler"]):
        assert time.monotonic() < deadline, "the supervisor did not start it again"
        time.sleep(0.5)
    assert now | {"airflow-scheduler": 0} == before | {"airflow-scheduler": 0}


def test_down_leaves_no_process_and_the_data_stays(home):
    assert members(home)
    stopped = stack.down()
    assert {"postgres", "mlflow", "airflow-scheduler", "airflow-api-server", "supervisor"} <= set(stopped)
    assert members(home) == []
    assert not [file for file in get_settings().run_dir.glob("*.json") if noted_process(file)]
    assert stack.down() == []
    assert (postgres.data_dir() / "PG_VERSION").exists()
