"""A batch against the batches before it: what is expected of each of its statistics, and which stray too far.

Robust throughout: the centre is the median of what earlier batches of the same season showed, their scatter its median
absolute deviation (Leys and others, 2013), so that one bad batch among them moves nothing. To that comes what chance
does to a statistic of few rows, and the tolerance of the contract. Plain numbers in, plain numbers out: no engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import median

from lakehouse.gate_policy import BLOCKING, FACTOR, OFF, WARNING, GatePolicy, Tolerance
from lakehouse.time import days_from_new_year

MAD_TO_SD = 1.4826
# Standard deviations at which a rule of each severity is broken. A clean year of fifty feeds asks some 10⁵ questions.
DEVIATIONS = {BLOCKING: 5.0, WARNING: 3.5}
# A warning asks for half of the tolerance.
SHARE_OF_TOLERANCE = {BLOCKING: 1.0, WARNING: 0.5}
# The standard deviation of a quartile in spreads of single values over √n: 1.25 for a median, 1.36 for a quartile.
QUANTILE_NOISE = 1.36
RULE_OF_THREE = 3
DECADES_OF_COUNT = 1 / math.log(10)  # a count of n scatters by this over √n decades
UPWARD = {"age", "repeated", "unknown"}  # strays that matter in one direction alone
SEASON_DAYS = 21  # to both sides of the day of the year
YEAR_DAYS = 365.25
FULL_YEAR_DAYS = 350
# Work fades out before the lunar new year and comes back after the lantern festival; days from the new year's first.
FEAST_DAYS = range(-12, 20)
FEAST_NEAR = 4  # days by which a batch's place in the feast may differ from that of another year's
DAYS_FOR_VOLUME = 60  # months have their rhythm: two of them have to be known before a volume can hold anything back


@dataclass(frozen=True)
class Statistic:
    """One figure of a batch: its value, from how many rows, and how far single values lie apart (in its unit).

    Volumes and locations are decimal logarithms, shares and ages (days) are plain.
    """

    value: float
    count: int
    spread: float = 0.0


@dataclass(frozen=True)
class Profile:
    """A batch in figures. Names of statistics are `family`, `family:column` or `family:column:part`.

    `span_days`: days since the feed's batch before it, None for the first day of a feed. `keys` are the hashes of its
    record keys that lie below `key_bound`: the same sample of the key space in every batch, as coarse as it is large.
    """

    batch_id: str
    contract: str
    received_on: date
    span_days: int | None
    statistics: Mapping[str, Statistic]
    keys: Set[int] = field(default_factory=frozenset)
    key_bound: int = 0
    keyed_rows: int = 0


@dataclass(frozen=True)
class Stray:
    """A rule that a batch breaks: expected range and value found, in the rule's unit, and from how many batches."""

    rule: str
    severity: str
    low: float
    high: float
    found: float
    unit: str
    history: int


def judge(profile: Profile, earlier: Sequence[Profile], policy: GatePolicy) -> list[Stray]:
    """The rules that a batch breaks; of several statistics of a rule the one that strays farthest.

    `earlier`: profiles of the same feed, published before. With fewer of the same rhythm than the policy asks for
    nothing can be broken.
    """
    alike = [p for p in earlier if _rhythm(p) == _rhythm(profile)]
    if _rhythm(profile) is None or len(alike) < policy.minimum_history:
        return []
    season = _season(profile, alike, policy.minimum_history)
    worst: dict[str, tuple[float, Stray]] = {}
    for name, statistic in profile.statistics.items():
        found = _judge_one(name, statistic, profile, season, alike, policy)
        if found and found[0] > worst.get(found[1].rule, (0.0, found[1]))[0]:
            worst[found[1].rule] = found
    return [stray for _, stray in worst.values()]


def rule_of(name: str) -> str:
    """The rule that a statistic belongs to: its family, and its column where it has one."""
    return ":".join(name.split(":")[:2])


def comparable(profile: Profile, earlier: Sequence[Profile]) -> int:
    """With how many earlier batches a batch can be compared: those that cover about as many days."""
    return sum(_rhythm(p) == _rhythm(profile) for p in earlier) if _rhythm(profile) is not None else 0


