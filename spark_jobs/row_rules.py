"""Row rules: raw values become typed ones, and every reason a row cannot be accepted gets a code.

Pure functions, DataFrame in, DataFrame out. All conversions are `try_…`: under ANSI rules a bad value gives
a reason code, never a failed job. Raw values are text, or typed already where the file has types (Parquet).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from lakehouse.contracts import DEFAULT_FORMATS, Column, Contract
from lakehouse.literals import quoted
from lakehouse.vault import forms

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RAW = "raw_"
TEXT = "text__"
CORRUPT = "raw__line"  # a record that cannot be read, as it came
FIELDS = "raw__fields"  # every field of a record as sent, by its name there
EXTRA = "extra"
# What a stream's connector adds to a message of its own, and keeps one that is not JSON under.
ADDED = ("_key", "_partition", "_offset", "_received_at")
UNREADABLE = ("_raw", "_raw_base64")
GROUPED = "^[+-]?[0-9]{{1,3}}({0}[0-9]{{3}})+([.][0-9]+)?$"


def apply(
    raw: DataFrame,
    contract: Contract,
    malformed: str = "malformed_line",
    held_for: Sequence[str] = (),
    keep_extra: bool = False,
    erased: Mapping[str, str] | None = None,
) -> DataFrame:
    """The contract's typed columns, `is_sound`, `reasons` (array of codes, empty when the row is sound) and, only where
    there are reasons, the raw values by source name (`raw`) and the record that could not be read (`raw_line`).

    `raw` has a column `raw_<name>` for each column of the contract, CORRUPT, the date `received_on` and, unless the
    contract's columns are all there is, FIELDS; whatever does not begin with RAW is kept as it is. `held_for` are
    reasons that every row gets. `keep_extra` adds `extra`: the fields that the contract does not know. `erased`: the
    vault's erased subjects; of their values stands the mark of the erasure.
    """
    kinds = dict(raw.dtypes)
    # Text is trimmed once, in a projection of its own: what reads it reads it many times.
    texts = [
        f"{_trimmed(c, erased or {})} AS `{TEXT}{c.name}`" for c in contract.columns if kinds[RAW + c.name] == "string"
    ]
    typed = raw.selectExpr("*", *texts).selectExpr(
        "*", *(f"{_clear_or_typed(contract, c, kinds)} AS `{c.name}`" for c in contract.columns)
    )
    faults = _faults(contract, kinds)
    verdict = [f"{_is_sound(faults, held_for)} AS is_sound", f"{_reasons(faults, malformed, held_for)} AS reasons"]
    judged = typed.selectExpr("*", *verdict)
    fields = FIELDS if FIELDS in kinds else f"map({_named_cells(contract)})"
    line = f"`{CORRUPT}`"
    if contract.personal_columns:
        line = f"CASE WHEN {line} LIKE '{forms.SEALED}%' THEN {line} END"
    return judged.selectExpr(
        *(f"`{c.name}`" for c in contract.columns),
        *([f"{_extra(contract, fields)} AS {EXTRA}"] if keep_extra else []),
        *(name for name in raw.columns if not name.startswith(RAW)),
        "is_sound",
        "reasons",
        f"CASE WHEN size(reasons) > 0 THEN {_without_clear(contract, fields)} END AS raw",
        f"{line} AS raw_line",
    )


def _faults(contract: Contract, kinds: Mapping[str, str]) -> list[tuple[str, str]]:
    """(condition, reason code) of everything that a row of the contract can have wrong."""
    found = []
    for column in contract.columns:
        found += _column_faults(column, kinds[RAW + column.name])
    return found + [(f"NOT ({rule.condition})", rule.name) for rule in contract.row_rules]


def _reasons(faults: Sequence[tuple[str, str]], malformed: str, held_for: Iterable[str]) -> str:
    bad = f"CASE WHEN `{CORRUPT}` IS NOT NULL THEN {quoted(malformed)} END"
    codes = [quoted(reason) for reason in held_for] + [bad]
    cases = [f"CASE WHEN {condition} THEN {quoted(code)} END" for condition, code in faults]
    found = f"array_compact(array({', '.join([*codes, *cases])}))"
    if malformed == "malformed_line":
        return found
    # Nothing is known of the fields of such a record; that they are missing would say nothing more.
    return f"CASE WHEN `{CORRUPT}` IS NOT NULL THEN array_compact(array({', '.join(codes)})) ELSE {found} END"


def _is_sound(faults: Sequence[tuple[str, str]], held_for: Collection[str]) -> str:
    """Whether a row has no reason: what most rows are asked, without a list being made for each."""
    if held_for:
        return "false"
    return f"NOT coalesce(`{CORRUPT}` IS NOT NULL OR {' OR '.join(f'({c})' for c, _ in faults)}, false)"


def _named_cells(contract: Contract) -> str:
    return ", ".join(f"{quoted(c.source_name)}, cast(`{RAW}{c.name}` AS string)" for c in contract.columns)


def _extra(contract: Contract, fields: str) -> str:
    passed_over = contract.feed.options.get("ignore", ()) if contract.feed else ()
    known = sorted({name for c in contract.columns for name in _kept_under(c)} | set(passed_over) | set(ADDED))
    kept = f"map_filter({fields}, (k, v) -> k NOT IN ({', '.join(map(quoted, known))}))"
    return f"CASE WHEN size({kept}) > 0 THEN {kept} END"


def _without_clear(contract: Contract, fields: str) -> str:
    """The fields as sent, without a personal one that came unsealed: its value must not be kept."""
    if not contract.personal_columns:
        return fields
    clear = [
        f"CASE WHEN {_text(column)} IS NOT NULL AND `{column.name}` IS NULL THEN {quoted(name)} END"
        for column in contract.personal_columns
        for name in _kept_under(column)
    ]
    left_out = f"array_compact(array({', '.join([*clear, *map(quoted, UNREADABLE)])}))"
    return f"map_filter({fields}, (k, v) -> NOT array_contains({left_out}, k))"


def _kept_under(column: Column) -> list[str]:
    """The names under which a column's value may stand among the fields as sent: nested members by their first step."""
    return sorted({column.source_name, column.source_name.split(".")[0]})


