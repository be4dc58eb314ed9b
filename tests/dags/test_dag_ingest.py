"""One DAG a connection and one task a department, made from the contracts alone; one failure leaves the rest be."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest

from lakehouse.errors import ConfigError, SchemaChanged, SourceError, SourceUnavailable


def pulls(families):
    return [(f"ingest_{f.connection}", f, held[0].feed, name) for f in families for name, held in f.departments.items()]


def test_every_feed_of_the_contracts_is_pulled_by_one_task(dags, families):
    from lakehouse import contracts
    from lakehouse.settings import get_settings

    wanted = {
        (c.feed.connection, c.feed.department)
        for c in contracts.load_all(get_settings().contracts_dir).values()
        if c.feed
    }
    made = {
        (family.connection, task.task_id.removeprefix("pull_"))
        for family in families
        for task in dags[f"ingest_{family.connection}"].tasks
        if task.task_id != "announce"
    }
    assert made == wanted


def test_the_feeds_read_in_haste_are_the_feeds_of_the_contracts(families):
    from lakehouse import contracts
    from lakehouse.settings import get_settings

    loaded = contracts.load_all(get_settings().contracts_dir).values()
    assert {o.contract: (o.feed, o.owner) for f in families for o in f.feeds} == {
        c.id: (c.feed, c.owner) for c in loaded if c.feed
    }


def test_departments_do_not_wait_for_each_other(dags, families):
    for dag_id, _, feed, _ in pulls(families):
        task = dags[dag_id].get_task(f"pull_{feed.department}")
        assert not task.upstream_task_ids
        assert task.downstream_task_ids == {"announce"}
        assert [asset.name for asset in task.outlets] == [f"landing/{feed.connection}/{feed.department}"]


def test_the_end_of_the_pulls_is_told_whatever_became_of_them(dags, families):
    for family in families:
        dag = dags[f"ingest_{family.connection}"]
        announce = dag.get_task("announce")
        assert announce.is_teardown and announce.trigger_rule == "all_done_setup_success"
        assert len(announce.upstream_task_ids) == len(family.departments)
        assert not [task for task in dag.tasks if task.is_setup]


def test_only_a_source_that_is_away_is_asked_again_and_its_breaker_is_closed_by_then(dags, families):
    from airflow.sdk import RetryAction

    from lakehouse.settings import get_settings

    for dag_id, _, feed, _ in pulls(families):
        task = dags[dag_id].get_task(f"pull_{feed.department}")
        assert task.retry_delay > timedelta(seconds=get_settings().breaker_seconds)
        for fault, action in (
            (SourceUnavailable("503"), RetryAction.RETRY),
            (SourceError("broken JSON"), RetryAction.FAIL),
            (SchemaChanged("+x"), RetryAction.FAIL),
            (ConfigError("no connection"), RetryAction.FAIL),
        ):
            assert task.retry_policy.evaluate(fault, 1, 2).action is action


def test_the_runbook_lists_the_feeds_and_their_policies(dags, families):
    for family in families:
        text = dags[f"ingest_{family.connection}"].doc_md
        for outline in family.feeds:
            assert re.search(
                rf"\| {outline.feed.department} \| {outline.contract} \| .* \| {outline.feed.when_stale} \|", text
            )
        assert "`pull_<department>`" in text and text.strip().endswith("data-engineering")


@pytest.fixture
def government(families):
    return next(f for f in families if f.connection == "government")


def first(family):
    name, held = next(iter(family.departments.items()))
    return name, held[0].feed.department


def test_a_pull_gets_the_date_and_tells_which_batches_came(calls, run_task, government, chain):
    name, department = first(government)
    run = run_task("ingest_government", f"pull_{department}", "2020-03-01")
    assert calls == [("spark_jobs.pull.runner.pull_department", ("2020-03-01", name), {})]
    asset = chain.department_asset("government", department)
    assert run.outlets[asset].extra == {"batches": ["b1"], "records": 3}


@pytest.mark.parametrize("key", [None, "2020-3-1"])
def test_a_pull_without_a_date_asks_nothing(calls, run_task, government, key):
    _, department = first(government)
    for task_id in (f"pull_{department}", "announce"):
        with pytest.raises(ConfigError) as told:
            run_task("ingest_government", task_id, key)
        assert "ingest_government" in told.value.where and "partition key" in told.value.remedy
    assert calls == []


def test_the_announcement_names_who_failed_and_why(calls, run_task, government, chain):
    departments = [held[0].feed.department for held in government.departments.values()]
    told = {(f"pull_{d}", "return_value"): {"records": {"a": 2, "b": 1}} for d in departments[2:]}
    told[f"pull_{departments[0]}", "failure"] = "courts is away"
    run = run_task("ingest_government", "announce", "2020-03-01", told=told)
    facts = run.outlets[chain.family_asset("government")].extra
    assert facts["records"] == 3 * (len(departments) - 2)
    assert facts["failed"] == {
        departments[0]: "courts is away",
        departments[1]: "ended without a word; see its log",
    }


def test_a_connection_that_is_not_here_is_skipped_and_keeps_nobody_waiting(
    calls, run_task, connected, government, chain
):
    from airflow.sdk.exceptions import AirflowSkipException

    connected(none=True)
    _, department = first(government)
    with pytest.raises(AirflowSkipException, match="no connection 'government'"):
        run_task("ingest_government", f"pull_{department}", "2020-03-01")
    run = run_task("ingest_government", "announce", "2020-03-01")
    assert run.outlets[chain.family_asset("government")].extra["failed"] == {}
    assert calls == []


def test_consents_are_noted_for_what_bureaus_are_asked_and_only_where_they_are(calls, run_task, connected, families):
    from airflow.sdk.exceptions import AirflowSkipException

    run_task("build_bronze", "note_consents", "2020-03-01")
    ((_, _, kwargs),) = calls
    asked = [o.feed for f in families for o in f.feeds if o.feed.protocol == "enquiry"]
    assert kwargs["purposes"] == sorted({feed.options["purpose"] for feed in asked}) != []
    connected(none=True)
    with pytest.raises(AirflowSkipException, match="no bureau"):
        run_task("build_bronze", "note_consents", "2020-03-01")


def test_the_clock_pulls_where_a_source_has_our_calendar_and_leaves_a_simulated_world_alone(chain, connected):
    assert chain.last_day_of_clock() is None
    connected(simulated=True)
    assert chain.last_day_of_clock().year == 2000
    connected(none=True)
    assert chain.last_day_of_clock().year == 2000


def test_a_failed_task_is_told_to_whoever_is_to_know(chain, dags, monkeypatch):
    from lakehouse import alerts

    sent = []
    monkeypatch.setattr(alerts, "send", lambda title, text, **facts: sent.append((title, text, facts)))
    context = {
        "ti": SimpleNamespace(dag_id="ingest_government", task_id="pull_courts", run_id="r1"),
        "dag_run": SimpleNamespace(partition_key="2020-03-01"),
        "exception": SourceUnavailable("courts is away", where="/v1/courts", remedy="wait"),
    }
    chain.tell_failure(context)
    ((title, text, facts),) = sent
    assert title == "ingest_government ▸ pull_courts failed"
    assert "courts is away" in text and facts["partition"] == "2020-03-01"
    for dag in dags.values():
        for task in dag.tasks:
            assert chain.tell_failure in task.on_failure_callback, f"{dag.dag_id}.{task.task_id}"
