"""The register of consents and its commands, without a bureau."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from lakehouse import consents
from lakehouse.cli import main
from lakehouse.errors import ConsentError
from lakehouse.settings import Settings

PAPER = {
    "subject_code": "91330106MA2K00001X",
    "subject_name": "杭州示例机械有限公司",
    "purposes": "loan_approval post_loan_management",
    "given_on": "2024-01-10",
    "valid_until": "2025-01-10",
    "channel": "signed_paper",
    "evidence": "application AP0001",
}


def run(*arguments: str, fails: bool = False) -> str:
    done = CliRunner().invoke(main, ["consent", *arguments])
    assert (done.exit_code != 0) == fails, done.output
    return done.output


def test_a_consent_holds_for_its_purposes_and_days(settings: Settings) -> None:
    consent = consents.give(PAPER)
    days = {
        day: consent.covers("loan_approval", date.fromisoformat(day))
        for day in ("2024-01-09", "2024-01-10", "2025-01-10", "2025-01-11")
    }
    assert days == {"2024-01-09": False, "2024-01-10": True, "2025-01-10": True, "2025-01-11": False}
    assert not consent.covers("guarantee_review", date(2024, 6, 1))
    ended = consents.revoke(consent.id, date(2024, 6, 1), "by letter")
    assert ended.covers("loan_approval", date(2024, 5, 31)) and not ended.covers("loan_approval", date(2024, 6, 1))
    assert consents.revoke(consent.id, date(2024, 8, 1), "again").revoked_on == date(2024, 6, 1)
    assert consents.known() == [ended]


def test_the_same_paper_is_one_consent_and_the_longest_comes_first(settings: Settings) -> None:
    first = consents.give(PAPER)
    assert consents.give(PAPER | {"purposes": ["post_loan_management", "loan_approval"]}) == first
    longer = consents.give(PAPER | {"valid_until": "2025-12-31", "evidence": "application AP0002"})
    assert consents.live("loan_approval", date(2024, 6, 1)) == {PAPER["subject_code"]: [longer, first]}
    assert consents.live("guarantee_review", date(2024, 6, 1)) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject_code": "91-33"},
        {"subject_name": " "},
        {"purposes": ""},
        {"purposes": "Loan!"},
        {"given_on": "10.1.2024"},
        {"valid_until": "2023-01-01"},
        {"evidence": ""},
    ],
)
def test_what_is_no_consent_is_refused(settings: Settings, wrong: dict) -> None:
    with pytest.raises(ConsentError):
        consents.give(PAPER | wrong)
    assert consents.known() == []


def test_the_register_is_its_owners_alone_and_is_only_added_to(settings: Settings) -> None:
    consent = consents.give(PAPER)
    path = settings.landing_dir / "consents" / "register.jsonl"
    before = path.read_bytes()
    assert path.stat().st_mode & 0o077 == path.parent.stat().st_mode & 0o077 == 0
    consents.note_refused(consent, "bureau", "wrong_name")
    assert path.read_bytes().startswith(before) and path.read_bytes() != before
    path.write_bytes(path.read_bytes()[:-5])  # a line cut by a crash counts for nothing and harms no later one
    consents.note_refused(consent, "other", "too_long")
    assert consents.known()[0].refused == {"other": "too_long"}


def test_a_bureaus_token_is_kept_sealed(settings: Settings) -> None:
    kept = consents.note_registered(consents.give(PAPER), "bureau", "C1", "the-token-of-this-consent")
    assert kept == consents.known()[0]
    assert "the-token" not in (settings.landing_dir / "consents" / "register.jsonl").read_text()
    assert consents.token(kept, "bureau", "a test") == "the-token-of-this-consent"
    with pytest.raises(ConsentError, match="not registered"):
        consents.token(kept, "another", "a test")


def test_consents_from_the_command_line(settings: Settings, tmp_path: Path) -> None:
    options = {"--subject": "subject_code", "--name": "subject_name", "--given-on": "given_on"}
    options |= {"--valid-until": "valid_until", "--evidence": "evidence"}
    given = [part for option, name in options.items() for part in (option, PAPER[name])]
    number = run("give", *given, "--purpose", "loan_approval").strip()
    listed = json.loads(run("list", "--json"))
    assert (listed["id"], listed["purposes"], listed["revoked_on"]) == (number, "loan_approval", None)
    assert "ended on 2024-06-01" in run("revoke", number, "--why", "by letter", "--on", "2024-06-01")
    assert json.loads(run("list", "--json"))["revoked_on"] == "2024-06-01"
    file = tmp_path / "consents.csv"
    file.write_text(",".join(consents.COLUMNS) + "\n" + ",".join(PAPER.values()), encoding="utf-8")
    assert "1 consents noted, 0 were known" in run("import", str(file))
    assert "no consent" in run("revoke", "c0", "--why", "x", fails=True)
