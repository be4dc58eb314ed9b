"""A small random silver: every table that source features read, with versions, late facts and late identities.

Rows are plain dictionaries, so that an oracle can read them without an engine; `frames` makes views of them. Columns
and keys come from the contracts. Facts lie before the day on which they are known; only what the catalogue calls agreed
on beforehand, and the end of a loan in history that is known by assumption, may lie after.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from lakehouse import contracts
from lakehouse.settings import PROJECT_DIR
from spark_jobs.source_features import catalogue, identity, job

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ZONE = ZoneInfo("Asia/Shanghai")
FIRST, LAST = date(2018, 1, 1), date(2020, 6, 30)
FIRMS = [f"91330100MA2{number:07d}" for number in range(12)]
TRACE = {"version_no": "int", "known_at": "timestamp"}
CONFORMED = {
    "silver.department_subject": {"department": "string", "department_key": "string", "code": "string"},
    "silver.enterprise": {
        "enterprise_id": "string", "registered_on": "date", "registered_capital_cny": "decimal(18,2)",
        "staff": "bigint",
    },
    "silver.loan": {
        "loan_id": "string", "enterprise_id": "string", "drawn_on": "date", "due_on": "date", "closed_on": "date",
        "principal_cny": "decimal(18,2)",
    },
    "silver.equipment_reading": {
        "event_id": "string", "read_at": "timestamp", "machine_id": "string", "running_minutes": "int",
        "output_units": "bigint", "energy_kwh": "decimal(18,3)", "alarm_code": "int",
    },
}  # fmt: skip
CHOICES = {
    "direction": ("export", "import"), "country": ("DE", "US", "JP", "VN"), "finding": (None, "limit_exceeded"),
    "change_kind": ("renamed", "moved", "legal_person"), "owner_kind": ("enterprise", "natural_person"),
    "penalty_kind": ("tax", "safety"), "good": ("steel", "yarn"), "alarm_code": (0, 0, 3),
}  # fmt: skip
EVENTS = {
    "silver.platform_order": ("order_placed", "order_cancelled"), "silver.platform_waybill": ("shipped", "received"),
    "silver.platform_warehouse_receipt": ("receipt_issued", "receipt_released"),
}  # fmt: skip
# Columns that hold a number of a department, or a firm's code.
NUMBERS = {
    "taxpayer_id": "tax_returns", "employer_number": "social_insurance", "employer_account": "housing_fund",
    "customs_code": "customs", "party_number": "penalties", "permit_number": "environment",
    "customer_number": "core_bank",
    "guarantor_customer_number": "core_bank", "member_id": "platform", "owner_member_id": "platform",
    "seller_member_id": "platform", "buyer_member_id": "platform", "sender_member_id": "platform",
    "recipient_member_id": "platform", "enterprise_key": "business_registry",
}  # fmt: skip
ACCOUNTS = {
    "silver.electricity_daily_usage": "electricity", "silver.water_bill": "water", "silver.gas_bill": "gas",
    "silver.account_day": "payments", "silver.payment_account": "payments", "silver.payroll_run": "payments",
    "silver.pos_day": "payments",
}  # fmt: skip
CODES = {"uscc", "defendant_code", "owner_code", "enterprise_id"}
LINKS = {"loan_number": "L", "machine_id": "M"}


def make(seed: int, records: int = 140) -> dict[str, list[dict[str, Any]]]:
    """Versions by table; the same seed gives the same rows."""
    families, chance = catalogue.load(), random.Random(seed)
    found: dict[str, list[dict[str, Any]]] = {}
    for table in sorted(job.tables_read(families) - {identity.SUBJECT, identity.REGISTRY}):
        keys, columns = keys_of(table), columns_of(table)
        held: dict[tuple, list[dict]] = {}
        for number in range(records):
            versions = _record(chance, table, columns, keys, number)
            held.setdefault(tuple(versions[0][k] for k in keys), versions)
        found[table] = [row for versions in held.values() for row in versions]
    return found | _identities(chance)


def keys_of(table: str) -> tuple[str, ...]:
    """What identifies a record, by its contract."""
    from lakehouse import known

    keys = known.record_keys(table)
    assert keys
    return keys


def columns_of(table: str) -> dict[str, str]:
    """The columns of a table with their types."""
    if table in CONFORMED:
        return CONFORMED[table]
    of = contracts.load_all(PROJECT_DIR / "contracts").values()
    contract = next(c for c in of if c.silver and c.silver.table == table)
    return {c.name: c.spark_type for c in contract.columns}


def frames(spark: SparkSession, world: Mapping[str, list[dict[str, Any]]], folder: Path) -> dict[str, str]:
    """A view of every table, over a file of it; returns where each is read."""
    import pyarrow as pa

    for table, rows in world.items():
        columns = columns_of(table) | TRACE
        arrays = {n: pa.array([row.get(n) for row in rows], _arrow(kind)) for n, kind in columns.items()}
        view(spark, _view(table), pa.table(arrays), folder)
    return {table: _view(table) for table in world}


def view(spark: SparkSession, name: str, rows: Any, folder: Path) -> str:
    """A view over a file of an Arrow table; returns its name."""
    import pyarrow.parquet as pq

    path = folder / f"{name}.parquet"
    pq.write_table(rows, path)
    spark.read.parquet(str(path)).createOrReplaceTempView(name)
    return name


def midnight(day: date) -> datetime:
    """00:00 of a day in business time."""
    return datetime.combine(day, time(), ZONE)


def _view(table: str) -> str:
    return f"world_{table.partition('.')[2]}"


def _record(chance: random.Random, table: str, columns: Mapping[str, str], keys: tuple, number: int) -> list[dict]:
    """The versions of one record; what identifies it is the same in all, its day sometimes corrected."""
    day, versions = _day(chance), chance.choice((1, 1, 1, 2, 3))
    fixed: dict[str, Any] = {}
    told = []
    for version in range(1, versions + 1):
        happened = day if version == 1 or chance.random() < 0.8 else _day(chance)
        known = midnight(happened) + timedelta(days=chance.randint(1, 90), hours=chance.randint(0, 23))
        row = {name: _cell(chance, table, name, kind, happened, known) for name, kind in columns.items()}
        row |= {name: _key(name, columns[name], row[name], number) for name in keys}
        row |= {name: fixed.setdefault(name, row[name]) for name in keys}
        if table in EVENTS:
            row["event_type"] = EVENTS[table][min(version, 2) - 1]
        told.append(row | {"version_no": version, "known_at": known})
    return told


def _key(name: str, kind: str, value: Any, number: int) -> Any:
    """A value of a key: a party or a day as drawn, anything else counted up."""
    if name in NUMBERS or name in CODES or name == "account_number" or kind in ("date", "timestamp"):
        return value
    if name in LINKS:
        return f"{LINKS[name]}{number}"
    return number if kind in ("int", "bigint") else f"K{number}"


def _cell(chance: random.Random, table: str, name: str, kind: str, day: date, known: datetime) -> Any:
    firm = chance.randrange(len(FIRMS))
    if name in CODES:
        return FIRMS[firm]
    if name in NUMBERS or name == "account_number":
        return f"{NUMBERS.get(name) or ACCOUNTS[table]}-{firm}"
    if name in LINKS:
        return f"{LINKS[name]}{chance.randrange(40)}"
    if name in CHOICES:
        return chance.choice(CHOICES[name])
    if name == "due_on":
        return day + timedelta(days=chance.randint(30, 400))
    if name == "closed_on" and table == "silver.loan":
        return day + timedelta(days=chance.randint(30, 400)) if chance.random() < 0.6 else None
    if kind == "date":
        return _date(chance, table, name, day, known)
    if kind == "timestamp":
        return midnight(day) + timedelta(hours=chance.randint(0, 23))
    if chance.random() < 0.1 and name in OPTIONAL:
        return None
    return _number(chance, name, kind)


OPTIONAL = {"declared_sales_cny", "insured_persons", "fine_cny", "staff", "line_utilisation_ratio", "night_ratio"}
LATER = {"paid_on", "closed_on", "ended_on", "held_until", "enforced_on", "judged_on", "filed_on"}
# Where such a day is the event itself.
HAPPENED = {("silver.bank_repayment", "paid_on"), ("silver.payroll_run", "paid_on"), ("silver.court_case", "filed_on")}


def _date(chance: random.Random, table: str, name: str, day: date, known: datetime) -> date | None:
    if name not in LATER or (table, name) in HAPPENED:
        return day
    later = day + timedelta(days=chance.randint(1, 60))
    return later if later < known.date() else None


def _number(chance: random.Random, name: str, kind: str) -> Any:
    if found := re.fullmatch(r"decimal\(\d+,(\d+)\)", kind):
        scale = int(found[1])
        top = 1 if name.endswith("_ratio") else 4000
        return Decimal(chance.randint(0, top * 10**scale) * (chance.random() > 0.1)).scaleb(-scale)
    if kind == "boolean":
        return chance.random() < 0.3
    if kind in ("int", "bigint"):
        return chance.randint(-3, 60) if name == "quantity_units" else chance.randint(0, 60)
    return f"{name} {chance.randrange(5)}"


def _day(chance: random.Random) -> date:
    return FIRST + timedelta(days=chance.randrange((LAST - FIRST).days))


def _identities(chance: random.Random) -> dict[str, list[dict[str, Any]]]:
    """The registry and the departments' lists. Of every fourth number the code comes late; an old registration number
    belongs to one firm at first and later to two."""
    registry, subjects = [], []
    for number, firm in enumerate(FIRMS):
        shared = "R-shared" if number in (3, 4) else f"R-{number}"
        known = midnight(date(2017, 1, 1)) if number != 4 else midnight(date(2019, 11, 1))
        registry.append({"enterprise_key": f"business_registry-{number}", "uscc": firm, "registration_number": shared,
                         "version_no": 1, "known_at": known})  # fmt: skip
        for department in sorted({*NUMBERS.values(), *ACCOUNTS.values()}):
            code = "R-shared" if (number, department) == (3, "tax_returns") else firm
            late = chance.random() < 0.25
            named = {"department": department, "department_key": f"{department}-{number}"}
            first = midnight(date(2017, 6, 1))
            subjects.append(named | {"code": None if late else code, "version_no": 1, "known_at": first})
            if late:
                found = midnight(date(2019, chance.randint(1, 12), 10))
                subjects.append(named | {"code": code, "version_no": 2, "known_at": found})
    return {identity.REGISTRY: registry, identity.SUBJECT: subjects}


def _arrow(kind: str) -> Any:
    import pyarrow as pa

    if found := re.fullmatch(r"decimal\((\d+),(\d+)\)", kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    plain = {"string": pa.string(), "date": pa.date32(), "boolean": pa.bool_(), "int": pa.int32(), "bigint": pa.int64()}
    return pa.timestamp("us", tz="Asia/Shanghai") if kind == "timestamp" else plain[kind]
