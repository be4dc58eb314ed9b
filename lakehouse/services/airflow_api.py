"""Airflow's REST interface: trigger, watch and answer, as a named user."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from lakehouse.errors import ServiceError

SETTLE_SECONDS = 4
READ_ATTEMPTS, READ_PAUSE_SECONDS = 3, 2
FINISHED = frozenset({"success", "failed"})


def call(
    method: str, url: str, body: dict | None = None, token: str | None = None, timeout: float = 30
) -> dict[str, Any]:
    """One JSON request. Raises ServiceError with the server's own words; its `status` is the HTTP code."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        words = error.read().decode(errors="replace")
        raise _refused(f"Airflow refused {method} ({error.code}): {words[:500]}", url, error.code) from error
    except (urllib.error.URLError, OSError) as error:
        raise _refused(f"Airflow does not answer: {error}", url, 0) from error
    return json.loads(text) if text else {}


def _refused(what: str, url: str, status: int) -> ServiceError:
    remedy = "`make status` shows what runs; `make up` starts it" if status == 0 else None
    error = ServiceError(what, where=url, remedy=remedy)
    error.status = status
    return error


class AirflowApi:
    """A user's view of a running Airflow. The login is made on first use and renewed when it expires."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self.base_url, self.user, self._password = base_url.rstrip("/"), user, password
        self._token: str | None = None

    def request(self, method: str, path: str, body: dict | None = None, query: dict | None = None) -> dict[str, Any]:
        """A request below `/api/v2`, with JSON in and out."""
        url = f"{self.base_url}/api/v2{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        for attempt in (1, 2):
            if self._token is None:
                login = {"username": self.user, "password": self._password}
                self._token = call("POST", f"{self.base_url}/auth/token", login)["access_token"]
            try:
                return self._call(method, url, body)
            except ServiceError as error:
                if getattr(error, "status", 0) != 401 or attempt == 2:
                    raise
                self._token = None
        raise AssertionError("unreachable")

    def _call(self, method: str, url: str, body: dict | None) -> dict[str, Any]:
        """One request; a question that a busy server was too slow to answer is put again."""
        for _ in range(READ_ATTEMPTS - 1 if method == "GET" else 0):
            try:
                return call(method, url, body, self._token)
            except ServiceError as error:
                if getattr(error, "status", 0) != 0:
                    raise
                time.sleep(READ_PAUSE_SECONDS)
        return call(method, url, body, self._token)

    # DAGs

    def dags(self) -> list[dict]:
        """All DAGs that Airflow has read."""
        return self.request("GET", "/dags", query={"limit": 100})["dags"]

    def import_errors(self) -> list[dict]:
        """Files under `dags/` that could not be read, each with `filename` and `stack_trace`."""
        return self.request("GET", "/importErrors", query={"limit": 100})["import_errors"]

    def wait_for_dags(self, names: list[str], timeout: float = 120) -> None:
        """Waits until Airflow has read these DAGs; raises ServiceError with the import errors else."""
        missing: set[str] = set()

        def all_there() -> bool:
            nonlocal missing
            missing = set(names) - {dag["dag_id"] for dag in self.dags() if not dag.get("is_stale")}
            return not missing

        if not _poll(all_there, timeout, 0.5):
            errors = "\n".join(f"{e['filename']}: {e['stack_trace'][-500:]}" for e in self.import_errors())
            raise ServiceError(
                f"Airflow has not read {sorted(missing)} within {timeout:.0f} s",
                where=errors or "the dags folder",
                remedy="mend the import errors, or look into airflow-dag-processor.log",
            )

    def unpause(self, dag_id: str) -> None:
        """Lets the scheduler start runs of a DAG."""
        self.request("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Keeps the scheduler from starting runs of a DAG; what would have started one meanwhile is lost."""
        self.request("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": True})

    # Runs

    def trigger(
        self, dag_id: str, partition_key: str | None = None, conf: dict | None = None, note: str | None = None
    ) -> str:
        """Starts a run and returns its id. The run's date is its partition key; it has no logical date."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf or {}}
        if partition_key is not None:
            body["partition_key"] = partition_key
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
            body["dag_run_id"] = f"manual__{partition_key}__{stamp}"
        if note:
            body["note"] = note
        return self.request("POST", f"/dags/{quote(dag_id)}/dagRuns", body)["dag_run_id"]

    def runs(self, dag_id: str = "~", partition_key: str | None = None, limit: int = 100) -> list[dict]:
        """Runs of a DAG (`~`: of all), the newest first, of one partition where it is named."""
        query = {"order_by": "-id", "limit": limit}
        found = self.request("GET", f"/dags/{quote(dag_id)}/dagRuns", query=query)["dag_runs"]
        return [run for run in found if partition_key is None or run.get("partition_key") == partition_key]

    def run(self, dag_id: str, run_id: str) -> dict:
        """One run; `state` is queued, running, success or failed."""
        return self.request("GET", f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}")

    def tasks(self, dag_id: str, run_id: str) -> list[dict]:
        """The task instances of a run (`~` for all DAGs or runs)."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='~')}/taskInstances"
        return self.request("GET", path, query={"limit": 100})["task_instances"]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task returned; None if it returned nothing."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances/{quote(task_id)}"
        try:
            return self.request("GET", f"{path}/xcomEntries/{quote(key)}")["value"]
        except ServiceError as error:
            if getattr(error, "status", 0) == 404:
                return None
            raise

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """A task's log as text."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances/{quote(task_id)}"
        content = self.request("GET", f"{path}/logs/{try_number}", query={"full_content": "true"})["content"]
        if isinstance(content, str):
            return content
        return "\n".join(line if isinstance(line, str) else line.get("event", "") for line in content)

    def wait_for_run(
        self, dag_id: str, run_id: str, timeout: float = 900, seen: Callable[[dict], None] | None = None
    ) -> dict:
        """Waits for the end of a run and returns it; `seen` is shown the run at every look.

        Raises ServiceError when the time is up, and when the run failed: it names the tasks.
        """
        last: dict = {}

        def over() -> bool:
            nonlocal last
            last = self.run(dag_id, run_id)
            if seen:
                seen(last)
            return last["state"] in FINISHED

        if not _poll(over, timeout, 0.5):
            raise ServiceError(
                f"{dag_id} did not end within {timeout:.0f} s",
                where=run_id,
                remedy=f"look at {self.base_url}",
            )
        if last["state"] == "failed":
            failed = [task["task_id"] for task in self.tasks(dag_id, run_id) if task["state"] == "failed"]
            raise ServiceError(
                f"{dag_id} failed in {', '.join(failed) or 'no task: see the scheduler log'}",
                where=f"{self.base_url}/dags/{dag_id}/runs/{run_id}",
                remedy="read the task's log there, mend the cause, clear the task",
            )
        return last

    def clear(self, dag_id: str, run_id: str, only_failed: bool = True) -> None:
        """Lets a run's tasks run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": only_failed, "reset_dag_runs": True}
        self.request("POST", f"/dags/{quote(dag_id)}/clearTaskInstances", body)

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Removes a finished run with its task instances."""
        self.request("DELETE", f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}")

    def forget_asset_events(self, dag_id: str) -> None:
        """Drops the asset events that wait for others before they start a DAG."""
        try:
            self.request("DELETE", f"/dags/{quote(dag_id)}/assets/queuedEvents")
        except ServiceError as error:
            if getattr(error, "status", 0) != 404:  # none are queued
                raise

    # People

    def questions(self, dag_id: str = "~", run_id: str = "~") -> list[dict]:
        """What waits for a person's answer: `subject`, `body`, `options`, `params`, `task_instance`."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='~')}/hitlDetails"
        query = {"response_received": "false", "limit": 100}
        return self.request("GET", path, query=query)["hitl_details"]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, params: dict | None = None) -> dict:
        """Answers a waiting task as this user; Airflow notes who it was and refuses whom it did not ask.

        Waits until the question is `SETTLE_SECONDS` old: a task that is answered before the scheduler has
        noted that it waits is taken for one that was lost, and failed.
        """
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances/{quote(task_id)}"
        asked = datetime.fromisoformat(self.request("GET", f"{path}/-1/hitlDetails")["created_at"])
        time.sleep(max(0.0, SETTLE_SECONDS - (datetime.now(UTC) - asked).total_seconds()))
        body = {"chosen_options": [option], "params_input": params or {}}
        return self.request("PATCH", f"{path}/-1/hitlDetails", body)

    # Pools

    def set_pool(self, name: str, slots: int, description: str = "") -> None:
        """Makes a pool, or sets the slots of the one that is there."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        try:
            self.request("POST", "/pools", body)
        except ServiceError as error:
            if getattr(error, "status", 0) != 409:
                raise
            body = {"pool": name, "slots": slots, "description": description, "include_deferred": False}
            self.request("PATCH", f"/pools/{quote(name)}", body)


def _poll(done: Callable[[], bool], timeout: float, pause: float) -> bool:
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
