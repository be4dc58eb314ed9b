"""Which rows of a candidate of silver restate: they change what readers were told of a time that is past.

A *fact* is a record with a day of its own, of a table that features read. Readers know the month of a fact to be
complete once its feed has reached a later month. Three kinds of rows restate:

- `restated`: a record that readers have gets another figure (one told before: neither empty nor 0), day or owner, and
  its month is past. What fills in a blank is life going on: a bill that is paid, a case that is judged.
- `deleted`: such a record is gone, or void.
- `late`: a record new to readers, of a month more than a quarter before the one its feed had reached; a quarter is the
  longest period that is reported. Of records that are told event by event (`carry`) each event counts for itself.

Records without a day (accounts, members, the register's entries) are states of the present and restate nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from lakehouse import contracts, delta_log, differences, engine, known, tables
from lakehouse.literals import quoted
from lakehouse.settings import get_settings
from spark_jobs.source_features.catalogue import Family, Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INVOICES = "silver.vat_invoice"
KINDS = ("restated", "deleted", "late")
LATE_AFTER_MONTHS = 3
# Numbers of the row's way here, not of the fact.
TRACE = frozenset({"version_no", "batch_sequence", "row_number", "schema_version"})
NUMBERS = ("decimal", "bigint", "int", "smallint", "tinyint", "double", "float")
MOST_BATCHES = 500  # new ones, with which a large table is read where something is new alone
WELL_WITHIN_DAYS = 62


@dataclass(frozen=True)
class Fact:
    """A table of facts: `day` and `gone` as SQL, `figures` (numbers) and `owners` (whose it is) as columns.

    `by_event`: each version is an event of its own. `near`: a column of dates, by which versions of a record are looked
    for where its new and rewritten ones lie.
    """

    table: str
    keys: tuple[str, ...]
    day: str
    gone: str
    figures: tuple[str, ...]
    owners: tuple[str, ...]
    by_event: bool = False
    near: str | None = None


@dataclass(frozen=True)
class Sides:
    """The candidate's rows and the readers', as relations: all of them, or as many as tell what restates.

    `new`: the relation of the rows of batches that readers do not have, and `reach`: the month to which readers know
    facts; both are asked of the two relations where they are not given.
    """

    candidate: str
    published: str
    new: str | None = None
    reach: date | None = None


@dataclass(frozen=True)
class Restated:
    """What one batch restates in one table of silver: records by kind."""

    table: str
    batch_id: str
    records: Mapping[str, int]


def facts(families: Sequence[Family], columns: Mapping[str, Mapping[str, str]]) -> dict[str, Fact]:
    """The tables of facts among `columns` (table → column → type), by name."""
    of = contracts.load_all(get_settings().contracts_dir).values()
    records = {c.silver.table: c for c in of if c.silver}
    days: dict[str, list[Source]] = {}
    for source in (source for family in families for source in family.sources):
        if source.day:
            days.setdefault(source.table, []).append(source)
    found = {}
    for table, sources in days.items():
        keys = known.record_keys(table)
        if table not in columns or keys is None:
            continue
        contract = records.get(table)
        order = contract.silver.order if contract and contract.silver else ()
        transport = [c.name for c in contract.columns if c.is_transport] if contract else []
        numbers = [n for n, kind in columns[table].items() if kind.partition("(")[0] in NUMBERS]
        figures = tuple(n for n in numbers if n not in {*keys, *order, *transport, *TRACE})
        owners = tuple(dict.fromkeys(s.subject.column for s in sources if s.subject.column not in keys))
        by_event = bool(contract and contract.silver and contract.silver.carry)
        gone = "is_deleted" if known.is_deletable(table) else "false"
        found[table] = Fact(table, keys, str(sources[0].day), gone, figures, owners, by_event)
    if INVOICES in columns:
        amounts = ("amount_excl_tax_cny", "tax_cny", "amount_incl_tax_cny")
        keys, day = known.CONFORMED_KEYS[INVOICES], "issued_on"
        found[INVOICES] = Fact(INVOICES, keys, day, "status = 'void'", amounts, ("enterprise_id",), near=day)
    return found


def look(
    spark: SparkSession, families: Sequence[Family], changed: Mapping[str, int], published: Mapping[str, int]
) -> tuple[dict[str, tuple[Fact, Sides]], list[Restated]]:
    """The tables of facts whose candidate restates something, with where that is read; and what, one entry a batch.

    `changed` and `published`: the candidate's and the readers' version of each table. One pass over the new rows of a
    table and the records that they are about; a table that readers do not have yet restates nothing.
    """
    dated = {INVOICES, *(source.table for family in families for source in family.sources if source.day)}
    asked = [table for table in changed if table in published and table in dated]
    told = {
        table: dict(spark.sql(f"SELECT * FROM {tables.at_version(table, changed[table])}").dtypes) for table in asked
    }
    there = facts(families, told)

    among: dict[str, Sides] = {}

    def count(fact: Fact) -> list[Restated]:
        among[fact.table] = sides(spark, fact, changed[fact.table], published[fact.table])
        rows = statement(fact, among[fact.table])
        keys = ", ".join(f"`{key}`" for key in fact.keys)
        counted = f"SELECT batch_id, kind, count(DISTINCT {keys}) AS n FROM ({rows}) GROUP BY batch_id, kind"
        batches: dict[str, dict[str, int]] = {}
        for row in spark.sql(counted).collect():
            batches.setdefault(row["batch_id"], {})[row["kind"]] = row["n"]
        return [Restated(fact.table, batch, records) for batch, records in sorted(batches.items())]

    found = [one for part in engine.side_by_side(count, there.values()) for one in part]
    return {one.table: (there[one.table], among[one.table]) for one in found}, found


def sides(spark: SparkSession, fact: Fact, now: int, before: int) -> Sides:
    """Where two versions of a table of facts are read: as a whole, or of a large one where something is new.

    New rows lie in files that readers do not have, and whether readers have a batch, how far their facts reach and, of
    invoices, what was told of a record before is read from the files that can tell. Views of the session are made.
    """
    whole = Sides(tables.at_version(fact.table, now), tables.at_version(fact.table, before))
    if delta_log.count(tables.build_location(fact.table), before) < differences.LEAST_ROWS:
        return whole
    old, came = differences.in_own_files(spark, fact.table, before, now)
    name = f"new_{fact.table.replace('.', '_')}"
    batches = {row["batch_id"] for row in came.select("batch_id").distinct().collect()}
    if len(batches) > MOST_BATCHES or None in batches:
        return whole
    told = ", ".join(map(quoted, sorted(batches)))
    held = f"SELECT DISTINCT batch_id FROM {whole.published} WHERE batch_id IN ({told})" if told else ""
    fresh = sorted(batches - {row["batch_id"] for row in spark.sql(held).collect()}) if held else []
    came.where(came["batch_id"].isin(fresh)).localCheckpoint().createOrReplaceTempView(name)
    reach = _reach(spark, fact, before)
    if fact.near is None or reach is None:
        return Sides(whole.candidate, whole.published, name, reach)
    keys = spark.table(name).select(*fact.keys).distinct()
    written = old.select(*fact.keys, fact.near).unionByName(came.select(*fact.keys, fact.near))
    days = written.join(keys, list(fact.keys), "left_semi").select(fact.near).distinct().collect()
    dated = ", ".join(f"date'{row[0]}'" for row in days) or "NULL"
    near = (f"(SELECT * FROM {side} WHERE `{fact.near}` IN ({dated}))" for side in (whole.candidate, whole.published))
    return Sides(*near, name, reach)


def _reach(spark: SparkSession, fact: Fact, version: int) -> date | None:
    """The latest day of a fact that was told no earlier than that, read where the latest days lie; None where it has
    to be asked of all rows."""
    place = tables.build_location(fact.table)
    if fact.day not in delta_log.columns(place, version):
        return None
    last = delta_log.greatest(place, fact.day, version)
    # A timestamp has hours, and is cut to days by its own rule.
    if type(last) is not date:
        return None
    recent = f"`{fact.day}` >= date'{last - timedelta(days=WELL_WITHIN_DAYS)}'"
    return spark.sql(f"{_reach_query(fact, tables.at_version(fact.table, version))} WHERE {recent}").collect()[0][0]


def _reach_query(fact: Fact, published: str) -> str:
    return f"SELECT max(CASE WHEN {fact.day} <= cast(known_at AS date) THEN {fact.day} END) AS month FROM {published}"


def statement(fact: Fact, among: Sides) -> str:
    """The query of the restating rows: keys, `version_no`, `batch_id`, `known_at` and `kind`, one row a version.

    A row is new where readers have no row of its batch. A record's state is its highest version; that of readers is
    compared with the candidate's, so that versions which came out of order restate only what they change.
    """
    keys = ", ".join(f"`{key}`" for key in fact.keys)
    candidate, published = among.candidate, among.published
    reach = f"(SELECT date'{among.reach}' AS month)" if among.reach else f"({_reach_query(fact, published)})"
    new = f"SELECT * FROM {among.new}"
    if among.new is None:
        held = f"(SELECT DISTINCT batch_id FROM {published}) AS held"
        new = f"SELECT told.* FROM {candidate} AS told LEFT ANTI JOIN {held} ON told.batch_id = held.batch_id"
    horizon = f"add_months(trunc(reach.month, 'month'), -{LATE_AFTER_MONTHS})"
    if fact.by_event:
        return (
            f"SELECT {keys}, version_no, batch_id, known_at, 'late' AS kind FROM ({new}) AS new "
            f"CROSS JOIN {reach} AS reach WHERE {fact.day} < {horizon}"
        )
    cells = [f"{fact.day} AS day", f"coalesce({fact.gone}, false) AS gone"]
    cells += [f"`{name}` AS `{name}`" for name in (*fact.figures, *fact.owners)]
    state = f"SELECT {keys}, max_by(struct({', '.join(cells)}), version_no) AS state FROM {{0}} AS told "
    state += f"LEFT SEMI JOIN new ON {same('told', 'new', fact.keys)} GROUP BY {keys}"
    return f"""WITH new AS ({new}), before AS ({state.format(published)}), after AS ({state.format(candidate)}),
    judged AS (
        SELECT after.*, CASE
            WHEN before.state IS NULL
                THEN CASE WHEN NOT after.state.gone AND after.state.day < {horizon} THEN 'late' END
            WHEN coalesce(least(before.state.day, after.state.day) >= trunc(reach.month, 'month'), true) THEN NULL
            WHEN after.state.gone AND NOT before.state.gone THEN 'deleted'
            WHEN NOT before.state.gone AND ({_differs(fact)}) THEN 'restated'
            WHEN before.state.gone AND NOT after.state.gone THEN 'restated' END AS kind
        FROM after LEFT JOIN before ON {same("after", "before", fact.keys)} CROSS JOIN {reach} AS reach
    )
    SELECT {", ".join(f"new.`{key}`" for key in fact.keys)}, new.version_no, new.batch_id, new.known_at, judged.kind
    FROM new JOIN judged ON {same("new", "judged", fact.keys)} WHERE judged.kind IS NOT NULL"""


def without(fact: Fact, candidate: str, restating: str) -> str:
    """The query of a candidate as it would be without its restating rows; `restating`: the relation of these."""
    condition = same("told", "gone", (*fact.keys, "version_no"))
    kept = f"FROM {candidate} AS told LEFT ANTI JOIN {restating} AS gone ON {condition}"
    if fact.table != INVOICES:
        return f"SELECT told.* {kept}"
    # What is left of an invoice is superseded by what is left alone; most invoices have nothing that restates.
    of_it, rest = same("told", "gone", fact.keys), "told.* EXCEPT (superseded_at)"
    among = f"(SELECT told.* FROM {candidate} AS told LEFT SEMI JOIN {restating} AS gone ON {of_it})"
    superseded = known.macro("superseded", list(fact.keys))
    return (
        f"SELECT {rest}, superseded_at FROM {candidate} AS told LEFT ANTI JOIN {restating} AS gone ON {of_it} "
        f"UNION ALL SELECT {rest}, {superseded} AS superseded_at FROM {among} AS told "
        f"LEFT ANTI JOIN {restating} AS gone ON {condition}"
    )


def same(left: str, right: str, columns: Sequence[str]) -> str:
    """SQL: two relations agree in some columns, empty ones included."""
    return " AND ".join(f"{left}.`{c}` <=> {right}.`{c}`" for c in columns)


def _differs(fact: Fact) -> str:
    """SQL: what was told of a record is another now."""
    parts = ["NOT (before.state.day <=> after.state.day)"]
    for name in fact.figures:
        old, new = f"before.state.`{name}`", f"after.state.`{name}`"
        parts.append(f"({old} <> 0 AND NOT ({old} <=> {new}))")
    for name in fact.owners:
        old, new = f"before.state.`{name}`", f"after.state.`{name}`"
        parts.append(f"({old} IS NOT NULL AND NOT ({old} <=> {new}))")
    return " OR ".join(parts)
