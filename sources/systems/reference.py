"""Writes docs/reference/source_systems.md: what each system is, how to try it, and all that is declared about it.

Run `python -m sources.systems.reference` after changing a declaration; a test compares the file with what this writes.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from sources.systems.banking import cluster, payments
from sources.systems.bureau.ledger import RESOLVE_DAYS
from sources.systems.bureau.report import ADVERSE_YEARS, ENQUIRY_YEARS, OVERDUE_DAYS, SHOWN_MONTHS
from sources.systems.clock import DAYS_LEFT_AT_START
from sources.systems.field import evidence
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.events import NOTICE_DAYS, OUTAGES, SCHEMA_CHANGES
from sources.systems.government.history import READY_DAY
from sources.systems.government.model import Dataset
from sources.systems.industrial.topics import BLOCK_HOURS, TOPICS, Traits
from sources.systems.settings import PROJECT_DIR, Settings

FILE = PROJECT_DIR / "docs" / "reference" / "source_systems.md"
STANDARD_START = date(2019, 1, 1)
TEMPLATE = Path(__file__).with_suffix(".md")


def render() -> str:
    """The whole page: the template with each `<<name>>` replaced by what is declared."""
    facts = {name: str(field.default) for name, field in Settings.model_fields.items()} | {
        "lead": str(DAYS_LEFT_AT_START),
        "start": str(STANDARD_START),
        "settings": _settings(),
        "departments": _departments(),
        "outages": _outages(),
        "changes": _changes(),
        "datasets": _datasets(),
        "notice": str(NOTICE_DAYS),
        "ready": str(READY_DAY),
        "resolve": str(RESOLVE_DAYS),
        "months": str(SHOWN_MONTHS),
        "enquiries": str(ENQUIRY_YEARS),
        "overdue": str(OVERDUE_DAYS),
        "adverse": str(ADVERSE_YEARS),
        "tables": _bank_tables(),
        "late": f"{payments.LATE_SHARE:.0%}",
        "late_days": str(payments.LATE_DAYS),
        "doubled": f"{payments.DOUBLED_RATIO:.1%}",
        "reversal_days": str(payments.REVERSAL_DAYS),
        "full_remark": f"{payments.FULL_REMARK:.0%}",
        "short_remark": f"{payments.SHORT_REMARK - payments.FULL_REMARK:.0%}",
        "topics": _table(["topic", "what"], [[f"`{topic.name}`", topic.about] for topic in TOPICS]),
        "block_hours": str(BLOCK_HOURS),
        "traits": _message_traits(),
        "report_days": str(evidence.REPORT_DAYS),
        "missing": f"{evidence.MISSING_RATIO:.0%}",
        "number_missing": f"{evidence.NUMBER_MISSING_RATIO:.0%}",
        "table_ratio": f"{evidence.TABLE_RATIO:.0%}",
        "scene_from": str(evidence.SCENE_DAYS[0]),
        "scene_to": str(evidence.SCENE_DAYS[1]),
    }
    return re.sub(r"<<(\w+)>>", lambda match: facts[match[1]], TEMPLATE.read_text())


def _settings() -> str:
    rows = [
        [f"`{field.validation_alias or f'SOURCES_{name.upper()}'}`", _default(field.default), field.description or ""]
        for name, field in Settings.model_fields.items()
    ]
    return _table(["variable", "default", "meaning"], rows)


def _default(value: object) -> str:
    if value is None:
        return ""
    return "`var/sources`" if isinstance(value, Path) else f"`{value}`"


def _departments() -> str:
    rows = [[f"`{d.name}`", d.title, d.about, d.bulk] for d in DEPARTMENTS]
    return _table(["department", "title", "what", "history files"], rows)


def _outages() -> str:
    words = {"platform": "all departments", "token": "token service"}
    rows = [
        [
            str(entry.first(STANDARD_START)),
            str(entry.last(STANDARD_START)),
            words.get(entry.department, f"`{entry.department}`"),
            entry.about,
        ]
        for entry in sorted(OUTAGES, key=lambda entry: entry.on)
    ]
    return _table(["from", "until", "what is down", "why"], rows)


def _changes() -> str:
    rows = [
        [str(entry.date(STANDARD_START)), f"`{entry.department}/{entry.dataset}`", entry.kind, entry.about]
        for entry in sorted(SCHEMA_CHANGES, key=lambda entry: entry.on)
    ]
    return _table(["from", "dataset", "kind", "what"], rows)


def _datasets() -> str:
    parts = []
    for department in DEPARTMENTS:
        for dataset in department.datasets:
            rows = [[f"`{f.name}`", f.kind, _meaning(f), f"`{f.example}`"] for f in dataset.fields]
            parts.append(f"#### `{department.name}/{dataset.name}`\n\n{dataset.about} {_traits(dataset)}")
            parts.append(_table(["field", "type", "meaning", "example"], rows))
    return "\n\n".join(parts)


def _traits(dataset: Dataset) -> str:
    words = f"Grain: {dataset.grain}. Published after {dataset.lag.text()}."
    if mistake := dataset.mistake:
        days = f"{mistake.after[0]} to {mistake.after[1]} days"
        words += f" {mistake.share:.1%} of records are first wrong by a factor of {mistake.factor:g}, for {days}."
    return words


def _meaning(field) -> str:
    words = f"{field.about} ({field.unit})" if field.unit else field.about
    if field.codes:
        words += ": " + ", ".join(f"{code} {meaning}" for code, meaning in field.codes.items())
    return words


def _bank_tables() -> str:
    """The tables of both databases with the comments of their definitions."""
    rows = []
    for database in cluster.DATABASES:
        definition = (cluster.DDL_DIR / f"{database}.sql").read_text()
        for name, about in re.findall(r"comment on (?:table|view) (\S+) is '((?:[^']|'')*)'", definition):
            rows.append([database, f"`{name}`", about.replace("''", "'")])
    return _table(["database", "table", "what"], rows)


def _message_traits() -> str:
    """Each topic's traits, as declared."""

    def line(traits: Traits) -> list[str]:
        late = f"{traits.straggler_ratio:.0%}, up to {traits.straggler_hours:.0f} h" if traits.straggler_ratio else ""
        breaks = (
            f"{traits.outage_ratio:.1%} of days, up to {traits.outage_hours:.0f} h; {traits.lost_ratio:.0%} lose all"
            if traits.outage_ratio
            else ""
        )
        skew = (traits.constant_skew_ratio, traits.drift_ratio, traits.zone_ratio)
        clocks = " / ".join(f"{share:.0%}" for share in skew) if any(skew) else ""
        return [f"{traits.delay_seconds:.0f} s", late, f"{traits.duplicate_ratio:.1%}", breaks, clocks]

    titles = [
        "topic",
        "mean delay",
        "stragglers",
        "sent twice",
        "breaks",
        "clock off by up to 20 min / drifting / in UTC",
    ]
    return _table(titles, [[f"`{topic.name}`", *line(topic.traits)] for topic in TOPICS])


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    FILE.write_text(render())
