"""What a restatement would do before silver is published: features, enterprises and bands that move, from which source.

The features of the day are computed twice, from the candidate and from the candidate without its restating rows; news
of the same day stands on both sides, so that the difference is the restatement's alone. Only enterprises that own a
restating row are computed, and only families that read a restated table. With nothing restated nothing is computed.

A batch that moves more than its contract allows holds silver back until a person waives `restatement_within_limit`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date
from math import isnan
from statistics import median
from typing import TYPE_CHECKING

from expectations import restatement_page, restating
from expectations.report import Finding
from expectations.restating import INVOICES, Fact, Restated, Sides
from lakehouse import contracts, ledger, restatements, tables, waivers
from lakehouse.contracts import Contract
from lakehouse.gate_policy import BAND_MOVES, BLOCKING, MOVE_THAT_MATTERS, OFF, GatePolicy
from lakehouse.known import known_on, moment
from lakehouse.literals import quoted
from lakehouse.restatements import OfEnterprise, OfFeature, OfSource
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition, utc_now
from lakehouse.waivers import Waiver
from spark_jobs import invoice_features
from spark_jobs.source_features import catalogue, identity, job
from spark_jobs.source_features.catalogue import Family, Source

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

RULE = "restatement_within_limit"
# A finding's outcome in a report's words; others stand as they are.
OUTCOMES = {"held": restatements.WITHIN, "broken": restatements.WAITS}
ENTERPRISES = "silver.enterprise"
OWNERS, TOUCHED, PARTIES = "restatement_owner", "restatement_touched", "restatement_party"
WITH, WITHOUT = "restatement_with", "restatement_without"
NO_FEATURES = frozenset({"as_of", "enterprise_id", "history_months", "known_at_is_assumed"})
NEAR_ZERO = ("_ratio", "_log")
WORD = re.compile(r"\w+")
FEW = 2000  # names that a statement can hold
FEW_ROWS = 100_000  # that every task can hold
REACH_MONTHS = 25  # the longest window of features of trade, two full years, and the month of the date
SAME = 1e-9  # of a value: what two ways of adding doubles may differ by


@dataclass(frozen=True)
class Move:
    """A feature of one enterprise whose value is another; `change` is relative, None where it was empty or 0."""

    enterprise_id: str
    feature: str
    change: float | None
    matters: bool


def move_of(enterprise_id: str, feature: str, was: float, now: float) -> Move:
    """The move from one value to another, NaN for none. It matters when a value comes or goes, or by its size: against
    the value before, and for ratios and logarithms, many of which lie about 0, against 1 where that is greater."""
    if isnan(was) or isnan(now):
        return Move(enterprise_id, feature, None, True)
    least = 1.0 if feature.endswith(NEAR_ZERO) else 0.0
    matters = abs(now - was) >= MOVE_THAT_MATTERS * max(abs(was), least)
    return Move(enterprise_id, feature, (now - was) / abs(was) if was else None, matters)


@dataclass
class Impact:
    """What restating rows do: owners by table and batch, moves of features, and score with band before and after."""

    as_of: date
    enterprises: int
    owners: Mapping[tuple[str, str], set[str]]
    moves: Sequence[Move] = ()
    before: Mapping[str, tuple[int | None, str]] = field(default_factory=dict)
    after: Mapping[str, tuple[int | None, str]] = field(default_factory=dict)
    model_version: str | None = None

    @property
    def moved(self) -> set[str]:
        """Enterprises with a move that matters."""
        return {move.enterprise_id for move in self.moves if move.matters}

    @property
    def banded(self) -> set[str]:
        """Enterprises whose band is another."""
        nothing = (None, None)
        firms = {*self.before, *self.after}
        return {f for f in firms if self.before.get(f, nothing)[1] != self.after.get(f, nothing)[1]}


def judge(
    spark: SparkSession, changed: Mapping[str, int], partition: str, run_id: str, granted: Sequence[Waiver]
) -> list[Finding]:
    """A finding for every batch that restates history, with the report written; none where nothing does.

    `changed`: the versions of silver that wait for publication. Features of touched enterprises are compared in memory,
    some kilobytes each.
    """
    families = catalogue.load()
    published = tables.current_manifest().versions
    facts, found = restating.look(spark, families, changed, published)
    if not found:
        return []
    candidate = _Candidate(spark, families, changed, published, facts)
    try:
        impact = candidate.impact(parse_partition(partition))
    finally:
        candidate.release()
    names = {row["batch_id"]: row["contract"] for row in ledger.booked()}
    known = contracts.load_all(get_settings().contracts_dir)
    reports, findings = [], []
    for one in found:
        contract = known.get(names.get(one.batch_id, ""))
        source = of_source(one, impact, contract, run_id, partition)
        finding = within_limit(source, contract.gate if contract else GatePolicy(), granted)
        findings.append(finding)
        outcome = OUTCOMES.get(finding.outcome, finding.outcome)
        reports.append(replace(source, outcome=outcome, waived=finding.waived))
    of_features, of_enterprises = moves_by_feature(impact, run_id, partition), by_enterprise(impact, run_id, partition)
    restatements.record([*reports, *of_features, *of_enterprises])
    page = restatement_page.write(reports, of_features, of_enterprises, impact.model_version)
    return [replace(finding, detail=f"{finding.detail}; {page.name}") for finding in findings]


def of_source(one: Restated, impact: Impact, contract: Contract | None, run_id: str, partition: str) -> OfSource:
    """What a batch restates in a table, and how far it reaches."""
    touched = impact.owners.get((one.table, one.batch_id), set())
    kinds = {kind: one.records.get(kind, 0) for kind in restating.KINDS}
    return OfSource(
        run_id, partition, impact.as_of, one.table, contract.id if contract else "",
        contract.feed.department if contract and contract.feed else None, one.batch_id, **kinds, touched=len(touched),
        moved=len(touched & impact.moved),
        band_moves=len(touched & impact.banded) if impact.model_version else None,
        enterprises=impact.enterprises, outcome="", waived=None, checked_at=utc_now(),
    )  # fmt: skip


def within_limit(source: OfSource, policy: GatePolicy, granted: Sequence[Waiver]) -> Finding:
    """Whether a batch may restate as much without a person's word, by its contract and by the limit for bands."""
    limit = policy.tolerances["restatement"]
    known = max(source.enterprises, 1)
    too_many_moved = source.moved > limit.amount * known
    too_many_bands = (source.band_moves or 0) > BAND_MOVES * known
    passed = limit.severity == OFF or not (too_many_moved or too_many_bands)
    records = source.restated + source.deleted + source.late
    told = ", ".join(f"{n:,} {kind}" for kind in restating.KINDS if (n := getattr(source, kind)))
    bands = "no champion" if source.band_moves is None else f"{source.band_moves:,} bands change"
    detail = (
        f"{told}; {source.touched:,} of {source.enterprises:,} enterprises touched, {source.moved:,} moved by "
        f"{MOVE_THAT_MATTERS:.0%} or more ({limit.amount:.0%} allowed), {bands} ({BAND_MOVES:.0%} allowed)"
    )
    word = None if passed else waivers.word_for(granted, source.table_name, RULE, source.batch_id)
    severity = BLOCKING if limit.severity == OFF else limit.severity
    return Finding(
        source.table_name, RULE, passed, records, None, detail, severity, batch_id=source.batch_id, waived=word
    )


