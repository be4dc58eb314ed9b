"""What a contract says of its records in silver: what is left out follows from it, and faults name their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse import contracts
from lakehouse.errors import ContractError
from lakehouse.records import Record, Subject
from lakehouse.settings import PROJECT_DIR

FOLDER = PROJECT_DIR / "contracts"
PLAIN = (FOLDER / "water__bill.yaml").read_text(encoding="utf-8")
SAID = next(line for line in PLAIN.splitlines() if "property: silver" in line)


def load(tmp_path: Path, said: str) -> contracts.Contract:
    path = tmp_path / "water__bill.yaml"
    path.write_text(PLAIN.replace(SAID, f"  - property: silver\n    value: {said}"), encoding="utf-8")
    return contracts.load(path)


def test_every_feed_says_what_its_records_are_and_no_two_share_a_table() -> None:
    feeds = [c for c in contracts.load_all(FOLDER).values() if c.feed]
    assert all(c.silver for c in feeds)
    named = [c.silver.entity for c in feeds]
    assert len(set(named)) == len(named)


def test_keys_left_out_are_the_contracts_without_what_orders_versions(tmp_path: Path) -> None:
    assert load(tmp_path, "{entity: bill, order: [revision]}").silver == Record("bill", ("record_id",), ("revision",))


def test_all_that_can_be_said(tmp_path: Path) -> None:
    said = (
        "{entity: bill, keys: [account_number], order: [published_at], deleted: 'cost_cny IS NULL', carry: true, "
        "subject: {key: account_number, codes: [record_id]}}"
    )
    subject = Subject("account_number", None, ("record_id",))
    assert load(tmp_path, said).silver == Record(
        "bill", ("account_number",), ("published_at",), "cost_cny IS NULL", True, subject
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{keys: [account_number]}", "lacks entity"),
        ("{entity: Water-Bill}", "lacks entity"),
        ("{entity: bill, key: [account_number]}", "is not a record"),
        ("{entity: bill, keys: [account]}", "'account' is not a column"),
        ("{entity: bill, order: [sequence]}", "'sequence' is not a column"),
        ("{entity: bill, deleted: 'gone = true'}", "'gone' is not a column"),
        ("{entity: bill, deleted: 'cost_cny = = 1'}", "is not SQL"),
        ("{entity: bill, subject: {name: account_number}}", "subject"),
        ("{entity: bill, order: [record_id, revision]}", "no key is left"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, said: str, words: str) -> None:
    with pytest.raises(ContractError) as caught:
        load(tmp_path, said)
    line = PLAIN.splitlines().index(SAID) + 1
    assert words in str(caught.value) and f"line {line}," in str(caught.value), str(caught.value)
