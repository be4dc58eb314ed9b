"""A fault in a contract is refused with the file, the line and the field it stands in, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import contracts
from lakehouse.errors import ContractError
from lakehouse.settings import PROJECT_DIR

SOURCE = PROJECT_DIR / "contracts" / "gov_tax__sale_invoice.yaml"
TEXT = SOURCE.read_text(encoding="utf-8")


def line_of(text: str, part: str) -> int:
    """The 1-based line on which a part stands first."""
    return text[: text.index(part)].count("\n") + 1


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[..., ContractError]:
    """Loads the sale contract with one change and returns the error it must give."""

    def load(old: str, new: str, name: str = SOURCE.name) -> ContractError:
        assert TEXT.count(old) >= 1, f"the contract has no {old!r} any more"
        path = tmp_path / name
        path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ContractError) as caught:
            contracts.load(path)
        return caught.value

    return load


# what is changed, into what, where the error points (text on that line of the changed file), field, words
FAULTS = {
    "a nested field misspelt": (
        "        required: true\n", "        requird: true\n", "- name: enterprise_id",
        "schema.0.properties.0", "requird",
    ),
    "a type that does not exist": (
        "logicalType: date\n", "logicalType: bananas\n", "logicalType: bananas",
        "schema.0.properties.2.logicalType", "bananas",
    ),
    "a type that no file can hold": (
        "logicalType: string\n        required: true\n        classification: internal\n        description: valid",
        "logicalType: array\n        required: true\n        classification: internal\n        description: valid",
        "logicalType: array", "schema.0.properties.7.logicalType", "array",
    ),
    "a number that is not exact": (
        "physicalType: decimal(18,2)", "physicalType: double", "logicalType: number",
        "schema.0.properties.4.logicalType", "exact decimal",
    ),
    "a pattern that does not compile": (
        '"^[0-9]{1,20}$"', '"^[0-9{1,20}$"', '"^[0-9{1,20}$"',
        "schema.0.properties.1.logicalTypeOptions.pattern", "pattern",
    ),
    "an unknown property of the contract": (
        "property: encoding,", "property: enkoding,", "enkoding", "customProperties.1", "enkoding",
    ),
    "an unknown property of a column": (
        "property: notAfterReceived,", "property: notAfterRecieved,", "notAfterRecieved",
        "schema.0.properties.2.customProperties.0", "notAfterRecieved",
    ),
    "a rule on a column that does not exist": (
        "abs(tax_cny) <= 0.20", "abs(vat_cny) <= 0.20", "- name: tax_above_any_rate",
        "schema.0.quality.1", "vat_cny",
    ),
    "a rule that is not SQL": (
        "abs(tax_cny) <= 0.20", "abs(tax_cny <= 0.20", "- name: tax_above_any_rate",
        "schema.0.quality.1", "not SQL",
    ),
    "a rule with an open quote": (
        "implementation: status = 'void'}", "implementation: status = 'void}", "- {name: void,",
        "schema.0.quality.2", "not SQL",
    ),
    "an engine that does not exist": (
        "engine: vinelake-row-rule", "engine: soda", "- name: total_mismatch", "schema.0.quality.0", "soda",
    ),
    "two columns of one name": (
        "name: counterparty_id", "name: invoice_number", "name: invoice_number\n        physicalName: 购方单位代号",
        "schema.0.properties.3", "stands twice",
    ),
    "two columns of one source name": (
        "physicalName: 税额", "physicalName: 金额", "name: tax_cny", "schema.0.properties.5", "stands twice",
    ),
    "a time rule that does not exist": (
        "history: event_lag", "history: whenever", "property: knownAt", "customProperties.6", "whenever",
    ),
    "a time rule on a column that is not a date": (
        "eventColumn: issued_on", "eventColumn: status", "property: knownAt", "customProperties.6", "status",
    ),
    "a lag that is not a number": (
        "lagDays: 1", "lagDays: soon", "property: knownAt", "customProperties.6", "soon",
    ),
    "a share that is not a number": (
        "property: maxQuarantinedRatio, value: 0.02", "property: maxQuarantinedRatio, value: few",
        "maxQuarantinedRatio", "customProperties.3", "few",
    ),
    "an encoding nobody knows": (
        "property: encoding, value: utf-8", "property: encoding, value: utf-eight", "encoding",
        "customProperties.1", "utf-eight",
    ),
    "a policy that does not exist": (
        "property: unknownColumns, value: refuse", "property: unknownColumns, value: shrug", "unknownColumns",
        "customProperties.2", "policy",
    ),
    "a subject that is not a column": (
        "property: subject, value: enterprise_id", "property: subject, value: firm", "property: subject",
        "customProperties.4", "firm",
    ),
    "a least date that is not a date": (
        'minimum: "2000-01-01"', 'minimum: "2000-13-01"', "2000-13-01",
        "schema.0.properties.2.logicalTypeOptions", "2000-13-01",
    ),
    "a gate's rule that does not exist": (
        "property: versionOrder, value: [status]", "property: gate, value: {colour: {}}", "property: gate",
        "customProperties.5", "colour",
    ),
    "a severity that does not exist": (
        "property: versionOrder, value: [status]", "property: gate, value: {volume: {severity: fatal}}",
        "property: gate", "customProperties.5", "fatal",
    ),
    "a factor below one": (
        "property: versionOrder, value: [status]", "property: gate, value: {location: {tolerance: 0.5}}",
        "property: gate", "customProperties.5", "0.5",
    ),
    "a share above one": (
        "property: versionOrder, value: [status]", "property: gate, value: {share: {tolerance: 25}}",
        "property: gate", "customProperties.5", "25",
    ),
    "too little history to judge by": (
        "property: versionOrder, value: [status]", "property: gate, value: {minimumHistory: 1}",
        "property: gate", "customProperties.5", "minimumHistory",
    ),
    "a reference without a column": (
        "value: gov_registry__enterprise.enterprise_id", "value: gov_registry__enterprise", "- name: enterprise_id",
        "schema.0.properties.0", "references",
    ),
    "another id than the file's name": (
        "id: gov_tax__sale_invoice", "id: gov_tax__sales", "id: gov_tax__sales", "id", "gov_tax__sales",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_file_line_field_and_remedy(fault: str, refuse: Callable[..., ContractError]) -> None:
    old, new, place, field, words = FAULTS[fault]
    error = refuse(old, new)
    where = f"{SOURCE.name}, line {line_of(TEXT.replace(old, new, 1), place)}, field {field}"
    assert error.where == where
    assert words in error.what
    assert error.remedy


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("customProperties:\n  - {property: filePattern", "customProperties:\n - {property: filePattern"),
        ("status: active\n", "status: active\nstatus: retired\n"),
        ("name: data engineering", "name: data\tengineering: [\n"),
        ("name: data engineering", "name: data\x01engineering"),
    ],
    ids=["indentation", "a key twice", "an open bracket", "a control character"],
)
def test_text_that_is_not_yaml_is_refused_with_its_line(
    old: str, new: str, refuse: Callable[..., ContractError]
) -> None:
    error = refuse(old, new)
    assert f"{SOURCE.name}, line " in str(error.where)
    assert "YAML" in error.what and error.remedy


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / SOURCE.name
    path.write_bytes(TEXT.encode("gb18030"))
    with pytest.raises(ContractError, match="UTF-8") as caught:
        contracts.load(path)
    assert SOURCE.name in str(caught.value.where)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list\n"])
def test_a_file_that_holds_no_contract_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / SOURCE.name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match="Open Data Contract Standard"):
        contracts.load(path)


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no contract found"):
        contracts.load_all(tmp_path)


def test_a_reference_to_what_no_contract_describes_is_refused(tmp_path: Path) -> None:
    (tmp_path / SOURCE.name).write_text(TEXT, encoding="utf-8")
    with pytest.raises(ContractError, match=r"references gov_registry__enterprise\.enterprise_id") as caught:
        contracts.load_all(tmp_path)
    assert caught.value.where == SOURCE.name


def test_a_gate_policy_keeps_the_defaults_it_does_not_name(tmp_path: Path) -> None:
    own = "property: gate, value: {volume: {severity: warning}, age: {tolerance: 30}, minimumHistory: 24}"
    path = tmp_path / SOURCE.name
    path.write_text(TEXT.replace("property: encoding, value: utf-8", own), encoding="utf-8")
    policy = contracts.load(path).gate
    assert (policy.tolerances["volume"].severity, policy.tolerances["volume"].amount) == ("warning", 3)
    assert (policy.tolerances["age"].severity, policy.tolerances["age"].amount) == ("blocking", 30)
    assert policy.tolerances["share"] == contracts.load(SOURCE).gate.tolerances["share"]
    assert policy.minimum_history == 24


def test_a_missing_property_is_named(refuse: Callable[..., ContractError]) -> None:
    error = refuse("  - {property: subject, value: enterprise_id}\n", "")
    assert "subject" in error.what
    assert "field customProperties" in str(error.where)


def test_keys_come_in_the_order_of_their_positions(tmp_path: Path) -> None:
    swapped = TEXT.replace("primaryKeyPosition: 1", "primaryKeyPosition: 9")
    path = tmp_path / SOURCE.name
    path.write_text(swapped, encoding="utf-8")
    assert contracts.load(path).keys == ("invoice_number", "issued_on", "counterparty_id", "enterprise_id")
