"""The statements that compute all source features of all asked dates, generated from the catalogue, one a family.

A source with `months` is added up before dates are looked at: a version counts from the first asked date at which it is
known and its day is past, up to the first at which a later version is. Rows with both dates alike are one *band*; bands
are few, and only they are handed to every date they count at. Sums, greatest values and sets can be merged so.
A source without is small: its rows as known are handed to every date.

In the rows that a feature is taken from, `month_no` counts full months back from the asked date's month (1 is the last
full month, 0 the month of the date itself) and `as_of` is the asked date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from lakehouse import known
from lakehouse.errors import ConfigError
from spark_jobs.source_features.catalogue import Family, Source, SourceFeature
from spark_jobs.source_features.identity import known_by, not_yet_known

INVOICES = "gold.enterprise_features"
SERIAL = "(year({0}) * 12 + month({0}))"
# How what was merged in a band is merged again when bands come together.
FIRST = {"sum": "sum({0})", "max": "max({0})", "set": "collect_set({0})"}
AGAIN = {"sum": "sum({0})", "max": "max({0})", "set": "array_distinct(flatten(collect_list({0})))"}


@dataclass(frozen=True)
class Place:
    """Where the statement reads: `relations` by table of silver, of those that hold rows; `since` when each was first
    known (business time, as text); `subjects`, made by `spark_jobs.source_features.identity`; `invoices`, the relation
    with the spine and the features of invoices."""

    relations: Mapping[str, str]
    since: Mapping[str, str]
    subjects: str
    invoices: str


def of_family(family: Family, dates: Sequence[date], place: Place) -> str:
    """The query of one family's sources that hold rows: one row per row of `place.invoices`.

    Columns: `as_of`, `enterprise_id`, then of each source its coverage code and features.
    """
    here = [source for source in family.sources if source.table in place.relations]
    parts = [("dates", _dates(dates))]
    parts += [part for source in here for part in _of_source(source, dates, place.relations, place.subjects)]
    parts += [(f"in_{kind}", _parties(kind, place.subjects)) for kind in _kinds(here)]
    parts.append(("joined", _joined(here, place)))
    with_clause = ",\n".join(f"{name} AS (\n{text}\n)" for name, text in parts)
    return f"WITH {with_clause}\n{_told(family.sources, here)}"


def together(families: Sequence[Family], made: Mapping[str, str], invoices: str) -> str:
    """The query that puts families side by side and adds what is made of several sources.

    `made`: the relation of each family that has one; of the others every column stands, as NULL or `no_source`.
    """
    columns, joins = ["spine.as_of", "spine.enterprise_id"], []
    for family in families:
        if family.name in made:
            columns += [f"{family.name}.{name}" for s in family.sources for name in (s.coverage, *_names(s))]
            joins.append(f"JOIN {made[family.name]} AS {family.name} ON {_same(family.name)}")
        else:
            columns += [column for source in family.sources for column in _nothing(source)]
    across = [f for family in families for f in family.across]
    added = [f"CAST({render(f)} AS {f.data_type}) AS {f.name}" for f in across]
    spine = f"(SELECT as_of, enterprise_id FROM {invoices}) AS spine"
    return (
        f"WITH told AS (\nSELECT {_lines(columns)}\nFROM {' '.join([spine, *joins])}\n)\n"
        f"SELECT {_lines(['told.*', *added])}\nFROM told JOIN {invoices} AS invoices "
        "ON invoices.as_of = told.as_of AND invoices.enterprise_id = told.enterprise_id"
    )


def _names(source: Source) -> list[str]:
    return [feature.name for feature in source.features]


def _nothing(source: Source) -> list[str]:
    nulls = [f"CAST(null AS {f.data_type}) AS {f.name}" for f in source.features]
    return [f"'no_source' AS {source.coverage}", *nulls]


def render(feature: SourceFeature) -> str:
    """A feature's expression in SQL."""
    return expand(feature.value, f"feature {feature.name}", w=feature.months)


def expand(text: str, what: str, **named: Any) -> str:
    """SQL of a text of the catalogue; ConfigError that says `what` it is of where it cannot be read."""
    import jinja2

    try:
        return jinja2.Template(text, undefined=jinja2.StrictUndefined).render(**named, **FUNCTIONS)
    except (jinja2.TemplateError, TypeError) as error:
        raise ConfigError(
            f"{what} cannot be read: {error}",
            where=f"dbt_project/source_features: {text}",
            remedy=f"use SQL and {', '.join(sorted(FUNCTIONS))}",
        ) from error


def _dates(dates: Sequence[date]) -> str:
    days = ", ".join(f"date'{day}'" for day in dates)
    return f"SELECT as_of, {SERIAL.format('as_of')} AS month_serial FROM (SELECT explode(array({days})) AS as_of)"


