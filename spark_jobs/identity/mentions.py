"""Mentions: what departments wrote of a party, each once, with the keys that are compared.

A mention is one distinct set of (system, department, local key, name, code, registration number, address, telephone);
`known_at` is when the lakehouse first knew it, `valid_from` the day from which the department wrote so (null: always).
A *profile* is what is compared: name, address and telephone without what clerks vary. Many mentions share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import duckdb
import pyarrow as pa

from spark_jobs.identity import codes, names

REGISTRY = "business_registry"
# What a reader of a department's list hands in; all but system, department, local_key and known_at may be null.
ROWS = pa.schema(
    [
        ("system", pa.string()), ("department", pa.string()), ("local_key", pa.string()), ("name", pa.string()),
        ("code", pa.string()), ("registration_number", pa.string()), ("address", pa.string()), ("phone", pa.string()),
        ("founded_on", pa.date32()), ("valid_from", pa.date32()), ("known_at", pa.timestamp("us")),
        ("known_at_is_assumed", pa.bool_()),
    ]
)  # fmt: skip
# Entries of the registry's change book; `other_uscc` is the other firm of a merger or split.
CHANGES = pa.schema(
    [
        ("change_id", pa.string()), ("local_key", pa.string()), ("uscc", pa.string()), ("kind", pa.string()),
        ("changed_on", pa.date32()), ("value_before", pa.string()), ("value_after", pa.string()),
        ("other_uscc", pa.string()), ("known_at", pa.timestamp("us")), ("known_at_is_assumed", pa.bool_()),
    ]
)  # fmt: skip
IDENTIFYING = ("system", "department", "local_key", "name", "code", "registration_number", "address", "phone")
PARTS = ("place", "core", "trade", "branch", "whole", "core_sound", "whole_sound", "brand_sound",
         "head_sound", "tail_sound")  # fmt: skip
PROFILE = ("place", "core", "trade", "whole", "core_sound", "whole_sound", "brand_sound", "address_key", "phone_key")


def of_rows(rows: pa.Table) -> pa.Table:
    """`silver.identity_mention`: one row a distinct mention, with codes read and names taken apart.

    Columns: `mention_id`, those of ROWS, `uscc` and `short_code` (sound codes), `code_unsound`, the parts of the name,
    `address_key`, `phone_key`, `profile_id`. The id is a digest of the identifying columns: equal in every run.
    """
    with duckdb.connect() as db:
        db.register("said", rows)
        identifying = ", ".join(IDENTIFYING)
        db.execute(f"""
            CREATE TABLE one AS
            SELECT {identifying}, min(founded_on) AS founded_on,
                   CASE WHEN bool_or(valid_from IS NULL) THEN NULL ELSE min(valid_from) END AS valid_from,
                   min(known_at) AS known_at, arg_min(known_at_is_assumed, known_at) AS known_at_is_assumed
            FROM said GROUP BY ALL""")
        _register_names(db)
        _register_keys(db, "address", names.address)
        _register_keys(db, "phone", names.phone)
        _register_codes(db)
        told = ", ".join(f"coalesce(one.{c}, '')" for c in IDENTIFYING)
        parts = ", ".join(f"part.{p}" for p in PARTS)
        profile = ", ".join(f"coalesce({p}, '')" for p in PROFILE)
        return _arrow(
            db,
            f"""
            SELECT *, CASE WHEN "whole" IS NOT NULL THEN md5(concat_ws('|', {profile})) END AS profile_id FROM (
                SELECT md5(concat_ws('|', {told})) AS mention_id, one.*,
                       coalesce(c.uscc, CASE WHEN c.short_code IS NULL THEN k.uscc END) AS uscc,
                       coalesce(c.short_code, CASE WHEN c.uscc IS NULL AND k.uscc IS NULL THEN k.short_code END)
                           AS short_code,
                       coalesce(code, '') <> '' AND c.uscc IS NULL AND c.short_code IS NULL AS code_unsound,
                       {parts}, address_key, phone_key
                FROM one LEFT JOIN part USING (name) LEFT JOIN address_part USING (address)
                LEFT JOIN phone_part USING (phone)
                LEFT JOIN code_part c USING (code) LEFT JOIN key_part k USING (local_key))
            ORDER BY mention_id""",
        )


def merge(old: pa.Table | None, new: pa.Table) -> pa.Table:
    """Old and new mentions, each once, as first known; the same whatever order they came in."""
    if old is None:
        return new
    with duckdb.connect() as db:
        db.register("held", pa.concat_tables([old, new.cast(old.schema)]))
        return _arrow(
            db,
            """
            FROM held QUALIFY row_number() OVER (PARTITION BY mention_id ORDER BY known_at, valid_from NULLS FIRST) = 1
            ORDER BY mention_id""",
        )


def renamed(changes: pa.Table) -> pa.Table:
    """The registry's change book as ROWS: an enterprise's new name, or a branch's, under its registry key."""
    with duckdb.connect() as db:
        db.register("change", changes)
        return _arrow(
            db,
            f"""
            SELECT 'registry' AS system, '{REGISTRY}' AS department, local_key, value_after AS name, NULL AS code,
                   NULL AS registration_number, NULL AS address, NULL AS phone, NULL::DATE AS founded_on,
                   changed_on AS valid_from, known_at, known_at_is_assumed
            FROM change WHERE kind IN ('renamed', 'branch_opened') AND value_after IS NOT NULL""",
        ).cast(ROWS)


def _arrow(db: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    return db.sql(sql).to_arrow_table()


def _column(db: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    return [row[0] for row in db.execute(f"SELECT DISTINCT {name} FROM one WHERE {name} IS NOT NULL").fetchall()]


def _register_names(db: duckdb.DuckDBPyConnection) -> None:
    kept = [(name, parsed) for name in _column(db, "name") if (parsed := names.parse(name))]
    columns: dict[str, Iterable[str | None]] = {"name": [name for name, _ in kept]}
    # A part that is not written is null: an unknown place must not look like the same place.
    columns |= {part: [getattr(parsed, part) or None for _, parsed in kept] for part in PARTS}
    db.register("part", pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))


def _register_keys(db: duckdb.DuckDBPyConnection, name: str, key: Callable[[str], str | None]) -> None:
    written = _column(db, name)
    keys = [key(value) for value in written]
    db.register(f"{name}_part", pa.table({name: pa.array(written, pa.string()),
                                          f"{name}_key": pa.array(keys, pa.string())}))  # fmt: skip


def _register_codes(db: duckdb.DuckDBPyConnection) -> None:
    """`code_part` of what is written as a code, `key_part` of keys long enough to hold one."""
    keys = "SELECT DISTINCT local_key FROM one WHERE length(local_key) >= 15"
    for name, column, written in (
        ("code_part", "code", _column(db, "code")),
        ("key_part", "local_key", [row[0] for row in db.execute(keys).fetchall()]),
    ):
        read = [codes.read(text) if column == "code" else codes.read(None, text) for text in written]
        columns = {"uscc": [c.uscc for c in read], "short_code": [c.short for c in read]}
        found = pa.table({column: pa.array(written, pa.string()),
                          **{n: pa.array(values, pa.string()) for n, values in columns.items()}})  # fmt: skip
        db.register(name, found)
