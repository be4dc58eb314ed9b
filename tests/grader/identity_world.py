"""What departments show of a world's firms, as rows of mentions and of the registry's change book; never the truth.

From `department_subject` (what each department holds), the registry's own columns and `firm_change`: the tables behind
the simulated systems. `known_at` is some days after a department wrote it, never before the world's first day.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from grader import scoring
from grader.scoring import Share
from grader.truth import World
from spark_jobs.identity.ledger import Ledger, identity_as_of
from spark_jobs.identity.mentions import CHANGES, ROWS

LAG_DAYS = 5


@dataclass(frozen=True)
class Shown:
    """Rows of departments (ROWS) and of the change book (CHANGES)."""

    rows: pa.Table
    changes: pa.Table


def shown(folder: Path) -> Shown:
    """All that departments show of a world."""
    world = World.open(folder)
    names = ["department_subject", "firm", "firm_change"]
    with duckdb.connect() as db:
        for table in names:
            files = ", ".join(f"'{file}'" for file in world.files(table))
            db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet([{files}])")
        begins = first_day(folder)
        known = f"(greatest({{}} + {LAG_DAYS}, DATE '{begins}'))::TIMESTAMP"
        rows = db.sql(f"""
            SELECT system, department, key AS local_key, s.name, coalesce(s.uscc, s.registration_number) AS code,
                   CASE WHEN department = 'business_registry' THEN f.registration_number END AS registration_number,
                   CASE WHEN department = 'business_registry' THEN f.address ELSE s.address END AS address,
                   CASE WHEN department = 'business_registry' THEN f.phone ELSE s.phone END AS phone,
                   CASE WHEN department = 'business_registry' THEN f.founded_on END AS founded_on,
                   CASE WHEN row_number() OVER spans > 1 THEN s.from_on END AS valid_from,
                   {known.format("s.from_on::DATE")} AS known_at, false AS known_at_is_assumed
            FROM department_subject s JOIN firm f USING (firm_id)
            WINDOW spans AS (PARTITION BY department, key ORDER BY s.from_on) ORDER BY ALL""").to_arrow_table()
        changes = db.sql(f"""
            SELECT c.change_id::VARCHAR AS change_id, r.key AS local_key, f.uscc, c.kind,
                   changed_on::DATE AS changed_on,
                   old_value AS value_before, new_value AS value_after, o.uscc AS other_uscc,
                   {known.format("changed_on::DATE")} AS known_at, false AS known_at_is_assumed
            FROM firm_change c JOIN firm f USING (firm_id) LEFT JOIN firm o ON o.firm_id = c.other_firm_id
            JOIN (SELECT DISTINCT firm_id, key FROM department_subject WHERE department = 'business_registry') r
                ON r.firm_id = c.firm_id ORDER BY ALL""").to_arrow_table()
    return Shown(rows.cast(ROWS), changes.cast(CHANGES))


def first_day(folder: Path) -> date:
    """The first day a world lived through."""
    return date.fromisoformat(json.loads((folder / "world.json").read_text())["first_day"])


def judge(
    world: World, built: Ledger, on: date, changed: Callable[[str, str], str] | None = None
) -> dict[str, tuple[Share, Share]]:
    """(precision, recall) over pairs of keys as known at a date, of all and of pairs with a key without code.

    `changed` gives another enterprise for an enterprise and key, to see whether an error shows.
    """
    said = identity_as_of(built, datetime(on.year, on.month, on.day)).to_pandas().rename(columns={"local_key": "key"})
    if changed:
        said["enterprise_id"] = [changed(e, k) for e, k in zip(said["enterprise_id"], said["key"], strict=True)]
    rows = said.merge(world.keys(on), on=["system", "department", "key"])
    said_of, true = rows["enterprise_id"].to_numpy(), rows["firm_id"].to_numpy()
    return {
        "all keys": scoring.pairwise(said_of, true),
        "pairs with a key without code": scoring.pairwise(said_of, true, rows["without_code"].to_numpy(bool)),
    }
