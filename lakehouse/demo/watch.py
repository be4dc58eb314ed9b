"""Follows one day's news through the chain of DAGs over Airflow's REST interface, and answers the approval."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lakehouse.errors import ModelError, ServiceError, VinelakeError
from lakehouse.services.airflow_api import AirflowApi

DROP = ("ingest_file_drop",)
# What follows once what came has landed, and which task of a DAG announces its result to which others.
BUILDING = ("build_bronze", "build_silver", "build_features", "score_portfolio")
MODELLING = ("train_risk_models", "promote_model")
FOLLOWS = {
    "build_bronze": ("gate", ["build_silver"]),
    "build_silver": ("gate", ["build_features"]),
    "build_features": ("gate", ["train_risk_models", "score_portfolio"]),
    "train_risk_models": ("train", ["promote_model"]),
    "promote_model": ("decide", ["score_portfolio"]),
}
ALERT = "report_freshness"
# Where a `ModelError` says that no model can be had of these data, which is an answer and no outage.
REFUSALS = {("train_risk_models", "freeze"), ("train_risk_models", "train"), ("promote_model", "check")}
FINISHED = {"success", "failed"}
# After an answer the question stays open for a moment; asked for longer, it was put anew.
ANSWER_REST_SECONDS = 10.0
START_PATIENCE_SECONDS = 90.0
# An event is lost when its listener was paused; past this, the listener is started by hand.
NUDGE_SECONDS = 20.0
PAUSE_SECONDS = 0.5


@dataclass
class TaskSeen:
    """What was last seen of a task: its state, and seconds of work (waiting in queues left out)."""

    dag_id: str
    run_id: str
    task_id: str
    state: str | None
    seconds: float | None
    attempt: int
    ended: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Route:
    """The DAGs that are followed: those that bring in what is new, and those that go on from it.

    `begins` are started by whoever watches; when all have told that they ended, `build_bronze` starts.
    """

    begins: tuple[str, ...] = DROP
    goes_on: tuple[str, ...] = BUILDING + MODELLING

    @property
    def dags(self) -> tuple[str, ...]:
        """Every DAG of the route; with pulls, the one that tells how fresh they are as well."""
        pulls = any(dag_id.startswith("ingest_") and dag_id not in DROP for dag_id in self.begins)
        return (*self.begins, *self.goes_on, *((ALERT,) if pulls else ()))

    def announcing(self, dag_id: str) -> tuple[str, list[str]]:
        """The task of a DAG whose success starts others, and those of them that are on the route."""
        if dag_id in self.begins and dag_id not in FOLLOWS:
            task, followers = "land" if dag_id in DROP else "announce", ["build_bronze"]
        else:
            task, followers = FOLLOWS.get(dag_id, ("", []))
        return task, [follower for follower in followers if follower in self.goes_on]


@dataclass
class Watch:
    """The runs of one partition since a moment, and the newest of before (`taken_up`), so that the chain is
    whole in the end however often it was broken off.

    `changed` is told of every change of a task's state, `tick` at every look which tasks are at work.
    `answer` gets DAG, run and task of a question; without it a person answers in the browser.
    That no model could be made, or the promotion gate refuses it, is kept in `refusals`: an answer, not an outage. A
    department that could not be pulled, or a feed that is stale, holds nothing up; it is kept in `remarks`.
    """

    api: AirflowApi
    partition: str
    since: datetime
    log_dir: Path
    changed: Callable[[TaskSeen], None]
    tick: Callable[[list[TaskSeen]], None]
    answer: Callable[[str, str, str], None] | None
    taken_up: set[str] = field(default_factory=set)
    route: Route = field(default_factory=Route)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[tuple[str, str], TaskSeen] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    remarks: dict[tuple[str, str], str] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)
    _nudged: set[str] = field(default_factory=set)

    def follow(self) -> list[TaskSeen]:
        """Returns all tasks when the last DAG of the chain has ended.

        Raises VinelakeError for the first task that fails for good: which, why, and where its log is.
        """
        idle_since = time.monotonic()
        while True:
            self.look()
            self._raise_failure()
            open_runs = [run for run in self.runs.values() if run["state"] not in FINISHED]
            missing = self.missing()
            if not open_runs and not missing:
                return list(self.tasks.values())
            if open_runs:
                idle_since = time.monotonic()
            self._nudge(missing, time.monotonic() - idle_since)
            time.sleep(PAUSE_SECONDS)

    def _nudge(self, missing: list[str], idle: float) -> None:
        """Starts what should have started by itself; raises ServiceError when even that does not help."""
        if idle > NUDGE_SECONDS:
            for dag_id in set(missing) - self._nudged:
                self._nudged.add(dag_id)
                self.api.trigger(dag_id, self.partition, note="started by `vinelake`")
        if idle > START_PATIENCE_SECONDS:
            raise ServiceError(
                f"Airflow has not started {', '.join(missing)} within {START_PATIENCE_SECONDS:.0f} s",
                where=str(self.log_dir.parent.parent / "logs" / "airflow-scheduler.log"),
                remedy="see `vinelake status`; then run the same command again: it goes on from here",
            )

    def look(self) -> None:
        """Reads the state of all runs that belong to this drop, and of their tasks."""
        for run in self.api.runs(partition_key=self.partition):
            key = run["dag_run_id"]
            if run["dag_id"] in self.route.dags and (key in self.taken_up or moment(run["run_after"]) >= self.since):
                self.runs[key] = run
        for key, run in sorted(self.runs.items(), key=lambda item: item[1]["run_after"]):
            if key in self._closed:
                continue
            for task in self.api.tasks(run["dag_id"], key):
                self._note(run["dag_id"], key, task)
            if run["state"] in FINISHED:
                self._closed.add(key)
        self.tick([task for task in self.tasks.values() if task.state in ("running", "awaiting_input")])

    def _note(self, dag_id: str, run_id: str, task: dict[str, Any]) -> None:
        key = (run_id, task["task_id"])
        before = self.tasks.get(key)
        seen = TaskSeen(
            dag_id, run_id, task["task_id"], task["state"], task["duration"], task["try_number"], task["end_date"]
        )
        if seen.state == "up_for_retry":
            seen.reason = last_error(self.log_of(seen))
        self.tasks[key] = seen
        if before is None or (before.state, before.attempt) != (seen.state, seen.attempt):
            self.changed(seen)
        if seen.state == "awaiting_input" and self.answer and time.monotonic() >= self._asked.get(run_id, 0):
            self.answer(dag_id, run_id, seen.task_id)
            self._asked[run_id] = time.monotonic() + ANSWER_REST_SECONDS

    def missing(self) -> list[str]:
        """DAGs that have yet to start, because what they follow was announced."""
        waiting = []
        for key, run in self.runs.items():
            begins = run["dag_id"] in self.route.begins
            since = self._all_begun() if begins else self._announced(key)
            for follower in self.route.announcing(run["dag_id"])[1] if since else ():
                starts = [moment(r["run_after"]) for r in self.runs.values() if r["dag_id"] == follower]
                if not any(start >= since for start in starts):
                    waiting.append(follower)
        return waiting

    def _goes_on_lamely(self, dag_id: str) -> bool:
        """Whether the chain goes on from a DAG of which a part failed: departments and feeds are many."""
        return dag_id in (*self.route.begins, "build_bronze")

    def _all_begun(self) -> datetime | None:
        """When the last of the DAGs that bring in what is new told that it ended; None before that."""
        told = dict.fromkeys(self.route.begins)
        for key, run in self.runs.items():
            if run["dag_id"] in told and (ended := self._announced(key)):
                told[run["dag_id"]] = max(ended, told[run["dag_id"]] or ended)
        return max(told.values()) if all(told.values()) else None

    def _announced(self, key: str) -> datetime | None:
        """When a run that has ended told others to start; None if it did not."""
        run = self.runs[key]
        task = self.tasks.get((key, self.route.announcing(run["dag_id"])[0]))
        whole = run["state"] == "success" or (self._goes_on_lamely(run["dag_id"]) and run["state"] == "failed")
        return moment(task.ended) if task and task.state == "success" and whole else None

    def _raise_failure(self) -> None:
        for key, run in self.runs.items():
            if run["state"] != "failed":
                continue
            failed = [t for (run_id, _), t in self.tasks.items() if run_id == key and t.state == "failed"]
            if failed and self._holds_nothing_up(key, failed):
                continue
            if not failed:
                raise ServiceError(
                    f"{run['dag_id']} failed without any task having failed",
                    where=f"{self.api.base_url}/dags/{run['dag_id']}/runs/{key}",
                    remedy="look at the run there",
                )
            task = failed[0]
            log = self.log_of(task)
            if self._is_refusal(key, task, log):
                continue
            raise VinelakeError(
                f"{task.dag_id} ▸ {task.task_id} failed: {self.reason(task, log)}",
                where=f"log {log}",
                remedy=f"the runbook is the documentation of {task.dag_id} in Airflow ({self.api.base_url}); "
                "after mending, run the same command again: it goes on from this task",
            )

    @property
    def refused(self) -> str | None:
        """Why there is no new champion; None where nothing was refused."""
        return next(iter(self.refusals.values()), None)

    def _is_refusal(self, key: str, task: TaskSeen, log: Path) -> bool:
        """Whether a failed task tells that no model can be had; notes it then, and asks for each run once."""
        if key not in self.refusals and (task.dag_id, task.task_id) in REFUSALS:
            kind = self.api.xcom(task.dag_id, task.run_id, task.task_id, "failure_kind")
            if kind == ModelError.__name__:
                self.refusals[key] = f"{task.dag_id} ▸ {task.task_id}: {self.reason(task, log)}"
        return key in self.refusals

    def _holds_nothing_up(self, key: str, failed: list[TaskSeen]) -> bool:
        """Whether the chain goes on without what failed; notes it then."""
        dag_id = self.runs[key]["dag_id"]
        if dag_id != ALERT and not (self._goes_on_lamely(dag_id) and self._announced(key)):
            return False
        for task in failed:
            if (key, task.task_id) not in self.remarks:
                said = self.reason(task, self.log_of(task)).splitlines()
                self.remarks[key, task.task_id] = f"{dag_id} ▸ {task.task_id}: {said[0] if said else 'failed'}"
        return True

    def log_of(self, task: TaskSeen) -> Path:
        """The file with the log of a task's last attempt."""
        run = self.log_dir / f"dag_id={task.dag_id}" / f"run_id={task.run_id}"
        return run / f"task_id={task.task_id}" / f"attempt={task.attempt}.log"

    def reason(self, task: TaskSeen, log: Path) -> str:
        """Why a task failed: what its job said, else the last error of its log."""
        said = self.api.xcom(task.dag_id, task.run_id, task.task_id, "failure")
        return str(said) if said else last_error(log)


def moment(text: str) -> datetime:
    """A time as Airflow writes it."""
    return datetime.fromisoformat(text)


def last_error(log: Path) -> str:
    """The exception that ended a task, from Airflow's log of JSON lines."""
    if not log.exists():
        return "no log was written; the worker may have been killed"
    for line in reversed(log.read_text(encoding="utf-8", errors="replace").splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        for detail in entry.get("error_detail") or []:
            return f"{detail.get('exc_type')}: {detail.get('exc_value')}"
    return "see the log"


def take_up(api: AirflowApi, partition: str, route: Route) -> tuple[set[str], set[str]]:
    """Has what did not end well go on; returns the newest run of every DAG, and those of them still to end.

    Failed runs have their failed tasks cleared; runs under way are only followed.
    """
    newest, unfinished = set(), set()
    for dag_id in route.dags:
        for run in api.runs(dag_id, partition)[:1]:  # newest first
            newest.add(run["dag_run_id"])
            if run["state"] == "failed":
                api.clear(dag_id, run["dag_run_id"])
            if run["state"] != "success":
                unfinished.add(run["dag_run_id"])
    return newest, unfinished