def _kinds(here: Sequence[Source]) -> list[str]:
    """The departments, and `code`, by which enterprises are found."""
    return sorted({source.subject.kind for source in here} - {"enterprise"})


def _parties(kind: str, subjects: str) -> str:
    return f"SELECT DISTINCT as_of, enterprise_id FROM {subjects} WHERE department = '{kind}'"


def _of_source(
    source: Source, dates: Sequence[date], relations: Mapping[str, str], subjects: str
) -> list[tuple[str, str]]:
    """The source's versions, its rows at each date, and its features."""
    name, via = source.name, source.subject.via
    parts = [(f"{name}_versions", _versions(source.table, relations))]
    if via:
        parts.append((f"{name}_link", _link(source, relations)))
    if source.months:
        parts += [(f"{name}_bands", _bands(source, dates)), (f"{name}_rows", _months(source, subjects))]
    else:
        parts.append((f"{name}_rows", _records(source, subjects)))
    columns = ["as_of", "enterprise_id", *(f"{render(f)} AS {f.name}" for f in source.features)]
    made = f"SELECT {_lines(columns)}\nFROM {name}_rows GROUP BY as_of, enterprise_id"
    return [*parts, (f"{name}_features", made)]


def _versions(table: str, relations: Mapping[str, str]) -> str:
    keys = known.record_keys(table)
    if keys is None:
        raise ConfigError(f"{table} has no versions of records", remedy="name a table of silver made from one contract")
    return f"SELECT *, {known.macro('superseded', keys)} AS superseded_when FROM {relations[table]}"


def _bands(source: Source, dates: Sequence[date]) -> str:
    begins = f"known_at <= timestamp'{{0}} 00:00:00' AND {source.day} < date'{{0}}'"
    ends = "superseded_when <= timestamp'{0} 00:00:00'"
    measures = [
        f"{FIRST[merge].format(expand(str(sql), f'{source.name}.{name}'))} AS {name}"
        for merge, named in source.months.items()
        for name, sql in named.items()
    ]
    return f"""SELECT {source.subject.column} AS entity, {SERIAL.format(source.day)} AS event_month, from_date, to_date,
    {_lines(measures)}
FROM (
    SELECT *, {_first_date(dates, begins)} AS from_date,
        {_first_date(dates, ends)} AS to_date
    FROM {source.name}_versions WHERE {_counted(source)}
)
WHERE from_date IS NOT NULL AND (to_date IS NULL OR to_date > from_date)
GROUP BY {source.subject.column}, {SERIAL.format(source.day)}, from_date, to_date"""


def _first_date(dates: Sequence[date], condition: str) -> str:
    """The first asked date that meets a condition, NULL where none does; a filter of an array is not compiled."""
    return "CASE " + " ".join(f"WHEN {condition.format(day)} THEN date'{day}'" for day in sorted(dates)) + " END"


def _months(source: Source, subjects: str) -> str:
    measures = [f"{AGAIN[m].format('told.' + n)} AS {n}" for m, named in source.months.items() for n in named]
    enterprise = "told.entity" if source.subject.kind == "enterprise" else "party.enterprise_id"
    columns = [f"{enterprise} AS enterprise_id", "dates.month_serial - told.event_month AS month_no", *measures]
    return f"""SELECT dates.as_of, {_lines(columns)}
FROM {source.name}_bands AS told
JOIN dates ON dates.as_of >= told.from_date AND (told.to_date IS NULL OR dates.as_of < told.to_date)
{_party(source, "told.entity", subjects)}
GROUP BY dates.as_of, {enterprise}, dates.month_serial - told.event_month"""


def _records(source: Source, subjects: str) -> str:
    day = source.day
    months = f"dates.month_serial - {SERIAL.format('told.' + day)}" if day else "cast(null AS int)"
    enterprise = "" if source.subject.kind == "enterprise" else "party.enterprise_id, "
    past = f" AND told.{day} < dates.as_of" if day else ""
    return f"""SELECT dates.as_of, {enterprise}{months} AS month_no, told.*
FROM (SELECT * FROM {source.name}_versions WHERE {_counted(source)}) AS told
JOIN dates ON {known_by("told.known_at")} AND {not_yet_known("told.superseded_when")}{past}
{_party(source, f"told.{source.subject.column}", subjects)}"""


def _counted(source: Source) -> str:
    """Which versions count; one that says that its record is gone does not."""
    # Without brackets where nothing is added: Spark reads `WHERE (true)` as an alias with a list of columns.
    return f"NOT is_deleted AND ({source.where})" if known.is_deletable(source.table) else source.where


