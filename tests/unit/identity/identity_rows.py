"""Rows of departments and of the change book for tests: one call a row, everything else at its default."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import count

import pyarrow as pa

from spark_jobs.identity import codes
from spark_jobs.identity.mentions import CHANGES, ROWS

FIRST = date(2020, 1, 1)
_numbers = count(1)


def day(number: int) -> datetime:
    """The moment `number` days after the first."""
    return datetime(FIRST.year, FIRST.month, FIRST.day) + timedelta(days=number)


def uscc(serial: int, region: str = "320500") -> str:
    """A sound code by number."""
    organisation = f"MA{serial:06d}"
    body = f"91{region}{organisation}{codes.organisation_check(organisation)}"
    return body + codes.check_character(body)


def row(department: str, key: str, name: str | None, known: int = 0, **other) -> dict:
    """A department's row of a party, known `known` days after the first."""
    told = dict.fromkeys(ROWS.names) | {"system": department, "department": department, "local_key": key, "name": name}
    return told | {"known_at": day(known), "known_at_is_assumed": False} | other


def registered(number: int, name: str, known: int = 0, **other) -> dict:
    """A registry entry with a code and an old registration number of its own."""
    told = {"code": uscc(number), "registration_number": f"3205000{number:08d}", "founded_on": date(2010, 1, 1)}
    return row("business_registry", f"R{number}", name, known, system="registry", **{**told, **other})


def change(number: int, kind: str, on: date, known: int, **other) -> dict:
    """An entry of the change book on the firm of `registered(number)`."""
    told = dict.fromkeys(CHANGES.names) | {"change_id": str(next(_numbers)), "local_key": f"R{number}"}
    told |= {"uscc": uscc(number), "kind": kind, "changed_on": on, "known_at": day(known)}
    return told | {"known_at_is_assumed": False} | other


def rows(*told: dict) -> pa.Table:
    """ROWS."""
    return pa.Table.from_pylist(list(told), schema=ROWS)


def changes(*told: dict) -> pa.Table:
    """CHANGES."""
    return pa.Table.from_pylist(list(told), schema=CHANGES)
