"""Reasons a client can read: points lost against the best bin, at most four, one per reason code.

Reference point: the best bin of each feature that has a value. A missing value is never a reason, since
nobody can act on a missing source; it still counts in the points, which always add up to the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ml.catalogue import family_of
from ml.configuration import FeatureConfig
from ml.scorecard import Scorecard

MAX_REASONS = 4


@dataclass(frozen=True)
class ReasonGroup:
    """Features that share a reason code, in the card's order."""

    code: str
    text_en: str
    text_zh: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class Reason:
    """One adverse reason; `feature` names the features behind the code, joined by a comma."""

    code: str
    feature: str
    points: int
    points_lost: int
    text_en: str
    text_zh: str


def reason_groups(card: Scorecard, config: FeatureConfig) -> list[ReasonGroup]:
    """The card's features by reason code, in order of first use."""
    groups: dict[str, tuple[str, str, list[str]]] = {}
    for feature in card.features:
        family = family_of(feature, config)
        groups.setdefault(family.code, (family.text_en, family.text_zh, []))[2].append(feature)
    return [ReasonGroup(code, en, zh, tuple(names)) for code, (en, zh, names) in groups.items()]


def reasons_of(
    card: Scorecard, groups: list[ReasonGroup], points: Mapping[str, int], missing: set[str]
) -> list[Reason]:
    """Adverse reasons of one firm, worst first (ties by code); `points` per feature, `missing` without value."""
    best = card.best_points()
    found = []
    for group in groups:
        present = [name for name in group.features if name not in missing]
        lost = sum(max(0, best[name] - points[name]) for name in present)
        if lost > 0:
            found.append(
                Reason(
                    group.code,
                    ", ".join(group.features),
                    sum(points[n] for n in group.features),
                    lost,
                    group.text_en,
                    group.text_zh,
                )
            )
    return sorted(found, key=lambda reason: (-reason.points_lost, reason.code))[:MAX_REASONS]
