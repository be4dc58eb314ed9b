"""Effective intervals: a key passes to another firm on a day, by a merger in the register or a person's word.

A meter, an insurance account or a parcel outlives a firm and is taken over by the one it merged into; a tax number, a
permit or a bank's client ends with it. A split founds a firm of its own and takes no key along that anybody can see.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import NamedTuple

import duckdb
import pyarrow as pa

PASSED_ON = ("electricity", "water", "gas", "social_insurance", "housing_fund", "land")
LINKS = pa.schema(
    [
        ("mention_id", pa.string()), ("version_no", pa.int32()), ("segment_no", pa.int32()),
        ("enterprise_id", pa.string()), ("method", pa.string()), ("weight", pa.float64()), ("linked", pa.bool_()),
        ("effective_from", pa.date32()), ("effective_to", pa.date32()), ("known_at", pa.timestamp("us")),
    ]
)  # fmt: skip


class Handover(NamedTuple):
    """From `on`, what was another's is `taker`'s; known since `known_at`, until a later word takes it back."""

    on: date
    known_at: datetime
    taker: str
    method: str
    until: datetime = datetime.max


class Decided(NamedTuple):
    """One decision and the span in which it was the last word."""

    known_at: datetime
    known_until: datetime
    enterprise_id: str
    method: str
    weight: float | None
    linked: bool


def links(db: duckdb.DuckDBPyConnection) -> pa.Table:
    """`silver.identity_link` from the tables `decision`, `mention`, `change`, `holder` and `correction`.

    One row a mention, version and effective segment; a version replaces the one before it as a whole.
    """
    db.execute("""
        CREATE OR REPLACE TEMP TABLE merger AS
        SELECT coalesce(h.enterprise_id, c.uscc) AS giver, c.changed_on, c.known_at, c.other_uscc AS taker
        FROM change c LEFT JOIN holder h USING (local_key)
        WHERE kind = 'merged_into' AND other_uscc IS NOT NULL""")
    touched = f"""
        SELECT DISTINCT mention_id FROM decision JOIN mention m USING (mention_id)
        WHERE (m.department IN {PASSED_ON} AND enterprise_id IN (SELECT giver FROM merger))
            OR (m.system, m.department, m.local_key) IN (
                SELECT (system, department, local_key) FROM correction WHERE effective_from IS NOT NULL)"""
    plain = db.sql(f"""
        SELECT d.mention_id, row_number() OVER (PARTITION BY d.mention_id ORDER BY d.known_at)::INTEGER AS version_no,
               1::INTEGER AS segment_no, d.enterprise_id, d.method, d.weight, d.linked,
               m.valid_from AS effective_from, NULL::DATE AS effective_to, d.known_at
        FROM decision d JOIN mention m USING (mention_id) WHERE d.mention_id NOT IN ({touched})""").to_arrow_table()
    parts = [plain.cast(LINKS), _handed(db, touched)]
    with duckdb.connect() as other:
        other.register("link", pa.concat_tables(parts))
        return other.sql("FROM link ORDER BY mention_id, version_no, segment_no").to_arrow_table()


def segments(
    start: date | None, decided: Decided, at: datetime, mergers: dict[str, list[Handover]], own: list[Handover]
) -> list[tuple]:
    """(enterprise, method, linked, from, to) as known at a moment: first who was decided, then who took it over.

    A circle of mergers ends where it began; a taker whose day lies before the start holds it from the start.
    """
    known_own = sorted(h for h in own if h.known_at <= at < h.until)
    rows = [(decided.enterprise_id, decided.method, decided.linked, start, None)]
    seen = {decided.enterprise_id}
    while True:
        enterprise, method, linked, since, _ = rows[-1]
        merged = [h for h in mergers.get(enterprise, ()) if h.known_at <= at and h.taker not in seen]
        told = [*known_own, *merged]
        if not told:
            return rows
        step = min(told)
        if step in known_own:
            known_own = [h for h in known_own if h.on > step.on]
        on = step.on if since is None or step.on > since else since
        rows[-1] = (enterprise, method, linked, since, on)
        if since is not None and on == since:
            rows.pop()
        rows.append((step.taker, step.method, True, on, None))
        seen.add(step.taker)


def _handed(db: duckdb.DuckDBPyConnection, touched: str) -> pa.Table:
    mergers: dict[str, list[Handover]] = defaultdict(list)
    for giver, on, known_at, taker in db.execute("FROM merger ORDER BY ALL").fetchall():
        mergers[giver].append(Handover(on, known_at, taker, "merger"))
    own: dict[tuple, list[Handover]] = defaultdict(list)
    for *key, on, made_at, taker, until in db.execute("""
            SELECT c.system, c.department, c.local_key, c.effective_from, c.made_at, c.enterprise_id, min(later.made_at)
            FROM correction c LEFT JOIN correction later ON later.system = c.system
                AND later.department = c.department AND later.local_key = c.local_key
                AND later.effective_from IS NULL AND later.made_at > c.made_at
            WHERE c.effective_from IS NOT NULL AND NOT c.withdrawn GROUP BY ALL ORDER BY ALL""").fetchall():
        own[tuple(key)].append(Handover(on, made_at, taker, "correction", until or datetime.max))
    rows = db.execute(f"""
        SELECT m.mention_id, m.department, (m.system, m.department, m.local_key), m.valid_from, list({{
                   'a': d.known_at, 'b': d.known_until, 'e': d.enterprise_id, 'm': d.method, 'w': d.weight,
                   'l': d.linked}} ORDER BY d.known_at)
        FROM decision d JOIN mention m USING (mention_id) WHERE mention_id IN ({touched})
        GROUP BY ALL ORDER BY 1""").fetchall()
    found: list[tuple] = []
    for mention, department, key, start, told in rows:
        passed = mergers if department in PASSED_ON else {}
        decided = [Decided(t["a"], t["b"], t["e"], t["m"], t["w"], t["l"]) for t in told]
        found += _versions(mention, start, decided, passed, own.get(tuple(key), []))
    columns = list(zip(*found, strict=True)) or [[] for _ in LINKS]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, LINKS, strict=True)], schema=LINKS)


def _versions(
    mention: str, start: date | None, decided: list[Decided], mergers: dict[str, list[Handover]], own: list[Handover]
) -> list[tuple]:
    """Rows of LINKS: a version whenever the decision or what is known of handovers changes."""
    firms = {d.enterprise_id for d in decided} | {h.taker for h in own}
    news = {h.known_at for h in [*_reachable(firms, mergers), *own]} | {h.until for h in own}
    rows, version, last = [], 0, None
    for decision in decided:
        moments = {decision.known_at} | {n for n in news if decision.known_at < n < decision.known_until}
        for at in sorted(moments):
            told = segments(start, decision, at, mergers, own)
            if (told, decision.weight) == last:
                continue
            last, version = (told, decision.weight), version + 1
            rows += [(mention, version, no, enterprise, method, decision.weight, linked, since, until, at)
                     for no, (enterprise, method, linked, since, until) in enumerate(told, 1)]  # fmt: skip
    return rows


def _reachable(firms: set[str], mergers: dict[str, list[Handover]]) -> list[Handover]:
    """The mergers of these firms, of those they merged into, and so on."""
    found, open_, seen = [], list(firms), set(firms)
    while open_:
        for merger in mergers.get(open_.pop(), ()):
            found.append(merger)
            if merger.taker not in seen:
                seen.add(merger.taker)
                open_.append(merger.taker)
    return found
