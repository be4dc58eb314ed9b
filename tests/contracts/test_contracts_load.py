"""The contracts of the product: each loads, fits its neighbours, and its dictionary is the committed one."""

from __future__ import annotations

import re

import pytest

from lakehouse import contracts, dictionary
from lakehouse.contracts import Contract
from lakehouse.feeds import SCHEMA_POLICIES
from lakehouse.settings import PROJECT_DIR

KNOWN = contracts.load_all(PROJECT_DIR / "contracts")
DECIMAL = re.compile(r"decimal\(18,2\)")


FEEDS = {contract_id: contract for contract_id, contract in KNOWN.items() if contract.feed}
DROPS = {
    "bank__applicant", "bank__credit_record", "bank__loan", "gov_registry__enterprise",
    "gov_tax__purchase_invoice", "gov_tax__sale_invoice",
}  # fmt: skip


def test_contracts_claim_files_of_a_drop_or_are_pulled() -> None:
    assert set(KNOWN) - set(FEEDS) == DROPS
    assert all(KNOWN[contract_id].file_pattern for contract_id in DROPS)
    assert not any(contract.file_pattern for contract in FEEDS.values())


@pytest.mark.parametrize("contract", KNOWN.values(), ids=lambda c: c.id)
def test_a_contract_says_what_it_is(contract: Contract) -> None:
    assert contract.purpose and contract.limitations and contract.owner and contract.grain
    assert all(column.description for column in contract.columns)
    assert contract.feed or contract.subject == "enterprise_id"
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


@pytest.mark.parametrize("contract", FEEDS.values(), ids=lambda c: c.id)
def test_a_feed_says_how_silver_keeps_it_and_how_late_it_may_be(contract: Contract) -> None:
    assert contract.silver and contract.feed
    assert contract.subject not in {c.name for c in contract.personal_columns}
    assert contract.known_at.event_column or contract.feed.protocol == "enquiry"


def test_entities_of_silver_are_each_fed_once() -> None:
    entities = [contract.silver.entity for contract in FEEDS.values() if contract.silver]
    assert len(entities) == len(set(entities))
    assert not set(entities) & {"vat_invoice", "enterprise", "loan", "credit_record"}, (
        "conformed tables have these names"
    )


def test_each_policy_of_a_schema_change_is_in_use() -> None:
    assert {contract.feed.schema_change for contract in FEEDS.values() if contract.feed} == set(SCHEMA_POLICIES)


def test_natural_persons_fields_are_sealed() -> None:
    sealed = {(c.id, column.name): column for c in FEEDS.values() for column in c.personal_columns}
    assert set(sealed) == {
        ("business_registry__enterprise", "legal_person_name"),
        ("business_registry__enterprise", "legal_person_number"),
        ("business_registry__change", "value_before"), ("business_registry__change", "value_after"),
        ("business_registry__shareholder", "owner_name"), ("business_registry__shareholder", "owner_code"),
        ("courts__case", "plaintiff_name"), ("courts__case", "plaintiff_code"),
        ("core_bank__application", "device_id"), ("core_bank__application", "contact_phone"),
        ("core_bank__guarantee", "contact_phone"),
        ("field__visit", "author_name"),
    }  # fmt: skip
    assert all(column.data_subject and column.token_kind for column in sealed.values())


def test_an_enterprise_among_shareholders_is_no_person() -> None:
    contract = FEEDS["business_registry__shareholder"]
    code = contract.column("owner_code")
    assert contract.is_impersonal(code, {"gdlx": "1", "gdzjhm": "91330106MA2K00001X"})
    assert not contract.is_impersonal(code, {"gdlx": "2", "gdzjhm": "330106197001010011"})
    assert not contract.is_impersonal(code, {"gdlx": "9"}) and not contract.is_impersonal(code, {})


def test_announced_schema_changes_are_read_as_before() -> None:
    usage, deposit = FEEDS["electricity__daily_usage"], FEEDS["housing_fund__deposit"]
    assert [usage.at_version(v).column("energy_kwh").source_name for v in (1, 2, 3)] == ["ydl", "zxygdl", "zxygdl"]
    assert [deposit.at_version(v).column("due_cny").scale for v in (1, 2)] == [None, "0.01"]
