"""A pull killed before any file operation and run again lands what an undisturbed one lands, once."""

from __future__ import annotations

import json
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from lakehouse.contracts import Contract
from lakehouse.errors import LandingError, SchemaChanged, SourceError, SourceUnavailable
from lakehouse.settings import get_settings
from spark_jobs import landing
from spark_jobs.pull import draft as drafts
from spark_jobs.pull import ledger, runner
from spark_jobs.pull.part import Part, Pull
from tests.connectors.feed_contracts import contract_document, make_place
from tests.connectors.kill_runs import Place, landed_rows

FEED = {"connection": "made_up", "protocol": "rest", "path": "/things", "options": {"records": "data"}}
DAY, NEXT_DAY = "2024-03-01", "2024-03-02"


class Scripted:
    """A connector over a list of pages, which a test may change; a page may be an error to raise."""

    def __init__(self) -> None:
        self.pages: list[list[dict] | Exception] = []
        self.versions: dict[int, int] = {}

    def fetch(self, pull: Pull) -> Iterator[Part]:
        done = pull.cursor["page"] if pull.cursor else 0
        for number, page in enumerate(self.pages[done:], done + 1):
            if isinstance(page, Exception):
                raise page
            body: bytes | Path = json.dumps({"data": page}).encode()
            if number % 2 == 0:  # every second page comes as a file in the spool
                (pull.spool / "page").write_bytes(body)
                body = pull.spool / "page"
            name = f"page-{pull.number + number - done:06d}.json"
            fields = tuple(dict.fromkeys(key for record in page for key in record))
            yield Part(name, body, "json", len(page), fields, {"page": number}, self.versions.get(number, 1))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    connector = Scripted()
    connector.pages = [[{"id": f"{page}-{k}", "name": "n"} for k in range(3)] for page in range(4)]
    module = types.ModuleType("scripted_connector")
    module.CONNECTOR = connector
    monkeypatch.setitem(sys.modules, "scripted_connector", module)
    monkeypatch.setitem(runner.MODULES, "rest", "scripted_connector")
    return connector


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    document = contract_document("made_up__thing", ["id", "name"], FEED)
    made = make_place(tmp_path, [document], {"made_up": {"url": "http://127.0.0.1:1"}})
    with made.entered():
        yield made


@pytest.fixture
def contract(place: Place) -> Contract:
    return runner.departments()["made_up"][0]


def facts() -> list[tuple]:
    """What is landed, without the times of landing."""
    return [
        (b.sequence, b.batch_id, str(b.received_on), b.cursor, [(f.name, f.sha256, f.data_lines) for f in b.files])
        for b in landing.landed()
    ]


def assert_whole(contract: Contract) -> None:
    """Landing holds what manifests name and nothing else, and no draft is left."""
    for batch in landing.landed():
        assert sorted(p.name for p in batch.folder.iterdir()) == sorted(f.name for f in batch.files)
        for file in batch.files:
            assert (batch.folder / file.name).stat().st_size == file.bytes
    folders = {p.name for p in (get_settings().landing_dir / contract.id).iterdir()}
    assert folders == {b.batch_id for b in landing.landed()}
    assert not (get_settings().landing_dir / ".incoming" / contract.id).exists()


