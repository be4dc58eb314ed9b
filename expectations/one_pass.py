"""A feed's table's expectations in one pass over its rows.

Bronze and silver have a table for every feed, and each day brings rows to most of them: one aggregate a table takes a
tenth of what a validation of the same rules by a library takes. Rules are the records of `suites.py`, whoever computes
them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from expectations.report import Finding
from expectations.suites import Expectation
from lakehouse.literals import quoted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Arguments = Mapping[str, Any]


def findings(
    spark: SparkSession,
    table: str,
    rows: str,
    expected: Sequence[Expectation],
    figures: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[Finding], dict[str, int]]:
    """What came of each expectation on `rows` (a relation in SQL), and the value of each further figure (SQL)."""
    broken = [f"{BROKEN[e.kind](e.arguments)} AS e{i}" for i, e in enumerate(expected)]
    others = [f"{expression} AS f{i}" for i, expression in enumerate(figures.values())]
    row = spark.sql(f"SELECT count(*) AS n, {', '.join([*broken, *others])} FROM {rows}").collect()[0]
    found = [finding(table, e, row["n"], int(row[f"e{i}"] or 0)) for i, e in enumerate(expected)]
    return found, {name: int(row[f"f{i}"] or 0) for i, name in enumerate(figures)}


def finding(table: str, expected: Expectation, checked: int, broken: int) -> Finding:
    """What came of an expectation: rows checked, and how many of them break it."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", expected.kind.removeprefix("Expect")).lower()
    told = ", ".join(f"{name} {value}" for name, value in expected.arguments.items())
    return Finding(table, f"{words}: {told}", broken == 0, checked, broken)


def _literal(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def _not_in_set(of: Arguments) -> str:
    return f"count_if(`{of['column']}` NOT IN ({', '.join(map(_literal, of['value_set']))}))"


def _out_of_bounds(of: Arguments) -> str:
    column, sides = of["column"], (("<", of.get("min_value")), (">", of.get("max_value")))
    return f"count_if({' OR '.join(f'`{column}` {sign} {v}' for sign, v in sides if v is not None)})"


def _not_unique(of: Arguments) -> str:
    # 64 bits: two places alike by accident would hold a table back, never let one through.
    return f"count(*) - count(DISTINCT xxhash64({', '.join(f'`{c}`' for c in of['column_list'])}))"


BROKEN: dict[str, Callable[[Arguments], str]] = {
    "ExpectColumnValuesToNotBeNull": lambda of: f"count_if(`{of['column']}` IS NULL)",
    "ExpectColumnValuesToBeInSet": _not_in_set,
    "ExpectColumnValuesToBeBetween": _out_of_bounds,
    "ExpectColumnValuesToMatchRegex": lambda of: f"count_if(NOT `{of['column']}` RLIKE {_literal(of['regex'])})",
    "ExpectColumnValuesToBeUnique": lambda of: f"count(`{of['column']}`) - count(DISTINCT `{of['column']}`)",
    "ExpectCompoundColumnsToBeUnique": _not_unique,
    "ExpectTableRowCountToBeBetween": lambda of: f"greatest({of['min_value']} - count(*), 0)",
}
