"""An erased subject leaves the tables: cells are overwritten with the mark of the erasure, and old versions go.

Which tables are concerned is read from their files, so that old versions count as well. Of a table that held the
subject, only the version without it can be read afterwards: data files of others are removed, and so are the entries
of the Delta log before it, which hold least and greatest values of columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import contracts, tables
from lakehouse.contracts import Contract
from lakehouse.erasure import needles, search
from lakehouse.errors import IntegrityError
from lakehouse.settings import get_settings
from lakehouse.vault import forms
from lakehouse.vault.erasing import Trail
from spark_jobs import bronze_rows

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

KEPT_STATISTICS = ("date", "timestamp", "int", "bigint")
# Shorter values (a name of two letters) are overwritten where they are a whole cell, not within other words.
LEAST_WITHIN = 8
TOUCHED = "__touched"


@dataclass(frozen=True)
class Table:
    """A Delta table on the disk: its name in the catalog, its folder, and `published` (`silver.loan`) if readers see
    it."""

    name: str
    folder: Path
    published: str | None

    @property
    def title(self) -> str:
        return self.published or self.name


def concerned(trail: Trail, erasure: str | None = None) -> list[Table]:
    """The tables of which a file, of whatever version, holds a trace of the subject, or the mark of this erasure."""
    sought = traces(trail, [forms.ERASED + erasure] if erasure else [])
    return [t for t in _tables() if sought and search.look([t.folder], sought).findings]


def traces(trail: Trail, marks: Iterable[str] = ()) -> needles.Needles | None:
    """What a file must hold none of, landing and vault excepted: tokens, ids, and clear values in every form."""
    made = [needles.of([*trail.own, *trail.subjects, *marks], encoded=False), needles.of(trail.clear)]
    held = {text: form for found in made if found for text, form in found.forms.items()}
    if not held:
        return None
    texts = sorted(held, key=len, reverse=True)
    return needles.Needles(re.compile(b"|".join(map(re.escape, texts))), held)


def rows_of(spark: SparkSession, table: Table, trail: Trail) -> int:
    """How many rows of the table's present version are the subject's."""
    frame = _present(spark, table)
    return frame.where(_is_touched(frame, trail)).count()


def erase(
    spark: SparkSession, erasure: str, trail: Trail, found: Iterable[Table], step: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Overwrites the subject's cells in the tables, publishes all of them at once, then removes what came before.

    Returns one note a table: rows that bear the mark, the version that is left, files and log entries removed.
    """
    found = list(found)
    notes, versions, kept = [], {}, {}
    for table in found:
        rows = _rewrite(spark, table, erasure, trail)
        step(f"rewritten {table.title}")
        kept[table], version = _checkpoint(spark, table)
        if table.published:
            versions[table.published] = version
        notes.append({"table": table.title, "rows": rows, "version": version})
    if versions:
        tables.publish(spark, versions, "erasure", erasure)
    step("published")
    for table, note in zip(found, notes, strict=True):
        note |= _purge(spark, table, kept[table])
        step(f"purged {table.title}")
    return notes


def _tables() -> Iterator[Table]:
    settings, published = get_settings(), tables.current_manifest().versions
    for layer in tables.LAYERS:
        schema = settings.schema_name(layer) + ("_build" if layer in tables.BUILT_LAYERS else "")
        for log in sorted((settings.warehouse_dir / schema).glob("*/_delta_log")):
            name = log.parent.name
            readable = f"{layer}.{name}" if f"{layer}.{name}" in published else None
            yield Table(f"{schema}.{name}", log.parent, readable)


def _present(spark: SparkSession, table: Table) -> DataFrame:
    """The version that readers see, by its number: what is written to the table meanwhile is not read."""
    if table.published:
        return tables.read(spark, table.published)
    return spark.sql(f"SELECT * FROM {table.name} VERSION AS OF {_head(spark, table)}")


