"""Following the chain: what is waited for, what is told, when it ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from lakehouse.demo import watch
from lakehouse.demo.watch import Route, Watch, last_error, take_up
from lakehouse.errors import ServiceError, VinelakeError

KEY = "2024-01-01"
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(second):
    return f"2026-01-01T00:00:{second:02}Z"


class FakeAirflow:
    """Airflow as a script: each look shows the next scene, and the last scene for good."""

    base_url = "http://airflow"
    failure_kind = "ModelError"

    def __init__(self, *scenes):
        self.scenes, self.cleared, self.asked, self.triggered = list(scenes), [], [], []

    def runs(self, dag_id="~", partition_key=None):
        if len(self.scenes) > 1 and self.asked:
            self.scenes.pop(0)
        self.asked.append(partition_key)
        return [run for run, _ in reversed(self.scenes[0]) if dag_id in ("~", run["dag_id"])]

    def tasks(self, dag_id, run_id):
        return next(tasks for run, tasks in self.scenes[0] if run["dag_run_id"] == run_id)

    def xcom(self, dag_id, run_id, task_id, key):
        if key == "failure_kind":
            return self.failure_kind
        return "3 of 30 rules broken\n  where:  report /r.html" if task_id == "gate" else None

    def trigger(self, dag_id, partition_key, note):
        self.triggered.append((dag_id, partition_key))

    def clear(self, dag_id, run_id):
        self.cleared.append((dag_id, run_id))


def run(dag_id, state, second, *tasks, run_id=None):
    """A run that began at a second, with tasks as (id, state, second of its end)."""
    return (
        {"dag_id": dag_id, "dag_run_id": run_id or f"{dag_id}-{second}", "state": state, "run_after": at(second)},
        [
            {"task_id": t, "state": s, "duration": 1.0, "try_number": 1, "end_date": at(e) if e else None}
            for t, s, e in tasks
        ],
    )


INGEST = run("ingest_file_drop", "success", 1, ("land", "success", 2))
BRONZE = run("build_bronze", "success", 3, ("build", "success", 3), ("gate", "success", 4))
SILVER = run("build_silver", "success", 5, ("build", "success", 6), ("gate", "success", 7))
FEATURES = run("build_features", "success", 8, ("build", "success", 9), ("gate", "success", 10))
EARLY_SCORE = run("score_portfolio", "success", 11, ("score", "skipped", 12))
TRAIN = run("train_risk_models", "success", 11, ("freeze", "success", 12), ("train", "success", 13))
PROMOTE = run("promote_model", "success", 14, ("approve", "success", 15), ("decide", "success", 16))
LATE_SCORE = run("score_portfolio", "success", 17, ("score", "success", 18))
DROPPED, PULLED = Route(), Route(("ingest_government", "ingest_market"))
GOVERNMENT = run("ingest_government", "success", 1, ("pull_land", "success", 2), ("announce", "success", 3))
MARKET = run("ingest_market", "success", 1, ("pull_market", "success", 1), ("announce", "success", 2))
WHOLE = [INGEST, BRONZE, SILVER, FEATURES, EARLY_SCORE, TRAIN, PROMOTE, LATE_SCORE]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(watch, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(watch, "START_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(watch, "NUDGE_SECONDS", 0.01)


def follow(tmp_path, *scenes, answer=None, since=START, taken_up=(), route=DROPPED):
    told = []
    api = FakeAirflow(*scenes)
    seen = Watch(api, KEY, since, tmp_path, told.append, lambda working: None, answer, set(taken_up), route)
    return seen, seen.follow, told


def test_the_chain_ends_with_the_scores_of_the_new_champion(tmp_path):
    growing = [WHOLE[:i] for i in range(1, len(WHOLE))]
    _, go, told = follow(tmp_path, *growing, WHOLE)
    assert len(go()) == sum(len(tasks) for _, tasks in WHOLE)
    assert [t.dag_id for t in told][-1] == "score_portfolio"


@pytest.mark.parametrize("end", range(1, len(WHOLE)))
def test_it_does_not_end_before(tmp_path, end):
    """Every missing link is noticed; when Airflow never starts it, that is what is said."""
    _, go, _ = follow(tmp_path, WHOLE[:end])
    with pytest.raises(ServiceError, match=WHOLE[end][0]["dag_id"]):
        go()


def test_nothing_new_ends_at_once(tmp_path):
    skipped = run("ingest_file_drop", "success", 1, ("land", "skipped", 2))
    _, go, _ = follow(tmp_path, [skipped])
    assert [t.state for t in go()] == ["skipped"]


def test_a_rejection_ends_the_chain_without_new_scores(tmp_path):
    rejected = run("promote_model", "success", 14, ("approve", "success", 15), ("decide", "skipped", 16))
    _, go, _ = follow(tmp_path, [*WHOLE[:6], rejected])
    assert go()


def test_runs_of_before_are_not_mistaken_for_this_one(tmp_path):
    later = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    now = run("ingest_file_drop", "success", 59, ("land", "skipped", 59))
    now[0]["run_after"] = "2026-01-01T00:01:01Z"
    seen, go, _ = follow(tmp_path, [*WHOLE, now], since=later)
    go()
    assert list(seen.runs) == ["ingest_file_drop-59"]


def test_a_failure_names_task_reason_log_and_what_to_do(tmp_path):
    broken = run("build_silver", "failed", 5, ("build", "success", 6), ("gate", "failed", 7))
    _, go, _ = follow(tmp_path, [INGEST, BRONZE, broken])
    with pytest.raises(VinelakeError) as told:
        go()
    assert "build_silver ▸ gate failed: 3 of 30 rules broken" in told.value.what
    assert told.value.where.endswith("run_id=build_silver-5/task_id=gate/attempt=1.log")
    assert "goes on from this task" in told.value.remedy


def test_a_refused_candidate_is_an_answer_and_not_an_outage(tmp_path):
    refused = run("promote_model", "failed", 14, ("check", "failed", 15), ("approve", "upstream_failed", None))
    seen, go, _ = follow(tmp_path, [*WHOLE[:6], refused])
    go()
    assert seen.refused.startswith("promote_model ▸ check: ")


def test_that_no_model_can_be_trained_is_an_answer_and_that_training_broke_is_not(tmp_path, monkeypatch):
    untrained = run("train_risk_models", "failed", 12, ("freeze", "success", 13), ("train", "failed", 14))
    scores = run("score_portfolio", "success", 12, ("score", "skipped", 13))
    scenes = [r for r in WHOLE if r[0]["dag_id"] not in ("train_risk_models", "promote_model", "score_portfolio")]
    seen, go, _ = follow(tmp_path, [*scenes, untrained, scores])
    go()
    assert seen.refused.startswith("train_risk_models ▸ train: ")
    monkeypatch.setattr(FakeAirflow, "failure_kind", "ServiceError")
    _, go, _ = follow(tmp_path, [*scenes, untrained, scores])
    with pytest.raises(VinelakeError, match="train_risk_models ▸ train failed"):
        go()


def test_a_question_is_answered_once(tmp_path):
    waiting = run("promote_model", "running", 14, ("approve", "awaiting_input", None))
    answers = []
    _, go, _ = follow(tmp_path, [*WHOLE[:6], waiting], [*WHOLE[:6], waiting], WHOLE,
                      answer=lambda *where: answers.append(where))  # fmt: skip
    go()
    assert answers == [("promote_model", "promote_model-14", "approve")]


def test_without_an_answerer_it_waits_for_a_person(tmp_path):
    waiting = run("promote_model", "running", 14, ("approve", "awaiting_input", None))
    _, go, told = follow(tmp_path, [*WHOLE[:6], waiting], WHOLE)
    go()
    assert any(t.state == "awaiting_input" for t in told)


def test_what_failed_or_was_left_half_way_is_taken_up_again():
    old = run("build_silver", "failed", 1, run_id="old")
    good = run("build_silver", "success", 2, run_id="good")
    broken = run("build_features", "failed", 3, run_id="broken")
    under_way = run("train_risk_models", "running", 4, run_id="under way")
    other = run("maintain_lakehouse", "failed", 5, run_id="other")
    api = FakeAirflow([old, good, broken, under_way, other])
    assert take_up(api, KEY, DROPPED) == ({"good", "broken", "under way"}, {"broken", "under way"})
    assert api.cleared == [("build_features", "broken")]


def test_a_link_that_was_lost_before_is_found_missing_now(tmp_path):
    """Silver was published while its listener was paused: the event is gone, so the listener is started."""
    later = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    now = run("ingest_file_drop", "success", 59, ("land", "skipped", 59))
    now[0]["run_after"] = "2026-01-01T00:01:01Z"
    before = {"ingest_file_drop-1", "build_bronze-3", "build_silver-5"}
    seen, go, _ = follow(tmp_path, [INGEST, BRONZE, SILVER, now], since=later, taken_up=before)
    with pytest.raises(ServiceError, match="build_features"):
        go()
    assert seen.api.triggered == [("build_features", KEY)]


def test_bronze_is_waited_for_when_every_connection_has_ended(tmp_path):
    with pytest.raises(ServiceError, match="build_bronze"):
        follow(tmp_path, [GOVERNMENT, MARKET], route=PULLED)[1]()
    _, go, _ = follow(tmp_path, [GOVERNMENT, MARKET], [GOVERNMENT, MARKET, *WHOLE[1:]], route=PULLED)
    assert len(go()) == 4 + sum(len(tasks) for _, tasks in WHOLE[1:])


def test_a_department_that_is_away_and_a_stale_feed_hold_nothing_up(tmp_path):
    tasks = (("pull_land", "failed", 2), ("pull_courts", "success", 2), ("announce", "success", 3))
    lame = run("ingest_government", "failed", 1, *tasks)
    alert = run("report_freshness", "failed", 4, ("check", "failed", 5))
    seen, go, _ = follow(tmp_path, [lame, MARKET, alert, *WHOLE[1:]], route=PULLED)
    go()
    assert sorted(note.split(":")[0] for note in seen.remarks.values()) == [
        "ingest_government ▸ pull_land",
        "report_freshness ▸ check",
    ]


def test_pulls_that_could_not_even_be_told_of_stop_the_chain(tmp_path):
    lame = run("ingest_government", "failed", 1, ("pull_land", "success", 2), ("announce", "failed", 3))
    with pytest.raises(VinelakeError, match="ingest_government ▸ announce failed"):
        follow(tmp_path, [lame, MARKET], route=PULLED)[1]()


def test_the_route_is_made_of_the_dags_there_are():
    from pathlib import Path

    there = {path.stem for path in (Path(__file__).parents[3] / "dags").glob("*.py")}
    assert set(DROPPED.dags) | {"report_freshness"} <= there


def test_the_last_error_of_a_log(tmp_path):
    log = tmp_path / "attempt=1.log"
    assert "no log" in last_error(log)
    log.write_text(
        "not json\n"
        + json.dumps({"event": "x", "error_detail": [{"exc_type": "ValueError", "exc_value": "no such column"}]})
        + "\n"
        + json.dumps({"event": "done"})
    )
    assert last_error(log) == "ValueError: no such column"
