"""Enquiries at the running bureau: only under consent, logged before they are sent, charged once whatever is killed."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from lakehouse import consents, contracts, journal
from lakehouse.errors import ConsentError, SourceError
from lakehouse.settings import get_settings
from spark_jobs import landing
from spark_jobs.pull import enquiry, ledger, runner
from tests.connectors.kill_runs import Place, kill_and_finish, landed_rows, run_all
from tests.connectors.rest_systems import Systems, running

pytestmark = pytest.mark.services
DAY, NEXT_DAY = "2020-03-02", "2020-03-03"
SUBJECTS = range(12)
QUOTA, FEE, FULL_FEN = 9, 2500, 1_000_000


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    folder = tmp_path_factory.mktemp("bureau")
    with running(folder, "bureau", today=DAY, bureau_daily_quota=QUOTA) as started:
        yield started


@pytest.fixture
def book(systems: Systems) -> Iterator[sqlite3.Connection]:
    """The bureau's own book, emptied; at each test the account is full and no enquiry was made."""
    systems.today(DAY)
    with sqlite3.connect(systems.home / "bureau" / "ledger.sqlite", isolation_level=None) as found:
        empty(found)
        yield found


def empty(book: sqlite3.Connection) -> None:
    for table in ("consent", "enquiry", "seen", "access_log"):
        book.execute(f"DELETE FROM {table}")
    book.execute("UPDATE member SET balance_fen = ? WHERE client = 'lakehouse'", (FULL_FEN,))


@pytest.fixture
def place(systems: Systems, book: sqlite3.Connection, tmp_path: Path) -> Iterator[Place]:
    made = systems.place(tmp_path, "lakehouse")
    with made.entered():
        yield made


def paper(number: int, **changed: object) -> dict:
    return {
        "subject_code": f"91330100MA2{number:07d}",
        "subject_name": f"Hangzhou Sample Works No. {number} Co., Ltd.",
        "purposes": "loan_approval post_loan_management",
        "given_on": "2020-02-20",
        "valid_until": "2021-02-20",
        "channel": "signed_paper",
        "evidence": f"application {number}",
    } | changed


def give_papers(*numbers: int) -> None:
    consents.give_all(paper(number) for number in numbers)


def pull(day: str = DAY) -> runner.Outcome:
    return runner.pull(day, contracts.load(get_settings().contracts_dir / "bureau__report.yaml"))


def log() -> list[dict]:
    return list(journal.entries(enquiry.log_path("bureau__report")))


def charged(book: sqlite3.Connection) -> list[tuple]:
    """Enquiries in the bureau's book, by subject and day."""
    return book.execute("SELECT subject, enquired_on, fee_fen FROM enquiry ORDER BY 1, 2").fetchall()


def test_without_a_consent_nobody_is_asked_about(place: Place, book: sqlite3.Connection) -> None:
    assert pull().outcome == ledger.NOTHING
    consents.give(paper(1, purposes="loan_approval"))
    consents.give(paper(2, valid_until="2020-03-01"))
    consents.give(paper(3, given_on="2020-03-03"))
    ended = consents.give(paper(4))
    consents.revoke(ended.id, date(2020, 3, 2), "withdrawn at the counter")
    assert pull().outcome == ledger.NOTHING
    assert charged(book) == book.execute("SELECT * FROM access_log").fetchall() == log() == []


def test_one_enquiry_a_subject_under_its_consent(place: Place, book: sqlite3.Connection) -> None:
    give_papers(0, 1, 2)
    outcome = pull()
    assert (outcome.outcome, outcome.records, outcome.fields) == (ledger.LANDED, 3, ())
    assert charged(book) == [(paper(k)["subject_code"], DAY, FEE) for k in (0, 1, 2)]
    reports = [json.loads(row) for _, row in landed_rows(place, "bureau__report")]
    assert sorted(r["subject_code"] for r in reports) == [paper(k)["subject_code"] for k in (0, 1, 2)]
    assert {r["purpose"] for r in reports} == {"post_loan_management"}
    for again in (DAY, NEXT_DAY):
        assert pull(again).outcome == ledger.NOTHING
    assert len(charged(book)) == 3


