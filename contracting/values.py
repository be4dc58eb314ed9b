"""A value as sent, read as a contract's column demands: the typed value and why it would be quarantined.

This is what bronze does in the engine (`spark_jobs.row_rules`), in Python and for one value at a time, with the same
reason codes. It is for trying a contract out; bronze's word counts.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from lakehouse.contracts import Column

SPELLED = (("yyyy", "%Y"), ("y", "%Y"), ("MM", "%m"), ("M", "%m"), ("dd", "%d"), ("d", "%d"))
NUMBER = re.compile(r"[+-]?[0-9]*([.][0-9]*)?")
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
GROUPED = r"[+-]?[0-9]{{1,3}}({0}[0-9]{{3}})*([.][0-9]+)?"


def text_of(value: Any) -> str | None:
    """A value as the text that rules look at; None for none."""
    if value is None:
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.strip(" ") or None


def read(column: Column, value: Any, received_on: date) -> tuple[Any, list[str]]:
    """(the value in the column's type or None, reason codes)."""
    text = text_of(value)
    if text is None:
        return None, [f"missing:{column.name}"] if column.required else []
    if column.is_personal:
        return "sealed", []
    if column.codes:
        text = column.codes.get(text)
        if text is None:
            return None, [f"unknown_code:{column.name}"]
    typed = _typed(column, text)
    if typed is None:
        return None, [f"bad_type:{column.name}"]
    return typed, list(_broken(column, typed, received_on))


def _broken(column: Column, typed: Any, received_on: date) -> Iterator[str]:
    if column.pattern and not re.search(column.pattern, str(typed)):
        yield f"bad_pattern:{column.name}"
    if column.minimum is not None and typed < _bound(column, column.minimum):
        yield f"below_minimum:{column.name}"
    if column.maximum is not None and typed > _bound(column, column.maximum):
        yield f"above_maximum:{column.name}"
    if column.not_after_received:
        day = typed.date() if isinstance(typed, datetime) else typed
        if day > received_on:
            yield f"after_received:{column.name}"


def _typed(column: Column, text: str) -> Any:
    if column.spark_type == "string":
        return text
    if column.spark_type == "boolean":
        return {"true": True, "false": False}.get(text.lower())
    if column.spark_type == "bigint":
        return int(text) if WHOLE.fullmatch(text) else None
    if column.spark_type.startswith("decimal"):
        return _decimal(column, text)
    if column.spark_type == "date":
        return _day(text, column.date_format)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _decimal(column: Column, text: str) -> Decimal | None:
    if (separator := column.group_separator) and re.fullmatch(GROUPED.format(re.escape(separator)), text):
        text = text.replace(separator, "")
    precision, places = map(int, column.spark_type[len("decimal(") : -1].split(","))
    try:
        number = Decimal(text) * Decimal(column.scale or 1) if NUMBER.fullmatch(text) else None
        exact = number.quantize(Decimal(1).scaleb(-places)) if number is not None else None
    except InvalidOperation:
        return None
    fits = exact is not None and exact == number and abs(exact) < Decimal(10) ** (precision - places)
    return exact if fits else None


def _day(text: str, style: str) -> date | None:
    for fmt in _formats(style):
        try:
            return datetime.strptime(text, fmt).date()
        except ValueError:
            continue
    return None


@lru_cache(maxsize=64)
def _formats(style: str) -> tuple[str, ...]:
    """Spark's pattern of a date as Python writes it: one a way of taking what stands in brackets, or leaving it."""
    pieces = re.split(r"\[([^\]]*)\]", style)
    choices = [(piece,) if i % 2 == 0 else (piece, "") for i, piece in enumerate(pieces)]
    return tuple(_python("".join(chosen)) for chosen in itertools.product(*choices))


def _python(style: str) -> str:
    found, at = "", 0
    while at < len(style):
        spelled = next(((s, p) for s, p in SPELLED if style.startswith(s, at)), None)
        found += spelled[1] if spelled else style[at].replace("%", "%%")
        at += len(spelled[0]) if spelled else 1
    return found


def _bound(column: Column, text: str) -> Any:
    if column.spark_type == "date":
        return date.fromisoformat(text)
    if column.spark_type == "bigint":
        return Decimal(text)
    return Decimal(text) if column.spark_type.startswith("decimal") else text


def sent_under(column: Column, record: Mapping[str, Any]) -> Any:
    """The value of a column in a flat record; what is nested below its name as text, where it takes that whole."""
    if column.source_name in record:
        return record[column.source_name]
    below = {n: v for n, v in record.items() if n.startswith(column.source_name + ".")}
    return str(below) if below else None
