"""Published tables after a rotation of tokens: every former token becomes the one that holds now, in one publication.

A table is rewritten only if it holds former tokens, so a run after which nothing is left to do changes nothing. What
landing and quarantine hold are sealed forms, whose former tokens the vault still knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakehouse import contracts, engine, ledger, tables
from lakehouse.contracts import Contract
from lakehouse.errors import IntegrityError
from lakehouse.settings import get_settings
from lakehouse.vault import forms, open_vault
from spark_jobs import bronze, bronze_rows, silver

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LAYERS = ("bronze", "silver", "gold")
FORMER = "retokenise_former"
PAIRS_A_CHUNK = 200_000


def build(partition: str) -> dict[str, Any]:
    """Rewrites and publishes; returns how many cells of each table got new tokens.

    Raises IntegrityError, and publishes nothing, where a rewritten table differs in more than its tokens and what is
    computed from them. No other job may build meanwhile.
    """
    with engine.session("retokenise") as spark, ledger.run(spark, "retokenise", partition) as run:
        tables.ensure_schemas(spark)
        former = _former(spark)
        done: dict[str, int] = {}
        if former is not None:
            former.createOrReplaceTempView(FORMER)
            done = _rewrite_all(spark, partition)
        run.details.update({"tables": done})
        return dict(run.details)


def replaced(table: DataFrame, former: DataFrame, columns: list[str]) -> DataFrame:
    """The table with every former token in the columns replaced; `former` has columns `former` and `token`.

    Grain and all other columns stay.
    """
    names = table.columns
    for place, column in enumerate(columns):
        pairs = former.selectExpr(f"former AS former_{place}", f"token AS token_{place}")
        table = table.join(pairs, table[column] == pairs[f"former_{place}"], "left")
    now = {column: f"coalesce(token_{place}, `{column}`) AS `{column}`" for place, column in enumerate(columns)}
    return table.selectExpr(*(now.get(name, f"`{name}`") for name in names))


def _former(spark: SparkSession) -> DataFrame | None:
    """Former token → present one, for every token that was replaced; None where none ever was."""
    with open_vault() as vault:
        pairs = list(vault.successors())
    frame = None
    for start in range(0, len(pairs), PAIRS_A_CHUNK):
        chunk = spark.createDataFrame(pairs[start : start + PAIRS_A_CHUNK], "former string, token string")
        frame = chunk if frame is None else frame.unionByName(chunk)
    return frame


def _rewrite_all(spark: SparkSession, partition: str) -> dict[str, int]:
    by_table = {c.bronze_table: c for c in contracts.load_all(get_settings().contracts_dir).values()}
    done, versions = {}, {}
    for table in sorted(tables.current_manifest().versions):
        if tables.split(table)[0] not in LAYERS:
            continue
        if held := _former_cells(spark, tables.read(spark, table)):
            _rewrite(spark, table, list(held), by_table.get(table))
            done[table], versions[table] = sum(held.values()), tables.build_version(table)
    if versions:
        tables.publish(spark, versions, "retokenise", partition)
    return done


def _former_cells(spark: SparkSession, frame: DataFrame) -> dict[str, int]:
    """How many former tokens stand in each column of text that holds any."""
    texts = [name for name, kind in frame.dtypes if kind == "string"]
    if not texts:
        return {}
    counts = [f"count_if(`{name}` RLIKE r'{forms.TOKEN_SQL}') AS `{name}`" for name in texts]
    tokens = [name for name, n in frame.selectExpr(*counts).collect()[0].asDict().items() if n]
    found = {}
    for name in tokens:
        former = spark.table(FORMER)
        found[name] = frame.join(former, frame[name] == former["former"], "left_semi").count()
    return {name: n for name, n in found.items() if n}


def _rewrite(spark: SparkSession, table: str, columns: list[str], contract: Contract | None) -> None:
    before = tables.read(spark, table)
    after, computed = replaced(before, spark.table(FORMER), columns), list(columns)
    if contract is not None:
        digests = {name: sql for name, sql in bronze_rows.digests(contract).items() if name in before.columns}
        after = after.selectExpr(*(f"{digests.get(c, f'`{c}`')} AS `{c}`" for c in before.columns))
        computed += list(digests)
    tables.begin_build(spark, table)
    tables.overwrite(after, table, _statistics(before))
    _check(before, spark.table(tables.build_name(table)), table, columns, computed)


def _statistics(frame: DataFrame) -> list[str]:
    """Columns whose least and greatest values may stand in a table's log: those of time and count, never a text."""
    known = [c for c in dict.fromkeys((*bronze.STATISTICS, *silver.STATISTICS)) if c in frame.columns]
    return known or [name for name, kind in frame.dtypes if kind in ("date", "timestamp", "int", "bigint")]


def _check(before: DataFrame, after: DataFrame, table: str, columns: list[str], computed: list[str]) -> None:
    """Nothing but tokens, and what is computed from them, may have changed; none may be missing."""
    filled = [f"count(`{c}`) AS `{c}`" for c in columns]
    facts = [
        (tables.content_hash(frame, exclude=computed), frame.selectExpr(*filled).collect()[0].asDict())
        for frame in (before, after)
    ]
    if facts[0] != facts[1]:
        raise IntegrityError(
            "rewriting tokens changed more than tokens",
            where=f"{table}, columns {', '.join(columns)}",
            remedy="nothing was published; run it again when no other job builds",
        )
