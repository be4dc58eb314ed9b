"""China's input-output table of 2007 and its concordance to the industries of GB/T 4754-2017.

The table (National Bureau of Statistics, 42 sectors, producers' prices) follows GB/T 4754-2002, the firms of the
economy the edition of 2017. `concordance.csv` gives every division of 2017 its sector; `fit` is `part` where groups
of the division belonged elsewhere in 2002. `io_coefficients.csv` holds what the sectors of the economy's chains buy
per yuan of output, taken from the table; coefficients below one fen in a yuan are left out.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# The sector in whose column a chain's makers buy.
CHAIN_SECTORS = {
    "automobile": "17",
    "steel": "14",
    "construction": "26",
    "textiles": "08",
    "food": "06",
    "farming": "01",
    "services": "27",
}
SMALLEST = 0.01


def sector_of_division() -> dict[str, str]:
    """Two-digit division of GB/T 4754-2017 → two-digit sector of the table of 2007."""
    with (HERE / "concordance.csv").open() as file:
        return {row["division_2017"]: row["io_sector_2007"] for row in csv.DictReader(file)}


def technical_coefficients(flows: Path, totals: Path) -> tuple[list[str], np.ndarray]:
    """Sector codes and the matrix a[i, j]: yuan of sector i used per yuan of output of sector j.

    flows: rows of input_sector, output_sector, intermediate_use_10k_yuan; totals: sector, total_input_10k_yuan.
    """
    with totals.open() as file:
        output = {row["sector"]: float(row["total_input_10k_yuan"]) for row in csv.DictReader(file)}
    codes = sorted(output)
    place = {code: number for number, code in enumerate(codes)}
    matrix = np.zeros((len(codes), len(codes)))
    with flows.open() as file:
        for row in csv.DictReader(file):
            used = float(row["intermediate_use_10k_yuan"])
            matrix[place[row["input_sector"]], place[row["output_sector"]]] = used / output[row["output_sector"]]
    return codes, matrix


def chain_coefficients() -> dict[str, dict[str, float]]:
    """Chain → sector → yuan bought from that sector per yuan of the chain's output."""
    found: dict[str, dict[str, float]] = {chain: {} for chain in CHAIN_SECTORS}
    with (HERE / "io_coefficients.csv").open() as file:
        for row in csv.DictReader(file):
            found[row["chain"]][row["input_sector"]] = float(row["coefficient"])
    return found


def extract(flows: Path, totals: Path) -> list[tuple[str, str, str, float]]:
    """Rows of `io_coefficients.csv`: chain, its sector, input sector, coefficient of at least SMALLEST."""
    codes, matrix = technical_coefficients(flows, totals)
    return [
        (chain, sector, codes[i], round(float(matrix[i, codes.index(sector)]), 4))
        for chain, sector in CHAIN_SECTORS.items()
        for i in range(len(codes))
        if matrix[i, codes.index(sector)] >= SMALLEST
    ]
