"""The gate: checks what was built of a layer and publishes it in one commit, or publishes nothing.

A failure raises `GateFailed` naming table, rule and count, and leaves a page that a person can read; an orchestrator's
task fails with it. Of bronze, batches that stray from the batches before them are kept back alone (`holding`). Of
silver, batches that change much of the past wait for a person (`restatement`). A rule of severity `warning`, or one
that somebody waived, is told and keeps nothing back.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from expectations import growth, holding, increments, one_pass, profiles, report, restatement, suites
from expectations.report import Finding
from lakehouse import contracts, control, delta_log, engine, ledger, tables, waivers
from lakehouse.errors import BatchesHeld, GateFailed
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition, utc_now
from lakehouse.waivers import BETWEEN_TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GATE_SCHEMA = (
    "run_id string, layer string, partition string, passed boolean, expectations int, failed int, "
    "report string, checked_at timestamp"
)
FINDING_SCHEMA = (
    "run_id string, layer string, partition string, table_name string, rule string, batch_id string, outcome string, "
    "detail string, waived string, checked_at timestamp"
)
SCORE_TABLE = "gold.enterprise_score"
FEATURE_TABLE = "gold.enterprise_features"
SOURCE_FEATURE_TABLE = "gold.enterprise_source_features"


def gate(layer: str, partition: str) -> dict[str, Any]:
    """Checks and publishes what was built of `bronze`, `silver`, `gold` (features) or `scores`.

    Returns counts of tables and expectations and the report's path; with nothing built it checks nothing. Batches of
    bronze that stray from those before them are kept back and the rest is published: BatchesHeld, or GateFailed when
    nothing else came. A suite or identity that is broken, or a restatement beyond its limit, keeps back the whole
    layer: GateFailed.
    """
    parse_partition(partition)
    with engine.session(f"gate_{layer}") as spark, ledger.run(spark, f"gate_{layer}", partition) as run:
        waiting = growth.waiting_batches(spark) if layer == "bronze" else []
        growth.put_back(spark, waiting)
        changed = _changed(spark, layer, waiting)
        if not changed:
            tables.repair_views(spark)
            run.details["nothing_new"] = True
            return {"tables": 0, "expectations": 0, "report": None}
        granted = waivers.live()
        judged = holding.judge(spark, changed, waiting, granted)
        changed = growth.without(spark, changed, waiting, judged.held)
        found = check(spark, layer, changed, waiting, judged.held) if changed else []
        findings = _waived([*judged.findings, *found], granted)
        if layer == "silver" and not any(f.holds_back for f in findings):
            findings += restatement.judge(spark, changed, partition, run.run_id, granted)
        page = report.write(layer, partition, run.run_id, changed, findings, judged.held)
        _record(run.run_id, layer, partition, findings, str(page))
        broken = [f for f in findings if f.holds_back]
        run.details.update(tables=changed, expectations=len(findings), failed=len(broken), held=list(judged.held))
        where = f"{layer}, partition {partition}; report {page}"
        if restates := [f for f in broken if f.rule == restatement.RULE]:
            raise _restates(restates, where)
        if faults := [f for f in broken if f.batch_id is None]:
            raise GateFailed(
                f"{len(faults)} of {len(findings)} expectations failed: "
                + "; ".join(f"{f.table}: {f.rule}{f' ({f.broken:,} rows)' if f.broken else ''}" for f in faults[:5]),
                where=where,
                remedy="nothing of it was published; mend the data, the contract or the job, then run the build again",
            )
        result = {"tables": len(changed), "expectations": len(findings), "report": str(page)}
        if changed:
            # Kept first: a kill in between leaves profiles that count for nothing until their batches are published.
            profiles.store(judged.passing)
            if layer == "silver" and all(f.passed for f in found):
                _note_passed(spark, run.run_id, layer, changed)
            brought = [account["batch_id"] for account in waiting if account["batch_id"] not in judged.held]
            tables.publish(spark, changed, f"gate_{layer}", partition, brought)
        if judged.held:
            raise _held(judged, broken, where, result)
        return result


def _waived(findings: Sequence[Finding], granted: Sequence[waivers.Waiver]) -> list[Finding]:
    """The findings, each broken rule with by whose word it passes, where somebody gave it."""
    return [
        replace(f, waived=waivers.word_for(granted, f.table, f.rule, f.batch_id))
        if f.holds_back and f.can_be_waived
        else f
        for f in findings
    ]


def _restates(broken: Sequence[Finding], where: str) -> GateFailed:
    """The error that tells of batches that change more of the past than may pass without a person's word."""
    told = ". ".join(f"{f.table}, batch {f.batch_id}: {f.detail}" for f in broken[:5])
    first = broken[0]
    return GateFailed(
        f"{len(broken)} batches restate history beyond the limit ({restatement.RULE}): {told}",
        where=where,
        remedy=f"nothing of silver was published; look at `vinelake restatement show`, and if the past is right as it "
        f"is told now, `vinelake waiver add {first.table} {first.rule} --batch {first.batch_id} --why … --until …`, "
        "then gate again; if not, have the source put it right",
    )


