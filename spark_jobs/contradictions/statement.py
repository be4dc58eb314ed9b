"""Compiles the statements of `dbt_project/contradictions`: facts that several kinds share, figures, findings.

A statement is SQL that Spark and DuckDB read alike. It reads `{{ silver('tax_return') }}`, a fact by
`{{ fact('invoice') }}`, or the versions of a table by `{{ versions('tax_return') }}`: its rows with `known_on`, the
first day at whose beginning they were known, and `replaced_on`, that of the version which took their place.

Nothing is judged before its day. A month *closes* on the first day of the month after next, when returns for it are in;
it is judged by what was known on that day, and is never judged anew. So a finding does not move when more is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse import known
from lakehouse.errors import ConfigError
from lakehouse.known import known_on
from spark_jobs.contradictions import catalogue
from spark_jobs.contradictions.catalogue import Kind

PREFIX = "contradiction"
MATCH, UNMATCHED = f"{PREFIX}_trade_match", f"{PREFIX}_trade_unmatched"
KEYS = ("enterprise_id", "period_from", "period_to", "found_on")


class Missing(Exception):
    """A statement reads a table of silver that there is not; the message names it."""


@dataclass(frozen=True)
class Step:
    """A statement, the view that is to hold its rows, and the tables of silver that they are made of."""

    name: str
    view: str
    sql: str
    sources: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """Statements in the order in which they can be run, and why other kinds are left out (kind → reason)."""

    facts: tuple[Step, ...]
    figures: Mapping[str, Step]
    left_out: Mapping[str, str]
    registered: str = f"{PREFIX}_registered"


def plan(kinds: Sequence[Kind], relations: Mapping[str, str], where: Path | None = None) -> Plan:
    """What has to be run for `kinds`; `relations`: where each table of silver that there is can be read."""
    compiler = _Compiler(relations, where or catalogue.folder())
    figures, left_out = {}, {}
    for kind in kinds:
        try:
            compiler.fact("registered")
            figures[kind.name] = compiler.step("kinds", kind.name)
        except Missing as missing:
            left_out[kind.name] = str(missing)
    return Plan(tuple(compiler.facts), figures, left_out)


def match_plan(relations: Mapping[str, str], where: Path | None = None) -> Plan:
    """What has to be run to match orders, deliveries, invoices and payments; MATCH and UNMATCHED are its results."""
    compiler = _Compiler(relations, where or catalogue.folder())
    try:
        compiler.fact("trade_unmatched")
    except Missing as missing:
        return Plan((), {}, {"trade_match": str(missing)})
    return Plan(tuple(compiler.facts), {}, {})


def findings(kind: Kind, figures: str, registered: str) -> str:
    """The query of a kind's findings: one row per enterprise and day found, of the relation of its figures.

    `registered`: the relation with `enterprise_id` and `known_on` of those who are judged at all.

    Columns: KEYS, each check's figure, `broken_checks` (how many). Of a run of figures that break, less than
    `quiet_months` apart, the first is the finding; of several on one day the widest contradiction.
    """
    names = ", ".join(check.name for check in kind.checks)
    cells = ", ".join(f"cast({check.name} AS double) AS {check.name}" for check in kind.checks)
    broken = " + ".join(f"cast({check.breaks} AS int)" for check in kind.checks)
    by_name = {check.name: check for check in kind.checks}
    must = "".join(f" AND {by_name[name].breaks}" for name in kind.must)
    return f"""WITH judged AS (
    SELECT *, {broken} AS broken_checks FROM (
        SELECT told.enterprise_id, {", ".join(KEYS[1:])}, {cells} FROM {figures} AS told
        JOIN {registered} AS who ON who.enterprise_id = told.enterprise_id AND who.known_on <= told.found_on
    ) AS figures
), met AS (
    SELECT *, row_number() OVER (
        PARTITION BY enterprise_id, found_on ORDER BY broken_checks DESC, period_from, period_to, {names}) AS place
    FROM judged WHERE broken_checks >= {kind.needs}{must}
), spaced AS (
    SELECT *, lag(found_on) OVER (PARTITION BY enterprise_id ORDER BY found_on) AS before_on FROM met WHERE place = 1
)
SELECT {", ".join(KEYS)}, {names}, broken_checks
FROM spaced WHERE before_on IS NULL OR add_months(before_on, {kind.quiet_months}) < found_on"""


def digest(where: Path | None = None) -> str:
    """Which rules: a short digest of the catalogue and all statements."""
    folder = where or catalogue.folder()
    texts = [path.read_bytes() for path in sorted((*folder.glob("*.yaml"), *folder.glob("*/*.sql")))]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


class _Compiler:
    """Renders statements; every fact once, before what reads it."""

    def __init__(self, relations: Mapping[str, str], where: Path) -> None:
        self.relations, self.where = relations, where
        self.facts: list[Step] = []
        self.failed: dict[str, str] = {}
        self.reading: list[set[str]] = []  # the sources of the statement that is being rendered, and of those around it

    def step(self, folder: str, name: str) -> Step:
        path = self.where / folder / f"{name}.sql"
        if not path.exists():
            raise ConfigError(f"no statement {name}", where=str(path.parent), remedy="write it, or mend the name")
        self.reading.append(set())
        try:
            sql = self._render(path)
        finally:
            sources = self.reading.pop()
        return Step(name, f"{PREFIX}_{'kind_' if folder == 'kinds' else ''}{name}", sql, frozenset(sources))

    def fact(self, name: str) -> str:
        if name in self.failed:
            raise Missing(self.failed[name])
        step = next((made for made in self.facts if made.name == name), None)
        if step is None:
            try:
                step = self.step("facts", name)
            except Missing as missing:
                self.failed[name] = str(missing)
                raise
            self.facts.append(step)
        if self.reading:
            self.reading[-1] |= step.sources
        return step.view

    def silver(self, name: str) -> str:
        table = f"silver.{name}"
        if table not in self.relations:
            raise Missing(f"{table} is not there")
        if self.reading:
            self.reading[-1].add(table)
        return self.relations[table]

    def has(self, name: str) -> bool:
        return f"silver.{name}" in self.relations

    def versions(self, name: str) -> str:
        relation, keys = self.silver(name), known.record_keys(f"silver.{name}")
        if keys is None:
            raise ConfigError(f"silver.{name} has no versions of records", remedy="read it by silver('…')")
        moment = known.macro("superseded", keys)
        return f"(SELECT *, {known_on('known_at')} AS known_on, {known_on(moment)} AS replaced_on FROM {relation})"

    def owner(self, department: str, key: str, day: str, alias: str) -> str:
        """SQL: joins the enterprise behind a department's number, as known at the beginning of a day."""
        return (
            f"LEFT JOIN {self.fact('owner')} AS {alias} ON {alias}.department = '{department}' "
            f"AND {alias}.department_key = {key} AND {stands_on(alias, day)}"
        )

    def _render(self, path: Path) -> str:
        import jinja2

        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        context: dict[str, Callable[..., Any]] = {
            "silver": self.silver, "has": self.has, "fact": self.fact, "versions": self.versions, "owner": self.owner,
            **FUNCTIONS,
        }  # fmt: skip
        try:
            return environment.from_string(path.read_text(encoding="utf-8")).render(**context)
        except (jinja2.TemplateError, TypeError) as error:
            raise ConfigError(f"{path.name} cannot be read: {error}", where=str(path), remedy="mend it") from error


