"""The DAGs form one chain from received files to scores, joined by assets that carry the partition key."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

EDGES = {
    ("ingest_file_drop", "build_bronze"),
    ("ingest_file_drop", "report_freshness"),
    ("build_bronze", "build_silver"),
    ("build_silver", "build_features"),
    ("build_features", "train_risk_models"),
    ("build_features", "score_portfolio"),
    ("train_risk_models", "promote_model"),
    ("promote_model", "score_portfolio"),
}


def edges(dags):
    made = {asset.name: dag_id for dag_id, dag in dags.items() for t in dag.tasks for asset in t.outlets}
    found = set()
    for dag_id, dag in dags.items():
        found |= {(made[name], dag_id) for name in names(getattr(dag.timetable, "asset_condition", None))}
    return found


def names(condition):
    """The assets in a schedule's condition, however it is nested."""
    if condition is None:
        return set()
    return {condition.name} if hasattr(condition, "name") else set().union(*map(names, condition.objects))


def test_assets_join_the_dags(dags, families):
    pulled = {
        (f"ingest_{family.connection}", follower)
        for family in families
        for follower in ("build_bronze", "report_freshness")
    }
    assert edges(dags) == EDGES | pulled


def test_keys_are_passed_through_unchanged(dags):
    from airflow.sdk import IdentityMapper, PartitionedAssetTimetable

    for _, dag_id in EDGES:
        timetable = dags[dag_id].timetable
        assert isinstance(timetable, PartitionedAssetTimetable), dag_id
        assert isinstance(timetable.default_partition_mapper, IdentityMapper), dag_id
        assert not timetable.partition_mapper_config, dag_id


def test_scores_follow_new_features_and_a_new_champion_alike(dags):
    from airflow.sdk import AssetAny

    assert isinstance(dags["score_portfolio"].timetable.asset_condition, AssetAny)


def test_bronze_waits_for_every_connection_but_not_for_a_drop(dags, families, chain):
    from airflow.sdk import AssetAll, AssetAny

    condition = dags["build_bronze"].timetable.asset_condition
    assert isinstance(condition, AssetAny)
    waited = [each for each in condition.objects if isinstance(each, AssetAll)]
    assert names(condition) - names(AssetAll(*waited)) == {chain.DROP.name}
    assert names(AssetAll(*waited)) == {f"landing/{family.connection}" for family in families}


def test_ingest_runs_daily_and_takes_any_date_by_hand(dags, families):
    from airflow.serialization.serialized_objects import DagSerialization

    for dag_id in ("ingest_file_drop", *(f"ingest_{family.connection}" for family in families)):
        told = DagSerialization.from_dict(DagSerialization.to_dict(dags[dag_id]))
        assert told.timetable.partitioned
        told.validate_partition_key("2020-03-01")
        assert told.timetable.resolve_partition_date("2020-03-01").strftime("%Y-%m-%d") == "2020-03-01"
        with pytest.raises(Exception, match="2020-13-01"):
            told.timetable.resolve_partition_date("2020-13-01")


def test_every_dag_survives_the_way_to_the_scheduler(dags):
    from airflow.serialization.serialized_objects import DagSerialization

    for dag_id, dag in dags.items():
        told = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        assert told.task_ids == dag.task_ids, dag_id


def announced(through, warehouse="warehouse"):
    return SimpleNamespace(extra={"through": through, "warehouse": warehouse})


@pytest.mark.parametrize(("dag_id", "task_id"), [("ingest_file_drop", "land"), ("build_bronze", "build")])
def test_nothing_new_ends_as_skipped_and_so_announces_nothing(chain, dags, calls, run_task, dag_id, task_id):
    from airflow.sdk.exceptions import AirflowSkipException

    events = [announced(3, chain.warehouse()), announced(7, chain.warehouse())]
    with pytest.raises(AirflowSkipException, match="0 new batches"):
        run_task(dag_id, task_id, "2024-01-01", events=events)
    assert all(task.trigger_rule == "all_success" for task in dags[dag_id].tasks)


@pytest.mark.parametrize(("dag_id", "task_id"), [("ingest_file_drop", "land"), ("build_bronze", "build")])
def test_what_was_landed_but_not_published_is_still_new(chain, calls, run_task, dag_id, task_id):
    events = [announced(6, chain.warehouse()), SimpleNamespace(extra=None)]
    assert run_task(dag_id, task_id, "2024-01-01", events=events).result
    assert len(calls) == 1


