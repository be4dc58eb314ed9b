"""Removes the data of the lakehouse in use while its services go on running, so that the next run starts warm.

Users, passwords and the services' own logs stay. What other lakehouses beside it hold is removed with it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from lakehouse import engine
from lakehouse.errors import ServiceError
from lakehouse.services import airflow, mlflow, postgres, source_world, stack
from lakehouse.services.process import noted_process
from lakehouse.settings import get_settings
from lakehouse.time import utc_now

# What belongs to the services in a lakehouse's folder; all else there is data.
SERVICE_OWNED = {"airflow", "engine", "logs", "mlflow", "postgres", "run", "secrets.json"}


def clear() -> bool:
    """Removes all data; True if the services were kept, False if there was none running to keep.

    Where only a part of the services runs, that part is stopped. Raises ServiceError while a run is under way.
    """
    keep = all(row["state"] == "up" for row in stack.status())
    if not keep:
        stack.down()
    with stack.lock(), _tasks_held() if keep else contextlib.nullcontext():
        source_world.stop_systems()
        if keep:
            _clear_tables()
            _clear_airflow()
            _clear_mlflow()
        _remove_files(keep)
    return keep


@contextlib.contextmanager
def _tasks_held() -> Iterator[None]:
    """Lets no task start meanwhile: of a run on schedule it would write into what is being removed."""
    try:
        for name, (_, description) in airflow.POOLS.items():
            airflow.client().set_pool(name, 0, description)
        _refuse_while_running()
        yield
    finally:
        airflow.ensure_pools()


def _refuse_while_running() -> None:
    running = [run for run in airflow.client().runs() if run["state"] not in ("success", "failed")]
    if running:
        names = ", ".join(f"{run['dag_id']} {run['dag_run_id']}" for run in running[:3])
        raise ServiceError(
            f"{len(running)} runs are under way: {names}",
            where=airflow.base_url(),
            remedy="wait for their end, or `make down` first; then clear again",
        )


def _clear_tables() -> None:
    """Drops every schema of the catalog but the default one; the tables' files go with their folder."""
    with engine.session("clearing") as spark:
        for (schema,) in spark.sql("SHOW SCHEMAS").collect():
            if schema != "default":
                spark.sql(f"DROP SCHEMA IF EXISTS `{schema}` CASCADE")


def _clear_airflow() -> None:
    api = airflow.client()
    for dag in api.dags():
        api.forget_asset_events(dag["dag_id"])
        while runs := api.runs(dag["dag_id"]):
            for run in runs:
                api.delete_run(dag["dag_id"], run["dag_run_id"])
    # What has come for a day that still waits for the rest of it; there is no request for that.
    postgres.execute("airflow", "DELETE FROM partitioned_asset_key_log")
    postgres.execute("airflow", "DELETE FROM asset_partition_dag_run")
    _empty(airflow.home() / "logs")


def _clear_mlflow() -> None:
    """MLflow keeps what it deletes; a new database is the one way to be rid of it."""
    server = mlflow.process()
    server.stop()
    postgres.recreate_database("mlflow")
    _empty(mlflow.artifacts_dir())
    server.start()


def _remove_files(keep: bool) -> None:
    settings = get_settings()
    for entry in _entries(settings.home):
        if not keep or entry.name not in SERVICE_OWNED:
            _remove(entry)
    if keep:
        (settings.home / f"warehouse-{utc_now():%Y%m%dT%H%M%S}").mkdir()
    if settings.home.parent != settings.project_dir / "var":
        return  # a folder of the user's own choice: nothing beside it is ours
    for entry in _entries(settings.home.parent):
        in_use = any(noted_process(note) for note in entry.glob("run/*.json"))
        if not in_use and not (keep and entry.resolve() == settings.home):
            _remove(entry)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _empty(folder: Path) -> None:
    for entry in _entries(folder):
        _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
