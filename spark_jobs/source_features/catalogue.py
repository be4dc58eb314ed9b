"""The catalogue of source features: what each source counts, and every feature with definition, unit, owner, window.

One YAML file a family in `dbt_project/source_features/`; its head says how to write one (`README.md` beside them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse import plain_yaml
from lakehouse.errors import ConfigError
from spark_jobs import dbt_run

# What a unit is stored as; a name ends in its unit.
TYPES = {
    "cny": "double", "ratio": "double", "kwh": "double", "m3": "double", "hours": "double", "kw": "double",
    "count": "bigint", "months": "int", "days": "int",
}  # fmt: skip
# Of these, nothing recorded for a covered enterprise is 0: no activity is no gap in knowledge.
SUMS = frozenset({"cny", "kwh", "m3", "hours", "kw", "count", "months"})
COVERS = ("subject", "rows", "all")
MERGES = ("sum", "max", "set")
SOURCE_KEYS = {"name", "table", "subject", "covers", "day", "where", "months", "plans", "features"}
FEATURE_KEYS = {"name", "windows", "window", "value", "unit", "empty", "definition", "null_reason", "source_feature"}


@dataclass(frozen=True)
class SourceFeature:
    """One column of `gold.enterprise_source_features`.

    `value`: the expression of its source's rows in SQL with macros, `w` standing for the window; `window` in months
    (`12m`), `now` or `all`; `empty`: what a covered enterprise without a row gets, 0 or None.
    """

    name: str
    value: str
    unit: str
    window: str
    months: int | None
    definition: str
    owner: str
    family: str
    empty: int | None
    null_reason: tuple[str, ...]
    source_feature: int | None

    @property
    def data_type(self) -> str:
        return TYPES[self.unit]


@dataclass(frozen=True)
class Subject:
    """Whose a row is: a column with the enterprise, a national code, or a department's number, perhaps by a link."""

    kind: str
    key: str
    via: Mapping[str, str] | None = None

    @property
    def column(self) -> str:
        """The column of the source's own table that leads to its enterprise."""
        return self.via["on"] if self.via else self.key


@dataclass(frozen=True)
class Source:
    """A table of silver that features are taken from.

    `day`: the day of the event, in SQL; `months`: how rows add up to one row per enterprise and calendar month, by
    merge and name; without it, features are taken from the rows. `plans`: dates that may lie in the future, because
    they were agreed on before. `covers`: who is covered: parties of the department, those with rows, or all.
    """

    name: str
    table: str
    subject: Subject
    covers: str
    day: str | None
    where: str
    months: Mapping[str, Mapping[str, str]]
    plans: tuple[str, ...]
    features: tuple[SourceFeature, ...]

    @property
    def coverage(self) -> str:
        """The column that says why features of this source are missing."""
        return f"{self.name}_coverage"


@dataclass(frozen=True)
class Family:
    """Sources of one kind of trace, and features made of several of them (`across`)."""

    name: str
    title: str
    sources: tuple[Source, ...]
    across: tuple[SourceFeature, ...]

    @property
    def features(self) -> tuple[SourceFeature, ...]:
        return tuple(feature for feature, _ in self.with_coverage())

    def with_coverage(self) -> Iterator[tuple[SourceFeature, str]]:
        """Every feature with the column that says why it is missing, empty for those made of several sources."""
        for source in self.sources:
            yield from ((feature, source.coverage) for feature in source.features)
        yield from ((feature, "") for feature in self.across)


def folder() -> Path:
    """Where the families' files are."""
    return dbt_run.project_dir() / "source_features"


def load(where: Path | None = None) -> tuple[Family, ...]:
    """Every family in order of its file's name; ConfigError names file and feature of the first fault."""
    found = tuple(_family(path) for path in sorted((where or folder()).glob("*.yaml")))
    names: dict[str, str] = {}
    for family in found:
        for name in (*(s.coverage for s in family.sources), *(f.name for f in family.features)):
            if name in names:
                where = f"{family.name}.yaml"
                raise _fault(where, f"{name} is defined twice, also in {names[name]}.yaml", "rename one")
            names[name] = family.name
    return found


def _family(path: Path) -> Family:
    try:
        told = plain_yaml.load_file(path)
        owner, name = told["owner"], told["family"]
        sources = tuple(_source(path.name, entry, name, owner) for entry in told["sources"])
        across = tuple(_features(path.name, told.get("across") or (), name, owner))
        return Family(name, told["title"], sources, across)
    except (plain_yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise _fault(path.name, f"not readable as a family: {error!r}", "compare with another file there") from error


def _source(file: str, entry: Mapping[str, Any], family: str, owner: str) -> Source:
    if unknown := set(entry) - SOURCE_KEYS:
        raise _fault(file, f"source {entry.get('name')} has unknown {sorted(unknown)}", f"use {sorted(SOURCE_KEYS)}")
    months, covers = entry.get("months") or {}, entry.get("covers", "subject")
    if covers not in COVERS or set(months) - set(MERGES):
        raise _fault(
            file,
            f"source {entry['name']}: covers {covers!r}, months {sorted(months)}",
            f"covers is one of {', '.join(COVERS)}; months merge by {', '.join(MERGES)}",
        )
    if months and not entry.get("day"):
        raise _fault(file, f"source {entry['name']} has months but no day", "say which column is the event's day")
    return Source(
        entry["name"], entry["table"], _subject(file, entry), covers, entry.get("day"), entry.get("where", "true"),
        months, tuple(entry.get("plans") or ()), tuple(_features(file, entry["features"], family, owner)),
    )  # fmt: skip


def _subject(file: str, entry: Mapping[str, Any]) -> Subject:
    told = entry["subject"]
    if "enterprise" in told:
        return Subject("enterprise", told["enterprise"])
    if "code" in told:
        return Subject("code", told["code"])
    if not {"department", "key"} <= set(told):
        raise _fault(file, f"source {entry['name']} does not say whose its rows are", "give enterprise, code, or both "
                     "department and key")  # fmt: skip
    return Subject(told["department"], told["key"], told.get("via"))


def _features(file: str, entries: Any, family: str, owner: str) -> Iterator[SourceFeature]:
    for entry in entries:
        missing = {"name", "value", "unit", "definition"} - set(entry)
        if missing or set(entry) - FEATURE_KEYS or not ("windows" in entry) ^ ("window" in entry):
            raise _fault(
                file,
                f"feature {entry.get('name')} lacks {sorted(missing)} or has more than it may",
                f"give name, value, unit, definition and either windows or window; allowed: {sorted(FEATURE_KEYS)}",
            )
        for months in entry.get("windows") or (None,):
            yield _feature(file, entry, months, family, owner)


def _feature(file: str, entry: Mapping[str, Any], months: int | None, family: str, owner: str) -> SourceFeature:
    name, unit = entry["name"].replace("<w>", str(months)), entry["unit"]
    if unit not in TYPES or not name.endswith(f"_{unit}"):
        raise _fault(file, f"feature {name}: unit {unit}", f"end the name in its unit, one of {', '.join(TYPES)}")
    return SourceFeature(
        name, entry["value"], unit, f"{months}m" if months else entry["window"], months,
        " ".join(entry["definition"].replace("<w>", str(months)).split()), owner, family,
        entry.get("empty", 0 if unit in SUMS else None), tuple(entry.get("null_reason") or ()),
        entry.get("source_feature"),
    )  # fmt: skip


def _fault(file: str, what: str, remedy: str) -> ConfigError:
    return ConfigError(what, where=f"dbt_project/source_features/{file}", remedy=remedy)