def test_what_is_asked_is_logged_before_it_is_sent(place: Place, systems: Systems, monkeypatch) -> None:
    give_papers(0)
    seen = []
    request = enquiry.RestSource.request

    def watched(self, path, *args, **kwargs):
        if path == "/v1/enquiries":
            seen.append([(e["event"], e["subject"], e["purpose"], e["consent"]) for e in log()])
        return request(self, path, *args, **kwargs)

    monkeypatch.setattr(enquiry.RestSource, "request", watched)
    pull()
    held = consents.known()[0]
    assert seen == [[("sent", held.subject_code, "post_loan_management", held.id)]]
    assert [e["event"] for e in log()] == ["sent", "answered"]
    assert enquiry.log_path("bureau__report").stat().st_mode & 0o077 == 0


def test_the_consents_token_lies_nowhere_in_the_clear(place: Place, monkeypatch) -> None:
    give_papers(0)
    tokens = []
    noted = consents.note_registered
    monkeypatch.setattr(
        consents, "note_registered", lambda consent, *facts: tokens.append(facts[-1]) or noted(consent, *facts)
    )
    pull()
    assert len(tokens) == 1 and len(tokens[0]) > 20
    for path in place.home.rglob("*"):
        assert not path.is_file() or tokens[0].encode() not in path.read_bytes(), path
    assert consents.token(consents.known()[0], "bureau", "a test") == tokens[0]


def test_a_subject_is_asked_again_when_its_report_is_old(place: Place, systems: Systems, book) -> None:
    give_papers(0)
    for day, asked in ((DAY, 1), ("2020-05-30", 1), ("2020-06-01", 2)):
        systems.today(day)
        assert pull(day).error is None
        assert len(charged(book)) == asked, day


def test_the_days_quota_ends_a_pull_with_what_it_has(place: Place, systems: Systems, book) -> None:
    give_papers(*SUBJECTS)
    first = pull()
    assert (first.outcome, first.records, first.error) == (ledger.LANDED, QUOTA, None)
    assert pull().outcome == ledger.NOTHING
    systems.today(NEXT_DAY)
    assert pull(NEXT_DAY).records == len(SUBJECTS) - QUOTA
    assert len({subject for subject, *_ in charged(book)}) == len(charged(book)) == len(SUBJECTS)


def test_an_empty_account_is_named_and_what_was_paid_is_landed(place: Place, book: sqlite3.Connection) -> None:
    give_papers(0, 1, 2, 3)
    book.execute("UPDATE member SET balance_fen = ? WHERE client = 'lakehouse'", (2 * FEE + 1,))
    outcome = pull()
    assert (outcome.outcome, outcome.records) == (ledger.REFUSED, 2)
    assert isinstance(outcome.error, SourceError) and "balance" in outcome.error.what
    book.execute("UPDATE member SET balance_fen = ? WHERE client = 'lakehouse'", (FULL_FEN,))
    assert pull().records == 2
    assert len(charged(book)) == 4


def test_a_consent_that_the_bureau_does_not_take_is_not_offered_again(place: Place, book) -> None:
    consents.give(paper(0, subject_name="Somebody Else Co., Ltd."))
    consents.give(paper(1, valid_until="2024-02-20"))  # longer than two years
    consents.give(paper(900))  # nobody's code
    give_papers(1)
    assert pull().records == 1
    assert [e["code"] for e in log() if e["event"] == "consent_refused"].count("wrong_name") == 1
    assert {c.refused.get("bureau") for c in consents.known()} == {"wrong_name", "too_long", None}
    before = len(log())
    pull()
    assert [e["code"] for e in log()[before:]] == ["unknown_subject"]


def test_a_consent_that_was_revoked_at_the_bureau_is_dead_here_too(place: Place, systems: Systems, book) -> None:
    give_papers(0)
    pull()
    book.execute("UPDATE consent SET revoked_on = '2020-03-10'")
    for day in ("2020-06-20", "2020-06-21"):
        systems.today(day)
        assert pull(day).outcome == ledger.NOTHING
    assert consents.known()[0].revoked_on == date(2020, 6, 20)
    assert [e["event"] for e in log()] == ["sent", "answered", "sent", "refused"]


