"""The raw-file counter against the known figures of the real files and a hand-made file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.oracle.raw_counts import RawCounts, count_file, count_folder

PROJECT_DIR = Path(__file__).resolve().parents[2]
REAL = PROJECT_DIR.parent / "shared" / "data" / "cumcm_2020_c"

# Published with the data: rows, duplicates, void, negative, zero, negative and void, mismatch, firms.
KNOWN = {
    "input_invoices_with_credit_record.csv.gz": RawCounts(210_947, 803, 7_608, 1_881, 0, 21, 2, 123),
    "output_invoices_with_credit_record.csv.gz": RawCounts(162_484, 4_436, 11_206, 8_556, 1_679, 132, 1, 123),
    "input_invoices_without_credit_record.csv.gz": RawCounts(274_463, 4_681, 13_290, 2_667, 0, 68, 2, 100),
    "output_invoices_without_credit_record.csv.gz": RawCounts(211_075, 1_745, 16_692, 3_607, 859, 52, 0, 100),
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("name", KNOWN)
def test_real_files_hold_the_known_counts(name: str) -> None:
    path = REAL / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    assert count_file(path) == KNOWN[name]


def test_counts_of_a_file_made_by_hand(tmp_path: Path) -> None:
    lines = [
        "企业代号,发票号码,开票日期,购方单位代号,金额,税额,价税合计,发票状态",
        "E1,1,2021/1/5,B1,100.0,13.0,113.0,有效发票",
        "E1,1,2021/1/5,B1,100.0,13.0,113.0,有效发票 ",  # an exact duplicate once trimmed
        "E1,1,2021/1/5,B2,100.0,13.0,113.0,有效发票",  # same number, another buyer: not a duplicate
        "E2,2,2021/1/6,B1,-50.0,-6.5,-56.5, 作废发票",
        "E2,3,2021/1/7,B1,0.0,0.0,0.0,作废发票",
        "E2,4,2021/1/8,B1,10.0,1.3,11.31,有效发票",  # within one fen
        "E2,5,2021/1/8,B1,10.0,1.3,11.32,有效发票",  # two fen off
    ]
    path = tmp_path / "output_invoices_x.csv.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    assert count_folder(tmp_path) == {
        path.name: RawCounts(
            rows=7, exact_duplicates=1, void=2, negative=1, zero=1, negative_and_void=1, total_mismatch=1, firms=2
        )
    }
