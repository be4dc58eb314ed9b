"""Five years of pulls through every outage and schema change that the government platform declares.

The contracts begin as they would have been written before the changes, and get a new version some days after each:
that is when the data engineers have answered it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse import contracts
from lakehouse.errors import SourceError
from lakehouse.settings import PROJECT_DIR
from sources.systems.government.events import OUTAGES, SCHEMA_CHANGES, Outage, SchemaChange
from spark_jobs.pull import rest_auth, runner
from tests.connectors.kill_runs import Place
from tests.connectors.rest_systems import Systems, running
from tests.systems.small_world import write_small_world

FIRST_DAY, YEARS = date(2019, 1, 1), 5
BEGIN, END = date(2019, 3, 5), date(2023, 12, 20)
CONTRACTS = {
    "social_insurance": "social_insurance__contribution",
    "electricity": "electricity__daily_usage",
    "tax_returns": "tax_returns__return",
    "housing_fund": "housing_fund__deposit",
    "customs": "customs__declaration",
}
DEPARTMENTS = ("courts", "vat_invoices", "land", *CONTRACTS)
# The contract that answers a change comes this many days after it.
ANSWERED_AFTER = {"social_insurance": 30, "electricity": 5, "tax_returns": 12, "housing_fund": 9, "customs": 40}
NEW_VERSION = "1.1.0"
BREAKER_SECONDS = 0.2


@contextlib.contextmanager
def systems(folder: Path, firms: int = 12) -> Iterator[Systems]:
    """The government platform of a small world of five years."""
    write_small_world(folder / "world", firms=firms, first_day=FIRST_DAY, days=366 * YEARS)
    with running(folder, "government", today=str(BEGIN)) as started:
        yield started


def place(started: Systems, folder: Path) -> Place:
    """A lakehouse with the contracts of before all changes."""
    connected = started.place(folder, "lakehouse")
    project = folder / "project"
    (project / "contracts").mkdir(parents=True)
    for path in sorted((PROJECT_DIR / "contracts").glob("*.yaml")):
        (project / "contracts" / path.name).write_bytes(path.read_bytes())
    for contract_id in CONTRACTS.values():
        _write(project, contract_id, _before(_document(contract_id)))
    return replace(connected, project=project)


def answer(project: Path, department: str) -> None:
    """Puts the contract in place that knows the department's change."""
    document = _document(CONTRACTS[department]) | {"version": NEW_VERSION}
    columns = {entry["name"]: entry for entry in document["schema"][0]["properties"]}
    if department == "customs":
        own = columns["direction"]["customProperties"]
        own.append({"property": "variants", "value": [{"schemaVersion": 2, "codes": {"1": "import", "0": "export"}}]})
    if department == "social_insurance":
        state = {"name": "payment_state", "physicalName": "jfzt", "logicalType": "string", "classification": "internal"}
        document["schema"][0]["properties"].append(state)
        feed = next(e["value"] for e in document["customProperties"] if e["property"] == "feed")
        feed["options"]["acceptedVersions"] = [2]
    _write(project, CONTRACTS[department], document)


def _before(document: dict[str, Any]) -> dict[str, Any]:
    """A contract without what it knows of later schema versions."""
    for entry in document["schema"][0]["properties"]:
        own = entry.get("customProperties", [])
        entry["customProperties"] = [each for each in own if each["property"] != "variants"]
    feed = next(e["value"] for e in document["customProperties"] if e["property"] == "feed")
    feed["options"].pop("acceptedVersions", None)
    return document


def _document(contract_id: str) -> dict[str, Any]:
    return yaml.safe_load((PROJECT_DIR / "contracts" / f"{contract_id}.yaml").read_text(encoding="utf-8"))


def _write(project: Path, contract_id: str, document: dict[str, Any]) -> None:
    path = project / "contracts" / f"{contract_id}.yaml"
    path.write_text(json.dumps(document, ensure_ascii=False, default=str), encoding="utf-8")
    contracts.load(path)


def short_days() -> dict[date, set[str]]:
    """Days around each event, with the departments to pull: enough to see every one begin and end."""
    wanted: dict[date, set[str]] = {BEGIN: set(DEPARTMENTS), END: set(DEPARTMENTS)}
    for outage in OUTAGES:
        first, last = outage.first(FIRST_DAY), outage.last(FIRST_DAY)
        hit = {outage.department} if outage.department in DEPARTMENTS else set(DEPARTMENTS)
        for day in (first - timedelta(1), first, last, last + timedelta(1)):
            wanted.setdefault(day, set()).update(hit)
    for change in SCHEMA_CHANGES:
        on, answered = change.date(FIRST_DAY), ANSWERED_AFTER[change.department]
        for after in (-1, answered // 2 + 1, answered - 1, answered, answered + 20):
            wanted.setdefault(on + timedelta(after), set()).add(change.department)
    return dict(sorted(wanted.items()))


def all_days(departments: Sequence[str]) -> dict[date, set[str]]:
    """Every day around each event and every seventh between them, with all departments."""
    spans = [(o.first(FIRST_DAY), o.last(FIRST_DAY)) for o in OUTAGES]
    spans += [(c.date(FIRST_DAY), c.date(FIRST_DAY) + timedelta(ANSWERED_AFTER[c.department])) for c in SCHEMA_CHANGES]
    near = {first - timedelta(2) + timedelta(k) for first, last in spans for k in range((last - first).days + 5)}
    weekly = {BEGIN + timedelta(7 * k) for k in range((END - BEGIN).days // 7 + 1)}
    return {day: set(departments) for day in sorted(near | weekly | {END})}


def pull(started: Systems, place: Place, days: dict[date, set[str]], patch: pytest.MonkeyPatch) -> None:
    """Pulls the departments of every day; where one is away it is asked again, as a scheduler does."""
    patch.setenv("VINELAKE_BREAKER_SECONDS", str(BREAKER_SECONDS))
    waiting = {c.department: c.date(FIRST_DAY) + timedelta(ANSWERED_AFTER[c.department]) for c in SCHEMA_CHANGES}
    with place.entered():
        for day, departments in days.items():
            started.today(str(day))
            rest_auth._TOKENS.clear()  # a token lives for minutes, and a task's process no longer than its task
            for department in [name for name, due in waiting.items() if due <= day]:
                answer(place.project, department)
                del waiting[department]
            failed = False
            for department in sorted(departments):
                failed |= _pull_until_it_makes_no_sense(day, department)
            if failed:
                time.sleep(BREAKER_SECONDS)  # the night: the breaker lets through again


def _pull_until_it_makes_no_sense(day: date, department: str, attempts: int = 4) -> bool:
    for _ in range(attempts):
        try:
            runner.pull_department(str(day), f"government__{department}")
            return False
        except SourceError as error:
            if not error.is_transient:
                return True
    return True


def outages_of(department: str) -> list[Outage]:
    """Every outage that hits a department."""
    return [o for o in OUTAGES if o.department in (department, "platform", "token")]


def change_of(department: str) -> SchemaChange:
    """The department's schema change."""
    return next(c for c in SCHEMA_CHANGES if c.department == department)
