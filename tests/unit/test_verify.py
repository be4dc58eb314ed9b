"""Verification of landing: whatever is changed in it is found, and where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, strategies
from hypothesis import settings as rules

from lakehouse.settings import Settings
from spark_jobs import landing, landing_files, verify
from tests.drops import drop, sound_sales

RANGE = re.compile(r"^(?P<path>.*), bytes (?P<first>[\d,]+) to (?P<last>[\d,]+)$")
BLOCK = 256


@pytest.fixture
def landed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[landing.Batch]:
    """Three batches of two days in a landing with small blocks."""
    monkeypatch.setattr(landing_files, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(verify, "BLOCK_BYTES", BLOCK)
    drop("2020-03-01", sales=sound_sales(40), firms=["E1"])
    landing.land("2020-03-01")
    drop("2020-04-01", sales=sound_sales(30))
    landing.land("2020-04-01")
    return landing.landed()


def recorded(batches: list[landing.Batch]) -> dict[str, str]:
    """What the batch ledger would say of them."""
    return {b.batch_id: b.manifest_hash for b in batches}


def names_byte(finding: verify.Finding, path: Path, position: int) -> bool:
    """Whether a finding is about the file and, for received bytes, about a block with that position."""
    if finding.where == str(path):
        return path.suffix == ".json"
    place = RANGE.match(finding.where)
    if not place or place["path"] != str(path):
        return False
    first, last = (int(place[end].replace(",", "")) for end in ("first", "last"))
    return first <= position <= last and last - first < BLOCK


def test_untouched_landing_has_no_finding(landed: list[landing.Batch]) -> None:
    findings, batches, size = verify.verify(recorded(landed))
    assert (findings, batches) == ([], 3)
    assert size == sum(p.stat().st_size for b in landed for p in b.folder.iterdir())


def test_any_one_changed_byte_is_located(landed: list[landing.Batch]) -> None:
    files = [b.folder / f.name for b in landed for f in b.files]
    paths = [*files, *landing.manifest_paths()]
    owner = {b.folder / f.name: b.batch_id for b in landed for f in b.files}
    newline = landing.manifest_paths()[0].read_bytes().index(b"\n")

    @rules(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategies.sampled_from(paths), strategies.integers(0, 10**6), strategies.integers(1, 255))
    @example(landing.manifest_paths()[0], newline, ord("\n") ^ ord("\r"))  # white space that JSON does not see
    @example(landing.manifest_paths()[0], newline + 1, ord(" ") ^ ord("\t"))
    def changed(path: Path, place: int, mask: int) -> None:
        sound = path.read_bytes()
        position = place % len(sound)
        try:
            path.write_bytes(sound[:position] + bytes([sound[position] ^ mask]) + sound[position + 1 :])
            findings, _, _ = verify.verify()
        finally:
            path.write_bytes(sound)
        located = [f for f in findings if names_byte(f, path, position)]
        assert located, findings
        assert path not in owner or {f.batch_id for f in findings} == {owner[path]}

    changed()
    assert verify.verify()[0] == []


@pytest.mark.parametrize("length", [-1, -BLOCK, -BLOCK - 1, 1])
def test_a_file_made_shorter_or_longer_is_found(landed: list[landing.Batch], length: int) -> None:
    path = landed[1].folder / "output_invoices.csv"
    data = path.read_bytes()
    path.write_bytes(data[:length] if length < 0 else data + b"x" * length)
    findings, _, _ = verify.verify()
    assert {f.batch_id for f in findings} == {landed[1].batch_id}
    assert all(str(path) in f.where for f in findings)


def test_a_file_that_is_gone_is_found(landed: list[landing.Batch]) -> None:
    (landed[0].folder / landed[0].files[0].name).unlink()
    (finding,) = verify.verify()[0]
    assert (finding.batch_id, finding.what) == (landed[0].batch_id, "the file is gone")


def test_a_manifest_taken_from_the_middle_breaks_the_chain(landed: list[landing.Batch]) -> None:
    landing.manifest_paths()[1].unlink()
    findings = verify.verify()[0]
    assert [f.batch_id for f in findings] == [landed[2].batch_id]
    assert "chain is broken" in findings[0].what


def test_a_manifest_rewritten_with_a_fitting_hash_breaks_the_chain_after_it(landed: list[landing.Batch]) -> None:
    path = landing.manifest_paths()[1]
    body = json.loads(path.read_text(encoding="utf-8")) | {"received_on": "2019-01-01"}
    body["manifest_hash"] = landing.body_hash(body)
    path.write_text(landing.manifest_text(body), encoding="utf-8")
    (finding,) = verify.verify()[0]
    assert finding.batch_id == landed[2].batch_id and "chain is broken" in finding.what


def test_only_the_ledger_knows_of_a_tail_that_was_cut(landed: list[landing.Batch]) -> None:
    landing.manifest_paths()[-1].unlink()
    assert verify.verify()[0] == []
    (finding,) = verify.verify(recorded(landed))[0]
    assert finding.batch_id == landed[2].batch_id and "no manifest" in finding.what


def test_only_the_ledger_knows_of_a_chain_that_was_rewritten_as_a_whole(landed: list[landing.Batch]) -> None:
    ledger, previous = recorded(landed), landing.GENESIS
    for path in landing.manifest_paths():
        body = json.loads(path.read_text(encoding="utf-8"))
        body |= {"received_on": "2019-01-01", "previous_hash": previous}
        body["manifest_hash"] = previous = landing.body_hash(body)
        path.write_text(landing.manifest_text(body), encoding="utf-8")
    assert verify.verify()[0] == []
    findings = verify.verify(ledger)[0]
    assert [f.batch_id for f in findings] == [b.batch_id for b in landed]
    assert all("differs from the one in the batch ledger" in f.what for f in findings)
