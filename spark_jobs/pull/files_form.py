"""Records out of documents: a PDF of labelled lines as one record, by the labels that a contract names.

A feed's option `labels` says under which words a field stands on the page, in any language:

    labels: {revenue: ["营业收入", "Revenue"], equity: ["所有者权益", "Equity"]}

A line that begins with such a word, alone or followed by a colon or a space, tells that field; the rest of it is the
value, as written. Scans have no text, and are left to the quarantine like any other document that tells nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from lakehouse.errors import ContractError

SUFFIX = ".pdf"
PAGES = 50  # a form is no book


def labels_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Every label of a feed's option `labels` with its field; empty without the option."""
    asked = options.get("labels") or {}
    words = {field: [said] if isinstance(said, str) else said for field, said in asked.items()}
    found = {str(word).strip(): str(field) for field, said in words.items() for word in said}
    if len(found) < sum(len(said) for said in words.values()) or "" in found:
        raise ContractError(
            "a label of the option `labels` stands for two fields, or is empty",
            remedy="give each field words of its own, as they stand on the page",
        )
    return found


def read(content: bytes, labels: Mapping[str, str]) -> dict[str, str] | None:
    """The fields that a PDF tells, with their values as written; None where it tells none.

    None too where it says two things of one field: which of them holds is for a person to tell. Damaged and encrypted
    files tell nothing.
    """
    found: dict[str, str] = {}
    begins = _beginning(labels)
    for line in _lines(content):
        told = begins.fullmatch(line.strip())
        if told:
            field, value = labels[told["label"]], told["value"].strip()
            if found.setdefault(field, value) != value:
                return None
    return found or None


def _beginning(labels: Mapping[str, str]) -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in sorted(labels, key=len, reverse=True))
    return re.compile(rf"(?P<label>{words})(?:\s*[:：]\s*|\s+|$)(?P<value>.*)")


def _lines(content: bytes) -> list[str]:
    """The lines of text on a PDF's pages; none where it cannot be read."""
    import pypdf

    try:
        pages = pypdf.PdfReader(io.BytesIO(content)).pages
        return [line for number in range(min(len(pages), PAGES)) for line in pages[number].extract_text().splitlines()]
    except Exception:  # what a damaged document does to a reader has no common name
        return []
