"""Outages and schema changes of the government platform, on set days of the world: all are declared here.

Days are given as year of the world (1 is the first), month and day, so that they fall alike in every world.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.fields import Field, coded, fen, number, yuan_text

NOTICE_DAYS = 30  # a schema change is announced this long before


@dataclass(frozen=True)
class Outage:
    """Days on which a department (or all, or the token service) answers 503."""

    department: str  # a department's name, "platform" for all of them, "token" for the token service
    on: tuple[int, int, int]
    days: int
    about: str

    def first(self, first_day: date) -> date:
        return world_date(self.on, first_day)

    def last(self, first_day: date) -> date:
        """The last day of the outage."""
        return self.first(first_day) + timedelta(days=self.days - 1)

    def holds(self, today: date, first_day: date) -> bool:
        return self.first(first_day) <= today <= self.last(first_day)


@dataclass(frozen=True)
class SchemaChange:
    """A change of a dataset's fields: `replaces` maps the old name to the new field, `adds` come at the end."""

    department: str
    dataset: str
    on: tuple[int, int, int]
    kind: str
    about: str
    replaces: dict[str, Field]
    adds: tuple[Field, ...] = ()

    def date(self, first_day: date) -> date:
        return world_date(self.on, first_day)


OUTAGES = (
    Outage("electricity", (1, 3, 11), 4, "meter data platform moved to a new hall"),
    Outage("courts", (1, 10, 8), 9, "case system closed for inventory after the holidays"),
    Outage("platform", (2, 2, 20), 2, "power failure in the city's data centre"),
    Outage("vat_invoices", (2, 11, 30), 5, "overload at the month's end"),
    Outage("social_insurance", (3, 6, 12), 12, "provinces' systems merged"),
    Outage("token", (4, 8, 3), 1, "certificate of the token service expired"),
    Outage("land", (5, 4, 15), 20, "land and housing registers merged"),
)

SCHEMA_CHANGES = (
    SchemaChange(
        "social_insurance",
        "contributions",
        (1, 7, 1),
        "new field",
        "a payment state is added",
        {},
        (
            coded(
                "jfzt",
                "CASE WHEN paid_on IS NULL THEN 'open' WHEN paid_fen < due_fen THEN 'part' ELSE 'paid' END",
                "payment state",
                {"open": ("0", "unpaid"), "part": ("1", "paid in part"), "paid": ("2", "paid")},
                "9",
            ),
        ),
    ),
    SchemaChange(
        "electricity",
        "daily_usage",
        (2, 4, 1),
        "field renamed",
        "ydl is now called zxygdl",
        {"ydl": number("zxygdl", "energy_kwh", "active energy, forward", 812.4, "kWh", 3)},
    ),
    SchemaChange(
        "tax_returns",
        "returns",
        (3, 1, 1),
        "type changed",
        "amounts due and paid are now text with two decimals",
        {
            "ynse": yuan_text("ynse", "payable_fen", "tax due"),
            "yjse": yuan_text("yjse", "paid_fen", "tax paid"),
        },
    ),
    SchemaChange(
        "housing_fund",
        "deposits",
        (4, 1, 1),
        "unit changed",
        "amounts are now whole fen under the same names",
        {
            "yjje": fen("yjje", "due_fen", "deposit due"),
            "sjje": fen("sjje", "paid_fen", "deposit paid"),
        },
    ),
    SchemaChange(
        "customs",
        "declarations",
        (5, 1, 1),
        "code list changed",
        "direction is now coded by digits",
        {
            "ie_flag": coded(
                "ie_flag",
                "direction",
                "direction",
                {"import": ("1", "import"), "export": ("0", "export")},
                "9",
            )
        },
    ),
)


def world_date(on: tuple[int, int, int], first_day: date) -> date:
    """A year of the world, month and day as a date."""
    return date(first_day.year + on[0] - 1, on[1], on[2])


def outage(department: str, today: date, first_day: date) -> Outage | None:
    """The outage that keeps a department (or `token`) from answering today, if there is one."""
    for entry in OUTAGES:
        hit = entry.department == department or (entry.department == "platform" and department != "token")
        if hit and entry.holds(today, first_day):
            return entry
    return None


def changes_of(department: str, dataset: str) -> list[SchemaChange]:
    """All changes of a dataset, in order."""
    found = [c for c in SCHEMA_CHANGES if (c.department, c.dataset) == (department, dataset)]
    return sorted(found, key=lambda change: change.on)


def fields_on(department: str, dataset: str, today: date, first_day: date) -> tuple[tuple[Field, ...], int]:
    """The fields of a dataset in force on a day, and the number of that version (1 is the first)."""
    declared = next(d for p in DEPARTMENTS if p.name == department for d in p.datasets if d.name == dataset)
    fields, version = list(declared.fields), 1
    for change in changes_of(department, dataset):
        if change.date(first_day) <= today:
            fields = [change.replaces.get(field.name, field) for field in fields] + list(change.adds)
            version += 1
    return tuple(fields), version
