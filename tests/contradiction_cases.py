"""Small silver by hand for contradictions: a liar, who looks like one, an honest firm and another, in DuckDB."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd

from lakehouse import contracts
from lakehouse.settings import PROJECT_DIR
from spark_jobs.contradictions import catalogue, statement
from tests.duck_dialect import prepare

KINDS = {kind.name: kind for kind in catalogue.load()}
CONFORMED = {
    "enterprise_key": {"system": "string", "department": "string", "key": "string", "enterprise_id": "string"},
    "equipment_reading": {
        "event_id": "string", "read_at": "timestamp", "machine_id": "string", "running_minutes": "int",
        "output_units": "bigint", "energy_kwh": "decimal(18,3)",
    },
    "department_subject": {"department": "string", "department_key": "string", "code": "string"},
}  # fmt: skip
TYPES = {"string": "varchar", "int": "integer", "boolean": "boolean"}
LIAR, ALIKE, HONEST, OTHER = (f"91330100MA2{n:07d}" for n in (1, 2, 3, 4))
FIRMS = (LIAR, ALIKE, HONEST, OTHER)


def columns_of(table: str) -> dict[str, str]:
    """Columns of a table of silver, by its contract, and those that every versioned table has."""
    trace = {"version_no": "int", "known_at": "timestamp"}
    if table in CONFORMED:
        return CONFORMED[table] | trace
    of = contracts.load_all(PROJECT_DIR / "contracts").values()
    contract = next(c for c in of if c.silver and c.silver.table == f"silver.{table}")
    return {c.name: c.spark_type for c in contract.columns} | trace


class Silver:
    """Tables of silver in DuckDB, made of the rows a test gives; what a row does not say is empty."""

    def __init__(self, rows: Mapping[str, list[dict[str, Any]]]) -> None:
        self.db = duckdb.connect()
        prepare(self.db)
        for table, given in rows.items():
            kinds = columns_of(table)
            cells = ", ".join(f"{name} {TYPES.get(kind, kind)}" for name, kind in kinds.items())
            self.db.execute(f"create table {table} ({cells})")
            for row in given:
                assert set(row) <= set(kinds), (table, set(row) - set(kinds))
                told = {"version_no": 1, **row}
                marks = ", ".join("?" for _ in told)
                self.db.execute(f"insert into {table} ({', '.join(told)}) values ({marks})", list(told.values()))
        self.relations = {f"silver.{table}": table for table in rows}

    def found(self, kind: str) -> pd.DataFrame:
        plan = statement.plan([KINDS[kind]], self.relations)
        assert not plan.left_out, plan.left_out
        for step in (*plan.facts, *plan.figures.values()):
            self.db.execute(f"create or replace view {step.view} as {step.sql}")
        return self.db.sql(statement.findings(KINDS[kind], plan.figures[kind].view, plan.registered)).df()


def at(day: date, hour: int = 9) -> datetime:
    return datetime(day.year, day.month, day.day, hour)


def identities() -> dict[str, list[dict[str, Any]]]:
    """Four firms of the register, and their numbers at every department that a test uses."""
    known_at = datetime(2018, 12, 1)
    keys = [
        {"system": d, "department": d, "key": f"{d}-{firm}", "enterprise_id": firm, "known_at": known_at}
        for d in ("land", "platform", "core_bank", "payments", "social_insurance", "field")
        for firm in FIRMS
    ]
    registered = [
        {"enterprise_key": f"r-{firm}", "uscc": firm, "name": f"firm {firm}", "address": f"street {firm}",
         "legal_person_number": f"person {firm}", "known_at": known_at}
        for firm in FIRMS
    ]  # fmt: skip
    return {"enterprise_key": keys, "registered_enterprise": registered}


def farms(claims: Mapping[str, tuple[float, float]]) -> dict[str, list[dict[str, Any]]]:
    plots, seen = [], []
    for firm, (claimed, registered) in claims.items():
        for year in (2019, 2020):
            lies = claimed if year == 2020 else min(claimed, 100.0)
            plots.append({
                "plot_number": f"DK{firm}", "holder_number": f"land-{firm}", "plot_year": year, "land_use": "farm",
                "claimed_area_mu": lies, "registered_area_mu": registered, "known_at": at(date(year, 2, 20)),
            })  # fmt: skip
            for turn in range(12):
                day = date(year, 1, 10) + timedelta(days=16 * turn)
                area = None if turn % 4 == 3 else 100.0 + (-1) ** turn
                seen.append({"plot_number": f"DK{firm}", "observed_on": day, "sensed_area_mu": area,
                             "known_at": at(day + timedelta(days=4))})  # fmt: skip
    return identities() | {"land_plot": plots, "plot_observation": seen}


def warehouse(twins: Mapping[str, tuple[int, int, float, str, str]]) -> dict[str, list[dict[str, Any]]]:
    """`twins`: firm → quantities of its two receipts, how far the second heap reads off, and their lot codes."""
    receipts, sensors = [], []
    start = date(2020, 3, 2)
    for firm, (first, second, off, code, other_code) in twins.items():
        for number, quantity, lot, bank in ((1, first, code, "B01"), (2, second, other_code, "B02")):
            name = f"WR{number}{firm}"
            receipts.append({
                "event_id": name, "event_type": "receipt_issued", "event_at": at(start), "receipt_number": name,
                "owner_member_id": f"platform-{firm}", "good": "steel", "quantity_units": quantity, "lot_code": lot,
                "pledged_to_institution": bank, "known_at": at(start, 10),
            })  # fmt: skip
            for turn in range(7):
                day = start + timedelta(days=turn)
                volume = round(quantity * 0.02 * (1 + 0.01 * (-1) ** turn) + (number - 1) * off, 3)
                for sensor, reading in (
                    ("volume_m3", volume),
                    ("weight_kg", volume * 600),
                    ("camera_boxes", volume * 12),
                ):
                    sensors.append({
                        "event_id": f"{name}{sensor}{turn}", "event_at": at(day, 21), "receipt_number": name,
                        "sensor": sensor, "reading": reading, "door_openings": 1, "known_at": at(day, 22),
                    })  # fmt: skip
    return identities() | {"platform_warehouse_receipt": receipts, "platform_warehouse_sensor": sensors}


def receivables(second: Mapping[str, tuple[str, date | None]]) -> dict[str, list[dict[str, Any]]]:
    """Each firm's invoice of 2 March at bank B01 from the 10th on, and at B02 from 10 May on.

    `second`: firm → the number under which B02 registers it, and the day on which B01 lets go.
    """
    bills, registered = [], []
    for place, (firm, (number, released_on)) in enumerate(second.items()):
        own, amount = f"31000{place}1", 90_000 + place
        bills.append({
            "record_id": f"I{firm}", "invoice_number": own, "issued_on": date(2020, 3, 2), "good": "steel",
            "seller_tax_number": firm, "buyer_tax_number": "buyer", "status": "valid",
            "amount_excl_tax_cny": amount, "amount_incl_tax_cny": amount, "known_at": at(date(2020, 3, 5)),
        })  # fmt: skip
        first = {
            "record_id": f"V1{firm}", "debtor_code": firm, "lender_name": "B01", "invoice_number": own,
            "value_cny": amount, "registered_on": date(2020, 3, 10), "known_at": at(date(2020, 3, 12)),
        }  # fmt: skip
        again = {"record_id": f"V2{firm}", "lender_name": "B02", "invoice_number": number,
                 "registered_on": date(2020, 5, 10), "known_at": at(date(2020, 5, 12))}  # fmt: skip
        registered += [first, first | again]
        if released_on:
            ended = {"ended_on": released_on, "version_no": 2, "known_at": at(released_on + timedelta(days=2))}
            registered.append(first | ended)
    return identities() | {"ledger_invoice": bills, "receivable_registration": registered}


def applications(device: Mapping[str, str], phone: Mapping[str, str], day: Mapping[str, date]) -> dict[str, Any]:
    told = [
        {"application_number": f"AP{firm}", "customer_number": f"core_bank-{firm}", "applied_on": day[firm],
         "device_id": device[firm], "contact_phone": phone[firm], "known_at": at(day[firm], 11)}
        for firm in device
    ]  # fmt: skip
    return identities() | {"bank_application": told, "shareholder": []}


def tables_read() -> set[str]:
    """Every table of silver that a statement may read, without its schema."""
    texts = "".join(path.read_text(encoding="utf-8") for path in catalogue.folder().glob("*/*.sql"))
    return set(re.findall(r"(?:silver|versions)\('(\w+)'\)", texts))
