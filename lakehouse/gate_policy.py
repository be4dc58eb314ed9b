"""What a contract says of its gate: how far a batch may stray from the batches before it, and what follows if it does.

A contract's custom property `gate` names rules by their family; what it leaves out keeps the defaults. A column's
property `references` names the contract and column in which its values must be known.

`restatement` is about what a batch changes of the past: the share of enterprises for which it matters. A feature's
move matters from `MOVE_THAT_MATTERS` of its value on; scores that change band are limited by `BAND_MOVES` for all
sources alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lakehouse.feeds import Faults

BLOCKING, WARNING, OFF = "blocking", "warning", "off"
SEVERITIES = (BLOCKING, WARNING, OFF)
MINIMUM_HISTORY = 12  # batches
FACTOR, SHARE, DAYS = "factor", "share", "days"


@dataclass(frozen=True)
class Tolerance:
    """How far a statistic may stray beyond what chance explains, and what follows if it strays farther.

    `amount` is in `unit`: a factor (3: three times as many, or a third), a share (0.25: from 40 % to 65 %), or days.
    """

    amount: float
    unit: str
    severity: str = BLOCKING


DEFAULTS: Mapping[str, Tolerance] = MappingProxyType(
    {
        "volume": Tolerance(3, FACTOR),
        "location": Tolerance(5, FACTOR),
        "share": Tolerance(0.25, SHARE),
        "age": Tolerance(7, DAYS),
        "repeated": Tolerance(0.25, SHARE),
        "unknown": Tolerance(0.25, SHARE),
        # Single mistakes put right touch a few firms in a hundred a week; a period sent anew touches most.
        "restatement": Tolerance(0.1, SHARE),
    }
)
# A tenth of a feature's value: a smaller move seldom leaves a scorecard's bin.
MOVE_THAT_MATTERS = 0.1
# One enterprise in a hundred with another band: as many change it in a usual month by news alone, decisions hang on it.
BAND_MOVES = 0.01


@dataclass(frozen=True)
class GatePolicy:
    """Per family of rules its tolerance, and how many earlier batches are needed before a rule may hold one back."""

    tolerances: Mapping[str, Tolerance] = field(default_factory=lambda: DEFAULTS, hash=False)
    minimum_history: int = MINIMUM_HISTORY


@dataclass(frozen=True)
class Reference:
    """Where a column's values must be known: a column of another contract, or of the same."""

    contract: str
    column: str


def parse_gate(fault: Faults, entry: Any) -> GatePolicy:
    """The policy that a contract's property `gate` describes; a fault is reported with its line."""
    if entry is None:
        return GatePolicy()
    at = fault.own("gate")
    if not isinstance(entry, Mapping) or set(entry) - {*DEFAULTS, "minimumHistory"}:
        fault.stop(f"gate {entry!r} is not a policy", at, f"give some of {', '.join(DEFAULTS)}, minimumHistory")
    minimum = entry.get("minimumHistory", MINIMUM_HISTORY)
    if not isinstance(minimum, int) or isinstance(minimum, bool) or minimum < 4:
        fault.stop(f"gate.minimumHistory {minimum!r} is too little to judge by", at, "a number of batches, 4 or more")
    own = {family: _tolerance(fault, family, entry[family]) for family in entry if family != "minimumHistory"}
    return GatePolicy({**DEFAULTS, **own}, minimum)


def parse_reference(fault: Faults, entry: Any, at: list[str | int]) -> Reference | None:
    """The reference that a column's property describes, written `contract.column`; None without one."""
    if entry is None:
        return None
    contract, _, column = str(entry).partition(".")
    if not contract or not column:
        fault.stop(f"references {entry!r} names no column", at, "write contract.column, for example bank__loan.loan_id")
    return Reference(contract, column)


def _tolerance(fault: Faults, family: str, entry: Any) -> Tolerance:
    at, default = fault.own("gate"), DEFAULTS[family]
    if not isinstance(entry, Mapping) or set(entry) - {"tolerance", "severity"}:
        fault.stop(f"gate.{family} {entry!r} is not a rule", at, "give tolerance, severity or both")
    severity, amount = entry.get("severity", default.severity), entry.get("tolerance", default.amount)
    if severity not in SEVERITIES:
        fault.stop(f"gate.{family}.severity {severity!r} is not one", at, f"one of {', '.join(SEVERITIES)}")
    least, most = {FACTOR: (1, 1e6), SHARE: (0, 1), DAYS: (0, 36_500)}[default.unit]
    if not isinstance(amount, int | float) or isinstance(amount, bool) or not least <= amount <= most:
        fault.stop(
            f"gate.{family}.tolerance {amount!r} is not a {default.unit}", at, f"a number from {least} to {most:g}"
        )
    return Tolerance(float(amount), default.unit, severity)
