"""What a change of a contract breaks, and for whom: by the project's own texts, column by column."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracting import check
from contracting.compare import Change, compare, version_fault
from contracting.readers import Readers
from lakehouse import contracts
from lakehouse.cli import main
from lakehouse.contracts import Contract
from lakehouse.settings import PROJECT_DIR, get_settings

FOLDER = PROJECT_DIR / "contracts"
KNOWN = contracts.load_all(FOLDER)
RETURN, SALE = "tax_returns__return", "gov_tax__sale_invoice"


@pytest.fixture(scope="module")
def readers() -> Readers:
    return Readers(KNOWN, PROJECT_DIR)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., list[Change]]:
    """Compares a contract with itself after texts of it were replaced."""

    def run(name: str, *edits: tuple[str, str]) -> list[Change]:
        text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return compare(KNOWN[name], contracts.load(path))

    return run


BREAKING = {
    "a column renamed": (RETURN, "- name: output_tax_cny", "- name: sales_tax_cny", "output_tax_cny", "renamed"),
    "a type that holds less": (RETURN, "decimal(18,2)", "decimal(12,2)", "declared_sales_cny", "type"),
    "another unit": (
        "electricity__daily_usage", "{property: unit, value: kWh}", "{property: unit, value: MWh}", "energy_kwh",
        "unit",
    ),
    "a factor": (
        "core_bank__loan", '{property: scale, value: "0.01"}', '{property: scale, value: "0.1"}', "principal_cny",
        "factor",
    ),
    "a tighter bound": ("electricity__daily_usage", "maximum: 1}", "maximum: 0.5}", "peak_ratio", "maximum"),
    "a code that means something else": ("customs__declaration", "I: import", "I: export", "direction", "code I"),
    "a code that is gone": ("customs__declaration", ", X: other", "", "direction", "code X"),
    "a name at the source": ("courts__case", "physicalName: bdje", "physicalName: bd_je", "amount_cny", "source"),
    "a column sealed": (
        "courts__case", "        physicalName: bgdm\n        logicalType: string\n        classification: internal",
        "        physicalName: bgdm\n        logicalType: string\n        classification: personal", "defendant_code",
        "classification",
    ),
    "a rule added to": (SALE, "<= 0.20 *", "<= 0.10 *", None, "row rule tax_above_any_rate"),
    "another key in silver": (RETURN, "keys: [taxpayer_id, period_start]", "keys: [taxpayer_id]", None, "record"),
    "another time of knowledge": (
        RETURN, "{history: published, eventColumn: published_at, afterwards: received}",
        "{history: received, afterwards: received}", None, "time of knowledge",
    ),
}  # fmt: skip
COMPATIBLE = {
    "a wider type": (RETURN, "decimal(18,2)", "decimal(20,2)", "declared_sales_cny", "wider"),
    "a looser bound": ("electricity__daily_usage", "maximum: 1}", "maximum: 2}", "peak_ratio", "maximum"),
    "a code more": ("customs__declaration", "X: other", "X: other, T: transit", "direction", "transit may appear"),
    "a variant": (
        "customs__declaration", "{property: codes, value: {I: import, E: export, X: other}}",
        "{property: codes, value: {I: import, E: export, X: other}}\n"
        '          - {property: variants, value: [{schemaVersion: 2, codes: {"1": import, "0": export, "9": other}}]}',
        "direction", "later schema versions",
    ),
    "another owner of the outage": ("courts__case", "staleAfterDays: 7", "staleAfterDays: 9", None, "feed"),
}  # fmt: skip


@pytest.mark.parametrize("case", BREAKING)
def test_a_change_that_breaks_is_called_so(case: str, changed: Callable[..., list[Change]]) -> None:
    name, old, new, column, words = BREAKING[case]
    found = changed(name, (old, new))
    assert [c for c in found if c.breaks and c.column == column and words in c.what], found


@pytest.mark.parametrize("case", COMPATIBLE)
def test_a_change_that_only_adds_or_allows_is_compatible(case: str, changed: Callable[..., list[Change]]) -> None:
    name, old, new, column, words = COMPATIBLE[case]
    found = changed(name, (old, new))
    assert not any(c.breaks for c in found), found
    assert [c for c in found if c.column == column and words in c.what], found


def test_a_contract_equals_itself() -> None:
    assert all(compare(contract, contract) == [] for contract in KNOWN.values())


def test_the_version_must_rise_with_what_breaks(changed: Callable[..., list[Change]], tmp_path: Path) -> None:
    changes = changed(RETURN, ("- name: output_tax_cny", "- name: sales_tax_cny"))
    old, new = KNOWN[RETURN], contracts.load(tmp_path / f"{RETURN}.yaml")
    assert "2.0.0" in str(version_fault(old, new, changes))
    for version, sound in (("1.1.0", False), ("2.0.0", True)):
        changes = changed(
            RETURN, ("- name: output_tax_cny", "- name: sales_tax_cny"), ("version: 1.0.0", f"version: {version}")
        )
        fault = version_fault(old, contracts.load(tmp_path / f"{RETURN}.yaml"), changes)
        assert (fault is None) == sound


def names(readers: Readers, contract: Contract, column: str, kind: str) -> set[str]:
    return {r.name for r in readers.of(contract, [column]) if r.kind == kind}


def test_readers_of_an_invoice_s_tax_are_found_down_to_the_features(readers: Readers) -> None:
    sale = KNOWN[SALE]
    assert names(readers, sale, "tax_cny", "silver") == {"silver.vat_invoice"}
    assert names(readers, sale, "tax_cny", "gate") == {
        "expectations on bronze.gov_tax__sale_invoice", "expectations on silver.vat_invoice",
    }  # fmt: skip
    features = names(readers, sale, "tax_cny", "feature")
    assert {"sales_tax_12m_cny", "vat_gap_12m_ratio", "sales_untaxed_amount_12m_ratio"} <= features
    assert not {"sales_amount_12m_cny", "sales_red_count_12m_ratio"} & features, "amounts without tax do not read it"
    assert "sales_amount_12m_cny" in names(readers, sale, "amount_excl_tax_cny", "feature")


def test_readers_through_names_made_at_run_time_and_through_whole_rows(readers: Readers) -> None:
    ledger, loan = KNOWN["vat_invoices__invoice"], KNOWN["bank__loan"]
    assert "silver.vat_invoice" in names(readers, ledger, "buyer_tax_number", "silver")
    assert "silver.vat_invoice" not in names(readers, ledger, "remark", "silver")
    assert names(readers, loan, "dpd90_on", "silver") == {"silver.loan"}
    assert names(readers, loan, "dpd90_on", "label") and not names(readers, loan, "due_on", "label")


def test_a_column_that_only_silver_s_own_table_holds_has_no_further_reader(readers: Readers) -> None:
    found = readers.of(KNOWN["water__bill"], ["cost_cny"])
    assert {(r.kind, r.name) for r in found} == {
        ("bronze", "bronze.water__bill"), ("silver", "silver.water_bill"),
        ("gate", "expectations on bronze.water__bill"),
    }  # fmt: skip
    assert ("feature", "water_12m_m3") in {(r.kind, r.name) for r in readers.of(KNOWN["water__bill"], ["volume_m3"])}


def test_a_department_s_name_of_a_party_reaches_who_is_who(readers: Readers) -> None:
    reads = names(readers, KNOWN["gas__account"], "certificate_number", "silver")
    assert {"silver.gas_account", "silver.department_subject"} <= reads
    assert "silver.vat_invoice" in reads, "whose invoice it is follows from who is who"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with contracts of its own, committed."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    for name in (RETURN, "tax_returns__taxpayer", "customs__declaration"):
        (folder / f"{name}.yaml").write_text((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)
    monkeypatch.setattr(type(get_settings()), "contracts_dir", property(lambda self: folder))
    return folder


def run(*words: str):
    return CliRunner().invoke(main, ["contract", "check", "--no-models", *words])


def test_check_ends_with_one_where_readers_break_and_names_them(repository: Path) -> None:
    assert run(RETURN).exit_code == 0
    path = repository / f"{RETURN}.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("- name: declared_sales_cny", "- name: sales_cny"), encoding="utf-8")
    done = run(RETURN)
    assert done.exit_code == 1
    assert "breaking" in done.output and "silver.tax_return" in done.output and "2.0.0" in done.output
    path.write_text(text.replace("staleAfterDays: 7", "staleAfterDays: 8").replace("version: 1.0.0", "version: 1.0.1"))
    assert run("--against", "HEAD").exit_code == 0
    path.unlink()
    gone = run("--against", "HEAD")
    assert gone.exit_code == 1 and "the contract is removed" in gone.output


def test_check_compares_with_a_file_and_refuses_what_git_does_not_know(repository: Path, tmp_path: Path) -> None:
    proposal = tmp_path / f"{RETURN}.yaml"
    proposal.write_text((FOLDER / f"{RETURN}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert run(RETURN, "--against", str(proposal)).exit_code == 0
    unknown = run("--against", "no-such-branch")
    assert unknown.exit_code != 0 and unknown.exception is not None
    with pytest.raises(Exception, match="no contract"):
        check.chosen(KNOWN, ["no__such"], None)


def test_check_names_what_a_draft_leaves_to_do(repository: Path) -> None:
    path = repository / f"{RETURN}.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("name: data engineering", 'name: "TODO: who answers"'))
    done = run()
    assert done.exit_code == 1
    assert "who answers" in done.output and f"{RETURN}.yaml, line " in done.output
