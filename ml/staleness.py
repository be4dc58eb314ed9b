"""What stale feeds do to scores, as their contracts say: tell it, refer every enterprise to a person, or stop.

The facts are the date's rows of `gold.source_freshness`, published with the features; a lakehouse that pulls no feed
has none. Which feed has which effect is a contract's property `outage`; here it is only applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from lakehouse import tables
from lakehouse.errors import StaleSource
from lakehouse.literals import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FRESHNESS = "gold.source_freshness"
DEGRADE, REFER, STOP = "degrade", "refer", "stop"
SCORED_ONLY = ("score", "pd", "grade", "reasons", "points")


@dataclass(frozen=True)
class StaleFeed:
    """A feed that was older than its contract allows on the date scored; `age` says how old, in words."""

    contract: str
    age: str
    effect: str


def stale_feeds(spark: SparkSession, as_of: date) -> list[StaleFeed]:
    """The feeds in breach on a date, in order of name."""
    if not tables.is_published(spark, FRESHNESS):
        return []
    rows = (
        tables.read(spark, FRESHNESS)
        .where(f"as_of = date'{as_of.isoformat()}' AND is_breached")
        .select("contract", "stale_days", "allowed_days", "effect_on_scores")
        .orderBy("contract")
        .collect()
    )
    return [StaleFeed(name, _age(days, allowed), effect) for name, days, allowed, effect in rows]


def refuse_where_stopped(stale: list[StaleFeed], as_of: date) -> None:
    """Raises StaleSource when a feed in breach stops scores."""
    if stopping := [feed for feed in stale if feed.effect == STOP]:
        raise StaleSource(
            "no scores are given while these feeds are stale: "
            + "; ".join(f"{feed.contract} {feed.age}" for feed in stopping),
            where=f"as_of {as_of}",
            remedy="pull them and build the features again; the policy is `outage` in their contracts",
        )


def apply(scored: DataFrame, stale: list[StaleFeed]) -> DataFrame:
    """Scores as the policies leave them, with `stale_sources`: the feeds in breach, each with its age.

    `degrade` changes nothing else. `refer` turns every row into a referral, which has a reason and no score, PD,
    grade, points or reasons; a row that was referred already keeps its own reason.
    """
    told = ", ".join(quoted(f"{feed.contract} {feed.age}") for feed in stale)
    marked = scored.selectExpr("*", f"CAST(array({told}) AS array<string>) AS stale_sources")
    referring = [feed for feed in stale if feed.effect == REFER]
    if not referring:
        return marked
    reason = "stale: " + "; ".join(f"{feed.contract} {feed.age}" for feed in referring)
    changed = {name: f"CAST(NULL AS {kind})" for name, kind in scored.dtypes if name in SCORED_ONLY}
    changed |= {"decision": "'refer'", "refer_reason": f"coalesce(refer_reason, {quoted(reason)})"}
    return marked.selectExpr(*(f"{changed[name]} AS {name}" if name in changed else name for name in marked.columns))


def _age(days: int | None, allowed: int) -> str:
    return "never pulled whole" if days is None else f"{days} days old, {allowed} allowed"
