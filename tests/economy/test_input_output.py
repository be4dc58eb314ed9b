"""The concordance covers every division once; the coefficients are those of the official table."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sources.economy import input_output

REFERENCE = Path(__file__).parents[3] / "shared" / "data" / "reference"
FLOWS, TOTALS = REFERENCE / "china_io_2007_42_sectors.csv", REFERENCE / "china_io_2007_sector_totals.csv"
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(), reason="the official tables are not part of the repository and are absent here"
)


def concordance() -> list[dict[str, str]]:
    with (input_output.HERE / "concordance.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_division_stands_once():
    divisions = Counter(row["division_2017"] for row in concordance())
    assert set(divisions.values()) == {1}
    assert sorted(divisions) == [f"{number:02d}" for number in range(1, 98)]


def test_every_sector_has_a_division_and_one_name():
    names = {(row["io_sector_2007"], row["io_sector_name"]) for row in concordance()}
    assert sorted(code for code, _ in names) == [f"{number:02d}" for number in range(1, 43)]


def test_a_partial_fit_says_why():
    rows = concordance()
    assert {row["fit"] for row in rows} == {"whole", "part"}
    assert all(row["note"] for row in rows if row["fit"] == "part")


@needs_reference
def test_divisions_and_sectors_are_the_official_ones():
    with (REFERENCE / "gbt_4754_2017.csv").open() as file:
        divisions = {row["code"]: row["name"] for row in csv.DictReader(file) if row["level"] == "division"}
    with TOTALS.open() as file:
        sectors = {row["sector"]: row["sector_name"] for row in csv.DictReader(file)}
    assert {row["division_2017"]: row["division_name"] for row in concordance()} == divisions
    assert {row["io_sector_2007"]: row["io_sector_name"] for row in concordance()} == sectors


@needs_reference
def test_coefficients_and_value_added_make_the_whole_output():
    codes, matrix = input_output.technical_coefficients(FLOWS, TOTALS)
    with TOTALS.open() as file:
        added = {
            row["sector"]: float(row["value_added_10k_yuan"]) / float(row["total_input_10k_yuan"])
            for row in csv.DictReader(file)
        }
    assert matrix.sum(axis=0) + [added[code] for code in codes] == pytest.approx(np.ones(42), abs=1e-6)


@needs_reference
def test_the_kept_coefficients_are_those_of_the_table():
    kept = {(c, i): a for c, inputs in input_output.chain_coefficients().items() for i, a in inputs.items()}
    assert kept == {(chain, source): a for chain, _, source, a in input_output.extract(FLOWS, TOTALS)}


def test_the_kept_coefficients_make_sense():
    kept = input_output.chain_coefficients()
    assert set(kept) == set(input_output.CHAIN_SECTORS)
    for inputs in kept.values():
        assert 0.2 < sum(inputs.values()) < 1
    assert max(kept["construction"], key=kept["construction"].get) == "13"  # cement, glass, bricks
    assert max(kept["food"], key=kept["food"].get) == "01"  # what farms grow


def test_the_matrix_by_hand(tmp_path):
    (tmp_path / "flows.csv").write_text(
        "input_sector,input_sector_name,output_sector,output_sector_name,intermediate_use_10k_yuan\n"
        "01,a,01,a,10\n01,a,02,b,50\n02,b,01,a,20\n02,b,02,b,0\n"
    )
    (tmp_path / "totals.csv").write_text(
        "sector,sector_name,value_added_10k_yuan,total_input_10k_yuan\n01,a,70,100\n02,b,150,200\n"
    )
    codes, matrix = input_output.technical_coefficients(tmp_path / "flows.csv", tmp_path / "totals.csv")
    assert codes == ["01", "02"]
    assert matrix.tolist() == [[0.1, 0.25], [0.2, 0.0]]