def _trimmed(column: Column, erased: Mapping[str, str]) -> str:
    text = f"nullif(trim(`{RAW}{column.name}`), '')"
    if column.is_personal:
        return forms.erased_sql(text, erased)
    if separator := column.group_separator:
        grouped = quoted(GROUPED.format(re.escape(separator)))
        return f"CASE WHEN {text} RLIKE {grouped} THEN replace({text}, {quoted(separator)}, '') ELSE {text} END"
    return text


def _text(column: Column, kind: str = "string") -> str:
    return f"`{TEXT}{column.name}`" if kind == "string" else f"cast(`{RAW}{column.name}` AS string)"


def _absent(column: Column, kind: str) -> str:
    return f"`{TEXT if kind == 'string' else RAW}{column.name}` IS NULL"


def _clear_or_typed(contract: Contract, column: Column, kinds: dict[str, str]) -> str:
    """A column's typed value; of a personal one also what came clear because it is no natural person's."""
    typed = _typed(column, kinds[RAW + column.name])
    if not column.impersonal_where:
        return typed
    conditions = [
        f"{_typed(contract.column(name), kinds[RAW + name])} IN ({', '.join(map(quoted, values))})"
        for name, values in column.impersonal_where.items()
    ]
    text = _text(column, kinds[RAW + column.name])
    return f"coalesce({typed}, CASE WHEN {' AND '.join(conditions)} THEN {text} END)"


def _typed(column: Column, kind: str) -> str:
    text = _text(column, kind)
    if column.is_personal:
        token = forms.token_sql(text)
        return f"CASE WHEN {token} RLIKE {quoted(forms.TOKEN_SQL)} THEN {token} END"
    if column.codes:
        cases = " ".join(f"WHEN {quoted(k)} THEN {quoted(v)}" for k, v in column.codes.items())
        text, kind = f"CASE {text} {cases} END", "string"
    if column.spark_type == "string":
        return text
    if column.spark_type == "date":
        return _date(column, text, kind)
    if column.spark_type == "timestamp":
        return _timestamp(column, text, kind)
    if column.spark_type.startswith("decimal"):
        return _decimal(column, text, kind)
    if column.spark_type == "bigint" and kind in ("float", "double"):
        cell = f"`{RAW}{column.name}`"
        return f"CASE WHEN {cell} = floor({cell}) THEN try_cast({cell} AS bigint) END"
    return f"try_cast({text} AS {column.spark_type})"


def _date(column: Column, text: str, kind: str) -> str:
    if kind in ("date", "timestamp", "timestamp_ntz"):
        return f"cast(`{RAW}{column.name}` AS date)"
    # The two usual forms are cut and cast, which takes a fraction of what a formatter or a pattern does. A cast would
    # also take a day of one digit before a T, and the year 0.
    if column.date_format == "yyyy-MM-dd":
        fits = f"length({text}) = 10 AND {_stands(text, {5: '-', 8: '-'})}"
        return f"CASE WHEN {fits} AND {_is_day(text)} THEN try_cast({text} AS date) END"
    if column.date_format == "yyyyMMdd":
        dashed = f"concat(substr({text}, 1, 4), '-', substr({text}, 5, 2), '-', substr({text}, 7, 2))"
        return f"CASE WHEN length({text}) = 8 AND {_is_day(text)} THEN try_cast({dashed} AS date) END"
    parsed = f"CAST(try_to_timestamp({text}, {quoted(column.date_format)}) AS date)"
    if not re.search("[^A-Za-z]", column.date_format):
        return parsed
    # A year of six digits overflows inside `try_to_timestamp`, which then fails the job after all.
    return f"CASE WHEN NOT {text} RLIKE '[0-9]{{5}}' THEN {parsed} END"


