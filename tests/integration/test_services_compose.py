"""The commands of docker-compose.yml, run as they stand on this machine: Spark, Airflow and MLflow on PostgreSQL.

Only what a container would give them is put in place: host names become loopback, ports and folders free ones.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lakehouse.services import postgres
from lakehouse.services.process import end_processes
from lakehouse.settings import get_settings

pytestmark = [pytest.mark.services, pytest.mark.engine, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::?[-?][^}]*)?\}")
SECONDS = 200


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Native:
    """A compose file's services as local processes."""

    def __init__(self, folder: Path, secrets: dict[str, str], postgres_port: int) -> None:
        self.folder, self.secrets = folder, secrets
        self.services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        self.ports: dict[tuple[str, str], int] = {("postgres", "5432"): postgres_port}
        self.running: dict[str, subprocess.Popen] = {}

    def port(self, service: str, number: str) -> int:
        return self.ports.setdefault((service, number), free_port())

    def localise(self, service: str, text: str) -> str:
        """A text of the file as this machine needs it."""
        text = VARIABLE.sub(lambda match: self.secrets.get(match[1], match[1].lower()), str(text))

        def address(match: re.Match) -> str:
            host = service if match[1] == "localhost" else match[1]
            return f"127.0.0.1:{self.port(host, match[2])}" if host in self.services else match[0]

        text = re.sub(r"\b([a-z][a-z-]*):(\d{4,5})\b", address, text)
        for inside, outside in (
            ("/opt/vinelake", ROOT),
            ("/lake", self.folder),
            ("/airflow", self.folder / "airflow"),
        ):
            text = re.sub(rf"(?<![\w.]){inside}(?=[/\s]|$)", str(outside), text)
        text = text.replace("file:///" + str(self.folder).lstrip("/"), self.folder.as_uri())
        return "127.0.0.1" if text == "0.0.0.0" else text

    def environment(self, service: str) -> dict[str, str]:
        given = self.services[service].get("environment", {})
        chosen = {name: self.localise(service, value) for name, value in given.items()}
        if "AIRFLOW__API__PORT" in chosen:
            chosen["AIRFLOW__API__PORT"] = str(self.port("airflow-api-server", given["AIRFLOW__API__PORT"]))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {"HOME", "LANG", "SSL_CERT_FILE", "TMPDIR"} & os.environ.keys()
        return {name: os.environ[name] for name in kept} | chosen | {"PATH": path, "PYTHONPATH": str(ROOT)}

    def command(self, service: str, words: list[str]) -> list[str]:
        local = [self.localise(service, word) for word in words]
        for place, word in enumerate(words[:-1]):
            if word in ("--port", "--webui-port"):
                local[place + 1] = str(self.port(service, words[place + 1]))
            elif word == "--host":
                local[place + 1] = "127.0.0.1"
        return local

    def start(self, *names: str) -> None:
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    self.command(name, self.services[name]["command"]),
                    env=self.environment(name),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    start_new_session=True,
                )

    def healthy(self, name: str) -> bool:
        """The answer of the service's own health check."""
        test = self.command(name, self.services[name]["healthcheck"]["test"][1:])
        return subprocess.run(test, env=self.environment(name), cwd=self.folder, timeout=30).returncode == 0

    def wait(self, *names: str) -> None:
        deadline = time.monotonic() + SECONDS
        for name in names:
            while not self.healthy(name):
                assert self.running[name].poll() is None, f"{name} ended: {self.words(name)}"
                assert time.monotonic() < deadline, f"{name} is not healthy: {self.words(name)}"
                time.sleep(1)

    def words(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-1500:]

    def stop(self) -> None:
        import psutil

        family = []
        for started in self.running.values():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(started.pid)
                family += [process, *process.children(recursive=True)]
        end_processes(family)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compose").resolve()
    (folder / "airflow").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VINELAKE_VAR_DIR", str(folder))
        patch.setenv("VINELAKE_POSTGRES_PORT", str(free_port()))
        get_settings.cache_clear()
        postgres.start()
        from cryptography.fernet import Fernet

        from lakehouse.services.secrets import read_secrets

        secrets = {
            "POSTGRES_PASSWORD": read_secrets()["postgres_password"],
            "AIRFLOW_FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW_JWT_SECRET": "j" * 64,
            "AIRFLOW_SECRET_KEY": "s" * 64,
            "VINELAKE_AUTHOR": "engineer",
            "VINELAKE_APPROVER": "risk_officer",
        }
        made = Native(folder, secrets, get_settings().postgres_port)
        try:
            yield made
        finally:
            made.stop()
            postgres.process().stop()
    get_settings.cache_clear()


def test_the_commands_start_and_become_healthy(native):
    native.start("spark-master", "mlflow", "airflow-init")
    native.wait("spark-master")
    native.start("spark-worker")
    native.wait("spark-worker")
    native.start("spark-connect")
    assert native.running["airflow-init"].wait(SECONDS) == 0, native.words("airflow-init")
    native.start("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
    native.wait("mlflow", "spark-connect", "airflow-api-server", "airflow-scheduler")
    native.wait("airflow-dag-processor", "airflow-triggerer")


def test_spark_works_on_the_cluster_with_delta(native):
    port = native.port("spark-connect", "15002")
    code = (
        "from pyspark.sql import SparkSession\n"
        f"spark = SparkSession.builder.remote('sc://127.0.0.1:{port}').create()\n"
        "spark.sql('create schema if not exists probe')\n"
        "spark.sql('create or replace table probe.t using delta as select id from range(100)')\n"
        "print(spark.sql('select count(*), sum(id) from probe.t').collect()[0], spark.conf.get('spark.master'))\n"
        "spark.stop()\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=240)
    assert "4950" in done.stdout, done.stdout + done.stderr[-800:] + native.words("spark-connect")
    assert f"spark://127.0.0.1:{native.port('spark-master', '7077')}" in done.stdout


def test_airflow_and_mlflow_keep_their_state_in_postgresql(native):
    pools = dict(postgres.query("airflow", "select pool, slots from slot_pool"))
    assert pools["engine"] == 2
    assert pools["publish"] == 1
    assert postgres.query("mlflow", "select name from experiments where experiment_id = 0") == [("Default",)]
