"""Evidence of whom a mention speaks of, each piece with the span of time in which the lakehouse had it.

Ranks, best first: a person's correction, the registry's own entry, a USCC, the 15-digit tax number or old registration
number, a comparison of names, another mention of the same key. A code that the registry's names contradict is no
evidence from then on, until a name comes that fits.
"""

from __future__ import annotations

import duckdb

from spark_jobs.identity import model
from spark_jobs.identity.mentions import REGISTRY

CORRECTED, REGISTERED, BY_USCC, BY_NUMBER, BY_NAME, BY_KEY, ALONE = 0, 1, 2, 3, 5, 6, 9
FOREVER = "TIMESTAMP '9999-12-31'"
COLUMNS = (
    "mention_id VARCHAR, enterprise_id VARCHAR, rank INTEGER, tie DOUBLE, weight DOUBLE, links BOOLEAN, "
    "method VARCHAR, known_at TIMESTAMP, expires TIMESTAMP"
)
# Names that one firm may bear under one code: after a rename place and trade stay, and address or telephone may.
FITS = f"""(m.whole IS NULL OR a.whole IS NULL OR m.brand_sound = a.brand_sound OR m.core_sound = a.core_sound
    OR (m.trade = a.trade AND (m.place = a.place OR m.place IS NULL OR a.place IS NULL))
    OR (length(m.core) = length(a.core) AND {model.differing("m.core", "a.core")} <= 1)
    OR m.address_key = a.address_key OR m.phone_key = a.phone_key)"""


def prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Makes `evidence` with all that needs no comparison, from the table `mention`."""
    db.execute(f"CREATE OR REPLACE TABLE evidence ({COLUMNS})")
    _holders(db)
    _codes(db)
    db.execute(f"""
        INSERT INTO evidence
        SELECT mention_id, enterprise_id, {REGISTERED}, 0, NULL, true, 'registry', m.known_at, {FOREVER}
        FROM mention m JOIN holder USING (local_key) WHERE department = '{REGISTRY}'""")
    _claims(db)


def contradicted(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Mentions whose code leads to a firm that bears no such name, now or at some time; also as table `doubted`."""
    db.execute("""
        CREATE OR REPLACE TABLE doubted AS
        SELECT DISTINCT mention_id FROM claim LEFT JOIN fit USING (mention_id, enterprise_id)
        WHERE begins_at IS NOT NULL AND (fits_at IS NULL OR fits_at > greatest(claim.known_at, begins_at))""")
    return [row[0] for row in db.execute("FROM doubted ORDER BY 1").fetchall()]


def by_name(db: duckdb.DuckDBPyConnection) -> None:
    """Adds what comparisons tell (table `pair`): a mention is who bears a profile like its own, by code or register.

    A mention with a sound code that nothing contradicts needs none of it, though its profile may be another's too.
    """
    db.execute(f"""
        INSERT INTO evidence
        WITH held AS (
            SELECT profile_id, enterprise_id, expires, min(e.known_at) AS known_at
            FROM evidence e JOIN mention USING (mention_id)
            WHERE profile_id IS NOT NULL AND rank BETWEEN {REGISTERED} AND {BY_NUMBER}
            GROUP BY ALL
        ), found AS (
            SELECT s.mention_id, held.enterprise_id, pair.weight, gamma_name,
                   greatest(s.known_at, held.known_at) AS known_at, held.expires
            FROM mention s JOIN pair ON pair.left_id = s.profile_id JOIN held ON held.profile_id = pair.right_id
            WHERE s.department <> '{REGISTRY}' AND (s.uscc IS NULL OR s.mention_id IN (FROM doubted))
        )
        SELECT mention_id, enterprise_id, {BY_NAME}, 0, weight,
               weight >= {model.LINK_WEIGHT} AND {model.strong()}, 'name', known_at, expires
        FROM found
        -- Only what is better than all that was known of the two before.
        QUALIFY weight > coalesce(max(weight) OVER (PARTITION BY mention_id, enterprise_id, expires
            ORDER BY known_at, weight DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), '-infinity'::DOUBLE)""")


def corrected(db: duckdb.DuckDBPyConnection) -> None:
    """Adds corrections (table `correction`): the last word on a key holds, from when it was said."""
    db.execute(f"""
        INSERT INTO evidence
        WITH said AS (
            SELECT *, lead(made_at, 1, {FOREVER}) OVER (PARTITION BY system, department, local_key
                                                         ORDER BY made_at, correction_id) AS until
            FROM correction WHERE effective_from IS NULL
        )
        SELECT m.mention_id, coalesce(said.enterprise_id, 'K-' || left(md5(concat_ws('|', m.system, m.department,
               m.local_key)), 16)), {CORRECTED}, 0, NULL, true, 'correction', greatest(m.known_at, made_at), until
        FROM said JOIN mention m USING (system, department, local_key)
        WHERE NOT withdrawn AND m.known_at < until""")