def _timestamp(column: Column, text: str, kind: str) -> str:
    if kind in ("date", "timestamp", "timestamp_ntz"):
        return f"cast(`{RAW}{column.name}` AS timestamp)"
    if column.date_format == DEFAULT_FORMATS["timestamp"]:
        # ISO 8601 with or without an offset and fractions; without one it is the business calendar's time. The marks
        # must stand where they belong: a cast alone would take a year for its first moment.
        fits = f"{_stands(text, {5: '-', 8: '-', 14: ':', 17: ':'})} AND substr({text}, 11, 1) IN ('T', ' ')"
        return f"CASE WHEN {fits} AND {text} > '0001' THEN try_cast({text} AS timestamp) END"
    return f"CASE WHEN NOT {text} RLIKE '^.?[0-9]{{5}}' THEN try_to_timestamp({text}, {quoted(column.date_format)}) END"


def _stands(text: str, marks: Mapping[int, str]) -> str:
    return " AND ".join(f"substr({text}, {place}, 1) = '{mark}'" for place, mark in marks.items())


def _is_day(text: str) -> str:
    return f"NOT endswith({text}, 'T') AND {text} > '0001'"


def _decimal(column: Column, text: str, kind: str) -> str:
    """A number without loss. More decimals than the type holds would be rounded without a word: they are refused."""
    decimals = int(column.spark_type.rstrip(")").split(",")[1])
    if kind != "string":
        text = f"try_cast(`{RAW}{column.name}` AS decimal(38,10))"
    if column.scale is not None:
        # Precise: 28 digits times at most 9 never reach 38, where decimals begin to be rounded.
        sent = f"try_cast({text} AS decimal(28,8))"
        number = f"({sent} * {format(Decimal(column.scale), 'f')}BD)"
        fits = [_is_plain(text, 8) if kind == "string" else f"{text} = {sent}"]
    else:
        number, fits = text, [_is_plain(text, decimals)] if kind == "string" else []
    fitting = f"try_cast({number} AS {column.spark_type})"
    if column.scale is not None or kind != "string":
        fits.append(f"{number} = {fitting}")
    return f"CASE WHEN {' AND '.join(fits)} THEN {fitting} END"


def _is_plain(text: str, decimals: int) -> str:
    """Whether a text has no power of ten and no digit beyond so many decimals but zeros; other faults the cast finds.

    Powers of ten are refused: a spreadsheet that writes 1.23E+05 has lost digits already, and a huge exponent overflows
    inside `try_cast`, which then fails the job after all. Patterns are slow, so only long decimals meet one.
    """
    no_power = f"NOT contains({text}, 'E') AND NOT contains({text}, 'e')"
    short = f"instr({text}, '.') = 0 OR length({text}) - instr({text}, '.') <= {decimals}"
    return f"{no_power} AND ({short} OR {text} RLIKE '[.][0-9]{{0,{decimals}}}0*$')"


def _column_faults(column: Column, kind: str) -> list[tuple[str, str]]:
    name, absent = f"`{column.name}`", _absent(column, kind)
    wrong = "clear_personal" if column.is_personal else "unknown_code" if column.codes else "bad_type"
    found = [(f"NOT {absent} AND {name} IS NULL", wrong)]
    if column.required:
        found.append((absent, "missing"))
    if not column.is_personal:  # such a column's rules are the clear value's, which nobody sees here
        found += _value_faults(column, name)
    return [(condition, f"{code}:{column.name}") for condition, code in found]


def _value_faults(column: Column, name: str) -> list[tuple[str, str]]:
    found = []
    if column.pattern:
        # (?d): the end mark `$` must not overlook a trailing separator such as U+0085 or U+2028.
        found.append((f"NOT {name} RLIKE {quoted('(?d)' + column.pattern)}", "bad_pattern"))
    for code, sign, bound in (("below_minimum", "<", column.minimum), ("above_maximum", ">", column.maximum)):
        if bound is not None:
            found.append((f"{name} {sign} {_bound(column, bound)}", code))
    if column.not_after_received:
        day = f"cast({name} AS date)" if column.spark_type == "timestamp" else name
        found.append((f"{day} > received_on", "after_received"))
    return found


def _bound(column: Column, value: str) -> str:
    if column.spark_type in ("date", "timestamp"):
        return f"{column.spark_type}{quoted(value)}"
    return quoted(value) if column.spark_type == "string" else value
