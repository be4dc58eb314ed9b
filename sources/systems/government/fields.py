"""How a department writes a value: field name, type and format over the world's columns.

A field is a DuckDB expression over the columns of a dataset's projection, so that pages and bulk files are written
by the same declaration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Field:
    """One field of a department's record: its name there, its expression here, its type and what it means."""

    name: str
    sql: str
    kind: str  # string, integer or number, as JSON knows them
    about: str
    example: Any
    unit: str = ""
    codes: dict[str, str] = field(default_factory=dict)  # code → meaning, where the values are a list
    pattern: str = ""

    def json_schema(self) -> dict[str, Any]:
        """The field in an OpenAPI schema; every field may be null, departments leave gaps."""
        about = f"{self.about} [{self.unit}]" if self.unit else self.about
        if self.codes:
            about += ": " + ", ".join(f"{code} = {meaning}" for code, meaning in self.codes.items())
        schema: dict[str, Any] = {"type": [self.kind, "null"], "description": about, "examples": [self.example]}
        if self.codes:
            schema["enum"] = [*self.codes, None]
        if self.pattern:
            schema["pattern"] = self.pattern
        return schema


DAY_FORMATS = {
    "%Y-%m-%d": ("2019-03-05", r"^\d{4}-\d{2}-\d{2}$"),
    "%Y%m%d": ("20190305", r"^\d{8}$"),
    "%Y/%m/%d": ("2019/03/05", r"^\d{4}/\d{2}/\d{2}$"),
    "%d.%m.%Y": ("05.03.2019", r"^\d{2}\.\d{2}\.\d{4}$"),
    "%Y年%m月%d日": ("2019年03月05日", r"^\d{4}年\d{2}月\d{2}日$"),
    "%Y%m": ("201903", r"^\d{6}$"),
    "%Y-%m": ("2019-03", r"^\d{4}-\d{2}$"),
}


def text(name: str, sql: str, about: str, example: str) -> Field:
    """Free text or a key."""
    return Field(name, f"({sql})::VARCHAR", "string", about, example)


def day(name: str, column: str, about: str, style: str = "%Y-%m-%d") -> Field:
    """A day or month, written in one of `DAY_FORMATS`."""
    example, pattern = DAY_FORMATS[style]
    return Field(name, f"strftime({column}, '{style}')", "string", about, example, pattern=pattern)


def whole(name: str, sql: str, about: str, example: int, unit: str = "") -> Field:
    """A whole number."""
    return Field(name, f"({sql})::BIGINT", "integer", about, example, unit)


def number(name: str, sql: str, about: str, example: float, unit: str = "", places: int = 2) -> Field:
    """A decimal number, rounded to `places`."""
    return Field(name, f"round(({sql})::DOUBLE, {places})", "number", about, example, unit)


def yuan(name: str, column: str, about: str) -> Field:
    """Money as a number of yuan."""
    return Field(name, f"round({column} / 100.0, 2)::DOUBLE", "number", about, 12345.67, "CNY")


def yuan_text(name: str, column: str, about: str) -> Field:
    """Money as text of yuan with two decimals."""
    sql = f"({column} / 100.0)::DECIMAL(18, 2)::VARCHAR"
    return Field(name, sql, "string", about, "12345.67", "CNY", pattern=r"^-?\d+\.\d{2}$")


def fen(name: str, column: str, about: str) -> Field:
    """Money as whole fen."""
    return Field(name, f"({column})::BIGINT", "integer", about, 1234567, "fen")


def coded(name: str, sql: str, about: str, codes: dict[str, tuple[str, str]], other: str) -> Field:
    """A code: world's value → (code, meaning); `other` is the code of whatever is not listed."""
    cases = " ".join(f"WHEN '{value}' THEN '{code}'" for value, (code, _) in codes.items())
    meanings = dict(codes.values()) | {other: "other"}
    expression = f"CASE WHEN ({sql}) IS NULL THEN NULL ELSE CASE ({sql})::VARCHAR {cases} ELSE '{other}' END END"
    return Field(name, expression, "string", about, next(iter(meanings)), codes=meanings)
