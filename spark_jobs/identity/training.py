"""Training of the comparison model: what sound codes show to be one firm labels what is compared."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pyarrow as pa

from spark_jobs.identity import evidence, mentions, model


def labelled(rows: pa.Table, changes: pa.Table) -> pa.Table:
    """Profiles with the enterprise that a code or the register shows: `model.COLUMNS` and `enterprise_id`.

    One row a profile and enterprise; `profile_id` is made of both, so that each is a record of its own.
    """
    mention = mentions.of_rows(pa.concat_tables([rows.cast(mentions.ROWS), mentions.renamed(changes)]))
    columns = ", ".join(c for c in model.COLUMNS if c != "profile_id")
    with duckdb.connect() as db:
        db.register("given", mention)
        db.execute("CREATE TABLE mention AS FROM given")
        evidence.prepare(db)
        return db.sql(f"""
            SELECT DISTINCT concat(profile_id, '/', enterprise_id) AS profile_id, {columns}, enterprise_id
            FROM mention JOIN evidence USING (mention_id) WHERE profile_id IS NOT NULL
            ORDER BY 1""").to_arrow_table()


def train(rows: pa.Table, changes: pa.Table) -> dict[str, Any]:
    """A model from a region's rows (ROWS, CHANGES); `save` ships it."""
    return model.train(labelled(rows, changes))


def save(trained: dict[str, Any]) -> None:
    """Writes `model.json`, which every build reads: the ledger is then made anew."""
    model.FILE.write_text(json.dumps(trained, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
