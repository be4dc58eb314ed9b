"""Airflow, one component at a time: its configuration is written here, its state lives in the lakehouse."""

from __future__ import annotations

import configparser
import io
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

from lakehouse.errors import ServiceError
from lakehouse.services import postgres
from lakehouse.services.airflow_api import AirflowApi, call
from lakehouse.services.process import Process
from lakehouse.services.scheduler import PRELOAD
from lakehouse.services.secrets import read_secrets, write_private
from lakehouse.settings import Settings, get_settings

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
QUIET = (
    "airflow",
    "alembic",
    "great_expectations",
    "http.access",
    "httpx",
    "py4j",
    "pyspark",
    "sqlalchemy",
    "uvicorn",
)
# One engine, few cores: what queues here would only queue in the engine.
POOLS = {
    "engine": (2, "tasks that use the Spark engine"),
    "publish": (1, "tasks that publish tables"),
    "pulls": (3, "tasks that pull a source"),
}


def home() -> Path:
    """AIRFLOW_HOME: with it alone, `airflow …` on the command line reaches the same installation."""
    return get_settings().home / "airflow"


def base_url() -> str:
    """Where people and programs find the web server."""
    return f"http://127.0.0.1:{get_settings().airflow_port}"


def configuration(settings: Settings) -> dict[str, dict[str, str]]:
    """What differs from Airflow's defaults, by section."""
    secret = read_secrets()
    return {
        "core": {
            "dags_folder": str(settings.project_dir / "dags"),
            "executor": "LocalExecutor",
            "parallelism": "4",
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            "default_timezone": settings.timezone,
            "fernet_key": secret["airflow_fernet_key"],
            "execution_api_server_url": f"{base_url()}/execution/",
            "simple_auth_manager_users": f"{settings.author}:admin,{settings.approver}:user",
            "simple_auth_manager_passwords_file": str(passwords_file()),
            "hostname_callable": "socket.gethostname",
            "min_serialized_dag_update_interval": "5",
            "test_connection": "Disabled",
        },
        "database": {
            "sql_alchemy_conn": postgres.uri("airflow"),
            # No asynchronous driver is installed; Airflow then leaves its asynchronous session out.
            "sql_alchemy_conn_async": "",
            "sql_alchemy_pool_size": "5",
        },
        "api": {
            "host": "127.0.0.1",
            "port": str(settings.airflow_port),
            "base_url": base_url(),
            "workers": "1",
            "secret_key": secret["airflow_secret_key"],
            "instance_name": "vinelake",
        },
        "api_auth": {"jwt_secret": secret["airflow_jwt_secret"]},
        "scheduler": {
            # Short pauses: a chain of assets advances by one scheduler loop a hop.
            "scheduler_idle_sleep_time": "0.3",
            "scheduler_heartbeat_sec": "2",
            "job_heartbeat_sec": "2",
            "orphaned_tasks_check_interval": "30",
            "task_instance_heartbeat_timeout": "60",
            # Workers are forked from a process that has imported the heavy packages once.
            "mp_start_method": "forkserver",
            "mp_forkserver_preload": PRELOAD,
            # While the imports last, the first task holds the scheduler up; that is not ill health.
            "scheduler_health_check_threshold": "90",
        },
        # A finished task frees its worker only at the next heartbeat, and until then an answered question
        # would be taken for a lost task.
        "workers": {"min_heartbeat_interval": "1"},
        "dag_processor": {
            "refresh_interval": "10",
            "min_file_process_interval": "60",
            "bundle_refresh_check_interval": "2",
            "parsing_processes": "2",
        },
        "logging": {
            # Tasks log what they do; the components themselves only what is wrong.
            "logging_level": "INFO",
            "namespace_levels": " ".join(f"{name}=WARNING" for name in QUIET),
            "uvicorn_logging_level": "WARNING",
            "colored_console_log": "False",
        },
        "usage_data_collection": {"enabled": "False"},
    }


def passwords_file() -> Path:
    """User names and passwords of the web server, readable by the owner alone."""
    return home() / "passwords.json"


