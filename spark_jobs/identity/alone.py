"""Parties whom no code and no register names: those alike enough stand together under an id of their own.

The id is that of the mention known first (`A-` and a digest). Where two groups turn out to be one, the younger takes
the older's id from then on; before, both are known apart. Whoever is found in the register later leaves the group.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from spark_jobs.identity import model
from spark_jobs.identity.evidence import ALONE, FITS, FOREVER
from spark_jobs.identity.mentions import REGISTRY


def stand_alone(db: duckdb.DuckDBPyConnection) -> None:
    """Adds to `evidence` an id for every mention without a sound USCC, from the table `pair`.

    One whose sound code the register contradicts stands for itself: it became doubtful later than it was known.
    """
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE node AS
        SELECT mention_id, known_at, profile_id, short_code, place FROM mention
        WHERE department <> '{REGISTRY}' AND uscc IS NULL""")
    edges = db.execute(f"""
        WITH first_of AS (SELECT profile_id, arg_min(mention_id, (known_at, mention_id)) AS mention_id,
                                 min(known_at) AS known_at FROM node WHERE profile_id IS NOT NULL GROUP BY ALL),
        edge AS (
            -- A profile with its place is a full name; one without may be anybody's.
            SELECT n.mention_id AS a, f.mention_id AS b, n.known_at FROM node n JOIN first_of f USING (profile_id)
            WHERE n.place IS NOT NULL
            UNION ALL
            SELECT mention_id, first_value(mention_id) OVER code, known_at FROM node WHERE short_code IS NOT NULL
            WINDOW code AS (PARTITION BY short_code ORDER BY known_at, mention_id)
            UNION ALL
            SELECT m.mention_id, a.mention_id, greatest(m.known_at, a.known_at)
            FROM mention m JOIN node n USING (mention_id) JOIN mention a
                ON a.department = m.department AND a.local_key = m.local_key AND a.mention_id > m.mention_id
            JOIN node o ON o.mention_id = a.mention_id WHERE {FITS}
            UNION ALL
            SELECT l.mention_id, r.mention_id, greatest(l.known_at, r.known_at)
            FROM pair JOIN first_of l ON l.profile_id = left_id JOIN first_of r ON r.profile_id = right_id
            WHERE weight >= {model.LINK_WEIGHT} AND {model.strong()} AND left_id < right_id
        ) SELECT * FROM edge WHERE a <> b ORDER BY known_at, a, b""").fetchall()
    nodes = db.execute("""
        SELECT mention_id, known_at FROM node UNION
        SELECT mention_id, known_at FROM doubted JOIN mention USING (mention_id)
        ORDER BY known_at, mention_id""").fetchall()
    spans = _groups(nodes, edges)
    db.register("span", spans)
    db.execute(f"""
        INSERT INTO evidence
        SELECT mention_id, 'A-' || left(root, 16), {ALONE}, 0, NULL, true, 'alone', known_at,
               lead(known_at, 1, {FOREVER}) OVER (PARTITION BY mention_id ORDER BY known_at)
        FROM (SELECT mention_id, known_at, arg_max(root, no) AS root FROM span GROUP BY ALL)""")
    db.unregister("span")


def _groups(nodes: list[tuple], edges: list[tuple]) -> pa.Table:
    """(mention_id, known_at, root, no): a row whenever a mention's group gets another id; `no` is the order."""
    order = {mention: number for number, (mention, _) in enumerate(nodes)}
    names = [mention for mention, _ in nodes]
    root, members = list(range(len(nodes))), [[number] for number in range(len(nodes))]
    rows = [(number, since, number) for number, (_, since) in enumerate(nodes)]
    for a, b, since in edges:
        older, younger = sorted((root[order[a]], root[order[b]]))
        if older == younger:
            continue
        for member in members[younger]:
            root[member] = older
            rows.append((member, since, older))
        members[older] += members[younger]
        members[younger] = []
    return pa.table(
        {
            "mention_id": [names[member] for member, _, _ in rows],
            "known_at": pa.array([since for _, since, _ in rows], pa.timestamp("us")),
            "root": [names[older] for _, _, older in rows],
            "no": pa.array(range(len(rows)), pa.int64()),
        }
    )