def by_key(db: duckdb.DuckDBPyConnection) -> None:
    """Adds what is known of the same key: other names under it are the same party's, unless they do not fit.

    Reads `decision` of a first pass; nearest in time counts most.
    """
    db.execute(f"""
        INSERT INTO evidence
        SELECT m.mention_id, d.enterprise_id, {BY_KEY},
               -abs(date_diff('day', coalesce(m.valid_from, DATE '1900-01-01'),
                              coalesce(a.valid_from, DATE '1900-01-01'))),
               NULL, true, 'same key', greatest(m.known_at, d.known_at), d.known_until
        FROM mention m JOIN mention a USING (system, department, local_key)
        JOIN decision d ON d.mention_id = a.mention_id AND d.linked
        WHERE m.mention_id <> a.mention_id AND m.known_at < d.known_until AND {FITS}
            AND EXISTS (FROM decision o WHERE o.mention_id = m.mention_id AND NOT o.linked)""")


def _holders(db: duckdb.DuckDBPyConnection) -> None:
    """`holder`: a registry key's enterprise. A code given out again belongs to its first holder alone as an id."""
    db.execute(f"""
        CREATE OR REPLACE TABLE holder AS
        WITH entry AS (
            SELECT local_key, first(uscc ORDER BY known_at, uscc NULLS LAST) AS uscc, min(known_at) AS known_at,
                   min(founded_on) AS founded_on
            FROM mention WHERE department = '{REGISTRY}' GROUP BY local_key
        )
        SELECT *, CASE WHEN uscc IS NULL THEN 'R-' || local_key
                       WHEN row_number() OVER (PARTITION BY uscc ORDER BY known_at, local_key) = 1 THEN uscc
                       ELSE uscc || '-' || local_key END AS enterprise_id
        FROM entry""")


def _codes(db: duckdb.DuckDBPyConnection) -> None:
    """`code_of`: which code led to which enterprise since when; a sound USCC that no register holds leads to itself."""
    db.execute(f"""
        CREATE OR REPLACE TABLE code_of AS
        WITH registered AS (
            SELECT m.uscc, m.registration_number, h.enterprise_id, h.founded_on, m.known_at
            FROM mention m JOIN holder h USING (local_key) WHERE department = '{REGISTRY}'
        ), other AS (
            SELECT uscc, NULL AS registration_number, uscc AS enterprise_id, NULL::DATE AS founded_on, known_at
            FROM mention WHERE department <> '{REGISTRY}' AND uscc IS NOT NULL
        ), held AS (FROM registered UNION ALL FROM other), told AS (
            SELECT uscc AS code, 'uscc' AS kind, * FROM held
            UNION ALL SELECT substr(uscc, 3, 15), 'tax number', * FROM held
            UNION ALL SELECT registration_number, 'registration number', * FROM held
        )
        SELECT code, kind, enterprise_id, max(founded_on) AS founded_on, min(known_at) AS known_at
        FROM told WHERE code IS NOT NULL GROUP BY ALL""")


def _claims(db: duckdb.DuckDBPyConnection) -> None:
    db.execute(f"""
        CREATE OR REPLACE TABLE claim AS
        WITH begins AS (SELECT enterprise_id, min(m.known_at) AS begins_at FROM mention m JOIN holder USING (local_key)
                        WHERE department = '{REGISTRY}' GROUP BY ALL)
        SELECT m.mention_id, c.enterprise_id, c.kind, greatest(m.known_at, min(c.known_at)) AS known_at, begins_at,
               -- Of several holders of one code the one founded last before the mention.
               max(CASE WHEN c.founded_on <= coalesce(m.valid_from, m.known_at::DATE)
                        THEN date_diff('day', DATE '1900-01-01', c.founded_on) ELSE -1 END) AS tie
        FROM mention m JOIN code_of c ON c.code = coalesce(m.uscc, m.short_code) LEFT JOIN begins USING (enterprise_id)
        WHERE m.department <> '{REGISTRY}' GROUP BY m.mention_id, c.enterprise_id, c.kind, m.known_at, begins_at""")
    db.execute(f"""
        CREATE OR REPLACE TABLE fit AS
        SELECT claim.mention_id, claim.enterprise_id, min(greatest(claim.known_at, a.known_at)) AS fits_at
        FROM claim JOIN mention m USING (mention_id) JOIN holder h ON h.enterprise_id = claim.enterprise_id
        JOIN mention a ON a.local_key = h.local_key AND a.department = '{REGISTRY}'
        WHERE {FITS} GROUP BY ALL""")
    rank = f"CASE kind WHEN 'uscc' THEN {BY_USCC} ELSE {BY_NUMBER} END"
    db.execute(f"""
        INSERT INTO evidence
        WITH seen AS (FROM claim LEFT JOIN fit USING (mention_id, enterprise_id)), span AS (
            -- Before the register was known nothing contradicts; then only a name that fits does not.
            SELECT *, known_at AS since, {FOREVER} AS until FROM seen
            WHERE begins_at IS NULL OR (known_at <= begins_at AND fits_at <= begins_at)
            UNION ALL SELECT *, known_at, begins_at FROM seen
            WHERE known_at < begins_at AND (fits_at IS NULL OR fits_at > begins_at)
            UNION ALL SELECT *, fits_at, {FOREVER} FROM seen
            WHERE fits_at IS NOT NULL AND begins_at IS NOT NULL AND NOT (known_at <= begins_at AND fits_at <= begins_at)
        )
        SELECT mention_id, enterprise_id, {rank}, tie, NULL, true, kind, since, until FROM span""")
