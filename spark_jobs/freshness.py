"""How old every feed is against what its contract allows, from the ledger of pulls; no engine is asked for it.

A feed is as fresh as its last whole pull: one that found nothing new counts, one that failed does not. Age is counted
up to a given day, so what it says of a past day is what was true on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

from lakehouse import connections, families
from lakehouse.errors import StaleSource
from lakehouse.families import Outline
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition
from spark_jobs.pull import ledger as pulls

TABLE = "gold.source_freshness"
TABLE_SCHEMA = (
    "as_of date, contract string, connection string, department string, owner string, last_success_on date, "
    "stale_days int, allowed_days int, is_breached boolean, effect_on_scores string, last_outcome string"
)
EFFECTS = {
    "degrade": "scores are given and say so",
    "refer": "every enterprise is referred to a person",
    "stop": "no scores are given",
}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1c2733}
h1{font-size:1.5em;margin-bottom:.2em} table{border-collapse:collapse;width:100%}
td,th{padding:.35em .7em;text-align:left;border-bottom:1px solid #dde3ea}
td.n{text-align:right;font-variant-numeric:tabular-nums} .ok{color:#18794e} .bad{color:#b42318;font-weight:600}
.lead{color:#51606e} tr.bad td{background:#fef3f2}
"""


@dataclass(frozen=True)
class Freshness:
    """One feed's age on a day. `stale_days` is None, and the feed in breach, when it was never pulled whole.

    `effect_on_scores` is what its contract does to scores while it is in breach; `last_outcome` and `last_error` are
    of the newest attempt up to that day.
    """

    contract: str
    connection: str
    department: str
    owner: str
    last_success_on: date | None
    stale_days: int | None
    allowed_days: int
    is_breached: bool
    effect_on_scores: str
    last_outcome: str | None
    last_error: str | None

    @property
    def told(self) -> str:
        """The state in words, without names of people or addresses."""
        if self.last_success_on is None:
            return f"{self.contract} was never pulled whole"
        return (
            f"{self.contract} was last pulled whole on {self.last_success_on}, {self.stale_days} days before; "
            f"{self.allowed_days} are allowed"
        )


def of_feeds(as_of: date) -> list[Freshness]:
    """Every feed of a connection that this lakehouse has, in order of connection, department and contract."""
    here = connections.load(get_settings().connections_file)
    found = families.families(families.outlines(get_settings().contracts_dir))
    return [_of(outline, as_of) for family in found if family.connection in here for outline in family.feeds]


def newest_pull() -> date | None:
    """The newest date that any feed was asked for, whatever came of it; None before the first."""
    found = families.outlines(get_settings().contracts_dir)
    return max((date.fromisoformat(a.partition) for o in found for a in pulls.attempts(o.contract)), default=None)


def _of(outline: Outline, as_of: date) -> Freshness:
    attempts = [a for a in pulls.attempts(outline.contract) if date.fromisoformat(a.partition) <= as_of]
    last = max(
        (date.fromisoformat(a.partition) for a in attempts if a.outcome in pulls.SUCCESSFUL),
        default=None,
    )
    newest = max(attempts, key=lambda a: (a.partition, a.attempted_at), default=None)
    days = None if last is None else (as_of - last).days
    return Freshness(
        contract=outline.contract,
        connection=outline.feed.connection,
        department=outline.feed.department,
        owner=outline.owner,
        last_success_on=last,
        stale_days=days,
        allowed_days=outline.feed.stale_after_days,
        is_breached=days is None or days > outline.feed.stale_after_days,
        effect_on_scores=outline.feed.when_stale,
        last_outcome=newest.outcome if newest else None,
        last_error=newest.error if newest else None,
    )


