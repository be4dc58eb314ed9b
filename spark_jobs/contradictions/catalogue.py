"""The catalogue of contradictions: every kind with its checks, when a check breaks, and why there.

`dbt_project/contradictions/catalogue.yaml` says it, one statement a kind gives the figures (`README.md` beside them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse import plain_yaml
from lakehouse.errors import ConfigError
from spark_jobs import dbt_run

KIND_KEYS = {"title", "victim", "meaning", "spares", "needs", "must", "quiet_months", "checks", "misses"}
CHECK_KEYS = {"at_least", "at_most", "unit", "meaning", "reason"}
UNITS = ("ratio", "count", "cny", "days")


@dataclass(frozen=True)
class Check:
    """A figure that two or more sources give together; it breaks from `threshold` on, upwards or `downwards`."""

    name: str
    threshold: float
    downwards: bool
    unit: str
    meaning: str
    reason: str

    @property
    def breaks(self) -> str:
        """SQL that is true where the check is broken; a figure that could not be made breaks nothing."""
        return f"coalesce({self.name} {'<=' if self.downwards else '>='} {self.threshold!r}, false)"


@dataclass(frozen=True)
class Kind:
    """A kind of contradiction: found where `needs` of its checks break at once, all of `must` among them.

    `quiet_months`: so long after a finding of an enterprise, the next figures that break are a new one.
    """

    name: str
    title: str
    victim: str
    meaning: str
    spares: str
    misses: str
    needs: int
    must: tuple[str, ...]
    quiet_months: int
    checks: tuple[Check, ...]


def folder() -> Path:
    """Where the catalogue and the statements are."""
    return dbt_run.project_dir() / "contradictions"


def load(where: Path | None = None) -> tuple[Kind, ...]:
    """Every kind in the catalogue's order; ConfigError names kind and check of the first fault."""
    path = (where or folder()) / "catalogue.yaml"
    try:
        told = plain_yaml.load_file(path)
        return tuple(_kind(name, entry) for name, entry in told.items())
    except (plain_yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise _fault(f"not readable as a catalogue: {error!r}", "compare with the kinds before and after") from error


def _kind(name: str, told: Mapping[str, Any]) -> Kind:
    if set(told) - KIND_KEYS:
        raise _fault(f"{name} has unknown {sorted(set(told) - KIND_KEYS)}", f"use {sorted(KIND_KEYS)}")
    checks = tuple(_check(name, check, entry) for check, entry in told["checks"].items())
    must, needs = tuple(told.get("must") or ()), int(told.get("needs", 2))
    if unknown := set(must) - {check.name for check in checks}:
        raise _fault(f"{name} must break {sorted(unknown)}, which are no checks of it", "name checks of the kind")
    if not 2 <= needs <= len(checks):
        raise _fault(f"{name} needs {needs} of {len(checks)} checks", "a contradiction needs two at least")
    texts = (" ".join(str(told.get(key) or "").split()) for key in ("title", "victim", "meaning", "spares", "misses"))
    return Kind(name, *texts, needs, must, int(told.get("quiet_months", 6)), checks)


def _check(kind: str, name: str, told: Mapping[str, Any]) -> Check:
    if set(told) - CHECK_KEYS or ("at_least" in told) == ("at_most" in told) or told["unit"] not in UNITS:
        raise _fault(
            f"check {name} of {kind} says {sorted(told)}",
            f"give meaning, reason, a unit of {', '.join(UNITS)}, and either at_least or at_most",
        )
    downwards = "at_most" in told
    threshold = float(told["at_most" if downwards else "at_least"])
    return Check(name, threshold, downwards, told["unit"], *(" ".join(told[k].split()) for k in ("meaning", "reason")))


def _fault(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, where="dbt_project/contradictions/catalogue.yaml", remedy=remedy)
