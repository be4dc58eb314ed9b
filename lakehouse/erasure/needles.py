"""The ways in which a value may be written in a file: encodings of text, escapes, hexadecimal and base64."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

# Fewer bytes than this are met by chance in compressed files.
LEAST_BYTES = 6


@dataclass(frozen=True)
class Needles:
    """What is looked for: one pattern over bytes, and for each text that it may match the form it is (`forms`)."""

    pattern: re.Pattern[bytes]
    forms: dict[bytes, str]

    def found_in(self, content: bytes | memoryview) -> set[str]:
        """The forms in which a value stands in the content."""
        return {self.forms[bytes(match[0])] for match in self.pattern.finditer(content)}


def of(values: Iterable[str], encoded: bool = True) -> Needles | None:
    """Needles for values; plain UTF-8 alone where not `encoded` (tokens are written in no other way). None for none.

    Forms of fewer than `LEAST_BYTES` bytes are left out.
    """
    forms: dict[bytes, str] = {}
    for value in values:
        for form, text in _forms(value) if encoded else [("utf-8", value.encode())]:
            if len(text) >= LEAST_BYTES:
                forms.setdefault(text, form)
    if not forms:
        return None
    longest_first = sorted(forms, key=len, reverse=True)
    return Needles(re.compile(b"|".join(map(re.escape, longest_first))), forms)


def _forms(value: str) -> Iterable[tuple[str, bytes]]:
    for encoding in ("utf-8", "gb18030", "utf-16-le", "utf-16-be"):
        plain = value.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "ignore")
        yield encoding, plain
        yield f"hex of {encoding}", plain.hex().encode()
        yield f"hex of {encoding}", plain.hex().upper().encode()
        for text in _base64(plain):
            yield f"base64 of {encoding}", text
    escaped = json.dumps(value)[1:-1]
    yield "JSON escapes", escaped.encode()
    yield "JSON escapes", re.sub(r"\\u([0-9a-f]{4})", lambda m: "\\u" + m[1].upper(), escaped).encode()
    yield "percent escapes", quote(value).encode()


def _base64(plain: bytes) -> Iterable[bytes]:
    """The characters that are the value's alone wherever it begins in what was encoded, in both alphabets."""
    for offset, borrowed in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(b"\0" * offset + plain).rstrip(b"=")
        own = whole[borrowed : -1 if (offset + len(plain)) % 3 else None]
        yield own
        yield own.replace(b"+", b"-").replace(b"/", b"_")
