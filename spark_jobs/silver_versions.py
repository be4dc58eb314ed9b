"""Versions of business records, in the source's own order: the one algorithm behind every versioned table of silver.

Which version is later is decided by the data alone (revision, change number, time of the event), never by arrival, so
that the same records in any order, repeated or late, end in the same versions. Only when each was known differs:
`known_at` is that of the row which first said it. The state as known at D is the highest `version_no` with
`known_at <= D`, also where an earlier version came in after a later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakehouse.contracts import Contract
from lakehouse.errors import ContractError
from spark_jobs.invoices import TRACE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ARRIVAL = ("known_at", "batch_sequence", "source_file", "row_number", "received_on", "batch_id", "known_at_is_assumed")
PUBLISHED = "published_at"


def of_contract(accepted: DataFrame, contract: Contract) -> DataFrame:
    """One row per version of a record, by the contract's property `silver`.

    Columns: the record's keys, `version_no`, the contract's other columns as first said of that version, `is_deleted`
    where the source deletes, `published_at` where it says when, and the trace.
    """
    record = contract.silver
    if record is None:
        raise ContractError(
            f"contract {contract.id} has no property silver", remedy="say how its records are versioned"
        )
    columns = [c.name for c in contract.columns]
    published = contract.known_at.event_column if contract.known_at.history == "published" else None
    rows, beside = accepted, {*record.order, *contract.keys, published, *_of_delivery(contract)}
    if record.deleted:
        rows = rows.selectExpr("*", f"coalesce({record.deleted}, false) AS is_deleted")
        columns, beside = [*columns, "is_deleted"], beside | set(_read_by(record.deleted, columns))
    if published and PUBLISHED not in columns:
        rows = rows.selectExpr("*", f"`{published}` AS {PUBLISHED}")
        columns, beside = [*columns, PUBLISHED], beside | {PUBLISHED}
    facts = [c for c in columns if c not in {*record.keys, *beside}]
    # Copies of one message stand together, whatever else happened at the same moment.
    order = [*(record.order or filter(None, [published])), *contract.keys, *filter(None, [published]), "record_hash"]
    kept = rows.select(*columns, "record_hash", *TRACE)
    found = versions(kept, record.keys, list(dict.fromkeys(order)), facts, carry=record.carry)
    return found.drop("record_hash")


def versions(
    rows: DataFrame, keys: Sequence[str], order: Sequence[str], facts: Sequence[str], *, carry: bool = False
) -> DataFrame:
    """One row per version: adds `version_no`, counted from 1 in the given order, whose last column must break ties.

    Rows that repeat the facts of the row before them make no version; its other columns are those of the first of them,
    and its trace that of the first to arrive. With `carry`, an empty fact keeps its last value; such a version needs
    all rows up to its own, so it is known when the last of them was.
    """
    others = [c for c in rows.columns if c not in {*keys, *TRACE}]
    by_key = ", ".join(f"`{c}`" for c in keys)
    so_far = f"(PARTITION BY {by_key} ORDER BY {_listed(order)} ROWS UNBOUNDED PRECEDING)"
    arrival = f"struct({', '.join(ARRIVAL)})"
    if carry:
        filled = [f"last(`{c}`, true) OVER {so_far} AS `{c}`" if c in facts else f"`{c}`" for c in others]
        rows = rows.selectExpr(*keys, *filled, f"max({arrival}) OVER {so_far} AS arrival")
    else:
        rows = rows.selectExpr(*keys, *(f"`{c}`" for c in others), f"{arrival} AS arrival")
    content = f"struct({_listed(facts)})" if facts else "struct(1 AS nothing)"
    in_order = f"(PARTITION BY {by_key} ORDER BY {_listed(order)})"
    marked = rows.selectExpr("*", f"NOT (lag({content}) OVER {in_order} <=> {content}) AS is_new")
    numbered = marked.selectExpr("*", f"cast(count_if(is_new) OVER {so_far} AS int) AS version_no")
    found = numbered.groupBy(*keys, "version_no").agg(*_first_of(order, others))
    trace = [f"arrival.{c} AS {c}" for c in TRACE]
    return found.selectExpr(*(f"`{c}`" for c in keys), "version_no", *(f"said.`{c}`" for c in others), *trace)


def _first_of(order: Sequence[str], others: Sequence[str]) -> list[Column]:
    from pyspark.sql import functions

    said = f"min_by(struct({_listed(others)}), struct({_listed(order)})) AS said"
    return [functions.expr(said), functions.expr("min(arrival) AS arrival")]


def _of_delivery(contract: Contract) -> list[str]:
    return [c.name for c in contract.columns if c.is_transport]


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f"`{c}`" for c in columns)


def _read_by(condition: str, columns: Sequence[str]) -> list[str]:
    import sqlglot
    from sqlglot import exp

    used = {c.name for c in sqlglot.parse_one(condition, dialect="spark").find_all(exp.Column)}
    return [c for c in columns if c in used]
