"""From evidence to decisions: at every moment at which something becomes known of a mention, the best of it then.

A decision says nothing that was not known at its `known_at`; so a past date sees the identity known then, and a day's
run gives the rows that a rebuild gives.
"""

from __future__ import annotations

import duckdb

from spark_jobs.identity import model
from spark_jobs.identity.evidence import ALONE, BY_KEY, BY_NAME, FOREVER


def decisions(db: duckdb.DuckDBPyConnection) -> None:
    """Makes `decision` from `evidence`: one row a mention and span of time in which the same was decided.

    Columns: `mention_id`, `known_at`, `known_until`, `enterprise_id` and `method` (null where nothing decides),
    `weight`, `linked` (decided by something else than standing alone), `candidate_id`, `candidate_weight`, `reason`:
    what a person should look at.
    """
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE active AS
        WITH moment AS (
            SELECT mention_id, known_at AS seen_at FROM evidence
            UNION SELECT mention_id, expires FROM evidence WHERE expires < {FOREVER}
            UNION SELECT mention_id, known_at FROM mention
        )
        SELECT o.mention_id, o.seen_at, e.enterprise_id, min(e.rank) AS rank, arg_max(e.tie, (-e.rank, e.tie)) AS tie,
               max(e.weight) AS weight, bool_or(e.links) AS links, arg_min(e.method, (e.rank, e.method)) AS method
        FROM moment o LEFT JOIN evidence e
            ON e.mention_id = o.mention_id AND e.known_at <= o.seen_at AND o.seen_at < e.expires
        GROUP BY ALL""")
    db.execute(f"""
        CREATE OR REPLACE TABLE decision AS
        WITH ordered AS (
            SELECT *, row_number() OVER best AS place, lead(rank) OVER best AS next_rank,
                   lead(tie) OVER best AS next_tie, lead(weight) OVER best AS next_weight
            FROM active WINDOW best AS (
                PARTITION BY mention_id, seen_at ORDER BY rank, tie DESC, weight DESC, enterprise_id)
        ), judged AS (
            SELECT *, CASE WHEN rank = {BY_NAME} AND NOT links THEN 'weak'
                WHEN rank = {BY_NAME} AND next_rank = {BY_NAME} AND weight - next_weight < {model.MARGIN}
                    THEN 'ambiguous'
                WHEN rank < {BY_NAME} AND next_rank = rank AND next_tie = tie THEN 'code of several'
                END AS doubt
            FROM ordered
        ), doubted AS (
            SELECT mention_id, seen_at, enterprise_id, weight, doubt FROM judged WHERE place = 1 AND doubt IS NOT NULL
        ), won AS (
            SELECT * FROM judged
            WHERE judged.doubt IS NULL AND (place = 1 OR rank >= {BY_KEY})
            QUALIFY row_number() OVER (PARTITION BY mention_id, seen_at ORDER BY place) = 1
        ), told AS (
            SELECT o.mention_id, o.seen_at, won.enterprise_id, won.method,
                   CASE WHEN won.rank = {BY_NAME} THEN won.weight END AS weight,
                   coalesce(won.rank < {ALONE}, false) AS linked, doubted.enterprise_id AS candidate_id,
                   doubted.weight AS candidate_weight, doubted.doubt AS reason
            FROM (SELECT DISTINCT mention_id, seen_at FROM active) o LEFT JOIN won USING (mention_id, seen_at)
            LEFT JOIN doubted USING (mention_id, seen_at)
        )
        SELECT mention_id, seen_at AS known_at, lead(seen_at, 1, {FOREVER}) OVER later AS known_until,
               * EXCLUDE (mention_id, seen_at)
        FROM (SELECT * FROM told WINDOW earlier AS (PARTITION BY mention_id ORDER BY seen_at)
              QUALIFY row_number() OVER earlier = 1 OR (enterprise_id, method, candidate_id, reason)
                  IS DISTINCT FROM lag((enterprise_id, method, candidate_id, reason)) OVER earlier)
        WINDOW later AS (PARTITION BY mention_id ORDER BY seen_at)""")