def stands_on(row: str, day: str) -> str:
    """SQL: a version was known at the beginning of a day, and no later one."""
    return f"({row}.known_on <= {day} AND coalesce({row}.replaced_on > {day}, true))"


def month(day: str) -> str:
    """SQL: the first day of a day's month."""
    return f"cast(date_trunc('month', {day}) AS date)"


def closes_on(day: str, months: int = 1) -> str:
    """SQL: the day on which a period that begins with a day's month and lasts so many months closes."""
    return f"cast(add_months({month(day)}, {months + 1}) AS date)"


def days_between(earlier: str, later: str) -> str:
    """SQL: whole days from one day to another."""
    return f"(unix_date({later}) - unix_date({earlier}))"


def days_after(day: str, days: Any) -> str:
    """SQL: the day so many days later."""
    return f"date_from_unix_date(unix_date({day}) + {days})"


def ratio(part: str, whole: str) -> str:
    """SQL: a quotient as double; null where the divisor is not positive."""
    return known.macro("ratio", part, whole)


FUNCTIONS: dict[str, Callable[..., str]] = {
    "known_on": known_on, "stands_on": stands_on, "month": month, "closes_on": closes_on, "days_between": days_between,
    "days_after": days_after, "ratio": ratio,
}  # fmt: skip
