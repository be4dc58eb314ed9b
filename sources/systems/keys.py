"""The keys by which systems know firms and rows: each department has its own, and none is the economy's.

A key is the economy's number sent through a keyed permutation and dressed as the department writes it. So keys are
unique, the same in every run of one world, unrelated between departments, and tell nothing of the order in which
the economy made its rows. Where a world brings its own `identity_map`, that is used instead.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROUNDS = 4

# How a department writes the number of an enterprise; `{}` is the permuted number of ten digits.
FORMATS = {
    ("payments", "payments"): "6{}",
    ("core_bank", "core_bank"): "8{}",
    ("platform", "platform"): "M-{}",
    ("field", "field"): "F{}",
}


def permute(numbers: np.ndarray, secret: str, bits: int = 32) -> np.ndarray:
    """A keyed permutation of the integers below 2^bits (a balanced Feistel network), element by element.

    `bits` is even and at most 62; numbers outside the range are taken modulo 2^bits. It scatters, it is no cipher.
    """
    half = np.uint64(bits // 2)
    mask = np.uint64((1 << (bits // 2)) - 1)
    values = np.asarray(numbers).astype(np.int64).astype(np.uint64) & np.uint64((1 << bits) - 1)
    left, right = values >> half, values & mask
    for turn in range(ROUNDS):
        left, right = right, left ^ (mix(right, f"{secret}|{turn}") & mask)
    return ((left << half) | right).astype(np.int64)


def mix(numbers: np.ndarray, secret: str) -> np.ndarray:
    """64 well-mixed bits of each number under a secret (the finalizer of SplitMix64), as uint64."""
    salt = np.frombuffer(hashlib.blake2b(secret.encode(), digest_size=16).digest(), np.uint64)
    with np.errstate(over="ignore"):
        values = (np.asarray(numbers).astype(np.int64).astype(np.uint64) + salt[0]) * np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30)) ^ salt[1]) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def uniform(numbers: np.ndarray, secret: str) -> np.ndarray:
    """A number in [0, 1) that belongs to each number under a secret: the same in every run, in any order."""
    return (mix(numbers, secret) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def department_key(system: str, department: str, firm_id: int, seed: int) -> str:
    """The number by which a department knows a firm, where the world brings none."""
    return department_keys(system, department, np.array([firm_id]), seed)[0]


def department_keys(system: str, department: str, firm_ids: np.ndarray, seed: int) -> list[str]:
    """`department_key` of many parties at once; sectors and outside firms have keys as well."""
    style = FORMATS.get((system, department), "{}")
    numbers = permute(firm_ids, f"{seed}|{system}|{department}")
    return [style.format(f"{number:010d}") for number in numbers.tolist()]


def row_keys(kind: str, row_ids: np.ndarray, seed: int, prefix: str = "") -> list[str]:
    """The number a system gives a row of its own (an order, a machine, a plot), thirteen digits after a prefix.

    Systems that must speak of the same thing use the same `kind`: a plot is `plot` at the land office and in field
    statistics alike.
    """
    return [f"{prefix}{number:013d}" for number in row_numbers(kind, row_ids, seed).tolist()]


def row_numbers(kind: str, row_ids: np.ndarray, seed: int) -> np.ndarray:
    """The digits of `row_keys` as integers below 2^40."""
    return permute(row_ids, f"{seed}|row|{kind}", bits=40)


@dataclass
class KeyRing:
    """All keys of one world: its `identity_map` where it has rows of a department, else `department_key`."""

    seed: int
    given: dict[tuple[str, str], dict[int, list[tuple[dt.date | None, str]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, world: Path, seed: int) -> KeyRing:
        """Reads a world's `identity_map`, if it has one."""
        ring = cls(seed)
        parts = [world / "identity_map.parquet", world / "identity_map"]
        found = next((path for path in parts if path.exists()), None)
        if found is None:
            return ring
        table = pq.read_table(found, columns=["system", "department", "key", "firm_id", "from_on"])
        for system, department, key, firm_id, from_on in zip(*(c.to_pylist() for c in table.columns), strict=True):
            held = ring.given.setdefault((system, department), {})
            held.setdefault(firm_id, []).append((from_on, key))
        for held in ring.given.values():
            for keys in held.values():
                keys.sort(key=lambda pair: (pair[0] or dt.date.min, pair[1]))
        return ring

    def key(self, system: str, department: str, firm_id: int, on: dt.date | None = None) -> str:
        """The key in force on a day (by default the newest)."""
        rows = self.given.get((system, department), {}).get(firm_id)
        if not rows:
            return department_key(system, department, firm_id, self.seed)
        in_force = [key for since, key in rows if on is None or since is None or since <= on]
        return in_force[-1] if in_force else rows[0][1]

    def keys(self, system: str, department: str, firm_ids: Sequence[int] | np.ndarray) -> pa.Array:
        """The newest keys of many parties, in their order; a null stays null."""
        column = pa.array(firm_ids)
        encoded = column.dictionary_encode() if not isinstance(column, pa.DictionaryArray) else column
        distinct = encoded.dictionary.to_numpy(zero_copy_only=False)
        made = department_keys(system, department, distinct, self.seed) if len(distinct) else []
        held = self.given.get((system, department), {})
        names = [held[firm][-1][1] if firm in held else key for firm, key in zip(distinct.tolist(), made, strict=True)]
        return pc.take(pa.array(names, pa.string()), encoded.indices)
