"""Row rules: raw text columns become typed ones, and every reason a row cannot be accepted gets a code.

Pure functions, DataFrame in, DataFrame out. All conversions are `try_…`: under ANSI rules a bad value gives
a reason code, never a failed job.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contracts import Column, Contract

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RAW = "raw_"
CORRUPT = "raw__line"


def raw_schema(contract: Contract, header: tuple[str, ...]) -> str:
    """The schema to read a file with: every column as text, in the file's own order, and the whole line
    where its shape does not fit. Columns the contract does not know are read and dropped."""
    names = {c.source_name: RAW + c.name for c in contract.columns}
    cells = [f"`{names.get(cell, f'ignored_{i}')}` string" for i, cell in enumerate(header)]
    return ", ".join([*cells, f"`{CORRUPT}` string"])


def apply(raw: DataFrame, contract: Contract, received_on: date) -> DataFrame:
    """The contract's typed columns, `reasons` (array of codes, empty when the row is sound) and, only where
    there are reasons, the raw values by source name (`raw`) and the misshapen line (`raw_line`)."""
    typed = raw.selectExpr("*", *(f"{_typed(c)} AS `{c.name}`" for c in contract.columns))
    codes = [f"CASE WHEN {CORRUPT} IS NOT NULL THEN 'malformed_line' END"]
    for column in contract.columns:
        codes += _column_reasons(column, received_on)
    for rule in contract.row_rules:
        codes.append(f"CASE WHEN NOT ({rule.condition}) THEN '{rule.name}' END")
    judged = typed.selectExpr("*", f"array_compact(array({', '.join(codes)})) AS reasons")
    raw_values = ", ".join(f"{_quoted(c.source_name)}, `{RAW}{c.name}`" for c in contract.columns)
    return judged.selectExpr(
        *(f"`{c.name}`" for c in contract.columns),
        "source_file",
        "row_number",
        "reasons",
        f"CASE WHEN size(reasons) > 0 THEN map({raw_values}) END AS raw",
        f"`{CORRUPT}` AS raw_line",
    )


def _text(column: Column) -> str:
    return f"nullif(trim(`{RAW}{column.name}`), '')"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _typed(column: Column) -> str:
    text = _text(column)
    if column.codes:
        cases = " ".join(f"WHEN {_quoted(k)} THEN {_quoted(v)}" for k, v in column.codes.items())
        text = f"CASE {text} {cases} END"
    if column.spark_type == "string":
        return text
    if column.spark_type == "date":
        parsed = f"CAST(try_to_timestamp({text}, {_quoted(column.date_format)}) AS date)"
        if not re.search("[^A-Za-z]", column.date_format):
            return parsed
        # A year of six digits overflows inside `try_to_timestamp`, which then fails the job after all.
        return f"CASE WHEN NOT {text} RLIKE '[0-9]{{5}}' THEN {parsed} END"
    if column.spark_type.startswith("decimal"):
        # Powers of ten are refused: a spreadsheet that writes 1.23E+05 has lost digits already, and a huge
        # exponent overflows inside `try_cast`, which then fails the job after all.
        plain = f"CASE WHEN {text} RLIKE '^[+-]?[0-9.]+$' THEN {text} END"
        # More decimals than the type holds would be rounded without a word: such a value is refused.
        exact = f"try_cast({plain} AS decimal(38,10))"
        fitting = f"try_cast({plain} AS {column.spark_type})"
        return f"CASE WHEN {exact} = {fitting} THEN {fitting} END"
    return f"try_cast({text} AS {column.spark_type})"


def _column_reasons(column: Column, received_on: date) -> list[str]:
    name, text = f"`{column.name}`", _text(column)
    wrong = "unknown_code" if column.codes else "bad_type"
    reasons = [f"CASE WHEN {text} IS NOT NULL AND {name} IS NULL THEN '{wrong}:{column.name}' END"]
    if column.required:
        reasons.append(f"CASE WHEN {text} IS NULL THEN 'missing:{column.name}' END")
    if column.pattern:
        # (?d): the end mark `$` must not overlook a trailing separator such as U+0085 or U+2028.
        fits = f"{name} RLIKE {_quoted('(?d)' + column.pattern)}"
        reasons.append(f"CASE WHEN NOT {fits} THEN 'bad_pattern:{column.name}' END")
    literal = _quoted if column.spark_type in ("string", "date") else str
    cast = "date" if column.spark_type == "date" else ""
    if column.minimum is not None:
        reasons.append(f"CASE WHEN {name} < {cast}{literal(column.minimum)} THEN 'below_minimum:{column.name}' END")
    if column.maximum is not None:
        reasons.append(f"CASE WHEN {name} > {cast}{literal(column.maximum)} THEN 'above_maximum:{column.name}' END")
    if column.not_after_received:
        reasons.append(f"CASE WHEN {name} > date'{received_on}' THEN 'after_received:{column.name}' END")
    return reasons