def repeated(profile: Profile, earlier: Sequence[Profile]) -> Statistic | None:
    """The share of a batch's rows whose key stood in it before, or in an earlier batch; None without any key sampled.

    Compared on the part of the key space that both batches keep, so that equal batches always show as equal.
    """
    if not profile.keyed_rows:
        return None
    new = {key for key in profile.keys if not any(key in p.keys for p in earlier if key < p.key_bound)}
    return Statistic(1 - len(new) / profile.keyed_rows, profile.keyed_rows)


def bounds(
    family: str, count: int, values: Sequence[Statistic], reach: Sequence[float], amount: float, deviations: float
) -> tuple[float, float]:
    """The range in which a statistic of `count` rows is expected.

    `values` are those of the season. The range never ends short of what at least two of the batches of `reach` did: a
    peak that was seen twice is a rhythm.
    """
    centre = median(s.value for s in values)
    scatter = MAD_TO_SD * median(abs(s.value - centre) for s in values)
    below, above = _chance(family, centre, count, values, deviations)
    # How volumes scatter is chance already, at least; any other statistic of a small batch scatters more than before.
    both = max if family == "volume" else math.hypot
    low = centre - amount - both(deviations * scatter, below)
    high = centre + amount + both(deviations * scatter, above)
    ordered = sorted(reach)
    second_low, second_high = (ordered[1], ordered[-2]) if len(ordered) > 1 else (centre, centre)
    return min(low, second_low - amount), max(high, second_high + amount)


def _judge_one(
    name: str,
    statistic: Statistic,
    profile: Profile,
    season: Sequence[Profile],
    alike: Sequence[Profile],
    policy: GatePolicy,
) -> tuple[float, Stray] | None:
    """How far beyond its range a statistic lies (in widths of the allowance), with what to say of it."""
    family = name.split(":")[0]
    tolerance = policy.tolerances[family]
    if family == "volume" and _place_in_feast(profile) is None:
        season, alike = (_without_feasts(known, policy.minimum_history) for known in (season, alike))
    values = [p.statistics[name] for p in season if name in p.statistics]
    reached = [p.statistics[name].value for p in alike if name in p.statistics]
    if tolerance.severity == OFF or len(values) < policy.minimum_history:
        return None
    for severity in _severities(family, tolerance, profile, alike):
        amount = _amount(family, tolerance, profile, alike) * SHARE_OF_TOLERANCE[severity]
        # A Monday as small as Sundays are is worth a word, and holds nothing back: holidays make such Mondays.
        reach = reached if severity == BLOCKING else [s.value for s in values]
        low, high = bounds(family, statistic.count, values, reach, amount, DEVIATIONS[severity])
        if family == "volume":
            high = min(high, _most_in_feast(statistic, profile, alike, amount, DEVIATIONS[severity]))
        beyond = max(statistic.value - high, 0.0 if family in UPWARD else low - statistic.value)
        if beyond > 0:
            told = [_told(family, value, profile) for value in (low, high, statistic.value)]
            stray = Stray(rule_of(name), severity, *told, _unit(family), len(reached))
            return beyond / (high - low), stray
    return None


def _severities(family: str, tolerance: Tolerance, profile: Profile, alike: Sequence[Profile]) -> list[str]:
    """The severities that a rule can have here, gravest first."""
    if tolerance.severity == WARNING or (family == "volume" and _known_days(profile, alike) < DAYS_FOR_VOLUME):
        return [WARNING]
    return [BLOCKING, WARNING]


def _amount(family: str, tolerance: Tolerance, profile: Profile, alike: Sequence[Profile]) -> float:
    """The tolerance in the unit of the statistic."""
    amount = math.log10(tolerance.amount) if tolerance.unit == FACTOR else tolerance.amount
    # Holidays fall once a year: until one year is known, a volume may stray twice as far.
    return amount * 2 if family == "volume" and _known_days(profile, alike) < FULL_YEAR_DAYS else amount