def moves_by_feature(impact: Impact, run_id: str, partition: str) -> list[OfFeature]:
    """Of each feature that moves: how many enterprises, and how far."""
    of: dict[str, list[Move]] = {}
    for move in impact.moves:
        of.setdefault(move.feature, []).append(move)
    found, now = [], utc_now()
    for feature, moves in sorted(of.items()):
        changes = [move.change for move in moves if move.change is not None]
        middle, largest = (median(changes), max(changes, key=abs)) if changes else (None, None)
        found.append(OfFeature(run_id, partition, feature, len(moves), middle, largest, now))
    return found


def by_enterprise(impact: Impact, run_id: str, partition: str) -> list[OfEnterprise]:
    """Of each enterprise touched: by which batches, which features move, score and band before and after."""
    batches: dict[str, set[str]] = {}
    for (_, batch), firms in impact.owners.items():
        for firm in firms:
            batches.setdefault(firm, set()).add(batch)
    of: dict[str, list[Move]] = {}
    for move in impact.moves:
        of.setdefault(move.enterprise_id, []).append(move)
    found, now = [], utc_now()
    for firm in sorted(batches):
        moves = of.get(firm, [])
        told = [move for move in moves if move.change is not None]
        largest = max(told, key=lambda m: (m.matters, abs(m.change or 0)), default=None)
        before, band_before = impact.before.get(firm, (None, None))
        after, band_after = impact.after.get(firm, (None, None))
        found.append(OfEnterprise(
            run_id, partition, firm, sorted(batches[firm]), len(moves), largest.feature if largest else None,
            largest.change if largest else None, before, after, band_before, band_after, impact.model_version, now,
        ))  # fmt: skip
    return found