def _held(judged: holding.Judgement, broken: Sequence[Finding], where: str, published: dict[str, Any]) -> GateFailed:
    """The error that tells of held batches: which rules they break, how many wait behind them, what can be done."""
    later = len(judged.held) - len(judged.broken)
    told = []
    for batch_id in judged.broken[:5]:
        first, *others = [f for f in broken if f.batch_id == batch_id]
        also = f"; also {', '.join(f.rule for f in others)}" if others else ""
        told.append(f"{first.table}, batch {batch_id}: {first.rule}, {first.detail}{also}")
    what = f"{len(judged.broken)} batches stray from those before them: {'. '.join(told)}"
    what += f"; {later} later batches of the same feeds wait behind them" if later else ""
    first = broken[0]
    remedy = (
        f"if the data are right, `vinelake waiver add {first.table} {first.rule} --batch {first.batch_id} --why … "
        f"--until …`; if not, `vinelake batch reject {first.batch_id} --why …`; then build and gate again"
    )
    if not published["tables"]:
        return GateFailed(what, where, f"nothing was published; {remedy}")
    return BatchesHeld(what, where, f"everything else was published; {remedy}", published)


def check(
    spark: SparkSession,
    layer: str,
    changed: Mapping[str, int],
    waiting: Sequence[growth.Account] = (),
    held: Collection[str] = (),
) -> list[Finding]:
    """Every expectation of the changed tables and the identities of their layer, without publishing.

    Of a bronze table that grew by whole batches only, the rows of those batches are looked at; that no other row came
    is checked by number. Of a large table of silver that was passed before, what came and went since is looked at.
    Tables of single feeds, of which there are dozens, and the wide one of their features are looked at in one pass, and
    so are the keys of the others, each of which would be a query of its own.
    """
    if layer == "bronze":
        return growth.check(spark, changed, {table: _suite(spark, table) for table in changed}, waiting, held)
    of_feeds = {c.silver.table for c in contracts.load_all(get_settings().contracts_dir).values() if c.silver}
    in_one_pass = {*of_feeds, SOURCE_FEATURE_TABLE}
    expected, asked = {table: _suite(spark, table) for table in changed}, _identities(layer)
    audit = increments.last(layer)
    news = increments.find(spark, changed, expected, audit)

    def check_new(table: str) -> list[Finding]:
        return increments.suite(spark, news[table], expected[table])

    def check_at_once(table: str) -> list[Finding]:
        asked_at_once = [e for e in expected[table] if table in in_one_pass or e.is_of_keys]
        if not asked_at_once:
            return []
        return one_pass.findings(spark, table, tables.at_version(table, changed[table]), asked_at_once)[0]

    of_news = dict(zip(news, engine.side_by_side(check_new, news), strict=True))
    sound = {table: found for table, found in of_news.items() if all(f.passed for f in found)}
    whole = [table for table in changed if table not in sound]
    findings = [*sound.values()]
    findings += engine.side_by_side(check_at_once, whole)
    validator = _Validator(spark, changed)
    for table in whole:
        if table not in in_one_pass:
            validator.suite(table, [e for e in expected[table] if not e.is_of_keys])
    held = increments.identities(spark, asked, changed, news, audit)
    validator.identities([identity for identity in asked if identity.name not in held])
    return [*chain.from_iterable(findings), *held.values(), *validator.findings]