def in_a_child(work: Callable[[], object], kill_at: int | None = None) -> int:
    """Runs work in a forked process, which kills itself before its n-th operation on a file; returns the exit code.

    Operations are counted by Python's audit events; without `kill_at` the exit code is their number.
    """
    child = os.fork()
    if child == 0:
        done = 0

        def hook(event: str, _arguments: tuple) -> None:
            nonlocal done
            if event.startswith(("open", "os.", "shutil.")):
                done += 1
                if done == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work()
        except BaseException:
            os._exit(255)
        os._exit(min(done, 250) if kill_at is None else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_second_run_lands_nothing(scripted: Scripted, contract: Contract, place: Place) -> None:
    first = runner.pull(DAY, contract)
    assert (first.outcome, first.records, len(first.batches)) == (ledger.LANDED, 12, 1)
    before = facts()
    for partition in (DAY, NEXT_DAY):
        again = runner.pull(partition, contract)
        assert (again.outcome, again.records, again.batches) == (ledger.NOTHING, 0, ())
    assert facts() == before
    assert_whole(contract)


def test_killed_before_any_operation_it_lands_the_same(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign over every single operation of a pull of two days."""
    monkeypatch.setattr(os, "fsync", lambda number: None)  # no power fails here, and it takes most of the time
    document = contract_document("made_up__thing", ["id", "name"], FEED)
    pages = scripted.pages[:3]

    def both_days() -> None:
        contract = runner.departments()["made_up"][0]
        scripted.pages = pages[:1]
        assert runner.pull(DAY, contract).error is None
        scripted.pages = pages
        assert runner.pull(NEXT_DAY, contract).error is None

    undisturbed = make_place(tmp_path, [document], {"made_up": {"url": ""}}, "undisturbed")
    with undisturbed.entered():
        operations = in_a_child(both_days)
        expected = facts()
    assert 40 < operations < 250
    expected_rows = landed_rows(undisturbed, "made_up__thing")
    assert len(expected_rows) == 9
    for number in range(1, operations + 1):
        killed = make_place(tmp_path, [document], {"made_up": {"url": ""}}, f"killed-{number}")
        with killed.entered():
            assert in_a_child(both_days, kill_at=number) == -signal.SIGKILL, f"operation {number}"
            both_days()
            assert facts() == expected, f"killed before operation {number}"
            assert_whole(runner.departments()["made_up"][0])
        assert landed_rows(killed, "made_up__thing") == expected_rows


def test_a_run_that_ends_what_a_killed_one_landed_reports_its_batch(
    scripted: Scripted, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(draft: drafts.Draft) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(drafts.Draft, "discard", killed)
        with pytest.raises(KeyboardInterrupt):
            runner.pull(DAY, contract)
    assert len(landing.landed()) == 1 and ledger.attempts(contract.id) == []
    outcome = runner.pull(DAY, contract)
    assert (outcome.outcome, outcome.batches) == (ledger.LANDED, (landing.landed()[0].batch_id,))
    assert len(landing.landed()) == 1


def test_an_error_keeps_what_was_received_for_the_next_try(scripted: Scripted, contract: Contract) -> None:
    scripted.pages.insert(2, SourceUnavailable("away"))
    failed = runner.pull(DAY, contract)
    assert (failed.outcome, failed.batches, landing.landed()) == (ledger.UNREACHABLE, (), [])
    del scripted.pages[2]
    ended = runner.pull(DAY, contract)
    assert (ended.outcome, ended.records) == (ledger.LANDED, 12)
    assert [f.name for f in landing.landed()[0].files] == [f"page-{k:06d}.json" for k in (1, 2, 3, 4)]


def test_what_was_received_on_another_date_is_known_since_that_date(scripted: Scripted, contract: Contract) -> None:
    scripted.pages.insert(2, SourceUnavailable("away"))
    runner.pull(DAY, contract)
    del scripted.pages[2]
    outcome = runner.pull(NEXT_DAY, contract)
    assert (outcome.records, len(outcome.batches)) == (12, 2)
    assert [(str(b.received_on), b.cursor) for b in landing.landed()] == [(DAY, {"page": 2}), (NEXT_DAY, {"page": 4})]


def test_a_journal_cut_in_mid_line_goes_on_after_the_last_whole_part(scripted: Scripted, contract: Contract) -> None:
    scripted.pages.insert(3, SourceUnavailable("away"))
    runner.pull(DAY, contract)
    del scripted.pages[3]
    journal = get_settings().landing_dir / ".incoming" / contract.id / drafts.JOURNAL
    content = journal.read_bytes()
    journal.write_bytes(content[:-20])
    assert runner.pull(DAY, contract).records == 12
    assert_whole(contract)


def test_a_date_before_one_that_was_pulled_brings_nothing(scripted: Scripted, contract: Contract) -> None:
    pages, scripted.pages = scripted.pages, scripted.pages[:1]
    runner.pull(NEXT_DAY, contract)
    scripted.pages = pages
    assert runner.pull(DAY, contract).outcome == ledger.NOTHING
    assert runner.pull(NEXT_DAY, contract).records == 9


def test_two_processes_do_not_pull_one_feed(
    scripted: Scripted, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "WAIT_SECONDS", 0)
    with drafts.alone(contract), pytest.raises(LandingError, match="another process"):
        runner.pull(DAY, contract)
    assert runner.pull(DAY, contract).records == 12


def test_parts_of_one_name_are_refused(contract: Contract) -> None:
    draft, _ = drafts.open_draft(contract, date(2024, 3, 1))
    part = Part("page.json", b"{}", "json", 1, (), {})
    draft.add(part)
    for name in ("page.json", "../page.json"):
        with pytest.raises(LandingError, match="plain name"):
            draft.add(Part(name, b"{}", "json", 1, (), {}))


@pytest.mark.parametrize(
    ("policy", "outcome", "pages"),
    [("evolve", "landed", 4), ("quarantine", "landed", 4), ("freeze", "schema_changed", 2)],
)
def test_a_change_of_schema_ends_as_the_policy_says(
    scripted: Scripted, place: Place, policy: str, outcome: str, pages: int
) -> None:
    contract = _with_policy(place, policy)
    scripted.pages[2] = [{"id": "x", "title": "renamed"}]
    scripted.versions = {3: 2, 4: 2}
    result = runner.pull(DAY, contract)
    assert result.outcome == outcome
    assert result.fields == ("+title", "v2")
    assert [len(b.files) for b in landing.landed()] == [pages]
    assert ledger.attempts(contract.id)[-1].fields == result.fields
    if policy == "freeze":
        assert isinstance(result.error, SchemaChanged)
        again = runner.pull(NEXT_DAY, contract)
        assert (again.outcome, again.batches) == (ledger.SCHEMA_CHANGED, ())
        with pytest.raises(SchemaChanged):
            runner.pull_department(NEXT_DAY, "made_up")
    else:
        assert [f.schema_version for f in landing.landed()[0].files] == [1, 1, 2, 2]


def test_a_frozen_feed_goes_on_where_it_stopped_once_its_contract_fits(scripted: Scripted, place: Place) -> None:
    contract = _with_policy(place, "freeze")
    scripted.versions = {3: 2, 4: 2}
    assert runner.pull(DAY, contract).records == 6
    contract = _with_policy(place, "freeze", acceptedVersions=[2])
    assert runner.pull(DAY, contract).records == 6
    assert [len(b.files) for b in landing.landed()] == [2, 2]


def _with_policy(place: Place, policy: str, **options: object) -> Contract:
    document = contract_document("made_up__thing", ["id", "name"], FEED | {"options": options}, policy)
    make_place(place.project, [document], {"made_up": {"url": ""}})
    return runner.departments()["made_up"][0]


def test_every_attempt_is_in_the_ledger_and_a_torn_line_harms_no_other(scripted: Scripted, contract: Contract) -> None:
    runner.pull(DAY, contract)
    path = get_settings().landing_dir / "pulls" / f"{contract.id}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"contract": "torn')
    scripted.pages.append(SourceError("nonsense"))
    runner.pull(NEXT_DAY, contract)
    assert [(a.partition, a.outcome, a.records) for a in ledger.attempts(contract.id)] == [
        (DAY, ledger.LANDED, 12),
        (NEXT_DAY, ledger.REFUSED, 0),
    ]
    assert ledger.attempts(contract.id)[0].bytes == landing.landed()[0].bytes > 0
    assert ledger.last_success(contract.id) == date.fromisoformat(DAY)
    assert ledger.last_success(contract.id, date(2024, 2, 29)) is None


def test_a_dry_pull_fetches_no_more_than_it_was_asked_for_and_keeps_nothing(
    scripted: Scripted, contract: Contract, tmp_path: Path
) -> None:
    scripted.pages[2] = AssertionError("one part too many")
    parts = list(runner.dry(contract, date.fromisoformat(DAY), tmp_path, most_parts=2))
    assert [part.records for part in parts] == [3, 3]
    assert landing.landed() == [] and drafts.open_since(contract) is None


def test_the_others_of_a_department_are_pulled_though_one_fails(scripted: Scripted, place: Place) -> None:
    make_place(place.project, [contract_document("made_up__other", ["id", "name"], FEED)], {"made_up": {"url": ""}})
    scripted.pages[1] = SourceError("nonsense")
    with pytest.raises(SourceError, match="nonsense"):
        runner.pull_department(DAY, "made_up")
    assert {a.outcome for c in ("made_up__thing", "made_up__other") for a in ledger.attempts(c)} == {ledger.REFUSED}


def test_a_draft_is_gone_on_with_whatever_its_fields_are_called(scripted: Scripted, contract: Contract) -> None:
    sound = scripted.pages[1]
    scripted.pages = [[{"id": "1", "name": "n", "na\u2028me\x85": "n"}], SourceUnavailable("away")]
    assert runner.pull(DAY, contract).error is not None
    scripted.pages[1] = sound
    assert runner.pull(DAY, contract).records == 4
