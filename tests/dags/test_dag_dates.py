"""Every task gets its date from the run's partition key, and says so when there is none."""

from __future__ import annotations

import pytest

from lakehouse.errors import ConfigError

UNDATED = {"approve", "tell_held_back"}  # they pass on what others found
DATED = [
    ("ingest_file_drop", "land"),
    ("build_bronze", "build"),
    ("build_bronze", "gate"),
    ("build_bronze", "note_consents"),
    ("report_freshness", "check"),
    ("build_silver", "build"),
    ("build_silver", "identify"),
    ("build_silver", "gate"),
    ("build_features", "build"),
    ("build_features", "contradictions"),
    ("build_features", "trade_matches"),
    ("build_features", "freshness"),
    ("build_features", "gate"),
    ("train_risk_models", "freeze"),
    ("train_risk_models", "train"),
    ("promote_model", "check"),
    ("promote_model", "decide"),
    ("score_portfolio", "score"),
    ("score_portfolio", "gate"),
]


def test_the_list_of_dated_tasks_is_complete(dags, families):
    pulled = {f"ingest_{family.connection}" for family in families}
    found = [
        (dag_id, task.task_id)
        for dag_id, dag in dags.items()
        for task in dag.tasks
        if dag_id not in {"maintain_lakehouse", *pulled} and task.task_id not in UNDATED
    ]
    assert sorted(found) == sorted(DATED)


@pytest.mark.parametrize(("dag_id", "task_id"), DATED)
def test_the_job_gets_the_partition_key(calls, run_task, dag_id, task_id):
    run_task(dag_id, task_id, "2024-01-01")
    ((_, args, kwargs),) = calls
    assert "2024-01-01" in args + tuple(kwargs.values())


@pytest.mark.parametrize(("dag_id", "task_id"), DATED)
@pytest.mark.parametrize("key", [None, "", "2024-1-1", "20240101", "2024-02-30", "yesterday"])
def test_a_missing_or_ill_formed_key_is_told_before_any_work(calls, run_task, dag_id, task_id, key):
    with pytest.raises(ConfigError) as told:
        run_task(dag_id, task_id, key)
    assert dag_id in told.value.where and "partition key" in told.value.remedy
    assert calls == []


def test_each_gate_is_asked_for_its_own_layer(calls, run_task):
    for dag_id, task_id, layer in (
        ("build_bronze", "gate", "bronze"),
        ("build_silver", "gate", "silver"),
        ("build_features", "gate", "gold"),
        ("score_portfolio", "gate", "scores"),
    ):
        calls.clear()
        run_task(dag_id, task_id, "2024-01-01")
        assert calls == [("expectations.gate.gate", (layer, "2024-01-01"), {})]


def test_the_one_who_answered_is_handed_to_the_ledger(calls, run_task):
    run_task("promote_model", "decide", "2024-01-01")
    ((_, args, kwargs),) = calls
    assert args == ("2024-01-01",)
    assert kwargs == {"approver": "risk_officer", "decision": "approve", "comment": "until next review"}


def test_a_rejection_is_recorded_and_announces_no_champion(calls, run_task):
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException):
        run_task("promote_model", "decide", "2024-01-01", option="Reject")
    ((_, _, kwargs),) = calls
    assert kwargs["decision"] == "reject"
