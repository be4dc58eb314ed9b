"""The contracts of the product: each loads, fits its neighbours, and its dictionary is the committed one."""

from __future__ import annotations

import re

import pytest

from lakehouse import contracts, dictionary
from lakehouse.contracts import Contract
from lakehouse.settings import PROJECT_DIR

KNOWN = contracts.load_all(PROJECT_DIR / "contracts")
DECIMAL = re.compile(r"decimal\(18,2\)")


def test_every_source_entity_has_its_contract() -> None:
    assert set(KNOWN) == {
        "bank__applicant", "bank__credit_record", "bank__loan", "gov_registry__enterprise",
        "gov_tax__purchase_invoice", "gov_tax__sale_invoice",
    }  # fmt: skip


@pytest.mark.parametrize("contract", KNOWN.values(), ids=lambda c: c.id)
def test_a_contract_says_what_it_is(contract: Contract) -> None:
    assert contract.purpose and contract.limitations and contract.owner and contract.grain
    assert all(column.description for column in contract.columns)
    assert contract.subject == "enterprise_id"
    assert contract.unknown_columns == "refuse"
    assert 0 < contract.max_quarantined_ratio <= 0.05


@pytest.mark.parametrize("contract", KNOWN.values(), ids=lambda c: c.id)
def test_money_is_exact_and_in_yuan(contract: Contract) -> None:
    money = [c for c in contract.columns if c.name.endswith("_cny")]
    assert all(DECIMAL.fullmatch(c.spark_type) and c.unit == "CNY" for c in money)
    assert [c.name for c in contract.columns if c.unit == "CNY"] == [c.name for c in money]


def test_dates_of_events_cannot_lie_after_receipt() -> None:
    events = {(c.id, c.known_at.event_column) for c in KNOWN.values() if c.known_at.history == "event_lag"}
    assert events
    assert all(KNOWN[contract].column(name).not_after_received for contract, name in events if name)


def test_only_the_bank_s_outcome_is_marked_as_outcome() -> None:
    marked = {(c.id, column.name) for c in KNOWN.values() for column in c.columns if column.is_outcome}
    assert marked == {("bank__credit_record", "credit_rating"), ("bank__credit_record", "is_bad")}


def test_sales_and_purchases_obey_the_same_rules() -> None:
    sale, purchase = KNOWN["gov_tax__sale_invoice"], KNOWN["gov_tax__purchase_invoice"]
    assert [(c.name, c.spark_type, c.required, c.pattern) for c in sale.columns] == [
        (c.name, c.spark_type, c.required, c.pattern) for c in purchase.columns
    ]
    assert [(r.name, r.condition) for r in sale.row_rules] == [(r.name, r.condition) for r in purchase.row_rules]
    assert (sale.known_at, sale.keys) == (purchase.known_at, purchase.keys)


def test_the_committed_dictionary_is_the_generated_one() -> None:
    assert dictionary.path().read_text(encoding="utf-8") == dictionary.render(), (
        "docs/reference/sources.md is out of date: run `vinelake contract generate`"
    )


def test_the_dictionary_names_every_column_and_rule() -> None:
    text = dictionary.render()
    for contract in KNOWN.values():
        section = text.split(f"## {contract.id}\n")[1].split("\n## ")[0]
        rows = {cells[1].strip(): cells for line in section.splitlines() if len(cells := line.split(" | ")) >= 5}
        assert all(any(line.startswith(f"| {c.name} | {c.source_name} |") for line in section.splitlines())
                   for c in contract.columns), rows.keys()  # fmt: skip
        assert all(f"`{rule.name}`" in section for rule in contract.row_rules)
