"""What the gate looks at of a large table of silver: the rows that came and went since a gate last passed all of it.

A gate that found nothing broken notes the versions that it looked at and a digest of its rules (`control.audit`). Of a
table that readers still have at such a version, later gates ask the same rules of what is new, so that the cost of a
day follows the day: rules of single rows of the rows that came, their keys among the rows that may have the same, and
sums of what came less what went on both sides. Whatever is broken there, or cannot be told, is looked at as a whole,
which has the last word: this may cost time, and never holds back what would pass.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from expectations import one_pass, suites
from expectations.report import Finding
from expectations.suites import Expectation, Identity
from lakehouse import control, delta_log, differences, engine, tables
from lakehouse.time import utc_now
from lakehouse.waivers import BETWEEN_TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

AUDIT_SCHEMA = (
    "run_id string, layer string, versions map<string, bigint>, rules map<string, string>, audited_at timestamp"
)
LARGEST_SHARE = 0.25  # of a table's rows that are new; with more, looking at all of them is as quick
NUMBERED = "ExpectTableRowCountToBeBetween"
NAMED = re.compile(r"\{(?:(came|gone|before) |near (\w+) )?([a-z_.0-9]+)\}")


@dataclass(frozen=True)
class Audit:
    """What a gate of a layer passed: the version of each table, and the digest of the rules that it was asked."""

    versions: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class News:
    """What is new in a version of a table since another, in views of the session: rows that came, and that went."""

    table: str
    now: int
    came: str
    gone: str

    def near(self, spark: SparkSession, column: str) -> str:
        """SQL: the rows of the table with such dates in a column as those that came or went have, or between them."""
        news = f"SELECT {column} FROM {self.came} UNION ALL SELECT {column} FROM {self.gone}"
        # Stated as dates, by which files are passed over, and not as a query.
        first, last = spark.sql(f"SELECT min({column}), max({column}) FROM ({news})").collect()[0]
        where = f"{column} BETWEEN date'{first}' AND date'{last}'" if first else "false"
        return f"(SELECT * FROM {tables.at_version(self.table, self.now)} WHERE {where})"


def last(layer: str) -> Audit:
    """What the last gate of a layer that found nothing broken has noted."""
    rows = control.rows("audit", AUDIT_SCHEMA, "layer", [layer])
    newest = max(rows, key=lambda row: row["audited_at"], default=None)
    return Audit(dict(newest["versions"]), dict(newest["rules"])) if newest else Audit()


def note(run_id: str, layer: str, passed: Audit) -> None:
    """Notes what a gate has passed. Until these versions are published this counts for nothing."""
    control.append("audit", AUDIT_SCHEMA, [(run_id, layer, dict(passed.versions), dict(passed.rules), utc_now())])


def digest(rules: Iterable[Expectation | Identity]) -> str:
    """Tells rules from others."""
    return hashlib.sha256("\n".join(map(repr, rules)).encode()).hexdigest()[:16]


def passed(
    changed: Mapping[str, int],
    expected: Mapping[str, Sequence[Expectation]],
    asked: Sequence[Identity],
    before: Audit,
) -> Audit:
    """What a gate that found nothing broken has passed: what changed, and what it let be as it was passed before.

    The tables of other layers that identities speak of are named with the versions that readers have.
    """
    held = tables.current_manifest().versions
    named = {table for one in asked for table in one.tables}
    stands = {t: v for t, v in before.versions.items() if t in before.rules and held.get(t) == v}
    beside = {t: held[t] for t in named if t in held and t not in changed and tables.split(t)[0] == "bronze"}
    rules = {t: before.rules[t] for t in stands} | {t: digest(expected[t]) for t in changed}
    return Audit({**stands, **beside, **changed}, rules | {BETWEEN_TABLES: digest(asked)})


def find(
    spark: SparkSession, changed: Mapping[str, int], expected: Mapping[str, Sequence[Expectation]], audit: Audit
) -> dict[str, News]:
    """What is new in those changed tables of which that is enough to look at."""
    published = tables.current_manifest().versions

    def look(table: str) -> News | None:
        before = audit.versions.get(table)
        if before is None or before != published.get(table) or audit.rules.get(table) != digest(expected[table]):
            return None
        place = tables.build_location(table)
        rows = delta_log.count(place, changed[table])
        if rows < differences.LEAST_ROWS or delta_log.written(place, before, changed[table]) > LARGEST_SHARE * rows:
            return None
        return _news(spark, table, before, changed[table])

    return {news.table: news for news in engine.side_by_side(look, changed) if news}


def _news(spark: SparkSession, table: str, before: int, now: int) -> News | None:
    from pyspark.errors import PySparkException

    try:
        gone, came = (rows.localCheckpoint() for rows in differences.rows(spark, table, before, now))
    except PySparkException:  # a version is gone, or its columns are others
        return None
    return _in_views(table, now, came, gone)


def _in_views(table: str, now: int, came: DataFrame, gone: DataFrame) -> News:
    news = News(table, now, *(f"{side}_{table.replace('.', '_')}" for side in ("came", "gone")))
    came.createOrReplaceTempView(news.came)
    gone.createOrReplaceTempView(news.gone)
    return news


def suite(spark: SparkSession, news: News, expected: Sequence[Expectation]) -> list[Finding]:
    """What came of each expectation, asked of what is new."""
    of_rows = [e for e in expected if not e.is_of_keys and e.kind != NUMBERED]
    found, _ = one_pass.findings(spark, news.table, news.came, of_rows)
    rows = delta_log.count(tables.build_location(news.table), news.now)
    for e in expected:
        if e.is_of_keys:
            found.append(one_pass.finding(news.table, e, rows, _doubled(spark, news, e)))
        elif e.kind == NUMBERED:
            found.append(one_pass.finding(news.table, e, rows, max(e.arguments["min_value"] - rows, 0)))
    return found


def _doubled(spark: SparkSession, news: News, expected: Expectation) -> int:
    """How many keys of rows that came stand in the table more than once."""
    keys = ", ".join(expected.arguments.get("column_list") or [expected.arguments["column"]])
    rows = news.near(spark, expected.near) if expected.near else tables.at_version(news.table, news.now)
    return spark.sql(
        f"SELECT count(*) FROM (SELECT {keys} FROM {rows} "
        f"LEFT SEMI JOIN (SELECT DISTINCT {keys} FROM {news.came}) USING ({keys}) GROUP BY {keys} HAVING count(*) > 1)"
    ).collect()[0][0]


def identities(
    spark: SparkSession, asked: Sequence[Identity], changed: Mapping[str, int], news: Mapping[str, News], audit: Audit
) -> dict[str, Finding]:
    """Those identities that hold by what is new, by name; the others have to be asked of all rows."""
    if not news or audit.rules.get(BETWEEN_TABLES) != digest(asked):
        return {}
    from pyspark.errors import PySparkException

    words, sides, among = {}, [], _Among(spark, changed, news, audit)
    try:
        for number, identity in enumerate(asked):
            if among.is_as_it_was(identity):
                words[number] = "of nothing that is new"
            elif found := among.sides(identity):
                sides.append("SELECT {} AS number, {} AS left_side, {} AS right_side".format(number, *found))
        for row in spark.sql(" UNION ALL ".join(sides)).collect() if sides else ():
            if row["left_side"] is not None and row["left_side"] == row["right_side"]:
                words[row["number"]] = f"{row['left_side']} against {row['right_side']} among what is new"
    except PySparkException:  # a version that was looked at is gone
        return {}
    return {
        asked[number].name: Finding(BETWEEN_TABLES, asked[number].name, True, None, None, detail)
        for number, detail in sorted(words.items())
    }


class _Among:
    """Identities as SQL over what is new."""

    def __init__(self, spark: SparkSession, changed: Mapping[str, int], news: Mapping[str, News], audit: Audit) -> None:
        self.spark, self.news, self.before = spark, dict(news), audit.versions
        self.now = {**tables.current_manifest().versions, **changed}

    def is_as_it_was(self, identity: Identity) -> bool:
        """Whether no table that it speaks of is another than when it was found to hold."""
        return all(table in self.now and self.now[table] == self.before.get(table) for table in identity.tables)

    def sides(self, identity: Identity) -> tuple[str, str] | None:
        """The two figures that must be equal; None where what is new does not tell, or is not made of a table."""
        try:
            if identity.is_sum:
                left, right = (
                    f"({self._figure(side, 'came')} - {self._figure(side, 'gone')})"
                    for side in (identity.left, identity.right)
                )
                return left, right
            return (self._figure(identity.of_new), "0") if identity.of_new else None
        except KeyError:
            return None

    def _figure(self, statement: str, side: str | None = None) -> str:
        """A statement's figure; with a side, over the rows alone that came to its tables or went."""
        text = NAMED.sub(lambda m: self._rows(m[3], m[1] or side, m[2]), statement)
        return f"cast(({text}) AS decimal(38,2))"

    def _rows(self, table: str, side: str | None, near: str | None) -> str:
        if near:
            return self.news[table].near(self.spark, near)
        if side is None:
            return tables.at_version(table, self.now[table])
        if side == "before":
            return tables.at_version(table, self.before[table])
        if table not in self.now and table not in self.before:
            return suites.ABSENT
        if table not in self.news:
            # Of another layer: the rows of files that came or went are enough for sums.
            now = self.now[table]
            gone, came = differences.in_own_files(self.spark, table, self.before[table], now)
            self.news[table] = _in_views(table, now, came, gone)
        return getattr(self.news[table], side)
