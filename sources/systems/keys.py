"""Keys of the systems' own: what a department or platform calls a firm or record instead of the world's number.

Each is a keyed permutation of the world's number, so it is unique, the same on every run of the same world, and
tells nobody the number. The same purpose gives the same key in every system: what one system calls an order,
another system's papers call it too.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

# The largest primes below a power of ten: multiplying modulo a prime permutes the numbers below it.
PRIMES = {
    6: 999_983,
    7: 9_999_991,
    8: 99_999_989,
    9: 999_999_937,
    10: 9_999_999_967,
    11: 99_999_999_977,
    12: 999_999_999_989,
}
FACTOR_BELOW = 1_000_000  # keeps number × factor inside 64 bits


def world_seed(world: Path) -> int:
    """The seed of a world, from which all keys follow."""
    return int(json.loads((world / "world.json").read_text()).get("seed", 0))


def permutation(seed: int, purpose: str, digits: int) -> tuple[int, int, int]:
    """Factor, offset and prime of the permutation for one purpose."""
    prime = PRIMES[digits]
    noise = hashlib.sha256(f"{seed}|{purpose}".encode()).digest()
    factor = 1 + int.from_bytes(noise[:8], "big") % (min(prime, FACTOR_BELOW) - 1)
    return factor, int.from_bytes(noise[8:16], "big") % prime, prime


def own_number(number: int, seed: int, purpose: str, digits: int = 10) -> str:
    """The key of a record: `digits` decimal digits. The number must be below the prime."""
    factor, offset, prime = permutation(seed, purpose, digits)
    return str((number * factor + offset) % prime).zfill(digits)


def own_number_sql(column: str, seed: int, purpose: str, digits: int = 10, prefix: str = "") -> str:
    """The same as a DuckDB expression over an integer column; NULL stays NULL."""
    factor, offset, prime = permutation(seed, purpose, digits)
    number = f"(({column})::HUGEINT * {factor} + {offset}) % {prime}"
    return f"('{prefix}' || lpad(({number})::VARCHAR, {digits}, '0'))"


def order_number(order_id: int, seed: int) -> str:
    """The number of an order as it stands on the platform, in contracts and in the remark of invoices."""
    return f"PO{own_number(order_id, seed, 'trade_order', 12)}"


def waybill_number(delivery_id: int, seed: int) -> str:
    """The number of a delivery as carriers and warehouses write it."""
    return f"WB{own_number(delivery_id, seed, 'delivery', 12)}"