def _rewrite(spark: SparkSession, table: Table, erasure: str, trail: Trail) -> int:
    """Writes a table without the subject's cells, if it has any; returns how many rows bear the mark then.

    Raises IntegrityError where a row of others is not what it was.
    """
    before = _present(spark, table)
    if table.published:
        tables.begin_build(spark, table.published)
    facts = _facts(before, erasure, trail)
    if facts["touched"]:
        after = blanked(before, erasure, trail, _contract(table))
        kept = ",".join(name for name, kind in before.dtypes if kind in KEPT_STATISTICS)
        writer = after.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        writer = writer.option("delta.checkpointInterval", "1")
        writer = writer.option("delta.dataSkippingStatsColumns", kept) if kept else writer
        writer.option("path", str(table.folder)).saveAsTable(table.name)
        now = _facts(spark.table(table.name), erasure, trail)
        expected = {**facts, "marked": facts["marked"] + facts["touched"], "touched": 0}
        if now != expected:
            raise IntegrityError(
                f"erasing changed rows of others: {facts} became {now}",
                where=table.title,
                remedy="nothing was published; run `vinelake erase resume` when no other job builds",
            )
        return now["marked"]
    return facts["marked"]


def _facts(frame: DataFrame, erasure: str, trail: Trail) -> dict[str, Any]:
    """How many rows are the subject's, how many bear the mark already, and the order-free hash of all others."""
    from pyspark.sql import functions as f

    cells = f.concat(*(f.to_json(f.struct(f"`{name}`")) for name in sorted(frame.columns)))
    flags = [_is_touched(frame, trail).alias("touched"), _holds_mark(frame, erasure).alias("marked")]
    rows = frame.select(*flags, f.xxhash64(cells).cast("decimal(38,0)").alias("hash"))
    facts = rows.selectExpr(
        "count_if(touched) AS touched",
        "count_if(marked AND NOT touched) AS marked",
        "count_if(NOT touched AND NOT marked) AS others",
        "cast(sum(CASE WHEN NOT touched AND NOT marked THEN hash END) AS string) AS hash",
    )
    return facts.collect()[0].asDict()


def blanked(before: DataFrame, erasure: str, trail: Trail, contract: Contract | None = None) -> DataFrame:
    """The rows with every trace of the subject replaced by `erased_<erasure>`; grain and order of columns stay.

    Values that others bear too (a name) are replaced in rows that hold another trace. Of a bronze table, the digests
    of such rows are computed anew.
    """
    from pyspark.sql import functions as f

    mark = forms.ERASED + erasure
    flagged = before.withColumn(TOUCHED, _is_touched(before, trail))
    cells = [f.col(TOUCHED)]
    for name, kind in before.dtypes:
        column = f.col(f"`{name}`")
        if _holds_text(kind):
            text = column if kind == "string" else f.to_json(column)
            clean = f.regexp_replace(text, f.lit(_own(trail)), f.lit(mark))
            clean = f.regexp_replace(clean, f.lit(_any_of(trail.shared)), f.lit(mark)) if trail.shared else clean
            if short := _short(trail):
                clean = f.when(column.isin(short), f.lit(mark)).otherwise(clean) if kind == "string" else clean
            clean = clean if kind == "string" else f.from_json(clean, kind)
            column = f.when(f.col(TOUCHED), clean).otherwise(column)
        cells.append(column.alias(name))
    after = flagged.select(*cells)
    if contract is not None:
        for name, sql in bronze_rows.digests(contract).items():
            after = after.withColumn(name, f.when(f.col(TOUCHED), f.expr(sql)).otherwise(f.col(name)))
    return after.select(*(f"`{name}`" for name in before.columns))


def _holds_text(kind: str) -> bool:
    return "string" in kind


def _is_touched(frame: DataFrame, trail: Trail) -> Column:
    return _any_cell(frame, _own(trail), _short(trail))


def _holds_mark(frame: DataFrame, erasure: str) -> Column:
    return _any_cell(frame, forms.ERASED + erasure)


