"""A second delivery of the same firms: the same files with a few invoices voided or corrected."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from sources.invoice_generator.drop_folder import write_bytes
from sources.invoice_generator.generate import beside, prepare_folder
from sources.invoice_generator.traps import VALID, VOID

VOIDED_SHARE = 0.7  # of the changed invoices; the others get another amount
FIELDS = 8  # enterprise, number, date, counterparty, amount, tax, total, status


def revise(source: Path, out: Path, share: float, seed: int) -> dict:
    """Copy the drop folder `source` to `out` with a share of all invoices changed.

    Works on any folder of the format, gzipped or not: lines that are not changed stay byte for byte.
    Only valid invoices listed once, whose total is amount plus tax, are changed. Writes and returns the
    report `<out>.revised.json`. ValueError for a share outside (0, 0.5], FileNotFoundError without
    invoice files, FileExistsError when `out` is not empty.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"a share of {share} cannot be revised: give one above 0 and at most 0.5")
    if not any(source.glob("*put_invoices*.csv*")):
        raise FileNotFoundError(f"{source} holds no input_invoices*.csv or output_invoices*.csv to revise")
    prepare_folder(out)
    rng = np.random.default_rng(seed)
    files = {}
    for path in sorted(p for p in source.iterdir() if p.is_file()):
        if "put_invoices" in path.name:
            files[path.name] = _revise_file(rng, path, out / path.name, share)
        else:
            shutil.copyfile(path, out / path.name)
    report = {
        "source": source.name,
        "share": share,
        "seed": seed,
        "voided": sum(f["voided"] for f in files.values()),
        "corrected": sum(f["corrected"] for f in files.values()),
        "files": files,
    }
    beside(out, "revised").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return report


def _revise_file(rng: np.random.Generator, path: Path, target: Path, share: float) -> dict:
    """Write one revised invoice file; returns counts and the changed invoices (key and new state)."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream:
        lines = stream.read().split(b"\n")
    changeable = _changeable(lines)
    wanted = min(round(share * sum(1 for line in lines[1:] if line)), len(changeable))
    chosen = np.sort(rng.choice(changeable, size=wanted, replace=False))
    voided = rng.random(wanted) < VOIDED_SHARE
    factors = rng.choice([0.1, 0.5, 0.8, 0.9, 1.1, 1.25, 2.0], wanted)
    changes = []
    for position, void, factor in zip(chosen, voided, factors, strict=True):
        text = lines[position].decode()
        fields = text.rstrip("\r").split(",")
        fields = _void(fields) if void else _correct(fields, float(factor))
        lines[position] = (",".join(fields) + ("\r" if text.endswith("\r") else "")).encode()
        changes.append(dict(zip(("enterprise", "number", "date", "counterparty"), fields, strict=False)))
        changes[-1] |= {"status": fields[7].strip(), "amount": fields[4]}
    write_bytes(target, b"\n".join(lines))
    return {"voided": int(voided.sum()), "corrected": int((~voided).sum()), "changes": changes}


def _changeable(lines: list[bytes]) -> np.ndarray:
    """Positions of valid invoices listed once, with an amount and a total that adds up."""
    valid = VALID.encode()
    parts = {i: line.decode().rstrip("\r").split(",") for i, line in enumerate(lines) if i and valid in line}
    listed = Counter(tuple(line.split(b",")[:4]) for line in lines[1:] if line)
    return np.array(
        [
            i
            for i, fields in parts.items()
            if len(fields) == FIELDS and listed[tuple(f.encode() for f in fields[:4])] == 1 and _adds_up(fields)
        ],
        dtype=int,
    )


def _adds_up(fields: list[str]) -> bool:
    try:
        amount, tax, total = (round(float(f) * 100) for f in fields[4:7])
    except ValueError:
        return False
    return amount != 0 and amount + tax == total


def _void(fields: list[str]) -> list[str]:
    return [*fields[:7], VOID]


def _correct(fields: list[str], factor: float) -> list[str]:
    amount, tax = (round(float(f) * 100 * factor) for f in fields[4:6])
    return [*fields[:4], *(str(fen / 100) for fen in (amount, tax, amount + tax)), fields[7]]
