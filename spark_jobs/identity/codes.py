"""National codes of an enterprise: the unified code with its check characters, the tax number within it, old numbers.

Unified social credit code (USCC), GB 32100-2015: authority (2), region (6), organisation code (9, GB 11714-1997, with
a check character of its own), check character. The 15-digit tax number of before 2015 is region and organisation code,
hence characters 3 to 17 of the USCC. A registration number of before 2015 has 15 digits and leads to a firm only
through the registry.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
ORGANISATION = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
WRITTEN = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
SHORT = re.compile(r"[0-9]{6}[0-9A-Z]{9}")


@dataclass(frozen=True)
class Codes:
    """What a department's code and key tell: a sound USCC, a number of 15 characters, and whether a code is unsound."""

    uscc: str | None = None
    short: str | None = None
    unsound: bool = False


def check_character(body: str) -> str:
    """The last character of a USCC from its first seventeen (GB 32100-2015)."""
    total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return ALPHABET[(31 - total % 31) % 31]


def organisation_check(body: str) -> str:
    """The last character of an organisation code from its first eight (GB 11714-1997)."""
    check = 11 - sum(ORGANISATION.index(c) * w for c, w in zip(body, WEIGHTS, strict=True)) % 11
    return {10: "X", 11: "0"}.get(check, str(check))


def is_uscc(code: str) -> bool:
    """Whether a code is written as a USCC and its check character is right."""
    return bool(WRITTEN.fullmatch(code)) and check_character(code[:17]) == code[17]


def read(code: str | None, key: str | None = None) -> Codes:
    """The codes in what a department writes as a code, else in its own key where that is built on one.

    A key counts only if both check characters are right: a long serial number passes one of them by chance.
    """
    text = _plain(code)
    if text:
        if is_uscc(text):
            return Codes(uscc=text)
        if len(text) == 15 and SHORT.fullmatch(text):
            return Codes(short=text)
    own = _plain(key)
    if is_uscc(own[:18]) and organisation_check(own[8:16]) == own[16]:
        return Codes(uscc=own[:18], unsound=bool(text))
    # A serial number of 15 digits is no code; with the letters of an organisation code it is a tax number.
    if len(own) == 15 and SHORT.fullmatch(own) and organisation_check(own[6:14]) == own[14]:
        return Codes(short=own, unsound=bool(text))
    return Codes(unsound=bool(text))


def _plain(code: str | None) -> str:
    return re.sub(r"[\s\-]", "", unicodedata.normalize("NFKC", code)).upper() if code else ""