def write_configuration() -> None:
    """Writes airflow.cfg and adds a password for each user that has none."""
    settings = get_settings()
    parser = configparser.RawConfigParser()
    for section, options in configuration(settings).items():
        parser[section] = {name: value.replace("%", "%%") for name, value in options.items()}
    text = io.StringIO()
    parser.write(text)
    home().mkdir(parents=True, exist_ok=True)
    write_private(home() / "airflow.cfg", text.getvalue())
    known = json.loads(passwords_file().read_text()) if passwords_file().exists() else {}
    missing = {user: secrets.token_urlsafe(12) for user in (settings.author, settings.approver)} | known
    if missing != known:
        write_private(passwords_file(), json.dumps(missing) + "\n")


def environment() -> dict[str, str]:
    """What components and tasks get: the settings of this process, and the project's programs."""
    settings = get_settings()
    given = settings.model_dump(exclude={"ssl_cert_file", "spark_remote", "var_dir"}, exclude_none=True)
    chosen = {_variable(name): json.dumps(v) if isinstance(v, dict) else str(v) for name, v in given.items()}
    if settings.spark_remote:
        chosen["SPARK_REMOTE"] = settings.spark_remote
    return chosen | {
        "AIRFLOW_HOME": str(home()),
        "VINELAKE_VAR_DIR": str(settings.home),
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(settings.project_dir),
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def _variable(name: str) -> str:
    """The environment variable that a setting is read from."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"VINELAKE_{name.upper()}"


def processes() -> list[Process]:
    """The components as supervised processes. They need PostgreSQL and a migrated database."""
    settings = get_settings()
    commands = {component: ["airflow", component] for component in COMPONENTS}
    commands["scheduler"] = ["lakehouse.services.scheduler"]
    # Logs are read from the folder they share; the log servers would listen on every interface.
    commands["triggerer"].append("--skip-serve-logs")
    return [
        Process(
            name=f"airflow-{component}",
            command=[sys.executable, "-m", *commands[component]],
            port=settings.airflow_port if component == "api-server" else None,
            port_setting="VINELAKE_AIRFLOW_PORT",
            ready=_readiness(component),
            env=environment(),
            cwd=home(),
            start_timeout=240,
        )
        for component in COMPONENTS
    ]


def _readiness(component: str):
    part = {"api-server": "metadatabase", "dag-processor": "dag_processor"}.get(component, component)
    return lambda: health().get(part) == "healthy"


def health() -> dict[str, str]:
    """Each part's state as the web server sees it, `healthy` or not; empty while it does not answer."""
    try:
        answer = call("GET", f"{base_url()}/api/v2/monitor/health", timeout=5)
    except ServiceError:
        return {}
    return {part: (facts or {}).get("status") or "unknown" for part, facts in answer.items()}


def migrate() -> None:
    """Brings Airflow's database to the installed version; skipped when that was done before.

    Raises ServiceError that names the log.
    """
    from importlib.metadata import version

    stamp = home() / "migrated"
    wanted = version("apache-airflow")
    if stamp.exists() and stamp.read_text() == wanted and _has_tables():
        return
    log = get_settings().log_dir / "airflow-migrate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env={**os.environ, **environment()},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home(),
        )
    if done.returncode:
        raise ServiceError(
            "Airflow's database could not be migrated",
            where=str(log),
            remedy="read the log, mend the cause, start again",
        )
    stamp.write_text(wanted)


def _has_tables() -> bool:
    return bool(postgres.query("airflow", "select 1 from pg_tables where tablename = 'alembic_version'"))


def client(user: str | None = None) -> AirflowApi:
    """The REST interface as one of the two users; the author unless another is named."""
    name = user or get_settings().author
    passwords = json.loads(passwords_file().read_text()) if passwords_file().exists() else {}
    if name not in passwords:
        raise ServiceError(
            f"Airflow knows no user {name!r}",
            where=str(passwords_file()),
            remedy=f"use one of {sorted(passwords)}, or `make up` first",
        )
    return AirflowApi(base_url(), name, passwords[name])


def ensure_pools() -> None:
    """Makes or corrects `POOLS`."""
    api = client()
    for name, (slots, description) in POOLS.items():
        api.set_pool(name, slots, description)
