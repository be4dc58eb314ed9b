"""Builds `gold.contradiction` aside: who contradicts himself in which way, since when that could be told, and by what.

Grain: enterprise × kind × day found. What was told once stays as it was told; a run adds what can be told since. Kinds
whose sources are not there are left out, and the run's record says why.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import engine, ledger, tables
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition
from spark_jobs import dbt_run
from spark_jobs.contradictions import catalogue, statement
from spark_jobs.contradictions.catalogue import Kind
from spark_jobs.contradictions.statement import Plan, Step

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TABLE = "gold.contradiction"
FACTS = f"{statement.PREFIX}_"


def build(partition: str) -> dict[str, Any]:
    """Adds what can be told at a partition's date to what is published, aside; returns rows and what is missing.

    Nothing is written while no kind has its sources.
    """
    day = parse_partition(partition)
    with engine.session("contradictions") as spark, ledger.run(spark, "contradictions", partition) as run:
        kinds = catalogue.load()
        plan = statement.plan(kinds, tables.published_in("silver"))
        run.details["left_out"] = dict(plan.left_out)
        if not plan.figures:
            return dict(run.details)
        held = tables.read(spark, TABLE) if tables.is_published(spark, TABLE) else None
        with prepared(spark, plan):
            tables.overwrite(added(compute(spark, kinds, plan, day), held, kinds), TABLE)
        rows = spark.table(tables.build_name(TABLE)).groupBy("kind").count().collect()
        run.details["findings"] = {row["kind"]: row["count"] for row in sorted(rows, key=lambda r: r["kind"])}
        return dict(run.details)


@contextmanager
def prepared(spark: SparkSession, plan: Plan, purpose: str = "kinds") -> Iterator[None]:
    """The facts and figures of a plan as views, for the time.

    Facts are written down among the steps on the way: most are read by several kinds, and a statement over all that
    they are made of would be planned for minutes. Some hold tokens of persons, so they go when they were used.
    """
    made: list[Step] = []
    place = _work() / f"{FACTS}{purpose}"
    shutil.rmtree(place, ignore_errors=True)  # what a killed run left
    try:
        for step in plan.facts:
            where = str(place / step.view)
            spark.sql(step.sql).write.mode("overwrite").parquet(where)
            spark.read.parquet(where).createOrReplaceTempView(step.view)
            made.append(step)
        for step in plan.figures.values():
            spark.sql(step.sql).createOrReplaceTempView(step.view)
            made.append(step)
        yield
    finally:
        for step in reversed(made):
            spark.catalog.dropTempView(step.view)
        shutil.rmtree(place, ignore_errors=True)


def discard_facts() -> None:
    """Removes the facts that a killed run left written down."""
    for place in _work().glob(f"{FACTS}*"):
        shutil.rmtree(place, ignore_errors=True)


def _work() -> Path:
    return get_settings().warehouse_dir / dbt_run.work_schema()


def compute(spark: SparkSession, kinds: Sequence[Kind], plan: Plan, day: date) -> DataFrame:
    """All findings up to a day, one row per enterprise, kind and day found, from the views of `prepared`."""
    rules = statement.digest()
    parts = [
        spark.sql(told(kind, plan.figures[kind.name], plan.registered, rules)).where(f"found_on <= date'{day}'")
        for kind in kinds
        if kind.name in plan.figures
    ]
    return reduce(lambda one, other: one.unionByName(other), parts)


def told(kind: Kind, figures: Step, registered: str, rules: str) -> str:
    """The query of a kind's findings in the columns of `gold.contradiction`."""
    checks = ", ".join(
        f"named_struct('check', '{c.name}', 'figure', {c.name}, 'threshold', {c.threshold!r}D, 'breaks', "
        f"'{'at_most' if c.downwards else 'at_least'}', 'is_broken', {c.breaks})"
        for c in kind.checks
    )
    words = ", ".join(
        f"if({c.breaks}, concat('{c.name} ', format_number({c.name}, 2), ' ({'at most' if c.downwards else 'at least'} "
        f"{c.threshold:g})'), null)"
        for c in kind.checks
    )
    sources = ", ".join(f"'{table}'" for table in sorted(figures.sources))
    return f"""SELECT enterprise_id, '{kind.name}' AS kind, found_on, period_from, period_to, broken_checks,
    concat_ws('; ', {words}) AS evidence, filter(array({checks}), c -> c.figure IS NOT NULL) AS checks,
    array({sources}) AS sources, '{rules}' AS rules_version
FROM ({statement.findings(kind, figures.view, registered)})"""


def added(found: DataFrame, held: DataFrame | None, kinds: Sequence[Kind]) -> DataFrame:
    """What was told before, as it was told, and of `found` what is no other telling of it.

    Other rules may find the same a little earlier or later: within a kind's quiet months of a finding that was told,
    an enterprise has no further one.
    """
    from pyspark.sql import functions

    if held is None:
        return found
    quiet = " ".join(f"WHEN '{kind.name}' THEN {kind.quiet_months}" for kind in kinds)
    months = f"CASE new.kind {quiet} ELSE 0 END"
    told_already = (
        "new.enterprise_id = old.enterprise_id AND new.kind = old.kind AND (old.found_on = new.found_on OR "
        f"(old.found_on > add_months(new.found_on, -{months}) AND old.found_on < add_months(new.found_on, {months})))"
    )
    again = found.alias("new").join(held.alias("old"), functions.expr(told_already), "left_anti")
    return held.unionByName(again, allowMissingColumns=True)
