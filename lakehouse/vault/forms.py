"""How personal values look outside the vault: sealed in landing, as tokens from bronze on.

A sealed value is `sealed:1:<token>:<subject>:<ciphertext>`; only the vault opens it. A token is
`tok<version>_<kind>_<26 letters>`: equal values of one kind have one token, whatever feed they came by. Where a value
was erased stands `erased_<number of the erasure>`, as its certificate names it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

SEALED = "sealed:1:"
TOKEN = re.compile(r"tok[1-9]\d*_[a-z][a-z0-9_]*_[a-z2-7]{26}")
ERASED = "erased_"
TOKEN_SQL = r"^(tok[1-9][0-9]*_[a-z][a-z0-9_]*_[a-z2-7]{26}|erased_[0-9a-f]{16})$"
_SEALED = re.compile(rf"sealed:1:({TOKEN.pattern}):([0-9a-f]{{32}}):([A-Za-z0-9_-]+)")
SEALED_BYTES = re.compile(_SEALED.pattern.encode())


def parse_sealed(text: str) -> tuple[str, str, str] | None:
    """(token, subject, ciphertext in base64url) of a sealed value; None where the text is not one."""
    match = _SEALED.fullmatch(text)
    return (match[1], match[2], match[3]) if match else None


def token_of(text: str | None) -> str | None:
    """The token of a sealed value; None for anything else, so that nothing clear passes."""
    parts = parse_sealed(text) if text else None
    return parts[0] if parts else None


def token_sql(column: str) -> str:
    """A Spark SQL expression for `token_of` over a column of text (an expression, quoted by the caller)."""
    return (
        f"CASE WHEN {column} LIKE '{SEALED}%' THEN split_part({column}, ':', 3) "
        f"WHEN {column} LIKE '{ERASED}%' THEN {column} END"
    )


def erased_sql(column: str, erased: Mapping[str, str]) -> str:
    """A Spark SQL expression that puts the mark of the erasure for values of erased subjects (id → erasure)."""
    if not erased:
        return column
    pairs = ", ".join(f"'{subject}', '{ERASED}{erasure}'" for subject, erasure in sorted(erased.items()))
    mark = f"try_element_at(map({pairs}), split_part({column}, ':', 4))"
    return f"CASE WHEN {column} LIKE '{SEALED}%' THEN coalesce({mark}, {column}) ELSE {column} END"


def normalise(kind: str, value: str) -> str:
    """A value as it is compared: spellings of one number, telephone or name give one text.

    Width variants are made one (NFKC). Numbers lose blanks and hyphens, telephones all but digits and China's prefix,
    names their letters' case, and blanks between Chinese letters.
    """
    text = " ".join(unicodedata.normalize("NFKC", value).split())
    if kind in ("identity_number", "credit_code"):
        return re.sub(r"[\s-]", "", text).upper()
    if kind == "phone":
        digits = re.sub(r"\D", "", text)
        return re.sub(r"^(00)?86(?=1\d{10}$)", "", digits) or text
    if kind == "person_name":
        return re.sub(r"(?<=[㐀-鿿]) (?=[㐀-鿿])", "", text).casefold()
    return text
