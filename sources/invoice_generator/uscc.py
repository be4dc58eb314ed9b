"""Unified social credit codes with valid check characters (GB 32100-2015, GB 11714-1997)."""

from __future__ import annotations

import numpy as np

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_BODY_LENGTH = 17


def organisation_check(body: str) -> str:
    """Check character of an 8-character organisation code (GB 11714: weights mod 11, 10 is X, 11 is 0)."""
    total = sum(int(c, 36) * w for c, w in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    remainder = (11 - total % 11) % 11
    return "X" if remainder == 10 else str(remainder)


def credit_code_check(body: str) -> str:
    """Check character of the first 17 characters of a credit code (GB 32100: weights 3^i mod 31)."""
    if len(body) != _BODY_LENGTH:
        raise ValueError(f"a credit code has {_BODY_LENGTH} characters before the check, not {len(body)}: {body}")
    total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return ALPHABET[(31 - total % 31) % 31]


def credit_code(region: str, organisation: str) -> str:
    """18-character code of an enterprise (registration office 9, kind 1) in a 6-digit region."""
    body = f"91{region}{organisation}{organisation_check(organisation)}"
    return body + credit_code_check(body)


def draw_credit_codes(rng: np.random.Generator, regions: list[str]) -> list[str]:
    """One distinct code per region given; organisation codes start with MA, as since 2015."""
    serials = rng.choice(len(ALPHABET) ** 6, size=len(regions), replace=False)
    return [
        credit_code(region, "MA" + _to_alphabet(int(serial), 6))
        for region, serial in zip(regions, serials, strict=True)
    ]


def _to_alphabet(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