def test_what_was_published_in_tables_that_were_cleared_since_is_new(calls, run_task, monkeypatch, tmp_path):
    from lakehouse.settings import get_settings

    (tmp_path / "warehouse-20240105T000000").mkdir()
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    assert run_task("build_bronze", "build", "2024-01-01", events=[announced(7)]).result["through"] == 7
    get_settings.cache_clear()


def test_a_feed_that_is_held_back_keeps_no_other_waiting_and_is_told(chain, dags, calls, run_task, monkeypatch):
    import sys

    from lakehouse.errors import EngineError, GateFailed

    def fails(error):
        def build(_):
            raise error

        return build

    monkeypatch.setattr(sys.modules["spark_jobs.bronze"], "build", fails(GateFailed("courts__case: 3 of 4 rows")))
    built = run_task("build_bronze", "build", "2024-01-01", events=[announced(3, chain.warehouse())]).result
    assert built["through"] == 3 and "courts__case" in built["held_back"]
    with pytest.raises(GateFailed, match=r"courts__case[^$]*gas__bill"):
        run_task("build_bronze", "tell_held_back", "2024-01-01")
    assert dags["build_bronze"].get_task("tell_held_back").upstream_task_ids == {"build", "gate"}
    monkeypatch.setattr(sys.modules["spark_jobs.bronze"], "build", fails(EngineError("engine away")))
    with pytest.raises(EngineError):
        run_task("build_bronze", "build", "2024-01-01")


def test_what_passed_beside_a_held_batch_is_announced_up_to_the_batch_published_before(
    chain, calls, run_task, monkeypatch
):
    import sys

    from lakehouse.errors import BatchesHeld, GateFailed

    def holds(_layer, _partition):
        raise BatchesHeld("gas__bill, batch b1: location", "bronze", "waive or reject", {"tables": 2})

    monkeypatch.setattr(sys.modules["expectations.gate"], "gate", holds)
    run = run_task("build_bronze", "gate", "2024-01-01", events=[announced(3, chain.warehouse())])
    assert run.result["tables"] == 2 and "gas__bill" in run.result["held_back"]
    assert run.outlets[chain.BRONZE].extra["through"] == 3

    def fails(_layer, _partition):
        raise GateFailed("nothing else came")

    monkeypatch.setattr(sys.modules["expectations.gate"], "gate", fails)
    with pytest.raises(GateFailed):
        run_task("build_bronze", "gate", "2024-01-01")


def test_the_announcement_names_the_newest_batch_and_its_tables(chain, calls, run_task):
    run = run_task("build_bronze", "gate", "2024-01-01")
    assert run.outlets[chain.BRONZE].extra == {"through": 7, "warehouse": chain.warehouse()}


@pytest.mark.parametrize(
    ("last", "run_type", "trains"),
    [
        ("2024-01-03", "asset_triggered", False),
        ("2024-01-03", "manual", True),
        ("2024-01-02", "asset_triggered", True),
        ("2024-01-30", "asset_triggered", True),  # the same features, built anew
        ("2024-02-20", "asset_triggered", True),  # a day of before is rebuilt
    ],
)
def test_training_follows_the_features_about_once_a_month(chain, calls, run_task, last, run_type, trains):
    from airflow.sdk.exceptions import AirflowSkipException

    here = SimpleNamespace(partition_key=last, extra={"warehouse": chain.warehouse()})
    cleared = SimpleNamespace(partition_key="2024-01-29", extra={"warehouse": "warehouse-of-before"})
    run = lambda: run_task("train_risk_models", "freeze", "2024-01-30", [here, cleared], run_type)  # noqa: E731
    if trains:
        run()
    else:
        with pytest.raises(AirflowSkipException, match="due 2024-01-31"):
            run()
    assert len(calls) == trains


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_day_without_a_drop_is_skipped_when_the_schedule_asked(calls, run_task, run_type):
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="no drop was delivered"):
        run_task("ingest_file_drop", "land", "1999-01-01", run_type=run_type)
    assert calls == []


def test_a_job_with_nothing_to_do_ends_as_skipped(chain):
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="no champion yet"):
        chain.run_undated(lambda: {"skipped": "no champion yet"})


def test_a_fault_leaves_its_reason_where_it_can_be_read(chain, monkeypatch):
    from lakehouse.errors import GateFailed

    left = {}
    context = {"ti": SimpleNamespace(xcom_push=lambda key, value: left.update({key: value}))}
    monkeypatch.setattr(chain, "get_current_context", lambda: context)

    def gate():
        raise GateFailed("2 of 30 rules broken", where="silver.loan", remedy="read reports/silver.html")

    with pytest.raises(GateFailed):
        chain.run_undated(gate)
    assert "2 of 30 rules broken" in left["failure"] and "reports/silver.html" in left["failure"]