def _chance(
    family: str, centre: float, count: int, values: Sequence[Statistic], deviations: float
) -> tuple[float, float]:
    """How far down and up chance alone may carry a statistic of so many rows."""
    rows = max(count, 1)
    if family == "volume":
        far = deviations * DECADES_OF_COUNT / math.sqrt(max(median(s.count for s in values), 1))
        return far, far
    if family in ("location", "age"):
        far = deviations * QUANTILE_NOISE * median(s.spread for s in values) / math.sqrt(rows)
        return far, far
    # What never came in n rows may still have a share of 3 / n (the rule of three).
    least = min(RULE_OF_THREE / max(sum(s.count for s in values), 1), 0.5)
    share = min(max(centre, least), 1 - least)
    odds = deviations**2 / 2 / rows
    return farthest_share(1 - share, odds) - (1 - share), farthest_share(share, odds) - share


def farthest_share(share: float, odds: float) -> float:
    """The greatest share among n rows that chance explains where the true one is `share`.

    By Chernoff's bound: where the relative entropy to `share` reaches `odds`, which is z²/2n for z deviations.
    """
    low, high = share, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        entropy = middle * math.log(middle / share)
        entropy += (1 - middle) * math.log((1 - middle) / (1 - share)) if middle < 1 else 0.0
        low, high = (middle, high) if entropy < odds else (low, middle)
    return low


def _rhythm(profile: Profile) -> int | None:
    """Batches that cover about as many days are alike: 1, 2, 3–5, 6–11, 12–22 days and so on."""
    return None if profile.span_days is None else round(math.log2(max(profile.span_days, 1)))


def _season(profile: Profile, alike: Sequence[Profile], minimum: int) -> Sequence[Profile]:
    """The earlier batches of the same season: weekday and time of the year as far as there are enough of them."""
    near = [p for p in alike if _days_apart(p, profile) <= SEASON_DAYS]
    weekday = profile.received_on.weekday()
    same_day = [p for p in alike if p.received_on.weekday() == weekday]
    for chosen in ([p for p in near if p in same_day], same_day, near) if _rhythm(profile) == 0 else (near,):
        if len(chosen) >= minimum:
            return chosen
    return alike


def _most_in_feast(
    statistic: Statistic, profile: Profile, alike: Sequence[Profile], amount: float, deviations: float
) -> float:
    """The most rows (logarithm) that the days around the lunar new year may bring; no bound on other days.

    The season by the solar year is some weeks off there. Few batches are known that fell on the same days of a feast,
    one a year, so the tolerance counts twice.
    """
    place = _place_in_feast(profile)
    if place is None:
        return math.inf
    known = [p for p in alike if (at := _place_in_feast(p)) is not None and abs(at - place) <= FEAST_NEAR]
    values = [p.statistics["volume"] for p in known if "volume" in p.statistics]
    if not values:
        return math.inf
    most = max(values, key=lambda s: s.value)
    return most.value + 2 * amount + _chance("volume", most.value, statistic.count, [most], deviations)[1]


def _without_feasts(known: Sequence[Profile], minimum: int) -> Sequence[Profile]:
    """The batches of other days than a feast's, where there are enough: its still weeks are no rhythm of the others."""
    others = [p for p in known if _place_in_feast(p) is None]
    return others if len(others) >= minimum else known


def _place_in_feast(profile: Profile) -> int | None:
    """Days from the lunar new year to the middle of the days that a batch covers; None outside the feast."""
    days = days_from_new_year(profile.received_on - timedelta(days=(profile.span_days or 0) // 2 + 1))
    return days if days in FEAST_DAYS else None


def _days_apart(left: Profile, right: Profile) -> float:
    """Days between two dates' places in the year."""
    days = abs((left.received_on - right.received_on).days) % YEAR_DAYS
    return min(days, YEAR_DAYS - days)


def _known_days(profile: Profile, alike: Sequence[Profile]) -> int:
    return (profile.received_on - min(p.received_on for p in alike)).days


def _told(family: str, value: float, profile: Profile) -> float:
    """A bound or value as people read it."""
    if family == "volume":
        return 10**value * max(profile.span_days or 1, 1)
    return 10**value if family == "location" else value


def _unit(family: str) -> str:
    return {"volume": "rows", "location": "", "age": "days"}.get(family, "share")
