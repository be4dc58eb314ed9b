"""A second delivery: a few invoices voided or corrected, everything else byte for byte the same."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from sources.invoice_generator.generate import generate
from sources.invoice_generator.revise import revise


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("revise") / "first"
    generate(out, firms=120, years=2, seed=5, end=date(2024, 1, 1))
    return out


def lines_of(path: Path) -> list[str]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.decode().split("\n")


def test_the_report_names_exactly_what_changed(source: Path, tmp_path: Path) -> None:
    report = revise(source, tmp_path / "second", share=0.02, seed=1)
    assert report["voided"] > report["corrected"] > 0
    for name, part in report["files"].items():
        before, after = lines_of(source / name), lines_of(tmp_path / "second" / name)
        assert len(before) == len(after)
        changed = [(b.split(","), a.split(",")) for b, a in zip(before, after, strict=True) if a != b]
        assert len(changed) == len(part["changes"]) == round(0.02 * (len(before) - 2))
        for (was, now), told in zip(changed, part["changes"], strict=True):
            assert was[:4] == now[:4] == [told["enterprise"], told["number"], told["date"], told["counterparty"]]
            assert was[7] == "有效发票"
            if told["status"] == "作废发票":
                assert now[4:] == [*was[4:7], "作废发票"]
            else:
                amount, tax, total = (round(float(x) * 100) for x in now[4:7])
                assert now[7] == "有效发票" and now[4] != was[4] and amount + tax == total


def test_other_files_are_copied(source: Path, tmp_path: Path) -> None:
    revise(source, tmp_path / "second", share=0.01, seed=1)
    assert {p.name for p in source.iterdir()} == {p.name for p in (tmp_path / "second").iterdir()}
    for name in ("loan_ledger.csv", "business_registry.csv", "enterprises_with_credit_record.csv"):
        assert (source / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_duplicated_rows_and_line_ends_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    double = "E1,1,2021/1/5,B1,100.0,13.0,113.0,有效发票\r"
    single = [f"E1,{i},2021/1/5,B1,100.0,13.0,113.0,有效发票\r" for i in range(2, 12)]
    text = "\n".join(
        ["企业代号,发票号码,开票日期,购方单位代号,金额,税额,价税合计,发票状态\r", double, double, *single, ""]
    )
    (folder / "output_invoices.csv").write_bytes(text.encode())
    revise(folder, tmp_path / "out", share=0.5, seed=2)
    after = lines_of(tmp_path / "out" / "output_invoices.csv")
    assert after[1:3] == [double, double] and all(line.endswith("\r") for line in after[:-1])
    assert sum(a != b for a, b in zip(after[3:-1], single, strict=True)) == 6  # half of 12 rows


def test_equal_seeds_give_equal_revisions(source: Path, tmp_path: Path) -> None:
    first = revise(source, tmp_path / "a", share=0.01, seed=9)
    second = revise(source, tmp_path / "b", share=0.01, seed=9)
    assert first == second
    for name in first["files"]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_bad_requests_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="share"):
        revise(source, tmp_path / "x", share=0, seed=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="to revise"):
        revise(tmp_path / "empty", tmp_path / "y", share=0.01, seed=1)