def _changed(spark: SparkSession, layer: str, waiting: Sequence[growth.Account]) -> dict[str, int]:
    """The tables of a layer whose build is not what is published, with the version that was built.

    Of bronze, those to which `waiting` batches bring rows.
    """
    published = tables.current_manifest().versions
    changed = {}
    for table in growth.fed(waiting) if layer == "bronze" else _built(spark, layer):
        version = tables.build_version(table)
        if published.get(table) != version:
            changed[table] = version
    return changed


def _built(spark: SparkSession, layer: str) -> list[str]:
    schema = {"silver": "silver", "gold": "gold", "scores": "gold"}[layer]
    catalog = f"{get_settings().schema_name(schema)}_build"
    views = {row["viewName"] for row in spark.sql(f"SHOW VIEWS IN {catalog}").collect()}
    listed = {row["tableName"] for row in spark.sql(f"SHOW TABLES IN {catalog}").collect()}
    found = sorted(f"{schema}.{name}" for name in listed - views)
    if layer in ("gold", "scores"):
        return [t for t in found if (t == SCORE_TABLE) == (layer == "scores")]
    return found


def _suite(spark: SparkSession, table: str) -> list[suites.Expectation]:
    if table == growth.QUARANTINE:
        return [*suites.not_null("contract", "reasons", "batch_id", "row_number")]
    if table.startswith("bronze."):
        known = contracts.load_all(get_settings().contracts_dir)
        return suites.bronze_suite(known[tables.split(table)[1]])
    if table == SCORE_TABLE:
        return suites.SCORE_SUITE
    if table == SOURCE_FEATURE_TABLE:
        return suites.source_feature_suite(dict(spark.table(tables.build_name(table)).dtypes))
    if table == FEATURE_TABLE:
        return suites.feature_suite(dict(spark.table(tables.build_name(table)).dtypes))
    if table in suites.SILVER:
        return suites.SILVER[table]
    if table in suites.GOLD:
        return suites.GOLD[table]
    for contract in contracts.load_all(get_settings().contracts_dir).values():
        if contract.silver and contract.silver.table == table:
            return suites.versions_suite(contract, contract.silver.keys)
    return [suites.has_rows()]


def _identities(layer: str) -> list[suites.Identity]:
    return {"silver": suites.SILVER_IDENTITIES, "scores": suites.SCORE_IDENTITIES}.get(layer, [])


def _note_passed(spark: SparkSession, run_id: str, layer: str, changed: Mapping[str, int]) -> None:
    expected = {table: _suite(spark, table) for table in changed}
    increments.note(run_id, layer, increments.passed(changed, expected, _identities(layer), increments.last(layer)))


def _record(run_id: str, layer: str, partition: str, findings: list[Finding], page: str) -> None:
    """One row for the look, and one for every rule that was broken: blocking, as a warning, or by somebody's word."""
    failed, now = sum(f.holds_back for f in findings), utc_now()
    row = (run_id, layer, partition, failed == 0, len(findings), failed, page, now)
    control.append("gate", GATE_SCHEMA, [row])
    broken = [
        (run_id, layer, partition, f.table, f.rule, f.batch_id, f.outcome, f.detail, f.waived, now)
        for f in findings
        if not f.passed
    ]
    control.append("gate_finding", FINDING_SCHEMA, broken)