def _party(source: Source, key: str, subjects: str) -> str:
    subject = source.subject
    if subject.kind == "enterprise":
        return ""
    if subject.via:
        link = f"JOIN {source.name}_link AS link ON link.as_of = dates.as_of AND link.entity = {key}\n"
        key = "link.party_key"
    else:
        link = ""
    return (
        f"{link}JOIN {subjects} AS party ON party.as_of = dates.as_of AND party.department = '{subject.kind}' "
        f"AND party.department_key = {key}"
    )


def _link(source: Source, relations: Mapping[str, str]) -> str:
    """Which party a number of the source belongs to, as known at each date."""
    via = source.subject.via or {}
    if via["table"] not in relations:
        columns = "cast(null AS date) AS as_of, cast(null AS string) AS entity, cast(null AS string) AS party_key"
        return f"SELECT {columns} WHERE false"
    return (
        f"SELECT dates.as_of, told.{via['on']} AS entity, told.{source.subject.key} AS party_key\n"
        f"FROM ({_versions(via['table'], relations)}) AS told\n"
        f"JOIN dates ON {known_by('told.known_at')} AND {not_yet_known('told.superseded_when')}"
    )


def _joined(here: Sequence[Source], place: Place) -> str:
    columns, joins = ["spine.as_of", "spine.enterprise_id"], []
    for source in here:
        name = source.name
        columns.append(f"{_coverage(source, place.since[source.table])} AS {source.coverage}")
        columns += [f"{name}_features.{f.name}" for f in source.features]
        joins.append(f"LEFT JOIN {name}_features ON {_same(name + '_features')}")
    for kind in _kinds(here):
        joins.append(f"LEFT JOIN in_{kind} ON {_same(f'in_{kind}')}")
    spine = f"(SELECT as_of, enterprise_id FROM {place.invoices}) AS spine"
    return f"SELECT {_lines(columns)}\nFROM {spine}\n" + "\n".join(joins)


def _coverage(source: Source, since: str) -> str:
    """A code: `covered`, or why not. Absence of a row says nothing about an enterprise that a source does not know."""
    in_party = "true" if source.subject.kind == "enterprise" else f"in_{source.subject.kind}.enterprise_id IS NOT NULL"
    row = f"{source.name}_features.enterprise_id IS NOT NULL"
    covered = {"subject": in_party, "rows": row, "all": "true"}[source.covers]
    return (
        f"CASE WHEN timestamp'{since}' > cast(spine.as_of AS timestamp) THEN 'not_yet_known' "
        f"WHEN {covered} THEN 'covered' ELSE 'not_covered' END"
    )


def _told(sources: Sequence[Source], here: Sequence[Source]) -> str:
    columns = ["as_of", "enterprise_id"]
    for source in sources:
        if source in here:
            columns += [source.coverage, *(_value(source, feature) for feature in source.features)]
        else:
            columns += _nothing(source)
    return f"SELECT {_lines(columns)}\nFROM joined"


def _value(source: Source, feature: SourceFeature) -> str:
    value = f"coalesce({feature.name}, {feature.empty})" if feature.empty is not None else feature.name
    return f"CAST(CASE WHEN {source.coverage} = 'covered' THEN {value} END AS {feature.data_type}) AS {feature.name}"


def _same(relation: str) -> str:
    return f"{relation}.as_of = spine.as_of AND {relation}.enterprise_id = spine.enterprise_id"


def _lines(columns: Sequence[str]) -> str:
    return ",\n    ".join(columns)


def _inside(first: int, last: int) -> str:
    return f"month_no BETWEEN {first} AND {last}"


def _total(what: str, last: int, first: int = 1) -> str:
    return f"sum(CASE WHEN {_inside(first, last)} THEN {what} ELSE 0 END)"


FUNCTIONS: dict[str, Any] = {
    # Σ over months first..last
    "total": _total,
    # Σ over all there is, the month of the asked date included
    "ever": lambda what: f"sum({what})",
    # number of rows (of a source with months: of months) that meet a condition
    "count": lambda condition, last, first=1: f"count_if(({condition}) AND {_inside(first, last)})",
    "highest": lambda what, last, first=1: f"max(CASE WHEN {_inside(first, last)} THEN {what} END)",
    "distinct": lambda what, last, first=1: (
        f"size(array_distinct(flatten(collect_list(CASE WHEN {_inside(first, last)} THEN {what} END))))"
    ),
    # the value of month k
    "of_month": lambda what, month: f"max(CASE WHEN month_no = {month} THEN {what} END)",
    # an expression where the source has known the enterprise for so many months
    "since": lambda months, expression: f"CASE WHEN max(month_no) >= {months} THEN {expression} END",
    "fen": lambda amount: f"cast(({amount}) * 100 AS bigint)",
    "ratio": lambda part, whole: known.macro("ratio", part, whole),
    "change": lambda new, old: known.macro("symmetric_ratio", new, old),
    "cny": lambda fen: known.macro("cny", fen),
}
