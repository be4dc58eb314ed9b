"""Compares profiles that need it, each pair once, and keeps what came of it: the costly step, and the only one.

A profile is *left* when a mention with it has no sound USCC (it needs to be found) and *right* when any mention has it.
Pairs of a left with any other profile that share a block are compared when either becomes so, and never again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from spark_jobs.identity import model
from spark_jobs.identity.mentions import REGISTRY

PAIRS = pa.schema([("left_id", pa.string()), ("right_id", pa.string()), ("weight", pa.float64()),
                   ("gamma_name", pa.int32())])  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """Pairs from REVIEW_WEIGHT on, and how many were compared to find them."""

    pairs: pa.Table
    compared: int


def roles(mentions: pa.Table, contradicted: Collection[str] = ()) -> pa.Table:
    """`profile_id`, its columns, and whether it is left (`needs_link`): one row a profile with a name.

    `contradicted` are mentions with a sound code that is not theirs by the register's names.
    """
    columns = ", ".join(f'any_value("{c}") AS "{c}"' for c in model.COLUMNS[1:])
    with duckdb.connect() as db:
        db.register("mention", mentions)
        db.register("doubted", pa.table({"mention_id": pa.array(sorted(contradicted), pa.string())}))
        return db.sql(f"""
            SELECT profile_id, {columns}, bool_or(department <> '{REGISTRY}'
                   AND (uscc IS NULL OR mention_id IN (FROM doubted))) AS needs_link
            FROM mention WHERE profile_id IS NOT NULL GROUP BY profile_id ORDER BY profile_id""").to_arrow_table()


def new_pairs(
    now: pa.Table, before: pa.Table | None = None, api: Any = None, trained: dict[str, Any] | None = None
) -> Compared:
    """Compares what the profiles `now` (of `roles`) have that `before` had not.

    New left profiles meet all; old left ones meet profiles that are new. `api` is Splink's back end, DuckDB's by
    default; any that reads Arrow does. `left_id` is a left profile, and a pair stands once for each of its left sides.
    """
    parts = _parts(now, before)
    settings = trained or model.load()
    found = [_between(parts[a], parts[b], api, settings) for a, b in (("left_new", "all"), ("left_old", "new"))
             if parts[a].num_rows and parts[b].num_rows]  # fmt: skip
    pairs = [compared.pairs for compared in found]
    kept = pa.concat_tables(pairs) if pairs else PAIRS.empty_table()
    return Compared(kept, sum(compared.compared for compared in found))


def _parts(now: pa.Table, before: pa.Table | None) -> dict[str, pa.Table]:
    columns = ", ".join(f'"{c}"' for c in model.COLUMNS)
    with duckdb.connect() as db:
        db.register("now", now)
        db.register("before", before if before is not None else now.slice(0, 0))
        db.execute("""
            CREATE TABLE state AS SELECT now.*, before.profile_id IS NULL AS is_new,
                   now.needs_link AND NOT coalesce(before.needs_link, false) AS left_is_new
            FROM now LEFT JOIN before USING (profile_id)""")
        wanted = {"left_new": "left_is_new", "left_old": "needs_link AND NOT left_is_new", "all": "true",
                  "new": "is_new"}  # fmt: skip
        return {
            name: db.sql(f"SELECT {columns} FROM state WHERE {condition} ORDER BY profile_id").to_arrow_table()
            for name, condition in wanted.items()
        }


def _between(left: pa.Table, right: pa.Table, api: Any, settings: dict[str, Any]) -> Compared:
    from splink import DuckDBAPI, Linker

    logging.getLogger("splink").setLevel(logging.ERROR)
    backend = api or DuckDBAPI()
    on_left, on_right = backend.register(left), backend.register(right)
    linker = Linker(on_left, settings, log_level=None, validate_settings=False)
    scored = linker.inference.predict_between(on_left, on_right, warning_mode="never")
    told = f"SELECT count(*) AS compared FROM {scored.physical_name}"
    compared = int(linker.misc.query_sql(told, "pandas")["compared"].iloc[0])
    kept = linker.misc.query_sql(
        f"SELECT profile_id_l AS left_id, profile_id_r AS right_id, match_weight AS weight, gamma_name "
        f"FROM {scored.physical_name} WHERE match_weight >= {model.REVIEW_WEIGHT}",
        "pandas",
    )
    scored.drop_table_from_database_and_remove_from_cache()
    return Compared(pa.Table.from_pandas(kept, preserve_index=False).cast(PAIRS), compared)