class _Validator:
    """Runs suites with Great Expectations, without its telemetry, progress bars or samples of values."""

    def __init__(self, spark: SparkSession, changed: Mapping[str, int]) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        self.gx, self.spark, self.changed = gx, spark, changed
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = ProgressBarsConfig(globally=False)
        # Kept in memory, a table would stay in the engine for good; nearly all that is asked of it is one query.
        self.source = self.context.data_sources.add_spark("engine", persist=False)
        self.findings: list[Finding] = []

    def suite(self, table: str, expected: list[suites.Expectation]) -> None:
        """Asks of every expectation whether it holds, which is one pass; of those that do not, also how many rows."""
        frame = self.spark.sql(f"SELECT * FROM {self._name(table)}")
        rows = delta_log.count(tables.build_location(table), self.changed[table])
        held = self._validate(table, frame, dict(enumerate(expected)), "BOOLEAN_ONLY")
        broken = {place: expected[place] for place, result in held.items() if not result.success}
        counted = self._validate(table, frame, broken, "BASIC") if broken else {}
        self.findings += [self._finding(table, {**held, **counted}[place], rows) for place in sorted(held)]

    def identities(self, identities: list[suites.Identity]) -> None:
        if not identities:
            return
        sides = [
            f"SELECT {i} AS number, cast(({self._sql(e.left)}) AS decimal(38,2)) AS left_side, "
            f"cast(({self._sql(e.right)}) AS decimal(38,2)) AS right_side"
            for i, e in enumerate(identities)
        ]
        rows = sorted(self.spark.sql(" UNION ALL ".join(sides)).collect(), key=lambda r: r["number"])
        for identity, row in zip(identities, rows, strict=True):
            held = row["left_side"] is not None and row["left_side"] == row["right_side"]
            detail = f"{row['left_side']} against {row['right_side']}"
            self.findings.append(Finding(BETWEEN_TABLES, identity.name, held, None, None, detail))

    def _validate(
        self, name: str, frame: Any, expected: Mapping[int, suites.Expectation], detail: str
    ) -> dict[int, Any]:
        import great_expectations.expectations as kinds

        suite = self.gx.ExpectationSuite(name=name)
        for place, item in expected.items():
            suite.add_expectation(getattr(kinds, item.kind)(**item.arguments, meta={"place": place}))
        asset = self.source.add_dataframe_asset(f"{name}-{time.monotonic_ns()}")
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
        # No samples of unexpected values: a report must never carry confidential ones.
        results = batch.validate(suite, result_format={"result_format": detail, "partial_unexpected_count": 0}).results
        return {result.expectation_config.meta["place"]: result for result in results}

    def _finding(self, table: str, result: Any, rows: int) -> Finding:
        settings = result.expectation_config
        told = {k: v for k, v in settings.kwargs.items() if k != "batch_id"}
        rule = settings.type.removeprefix("expect_") + ": " + ", ".join(f"{k} {v}" for k, v in told.items())
        broken = 0 if result.success else (result.result or {}).get("unexpected_count")
        return Finding(table, rule, bool(result.success), rows, broken, _exception_text(result.exception_info))

    def _name(self, table: str) -> str:
        if table in self.changed:
            return tables.at_version(table, self.changed[table])
        if tables.is_published(self.spark, table):
            return tables.published_name(table)
        return ""

    def _sql(self, statement: str) -> str:
        def named(match: re.Match[str]) -> str:
            return self._name(match.group(1)) or suites.ABSENT

        return suites.NAMED_TABLE.sub(named, statement)


def _exception_text(info: Any) -> str:
    if not isinstance(info, Mapping):
        return ""
    if "raised_exception" in info:
        return str(info.get("exception_message") or "") if info["raised_exception"] else ""
    return "; ".join(str(v.get("exception_message")) for v in info.values() if v.get("raised_exception"))