def moves(before: pd.DataFrame, after: pd.DataFrame) -> list[Move]:
    """Every numeric feature that differs; both frames hold one row an enterprise, by `enterprise_id`."""
    import numpy as np
    import pandas as pd

    found = []
    firms = after.index.union(before.index)
    for name in after.columns.difference(NO_FEATURES, sort=False):
        if not pd.api.types.is_numeric_dtype(after[name]) and not pd.api.types.is_numeric_dtype(before[name]):
            continue
        old, new = (side[name].reindex(firms).astype("float64").to_numpy() for side in (before, after))
        equal = np.isclose(old, new, rtol=SAME, atol=0, equal_nan=True)
        for place in np.flatnonzero(~equal):
            found.append(move_of(str(firms[place]), name, float(old[place]), float(new[place])))
    return found


def concerned(families: Sequence[Family], restated: Set[str]) -> list[Family]:
    """The families of which a feature may move, and those that their features across families are made of."""
    of = {feature.name: family.name for family in families for feature in family.features}
    needs = {f.name: {of[word] for a in f.across for word in WORD.findall(a.value) if word in of} for f in families}
    reads = {f.name for f in families if restated & {source.table for source in f.sources}}
    if INVOICES in restated:
        reads |= {f.name for f in families if any("invoices." in feature.value for feature in f.across)}
    wanted = reads | {name for name, needed in needs.items() if needed & reads}
    while more := {needed for name in wanted for needed in needs[name]} - wanted:
        wanted |= more
    return [family for family in families if family.name in wanted]


