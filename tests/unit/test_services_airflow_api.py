"""The REST helper against a small server that answers as Airflow does."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lakehouse.errors import ServiceError
from lakehouse.services import airflow_api
from lakehouse.services.airflow_api import AirflowApi


class Recorded:
    """Answers by (method, path) in turn, the last one for ever; notes what was asked."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[tuple[int, dict]]] = {}
        self.seen: list[tuple[str, str, dict | None, str | None]] = []
        self.on("POST", "/auth/token", 201, {"access_token": "first"})

    def on(self, method: str, path: str, status: int, body: dict) -> None:
        self.answers.setdefault((method, path), []).append((status, body))

    def take(self, method: str, path: str) -> tuple[int, dict]:
        queue = self.answers.get((method, path), [(404, {"detail": f"no {method} {path}"})])
        return queue.pop(0) if len(queue) > 1 else queue[0]


@pytest.fixture
def server():
    recorded = Recorded()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            path = self.path.split("?")[0]
            recorded.seen.append((self.command, path, body, self.headers.get("Authorization")))
            status, answer = recorded.take(self.command, path)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _answer

        def log_message(self, *_) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    recorded.api = AirflowApi(f"http://127.0.0.1:{http.server_port}", "engineer", "secret")
    yield recorded
    http.shutdown()
    http.server_close()


def test_a_run_is_triggered_for_its_partition_and_has_no_logical_date(server):
    server.on("POST", "/api/v2/dags/ingest/dagRuns", 200, {"dag_run_id": "r1"})
    assert server.api.trigger("ingest", partition_key="2020-03-01") == "r1"
    body = server.seen[-1][2]
    assert body["partition_key"] == "2020-03-01"
    assert body["logical_date"] is None
    assert body["dag_run_id"].startswith("manual__2020-03-01__")
    assert server.seen[-1][3] == "Bearer first"


def test_an_expired_login_is_renewed_once(server):
    server.answers[("POST", "/auth/token")] = [
        (201, {"access_token": "old"}),
        (201, {"access_token": "new"}),
    ]
    server.on("GET", "/api/v2/dags", 401, {"detail": "expired"})
    server.on("GET", "/api/v2/dags", 200, {"dags": [{"dag_id": "a"}]})
    assert server.api.dags() == [{"dag_id": "a"}]
    assert [seen[3] for seen in server.seen if seen[1] == "/api/v2/dags"] == ["Bearer old", "Bearer new"]


def test_a_refusal_carries_the_servers_words_and_its_code(server):
    server.on("POST", "/api/v2/dags/x/dagRuns", 409, {"detail": "already there"})
    with pytest.raises(ServiceError, match="already there") as caught:
        server.api.trigger("x")
    assert caught.value.status == 409


def test_a_wrong_password_is_not_tried_again(server):
    server.answers[("POST", "/auth/token")] = [(401, {"detail": "Invalid credentials"})]
    with pytest.raises(ServiceError, match="Invalid credentials"):
        server.api.dags()
    assert len(server.seen) == 1


def test_waiting_ends_with_the_run_and_shows_each_look(server):
    server.on("GET", "/api/v2/dags/d/dagRuns/r", 200, {"state": "running"})
    server.on("GET", "/api/v2/dags/d/dagRuns/r", 200, {"state": "success"})
    looks = []
    assert server.api.wait_for_run("d", "r", timeout=10, seen=looks.append)["state"] == "success"
    assert [look["state"] for look in looks] == ["running", "success"]


def test_a_failed_run_names_the_tasks_that_failed(server):
    server.on("GET", "/api/v2/dags/d/dagRuns/r", 200, {"state": "failed"})
    tasks = [{"task_id": "land", "state": "success"}, {"task_id": "gate", "state": "failed"}]
    server.on("GET", "/api/v2/dags/d/dagRuns/r/taskInstances", 200, {"task_instances": tasks})
    with pytest.raises(ServiceError, match="d failed in gate"):
        server.api.wait_for_run("d", "r")


def test_waiting_too_long_is_an_error(server):
    server.on("GET", "/api/v2/dags/d/dagRuns/r", 200, {"state": "running"})
    with pytest.raises(ServiceError, match="did not end"):
        server.api.wait_for_run("d", "r", timeout=0.1)


def test_an_answer_waits_until_the_question_has_settled(server, monkeypatch):
    naps = []
    monkeypatch.setattr(airflow_api.time, "sleep", naps.append)
    path = "/api/v2/dags/d/dagRuns/r/taskInstances/approve/-1/hitlDetails"
    asked = datetime.now(UTC) - timedelta(seconds=1)
    server.on("GET", path, 200, {"created_at": asked.isoformat().replace("+00:00", "Z")})
    server.on("PATCH", path, 200, {"chosen_options": ["Approve"]})
    server.api.answer("d", "r", "approve", "Approve", {"comment": "fine"})
    assert naps and airflow_api.SETTLE_SECONDS - 2 < naps[0] < airflow_api.SETTLE_SECONDS
    assert server.seen[-1][2] == {"chosen_options": ["Approve"], "params_input": {"comment": "fine"}}


def test_a_pool_that_exists_gets_its_slots_corrected(server):
    server.on("POST", "/api/v2/pools", 409, {"detail": "exists"})
    server.on("PATCH", "/api/v2/pools/engine", 200, {})
    server.api.set_pool("engine", 2)
    assert server.seen[-1][:2] == ("PATCH", "/api/v2/pools/engine")
    assert server.seen[-1][2]["slots"] == 2


def test_nobody_listening_says_how_to_start():
    with pytest.raises(ServiceError, match="does not answer") as caught:
        AirflowApi("http://127.0.0.1:9", "engineer", "x").dags()
    assert "make up" in caught.value.remedy
