"""What every DAG must have, whoever writes it."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

DAGS = Path(__file__).parents[2] / "dags"
FILES = sorted(path for path in DAGS.glob("*.py") if path.name != "chain.py")
NAMES = [path.stem for path in FILES]
GENERATED = "ingest_sources"  # holds one DAG a connection
SECTIONS = (
    "What it does",
    "Inputs and outputs",
    "Schedule and date",
    "How to rerun",
    "When it fails",
    "Owner",
)
# Names that would let the wall clock or the scheduler's clock into a run.
CLOCKS = {"logical_date", "run_after", "data_interval_start", "data_interval_end", "now", "today", "utcnow"}


def tasks_of(dags):
    return [(dag_id, task) for dag_id, dag in dags.items() for task in dag.tasks]


def waits_for_a_person(task) -> bool:
    return hasattr(task, "response_timeout")


def test_every_file_loads_and_holds_the_dag_it_is_named_after(dag_bag, families):
    assert dag_bag.import_errors == {}
    made = {f"ingest_{family.connection}" for family in families}
    assert sorted(dag_bag.dags) == sorted({*NAMES, *made} - {GENERATED})


def test_few_and_meaningful_tasks(dags):
    for name, dag in dags.items():
        assert len(dag.tasks) <= 20, name


@pytest.mark.parametrize("name", [name for name in NAMES if name != GENERATED])
def test_the_docstring_is_the_runbook(dags, name):
    dag, text = dags[name], docstring(name)
    assert dag.doc_md == text
    for section in SECTIONS:
        body = re.search(rf"^### {section}\n(.+?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
        assert body and body[1].strip(), f"{name} says nothing under {section!r}"
    for task in dag.tasks:
        assert f"`{task.task_id}`" in failures(text), f"{name}: what to do if {task.task_id} fails is not said"
    assert text.strip().endswith(dag.owner)


def docstring(name):
    return ast.get_docstring(ast.parse((DAGS / f"{name}.py").read_text(encoding="utf-8")), clean=False)


def failures(text):
    return re.search(r"^### When it fails\n(.+?)(?=^### )", text, re.MULTILINE | re.DOTALL)[1]


def test_owner_tags_and_description(dags):
    for name, dag in dags.items():
        assert dag.owner in {"data-engineering", "risk-modelling"}, name
        assert "vinelake" in dag.tags and len(dag.tags) >= 2, name
        assert dag.description, name


def test_one_run_at_a_time_and_nothing_made_up_for_the_past(dags):
    for name, dag in dags.items():
        assert dag.max_active_runs == 1, name  # one writer per table
        assert dag.catchup is False, name


def test_retries_limits_and_pools(dags):
    for name, task in tasks_of(dags):
        assert task.retries >= 1, f"{name}.{task.task_id}"
        assert timedelta(0) < task.retry_delay <= timedelta(minutes=10), f"{name}.{task.task_id}"
        assert task.pool in {"engine", "publish", "pulls"}, f"{name}.{task.task_id}"
        limit = task.response_timeout if waits_for_a_person(task) else task.execution_timeout
        assert limit and limit <= timedelta(days=7), f"{name}.{task.task_id}"


def test_what_publishes_does_so_alone(dags):
    for name, task in tasks_of(dags):
        if task.outlets and task.task_id != "train" and not name.startswith("ingest_"):
            assert task.pool == "publish", f"{name}.{task.task_id}"


def test_the_pools_named_here_are_the_ones_that_are_made(dags):
    from lakehouse.services.airflow import POOLS

    assert {task.pool for _, task in tasks_of(dags)} <= set(POOLS)


def test_a_fault_of_data_is_not_retried_and_an_outage_is(dags):
    from airflow.sdk import RetryAction

    from lakehouse import errors

    for name, task in tasks_of(dags):
        for fault, action in (
            (errors.GateFailed("held back"), RetryAction.FAIL),
            (errors.ModelError("too few outcomes"), RetryAction.FAIL),
            (errors.EngineError("engine away"), RetryAction.DEFAULT),
            (ConnectionError("reset"), RetryAction.DEFAULT),
        ):
            if task.task_id.startswith(("pull_", "announce")) and isinstance(fault, errors.EngineError):
                continue  # they use no engine
            decision = task.retry_policy.evaluate(fault, 1, 2)
            assert decision.action is action, f"{name}.{task.task_id}: {fault!r}"


@pytest.mark.parametrize("path", [*FILES, DAGS / "chain.py"], ids=lambda path: path.stem)
def test_no_clock_and_no_environment_is_read(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not used & (CLOCKS | {"environ", "getenv"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_import_work_inside_tasks_only(path):
    """At the top stand Airflow, the shared module and the standard library."""
    roots = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    assert roots <= {"__future__", "datetime", "functools", "typing", "airflow", "chain", "lakehouse"}


def test_a_person_decides_and_is_named(dags):
    from lakehouse.settings import get_settings

    asked = [(name, task) for name, task in tasks_of(dags) if waits_for_a_person(task)]
    assert [(name, task.task_id) for name, task in asked] == [("promote_model", "approve")]
    (_, approve) = asked[0]
    assert [user["id"] for user in approve.assigned_users] == [get_settings().approver]
    assert get_settings().approver != get_settings().author
    assert approve.defaults is None  # nobody's silence is a decision
