"""Features: decides the as-of dates of a partition and builds `gold.enterprise_features` for them, aside, by dbt.

Features at a date rest on what was known by then. Dates that readers have already are kept, unless something known by
then has changed in silver since, or a definition has (`spark_jobs.changes`). The rows of the other dates replace what
the build holds of them, and so does what the bases in `gold` tell of the days since: whatever an earlier, killed or
rejected attempt left makes no difference. Features of other sources than invoices follow for the same rows, by
statements of their own (`spark_jobs.source_features`).

The models, and every feature's definition, live in `dbt_project/`; see `docs/reference/features.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import builds, contracts, delta_log, direct, engine, ledger, plain_yaml, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition
from spark_jobs import changes, dbt_run
from spark_jobs.source_features import catalogue, identity
from spark_jobs.source_features import job as source_features

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLE = "gold.enterprise_features"
BASES = ("gold.invoice_change", "gold.enterprise_flow_daily", "gold.enterprise_pair_monthly")
TABLES = (TABLE, source_features.TABLE, *BASES)
OF_INVOICES = ("silver.vat_invoice", "silver.enterprise")
# What a feature is: a change of it builds all dates anew.
DEFINED_IN = ("dbt_project.yml", "macros/**/*.sql", "models/**/*.sql", "models/**/*.yml", "source_features/*.yaml")
# In these columns rows change that were known already: who is who as seen today, where features go by the codes known
# at their date, and until when a version counts, where the one that supersedes it is a row of its own.
NOT_READ = {identity.SUBJECT: ("enterprise_id", "resolved_at"), "silver.vat_invoice": ("superseded_at",)}


def build(partition: str) -> dict[str, Any]:
    """Builds the features of the dates that `as_of_dates` names and readers do not have yet, or not any more as they
    would be built now; tests them, and leaves them unpublished.

    Returns the dates built, how many were kept, rows, and numbers of models and tests. Raises GateFailed or
    EngineError, which name the failed test or model.
    """
    with engine.session("features") as spark, ledger.run(spark, "features", partition) as run:
        asked, manifest, now = as_of_dates(spark, partition), tables.current_manifest(), _inputs()
        before = builds.built().get((TABLE, manifest.versions.get(TABLE, -1)))
        since: date | None = date.min
        if before and before.definition == now.definition and set(TABLES) <= set(manifest.versions):
            since = changes.first_known(spark, before.versions, now.versions, NOT_READ)
        keep = since != date.min
        dates = _to_build(published_dates(manifest), asked, since, parse_partition(partition)) if keep else asked
        results: list[Any] = []
        for table in TABLES if keep else ():
            tables.begin_build(spark, table, manifest)
        if dates:
            _ensure_work_schema(spark)
            variables = {"as_of_dates": [str(day) for day in dates], "keep": keep}
            if keep:
                variables["since"] = str(since or date.max)
                variables["carried_from"] = carried_from(dates, published_dates(manifest))
                variables["features_held"] = tables.build_name(TABLE)
            results = dbt_run.invoke(
                "build", ["--exclude", "tag:full", "--exclude-resource-type", "unit_test"], variables
            )
            source_features.build(spark, dates, tables.build_name(TABLE), keep=keep)
        version, rows = builds.written(TABLE)
        builds.record(run.run_id, [builds.Made(TABLE, version, rows, now)])
        kinds = [str(result.node.resource_type) for result in results]
        run.details.update(
            as_of=[day.isoformat() for day in dates],
            kept=len(asked) - len(dates),
            rows=rows,
            models=kinds.count("model"),
            tests=kinds.count("test"),
        )
        return {"partition": partition, **run.details}


def _inputs() -> builds.Input:
    """What features would be made from now: published versions of silver; definitions, contracts and code."""
    read = {*source_features.tables_read(catalogue.load()), *OF_INVOICES}
    versions = {table: v for table, v in tables.current_manifest().versions.items() if table in read}
    folder = dbt_run.project_dir()
    models = sorted(path for pattern in DEFINED_IN for path in folder.glob(pattern))
    code = [Path(__file__), *sorted(Path(source_features.__file__).parent.glob("*.py"))]
    known = contracts.load_all(get_settings().contracts_dir).values()
    agreed = (c for c in known if c.silver and c.silver.table in read)
    return builds.Input(versions, builds.definition([*models, *code], agreed))


def _to_build(held: Sequence[date], asked: Sequence[date], since: date | None, partition: date) -> list[date]:
    """The dates that readers do not have (`held`), and those by which something else is known since."""
    # With any change the partition's date is built, if only for the bases.
    return [d for d in asked if d not in held or (since is not None and (d >= since or d == partition))]


def carried_from(dates: Sequence[date], held: Sequence[date]) -> dict[str, str]:
    """For dates to build, the latest earlier date of the same month that readers have and keep: from it windows of full
    months can be carried on."""
    kept = sorted(set(held) - set(dates))
    found = {}
    for day in dates:
        earlier = [k for k in kept if k < day and (k.year, k.month) == (day.year, day.month)]
        if earlier:
            found[str(day)] = str(earlier[-1])
    return found


def _ensure_work_schema(spark: SparkSession) -> None:
    name = dbt_run.work_schema()
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {name} LOCATION '{get_settings().warehouse_dir / name}'")


def as_of_dates(spark: SparkSession, partition: str) -> list[date]:
    """The dates to build: the partition, its observation dates, and those readers already have."""
    dates = {parse_partition(partition), *observation_dates(spark, partition)}
    if tables.is_published(spark, TABLE):
        dates.update(published_dates(tables.current_manifest()))
    return sorted(dates)


def published_dates(held: tables.Manifest) -> list[date]:
    """The dates that a publication has features of, ascending; ConfigError where it has none."""
    return direct.distinct(TABLE, held, "as_of")


def observation_dates(spark: SparkSession, partition: str) -> list[date]:
    """Past dates on which models observe firms, by the rule of `dbt_project/observation.yml`.

    Read from what had been published by the time of the call: where history begins, and whether there are loans with
    dated outcomes. History begins on the first invoice's day of issue, or on the eve of its being known where that is
    later: of the months before a source's first delivery only stragglers come.
    """
    first = _first_of_history(spark, partition)
    if first is None:
        return []
    dated = tables.is_published(spark, "silver.loan") and not tables.read(spark, "silver.loan").isEmpty()
    return dates_by_rule(first, parse_partition(partition), observation_rule("dated" if dated else "undated"))


def _first_of_history(spark: SparkSession, partition: str) -> date | None:
    table, begins = "silver.vat_invoice", "greatest(issued_on, date_sub(cast(known_at AS date), 1))"

    def first(until: date) -> date | None:
        return spark.sql(
            f"SELECT min({begins}) FROM {tables.published_name(table)} "
            f"WHERE known_at <= timestamp'{parse_partition(partition)} 00:00:00' AND issued_on <= date'{until}'"
        ).collect()[0][0]

    # No invoice issued after a day begins history before it: what the earliest ones tell bounds what has to be read.
    earliest = delta_log.least(tables.build_location(table), "issued_on", tables.current_manifest().versions.get(table))
    return earliest and first(first(earliest) or date.max)


def dates_by_rule(first_issued_on: date, partition: date, rule: dict[str, int]) -> list[date]:
    """First days of every n-th month with enough full months after the first invoice's, up to the partition."""
    # The month of the first invoice counts as full: history is counted in calendar months.
    earliest = _month_serial(first_issued_on) + rule["history_months"]
    serials = range(earliest, _month_serial(partition) + 1)
    dates = [date(s // 12, s % 12 + 1, 1) for s in serials if s % rule["every_months"] == 0]
    return dates[-rule["max_dates"] :]


def _month_serial(day: date) -> int:
    return day.year * 12 + day.month - 1


def observation_rule(outcomes: str) -> dict[str, int]:
    """The numbers by which `dates_by_rule` chooses dates in a lakehouse with `dated` or `undated` outcomes.

    Raises ConfigError where `dbt_project/observation.yml` lacks one, or it is not positive.
    """
    kind = f"{outcomes}_outcomes"
    path = dbt_run.project_dir() / "observation.yml"
    content = plain_yaml.load_file(path)
    rule = {**(content.get(kind) or {}), "max_dates": content.get("max_dates")}
    wrong = _not_positive(rule, ("every_months", "history_months", "max_dates"))
    if wrong:
        raise ConfigError(
            f"{kind} needs a positive whole number for {', '.join(wrong)}",
            where=str(path),
            remedy="see the comment at the head of that file",
        )
    return rule


def _not_positive(rule: dict[str, Any], names: Sequence[str]) -> list[str]:
    return [name for name in names if not isinstance(rule.get(name), int) or rule[name] < 1]