def check(partition: str) -> dict[str, Any]:
    """Writes the page of a day; raises StaleSource when a feed is older than its contract allows.

    Ends with `skipped` where this lakehouse pulls nothing.
    """
    day = parse_partition(partition)
    found = of_feeds(day)
    if not found:
        return {"skipped": "this lakehouse is connected to no source"}
    page = write_page(day, found)
    stale = [f for f in found if f.is_breached]
    if stale:
        owners = sorted({f.owner for f in stale if f.owner})
        raise StaleSource(
            f"{len(stale)} of {len(found)} feeds are older than their contracts allow: "
            + "; ".join(f"{f.told} ({EFFECTS[f.effect_on_scores]})" for f in stale[:8]),
            where=f"{day}, page {page}",
            remedy="look at the tasks that pull them; "
            + (f"owners: {', '.join(owners)}" if owners else "the contracts name the owners"),
        )
    return {"feeds": len(found), "stale": 0, "page": str(page)}


def build(partition: str) -> dict[str, Any]:
    """Writes the day's rows of `gold.source_freshness` aside, one a feed; the gate of gold publishes them.

    Where this lakehouse pulls nothing, nothing is written.
    """
    from lakehouse import engine, ledger, tables

    day = parse_partition(partition)
    found = of_feeds(day)
    if not found:
        return {"feeds": 0, "stale": 0}
    names = [entry.split()[0] for entry in TABLE_SCHEMA.split(", ")]
    rows = [tuple({"as_of": day, **asdict(f)}[name] for name in names) for f in found]
    with engine.session("freshness") as spark, ledger.run(spark, "freshness", partition) as run:
        tables.begin_build(spark, TABLE)
        tables.replace_where(spark.createDataFrame(rows, TABLE_SCHEMA), TABLE, f"as_of = date'{day}'")
        run.details["breached"] = sorted(f.contract for f in found if f.is_breached)
    return {"feeds": len(found), "stale": sum(f.is_breached for f in found)}


def write_page(as_of: date, found: Sequence[Freshness]) -> Path:
    """Writes `freshness.html` beside the gates' pages; returns its path."""
    folder = get_settings().reports_dir
    folder.mkdir(parents=True, exist_ok=True)
    path, draft = folder / "freshness.html", folder / ".freshness.draft"
    draft.write_text(_page(as_of, found), encoding="utf-8")
    draft.replace(path)
    return path


def _page(as_of: date, found: Iterable[Freshness]) -> str:
    listed = sorted(found, key=lambda f: (not f.is_breached, f.connection, f.department, f.contract))
    stale = sum(f.is_breached for f in listed)
    verdict = (
        f'<span class="bad">{stale} of {len(listed)} feeds are older than their contracts allow</span>'
        if stale
        else f'<span class="ok">all {len(listed)} feeds are as fresh as their contracts ask</span>'
    )
    rows = "".join(
        f"<tr{' class=bad' if f.is_breached else ''}><td>{escape(f.connection)}<td>{escape(f.department)}"
        f"<td>{escape(f.contract)}<td>{f.last_success_on or 'never'}"
        f"<td class=n>{'–' if f.stale_days is None else f.stale_days}<td class=n>{f.allowed_days}"
        f"<td>{escape(EFFECTS[f.effect_on_scores]) if f.is_breached else ''}<td>{escape(f.owner)}"
        f"<td>{escape(_reason(f))}</tr>"
        for f in listed
    )
    return (
        f"<!doctype html><meta charset=utf-8><title>Freshness {as_of}</title><style>{STYLE}</style>"
        f"<h1>Freshness of feeds on {as_of}</h1><p>{verdict}</p>"
        "<p class=lead>Days since the last whole pull, counted up to this day.</p>"
        "<table><tr><th>connection<th>department<th>feed<th>last whole pull<th>days<th>allowed<th>effect on scores"
        f"<th>owner<th>newest attempt</tr>{rows}</table>"
    )


def _reason(feed: Freshness) -> str:
    first = (feed.last_error or "").partition("\n")[0]
    return f"{feed.last_outcome or 'none'}{': ' + first if first else ''}"