def _any_cell(frame: DataFrame, pattern: str, whole: list[str] | None = None) -> Column:
    """Whether any cell of a row holds the pattern, or is one of the texts as a whole."""
    from pyspark.sql import functions as f

    conditions = [f.lit(False)]
    for name, kind in frame.dtypes:
        if _holds_text(kind):
            column = f.col(f"`{name}`")
            conditions.append((column if kind == "string" else f.to_json(column)).rlike(pattern))
            if whole and kind == "string":
                conditions.append(column.isin(whole))
    return reduce(lambda one, other: one | f.coalesce(other, f.lit(False)), conditions)


def _own(trail: Trail) -> str:
    """A pattern of everything that is the subject's alone: sealed values whole, tokens, ids, clear values."""
    sealed = [rf"{forms.SEALED}[a-z0-9_]+:{subject}:[A-Za-z0-9_-]+" for subject in trail.subjects]
    clear = [value for value in trail.clear if len(value) >= LEAST_WITHIN]
    return "|".join([*sealed, *map(_quoted, (*trail.own, *trail.subjects, *clear))])


def _short(trail: Trail) -> list[str]:
    return [value for value in trail.clear if len(value) < LEAST_WITHIN]


def _any_of(texts: Iterable[str]) -> str:
    return "|".join(map(_quoted, texts))


def _quoted(text: str) -> str:
    """A text as a pattern of Java's."""
    return re.sub(r"([\\.\[\]{}()*+?^$|-])", r"\\\1", text)


def _contract(table: Table) -> Contract | None:
    known = contracts.load_all(get_settings().contracts_dir).values()
    return next((c for c in known if c.bronze_table == table.published), None)


def _checkpoint(spark: SparkSession, table: Table) -> tuple[int, int]:
    """Makes the table's state readable without its earlier log: (version of the checkpoint, head version)."""
    last = spark.sql(f"DESCRIBE HISTORY {table.name} LIMIT 1").collect()[0]
    head = last["version"]
    if last["operation"] == "UNSET TBLPROPERTIES" and _has_checkpoint(table, head - 1):
        return head - 1, head  # as a run before a kill left it
    if not _has_checkpoint(table, head):
        spark.sql(f"ALTER TABLE {table.name} SET TBLPROPERTIES ('delta.checkpointInterval' = '1')")
        head = _head(spark, table)
    spark.sql(f"ALTER TABLE {table.name} UNSET TBLPROPERTIES IF EXISTS ('delta.checkpointInterval')")
    if not _has_checkpoint(table, head):
        raise IntegrityError(
            "the engine wrote no checkpoint, so that the old log cannot be removed",
            where=f"{table.title}, version {head}",
            remedy="run `vinelake erase resume`; the cells are overwritten already, old versions are still there",
        )
    return head, _head(spark, table)


def _head(spark: SparkSession, table: Table) -> int:
    return spark.sql(f"DESCRIBE HISTORY {table.name} LIMIT 1").collect()[0]["version"]


def _has_checkpoint(table: Table, version: int) -> bool:
    return any((table.folder / "_delta_log").glob(f"{version:020d}.checkpoint*.parquet"))


def _purge(spark: SparkSession, table: Table, kept: int) -> dict[str, int]:
    """Removes every data file that the present version does not need, and the log before the checkpoint `kept`."""
    files = _data_files(table)
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        spark.sql(f"VACUUM {table.name} RETAIN 0 HOURS")
    finally:
        spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    removed = 0
    for path in sorted((table.folder / "_delta_log").rglob("*")):
        name = path.name.lstrip(".")
        if path.is_file() and name[:20].isdigit() and int(name[:20]) < kept:
            path.unlink()
            removed += not path.name.startswith(".")
    return {"files_removed": files - _data_files(table), "log_entries_removed": removed}


def _data_files(table: Table) -> int:
    return sum("_delta_log" not in path.parts for path in table.folder.rglob("*.parquet"))