def test_the_bureau_is_told_of_a_consents_end(place: Place, book: sqlite3.Connection) -> None:
    give_papers(0)
    pull()
    consents.revoke(consents.known()[0].id, date(2020, 3, 2), "by letter")
    pull()
    assert [row[0] for row in book.execute("SELECT revoked_on FROM consent")] == [DAY]
    assert consents.known()[0].registered["bureau"].withdrawn


def test_a_refusal_that_concerns_us_all_stops(place: Place, systems: Systems) -> None:
    give_papers(0, 1)
    note = json.loads(place.connections.read_text())
    note["bureau"]["auth"]["scope"] = "consents"
    place.connections.write_text(json.dumps(note))
    outcome = pull()
    assert outcome.outcome == ledger.REFUSED and "insufficient_scope" in str(outcome.error)
    assert [e["event"] for e in log()] == ["sent", "refused"]


def killed_pulls_are_charged_once(
    systems: Systems, book: sqlite3.Connection, folder: Path, kills: int, seed: int
) -> int:
    """An undisturbed pull and a killed one, each in a lakehouse of its own and with a fresh book; returns the kills."""
    undisturbed, killed = systems.place(folder, f"undisturbed-{seed}"), systems.place(folder, f"killed-{seed}")
    rows, done = {}, 0
    for place in (undisturbed, killed):
        empty(book)
        with place.entered():
            give_papers(*range(6))
        if place is undisturbed:
            endings = run_all(place, [(DAY, "bureau")])
        else:
            done = kill_and_finish(place, [(DAY, "bureau")], endings, kills, seed)
        assert [subject for subject, *_ in charged(book)] == [paper(k)["subject_code"] for k in range(6)]
        balance = book.execute("SELECT balance_fen FROM member WHERE client = 'lakehouse'").fetchone()
        assert balance == (FULL_FEN - 6 * FEE,)
        # Each book gives an enquiry another number.
        rows[place] = [
            (received, re.sub(r'"enquiry_id": "E[0-9a-f]+"', "", row))
            for received, row in landed_rows(place, "bureau__report")
        ]
    assert len(rows[killed]) == 6 and rows[killed] == rows[undisturbed]
    return done


def test_killed_pulls_are_charged_once_a_subject(systems: Systems, book: sqlite3.Connection, tmp_path: Path) -> None:
    assert killed_pulls_are_charged_once(systems, book, tmp_path, kills=3, seed=4) >= 2


# The register


def test_a_file_of_consents_is_taken_whole_or_not(place: Place, tmp_path: Path) -> None:
    header = ",".join(consents.COLUMNS)
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    lines = [",".join(map(str, paper(k).values())) for k in range(3)]
    lines = [line.replace("Works No. ", "Works No. ").replace(" Co., Ltd.", "") for line in lines]
    good.write_text("\n".join([header, *lines]), encoding="utf-8-sig")
    assert consents.import_file(good) == (3, 0)
    assert consents.import_file(good) == (0, 3)
    for wrong in ("91330100MA2,n,p,2020-02-20,2021-02-20,c,e", lines[0].replace("2021-02-20", "2020-01-01"), "x"):
        bad.write_text("\n".join([header, lines[0].replace("No. 0", "No. 9"), wrong]), encoding="utf-8")
        with pytest.raises(ConsentError, match="record 2"):
            consents.import_file(bad)
    assert len(consents.known()) == 3
    with pytest.raises(ConsentError, match="header"):
        consents.import_file(place.connections)


def test_revoking_what_is_not_there_is_an_error(place: Place) -> None:
    with pytest.raises(ConsentError, match="no consent"):
        consents.revoke("c0", date(2020, 1, 1), "why")


def test_landed_answers_are_chained_like_all_batches(place: Place) -> None:
    give_papers(0, 1)
    pull()
    batch = landing.landed()[0]
    assert batch.cursor["partition"] == DAY and len(batch.files) == 2
    assert all("91330100" not in file.name for file in batch.files)
