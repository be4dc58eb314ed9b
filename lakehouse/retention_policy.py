"""What a contract says of how long a person's data are kept: its service level `retention`, in years or days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.contract_text import Faults

# A year counts 366 days: nobody expires before the calendar day.
UNITS = {"d": 1, "day": 1, "days": 1, "y": 366, "yr": 366, "year": 366, "years": 366}


def parse_retention(fault: Faults, document: Mapping[str, Any], has_persons: bool) -> int | None:
    """Days that a contract's document keeps personal data; None where it says nothing. ContractError for what is no
    time, or where nothing personal is kept."""
    for i, entry in enumerate(document.get("slaProperties") or []):
        if entry.get("property") != "retention":
            continue
        at, value = ["slaProperties", i], entry.get("value")
        days = UNITS.get(entry.get("unit", ""))
        if not isinstance(value, int) or value < 1 or not days:
            fault.stop(
                f"retention {value!r} {entry.get('unit', '')} is not a time",
                at,
                "write a whole number, unit: year or day",
            )
        if not has_persons:
            fault.stop("nothing here is personal: retention has nothing to end", at, "class columns, or drop it")
        return value * days
    return None