class _Candidate:
    """Views of a session over silver as it waits, with and without the rows that restate."""

    def __init__(
        self,
        spark: SparkSession,
        families: Sequence[Family],
        changed: Mapping[str, int],
        published: Mapping[str, int],
        facts: Mapping[str, tuple[Fact, Sides]],
    ) -> None:
        self.spark, self.facts, self.made = spark, {table: fact for table, (fact, _) in facts.items()}, []
        self.families = concerned(families, set(facts))
        read = {*job.tables_read(families), INVOICES, ENTERPRISES}
        versions = {table: v for table, v in {**published, **changed}.items() if table in read}
        self.after = {
            t: self._view(f"SELECT * FROM {tables.at_version(t, v)}", _name("after", t)) for t, v in versions.items()
        }
        self.rows, self.before = {}, dict(self.after)
        for table, (fact, among) in facts.items():
            self.rows[table] = self._view(restating.statement(fact, among), _name("restating", table), stored=True)
            kept = restating.without(fact, self.after[table], self.rows[table])
            self.before[table] = self._view(kept, _name("before", table))

    def impact(self, partition: date) -> Impact:
        """What the restating rows do as of the partition's date, or of the day when the last of them is known."""
        known = [f"SELECT max(known_at) AS moment FROM {rows}" for rows in self.rows.values()]
        last = self.spark.sql(f"SELECT {known_on('max(moment)')} FROM ({' UNION ALL '.join(known)})").collect()[0][0]
        as_of = max(partition, last or partition)
        there = f"SELECT count(DISTINCT enterprise_id) FROM {self.after[ENTERPRISES]} WHERE known_at <= {moment(as_of)}"
        impact = Impact(as_of, self.spark.sql(there).collect()[0][0], self._owners(as_of))
        if any(impact.owners.values()):
            self._measure(impact)
        return impact

    def release(self) -> None:
        """Lets go of every view."""
        job.release(self.spark, self.families)
        for prefix in (WITH, WITHOUT):
            invoice_features.release(self.spark, prefix)
        for name in reversed(self.made):
            self.spark.catalog.dropTempView(name)

    def _view(self, query: str, view: str, *, stored: bool = False) -> str:
        """A view of the session; `stored`, its rows are computed at once, so that what reads it is soon planned."""
        rows = self.spark.sql(query)
        (rows.localCheckpoint() if stored else rows).createOrReplaceTempView(view)
        self.made.append(view)
        return view

    def _owners(self, as_of: date) -> dict[tuple[str, str], set[str]]:
        """Whose the restating rows are, by table and batch: those before a change and after it."""
        asked = f"(SELECT date'{as_of}' AS as_of)"
        self._view(identity.statement(asked, self.after), PARTIES)
        told = f"SELECT * FROM ({' UNION '.join(self._owner_queries())}) WHERE enterprise_id IS NOT NULL"
        self._view(told, OWNERS, stored=True)
        self._view(f"SELECT DISTINCT enterprise_id FROM {OWNERS}", TOUCHED, stored=True)
        found: dict[tuple[str, str], set[str]] = {}
        for row in self.spark.table(OWNERS).collect():
            found.setdefault((row["table_name"], row["batch_id"]), set()).add(row["enterprise_id"])
        return found

    def _owner_queries(self) -> list[str]:
        queries = []
        for table, rows in self.rows.items():
            told = f"{self.after[table]} AS told JOIN {rows} AS hit ON "
            told += restating.same("told", "hit", self.facts[table].keys)
            # Of few restating rows the engine need not move what they are looked for in.
            few = self.spark.table(rows).limit(FEW_ROWS).count() < FEW_ROWS
            named = f"SELECT {'/*+ BROADCAST(hit) */ ' if few else ''}'{table}' AS table_name, hit.batch_id"
            if table == INVOICES:
                queries.append(f"{named}, told.enterprise_id FROM {told}")
                # A seller's share of trade within the portfolio rests on its buyers' records too.
                bought = f"({named}, told.invoice_number, told.issued_on FROM {told} WHERE told.direction = 'purchase')"
                queries.append(
                    f"SELECT {'/*+ BROADCAST(bought) */ ' if few else ''}bought.table_name, bought.batch_id, "
                    f"sale.enterprise_id FROM {bought} AS bought JOIN {self.after[table]} AS sale ON sale.direction = "
                    "'sale' AND sale.invoice_number = bought.invoice_number AND sale.issued_on = bought.issued_on"
                )
            sources = [s for family in self.families for s in family.sources if s.table == table]
            queries += [f"{named}, {self._owner(source, told)}" for source in sources]
        return queries

    def _owner(self, source: Source, told: str) -> str:
        """The rest of a query: the enterprise, and from where it is read."""
        subject = source.subject
        if subject.kind == "enterprise":
            return f"told.`{subject.key}` AS enterprise_id FROM {told}"
        key = f"told.`{subject.column}`"
        if subject.via:
            on = f"link.`{subject.via['on']}` = {key}"
            if subject.via["table"] not in self.after:
                return f"cast(null AS string) AS enterprise_id FROM {told} WHERE false"
            told, key = f"{told} JOIN {self.after[subject.via['table']]} AS link ON {on}", f"link.`{subject.key}`"
        return (
            f"party.enterprise_id FROM {told} JOIN {PARTIES} AS party "
            f"ON party.department = '{subject.kind}' AND party.department_key = {key}"
        )

    def _measure(self, impact: Impact) -> None:
        """Computes both sides: features first, then bands where there is a champion."""
        from ml import bands

        touched = self._touched(set().union(*impact.owners.values()))
        enterprises = f"SELECT * FROM {self.after[ENTERPRISES]} WHERE {touched}"
        own = {
            INVOICES: self._own_invoices(impact.as_of, touched),
            ENTERPRISES: self._view(enterprises, f"{WITH}_own_enterprise", stored=True),
        }
        after = before = self._features(impact.as_of, WITH, own, touched)
        if INVOICES in self.facts:
            left = restating.without(self.facts[INVOICES], own[INVOICES], self.rows[INVOICES])
            own = {**own, INVOICES: self._view(left, f"{WITHOUT}_own_invoice", stored=True)}
            before = self._features(impact.as_of, WITHOUT, own, touched)
        kept = [f.name for f in self.families if not any(source.table in self.facts for source in f.sources)]
        new = self._frame(after, self._sources(impact.as_of, self.after, WITH))
        spine = WITHOUT if INVOICES in self.facts else WITH
        old = self._frame(before, self._sources(impact.as_of, self.before, spine, kept))
        impact.moves = moves(old, new)
        model = bands.champion(self.spark)
        if model:
            impact.model_version = model.number
            impact.before = bands.of_features(self.spark, model, before)
            impact.after = bands.of_features(self.spark, model, after)

    def _touched(self, enterprises: Set[str]) -> str:
        """SQL: a row is of a touched enterprise; by their names where these are few, for which whole files are passed
        over."""
        if len(enterprises) > FEW:
            return f"enterprise_id IN (SELECT enterprise_id FROM {TOUCHED})"
        named = ", ".join(map(quoted, sorted(enterprises)))
        return f"enterprise_id IN ({named})"

    def _own_invoices(self, as_of: date, touched: str) -> str:
        """What the candidate has of the invoices of touched enterprises, and what their buyers have of the same.

        Buyers' records are read for trade within the portfolio, as far back as windows reach.
        """
        invoices = self.after[INVOICES]
        sold = f"SELECT DISTINCT invoice_number FROM {invoices} WHERE direction = 'sale' AND {touched}"
        within = f"issued_on >= add_months(date'{as_of.replace(day=1)}', -{REACH_MONTHS})"
        bought = f"SELECT * FROM {invoices} WHERE direction = 'purchase' AND NOT {touched} AND {within}"
        query = (
            f"SELECT * FROM {invoices} WHERE {touched} UNION ALL "
            f"SELECT told.* FROM ({bought}) AS told LEFT SEMI JOIN ({sold}) AS sold "
            "ON told.invoice_number = sold.invoice_number"
        )
        return self._view(query, f"{WITH}_own_invoice", stored=True)

    def _features(self, as_of: date, prefix: str, own: Mapping[str, str], touched: str) -> DataFrame:
        """Features of invoices of the touched enterprises, as the view that the prefix names."""
        invoice_features.compute(self.spark, [as_of], own, prefix)
        rows = f"SELECT * FROM {prefix}_{invoice_features.MODEL} WHERE {touched}"
        return self.spark.table(self._view(rows, prefix, stored=True))

    def _sources(
        self, as_of: date, silver: Mapping[str, str], spine: str, kept: Sequence[str] = ()
    ) -> pd.DataFrame | None:
        """Features of other sources, of the families that are concerned; None where none is."""
        if not self.families:
            return None
        made = job.compute(self.spark, self.families, [as_of], silver, spine, kept)
        return made.toPandas().drop(columns="as_of").set_index("enterprise_id")

    def _frame(self, invoices: DataFrame, sources: pd.DataFrame | None) -> pd.DataFrame:
        """All features side by side, one row an enterprise."""
        frame = invoices.toPandas().drop(columns="as_of").set_index("enterprise_id")
        return frame if sources is None else frame.join(sources)


def _name(side: str, table: str) -> str:
    return f"restatement_{side}_{tables.split(table)[1]}"
