"""A pull of people from end to end: nothing personal is clear in what the lakehouse keeps, and all of it verifies."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.contracts import Contract
from lakehouse.errors import VaultError
from lakehouse.settings import PROJECT_DIR, Settings, get_settings
from lakehouse.vault import forms, open_vault
from spark_jobs import landing, verify
from spark_jobs.pull import runner
from tests import persons

DAY, NEXT_DAY = "2020-03-01", "2020-03-02"
FILES = {"settledSeconds": 0}
WHY = "a test of landing"


@pytest.fixture
def drop(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that people's records come in by, as a connection of a project with this one contract."""
    place = tmp_path / "drop"
    place.mkdir()
    connections = tmp_path / "connections.json"
    connections.write_text(json.dumps({"people": {"folder": str(place)}}))
    monkeypatch.setenv("VINELAKE_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("VINELAKE_CONNECTIONS_FILE", str(connections))
    get_settings.cache_clear()
    yield place
    get_settings.cache_clear()


@pytest.fixture
def people(drop: Path, tmp_path: Path) -> Contract:
    return persons.contract(tmp_path / "contracts", path="*.jsonl", options=FILES)


def landed_lines() -> list[dict]:
    """The landed records; a line that is none stands as the bare sealed text."""
    files = [b.folder / f.name for b in landing.landed() for f in b.files]
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [json.loads(line) for line in lines if not line.startswith(b"sealed:")]


def test_a_pull_keeps_nothing_clear_and_verifies(people: Contract, drop: Path, settings: Settings) -> None:
    sent = persons.people(40)
    secret = {"id": "R000099", "name": "王五", "number": "330106197001019999"}
    body = persons.lines(sent) + '{"broken": "王五", "330106197001019999'.encode() + b"\n"
    (drop / "a.jsonl").write_bytes(body)
    outcome = runner.pull(DAY, people)
    assert (outcome.outcome, outcome.error) == ("landed", None)
    (batch,) = landing.landed()
    assert batch.files[0].received_sha256 == hashlib.sha256(body).hexdigest() != batch.files[0].sha256
    assert verify.verify({batch.batch_id: batch.manifest_hash})[:2] == ([], 1)
    clear = persons.clear_values(sent) | {secret["name"], secret["number"]}
    assert persons.leaks(drop, clear)  # the search finds what is there
    assert persons.leaks(settings.home, clear) == []
    with open_vault() as vault:
        assert vault.open(landed_lines()[5]["number"], WHY) == sent[5]["number"]


def test_people_are_joinable_between_feeds_and_days(people: Contract, drop: Path, tmp_path: Path) -> None:
    (drop / "a.jsonl").write_bytes(persons.lines(persons.people(20)))
    runner.pull(DAY, people)
    other = persons.contract(tmp_path / "contracts", "board__member", "*.json", options={**FILES, "records": "rows"})
    (drop / "b.json").write_text(json.dumps({"rows": persons.people(20)[5:]}))
    (drop / "c.jsonl").write_bytes(persons.lines(persons.people(20)[15:]))
    runner.pull(NEXT_DAY, people)
    runner.pull(NEXT_DAY, other)
    first, board, second = landing.landed()[0], landing.last_batch(other.id), landing.last_batch(people.id)
    rows = [json.loads(line) for line in (first.folder / first.files[0].name).read_bytes().splitlines()]
    members = json.loads((board.folder / board.files[0].name).read_bytes())["rows"]
    again = [json.loads(line) for line in (second.folder / second.files[0].name).read_bytes().splitlines()]
    for field in ("name", "number"):
        tokens = [forms.token_of(row[field]) for row in rows]
        assert [forms.token_of(row[field]) for row in members] == tokens[5:]
        assert [row[field] for row in again] == [row[field] for row in rows[15:]]


def test_after_a_person_is_forgotten_landing_still_verifies_and_tells_nothing(people: Contract, drop: Path) -> None:
    sent = persons.people(20)
    (drop / "a.jsonl").write_bytes(persons.lines(sent))
    runner.pull(DAY, people)
    gone, stays = landed_lines()[3], landed_lines()[4]
    with open_vault() as vault:
        assert vault.forget("identity_number", sent[3]["number"], "erasure 7")
        for field in ("name", "number"):
            with pytest.raises(VaultError):
                vault.open(gone[field], WHY)
        assert vault.open(stays["number"], WHY) == sent[4]["number"]
    assert verify.verify()[0] == []


PULL = """
import sys
from lakehouse import contracts
from lakehouse.settings import get_settings
from spark_jobs.pull import runner
print("ready", flush=True)
runner.pull(sys.argv[1], contracts.load(get_settings().contracts_dir / "people__person.yaml"))
"""


def pulling(settings: Settings) -> subprocess.Popen:
    """The pull in a process of its own, with this test's settings."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT_DIR)}
    return subprocess.Popen([sys.executable, "-c", PULL, DAY], stdout=subprocess.PIPE, env=environment)


@pytest.mark.parametrize("seconds", [0.02, 0.2])
def test_a_kill_leaves_nothing_clear_in_landing_and_the_next_run_lands_it_all(
    people: Contract, drop: Path, settings: Settings, seconds: float
) -> None:
    sent = persons.people(5_000)
    for part in range(5):
        (drop / f"{part}.jsonl").write_bytes(persons.lines(sent[part * 1000 :][:1000]))
    process = pulling(settings)
    process.stdout.readline()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    clear = persons.clear_values(sent[::250])
    assert persons.leaks(settings.landing_dir, clear) == persons.leaks(settings.vault_dir, clear) == []
    runner.pull(DAY, people)
    assert persons.leaks(settings.home, clear) == []
    assert [row["record_id"] for row in landed_lines()] == [row["record_id"] for row in sent]
    assert verify.verify()[0] == []
    with open_vault() as vault:
        for row, record in list(zip(landed_lines(), sent, strict=True))[::997]:
            assert vault.open(row["number"], WHY) == record["number"]
