"""The ledger of identity: mentions, compared pairs, links, keys, relations and the review queue.

Mentions and pairs grow; everything else is a pure function of them, the change book and the corrections. A day's run
compares only what is new, then derives the rest, so it ends in the same tables as a rebuild from the same mentions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from spark_jobs.identity import alone, compare, decide, evidence, handover, mentions
from spark_jobs.identity.compare import PAIRS
from spark_jobs.identity.corrections import CORRECTIONS
from spark_jobs.identity.mentions import CHANGES


@dataclass(frozen=True)
class Ledger:
    """All tables of identity; `compared` counts the pairs of the run that made them.

    mention: `mentions.of_rows`. pair: PAIRS, of all profiles of the mentions. link: LINKS. key: one row a system,
    department, key and version. review: open questions. relation: mergers, splits, branches.
    """

    mention: pa.Table
    pair: pa.Table
    link: pa.Table
    key: pa.Table
    review: pa.Table
    relation: pa.Table
    compared: int


def build(
    rows: pa.Table,
    changes: pa.Table | None = None,
    corrections: pa.Table | None = None,
    before: Ledger | None = None,
    api: Any = None,
    trained: dict[str, Any] | None = None,
) -> Ledger:
    """The ledger of all rows of `before` and of `rows` (ROWS); change book and corrections are given as a whole.

    `api` is Splink's back end (DuckDB's by default), `trained` other settings than the shipped model's.
    """
    changes = changes if changes is not None else CHANGES.empty_table()
    told = pa.concat_tables([rows.cast(mentions.ROWS), mentions.renamed(changes)])
    mention = mentions.merge(before.mention if before else None, mentions.of_rows(told))
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for name, table in (("mention", mention), ("change", changes), ("correction", corrections)):
            db.register("given", table if table is not None else CORRECTIONS.empty_table())
            db.execute(f"CREATE TABLE {name} AS FROM given")
        evidence.prepare(db)
        profile = compare.roles(mention, evidence.contradicted(db))
        found = compare.new_pairs(profile, _compared(before) if before else None, api, trained)
        pair = _pairs(before.pair if before else PAIRS.empty_table(), found.pairs)
        db.register("pair", pair)
        evidence.by_name(db)
        evidence.corrected(db)
        decide.decisions(db)
        evidence.by_key(db)
        alone.stand_alone(db)
        decide.decisions(db)
        link = handover.links(db)
        db.register("link", link)
        return Ledger(mention, pair, link, _keys(db), _review(db), _relations(db), found.compared)


def identity_as_of(ledger: Ledger, known_on: datetime, effective_on: date | None = None) -> pa.Table:
    """Who every key was on a day, as known at a moment (UTC): system, department, local_key, enterprise_id, linked.

    Without a day, the newest the moment knew. Of several names under a key the one that held on the day counts.
    """
    with duckdb.connect() as db:
        db.register("link", ledger.link)
        db.register("mention", ledger.mention)
        day = effective_on or date(9999, 12, 31)
        return db.sql(
            """
            WITH known AS (FROM link WHERE known_at <= $known_on
                           QUALIFY version_no = max(version_no) OVER (PARTITION BY mention_id))
            SELECT system, department, local_key, enterprise_id, linked
            FROM known JOIN mention USING (mention_id)
            QUALIFY row_number() OVER (PARTITION BY system, department, local_key
                ORDER BY (known.effective_from IS NULL OR known.effective_from <= $day)
                    AND (known.effective_to IS NULL OR known.effective_to > $day) DESC,
                    valid_from DESC NULLS LAST, mention.known_at DESC, segment_no DESC, mention_id) = 1
            ORDER BY ALL""",
            params={"known_on": known_on, "day": day},
        ).to_arrow_table()


def _compared(before: Ledger) -> pa.Table:
    """The profiles that a ledger has compared, in the roles they had: they follow from its mentions."""
    with duckdb.connect() as db:
        db.register("given", before.mention)
        db.execute("CREATE TABLE mention AS FROM given")
        evidence.prepare(db)
        return compare.roles(before.mention, evidence.contradicted(db))


def _pairs(old: pa.Table, new: pa.Table) -> pa.Table:
    """Each pair once: a profile that becomes left later meets those again that were compared with it as right."""
    with duckdb.connect() as db:
        db.register("held", pa.concat_tables([old, new]))
        return db.sql("""
            SELECT left_id, right_id, max(weight) AS weight, max(gamma_name) AS gamma_name FROM held
            GROUP BY ALL ORDER BY ALL""").to_arrow_table().cast(PAIRS)  # fmt: skip


def _keys(db: duckdb.DuckDBPyConnection) -> pa.Table:
    """`silver.enterprise_key`: system × department × key × version: who it is at the newest, as known since then."""
    return db.sql(f"""
        WITH last AS (FROM link QUALIFY segment_no = max(segment_no) OVER (PARTITION BY mention_id, version_no)),
        span AS (
            SELECT mention_id, known_at, enterprise_id, method, linked, lead(known_at, 1, {evidence.FOREVER})
                   OVER (PARTITION BY mention_id ORDER BY version_no) AS known_until
            FROM last
        ), said AS (
            SELECT system, department, local_key, valid_from, m.known_at AS said_at, s.* FROM span s
            JOIN mention m USING (mention_id)
        ), newest AS (
            SELECT o.system, o.department, o.local_key, o.seen_at AS known_at,
                   first({{'e': s.enterprise_id, 'm': s.method, 'l': s.linked}}
                         ORDER BY s.valid_from DESC NULLS LAST, s.said_at DESC, s.mention_id) AS now
            FROM (SELECT DISTINCT system, department, local_key, known_at AS seen_at FROM said) o
            JOIN said s ON s.system = o.system AND s.department = o.department AND s.local_key = o.local_key
                AND s.known_at <= o.seen_at AND o.seen_at < s.known_until
            GROUP BY ALL
        ), changed AS (
            FROM newest WINDOW earlier AS (PARTITION BY system, department, local_key ORDER BY known_at)
            QUALIFY now.e IS DISTINCT FROM lag(now.e) OVER earlier OR row_number() OVER earlier = 1
        )
        SELECT system, department, local_key AS key,
               row_number() OVER (PARTITION BY system, department, local_key ORDER BY known_at)::INTEGER AS version_no,
               now.e AS enterprise_id, now.m AS method, now.l AS linked, known_at
        FROM changed ORDER BY system, department, local_key, version_no""").to_arrow_table()


def _review(db: duckdb.DuckDBPyConnection) -> pa.Table:
    """`silver.identity_review`: mentions that nothing links now, with the likeliest enterprise and why they wait."""
    return db.sql(f"""
        WITH last AS (FROM decision WHERE known_until = {evidence.FOREVER} AND NOT linked),
        refuted AS (
            SELECT mention_id, min(enterprise_id) AS enterprise_id FROM claim WHERE mention_id NOT IN (
                SELECT mention_id FROM evidence WHERE rank IN ({evidence.BY_USCC}, {evidence.BY_NUMBER})
                AND expires = {evidence.FOREVER}) GROUP BY ALL)
        SELECT mention_id, system, department, local_key, name, code, last.enterprise_id AS stands_as,
               coalesce(candidate_id, refuted.enterprise_id) AS candidate_id, candidate_weight,
               coalesce(reason, CASE WHEN refuted.enterprise_id IS NOT NULL THEN 'name contradicts code'
                                     ELSE 'code unsound' END) AS reason, last.known_at
        FROM last JOIN mention USING (mention_id) LEFT JOIN refuted USING (mention_id)
        WHERE reason IS NOT NULL OR refuted.enterprise_id IS NOT NULL OR code_unsound
        ORDER BY candidate_weight DESC NULLS LAST, mention_id""").to_arrow_table()


def _relations(db: duckdb.DuckDBPyConnection) -> pa.Table:
    """`silver.enterprise_relation`: mergers, splits and branches from the change book, by both times."""
    return db.sql("""
        SELECT coalesce(h.enterprise_id, c.uscc) AS enterprise_id, kind, other_uscc AS other_enterprise_id,
               value_after AS other_name, changed_on AS effective_on, c.known_at, c.known_at_is_assumed
        FROM change c LEFT JOIN holder h USING (local_key)
        WHERE kind IN ('merged_into', 'split', 'branch_opened') ORDER BY ALL""").to_arrow_table()
