"""What a column of a sample looks like: type, format, pattern, codes, whether it may be empty, key candidates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Any

from contracting import personal
from contracting.sample import Record

# How Spark writes a day's or month's format, and how Python reads it; the narrowest first.
DATES = {
    "yyyy-MM-dd": "%Y-%m-%d",
    "yyyy/MM/dd": "%Y/%m/%d",
    "dd.MM.yyyy": "%d.%m.%Y",
    "yyyy年MM月dd日": "%Y年%m月%d日",
    "yyyyMMdd": "%Y%m%d",
    "yyyy-MM": "%Y-%m",
    "yyyyMM": "%Y%m",
}
DATE_SHAPES = {
    fmt: re.compile(re.sub("[yMd]+", lambda m: rf"\d{{{len(m[0])}}}", fmt.replace(".", r"\."))) for fmt in DATES
}
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?")
INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
DECIMAL = re.compile(r"[+-]?\d{1,28}\.\d{1,10}")
GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d{1,10})?")
YEARS = range(1949, 2100)
MOST_CODES, LEAST_PER_CODE = 12, 10
LONG_NUMBER = 6  # whole numbers of one length, this long or longer, are numbers of things: text
MOST_KEY_COLUMNS = 3
KEY_NAME = re.compile(r"(^|_)(id|number|no|code|key|num)$|编号|号码|代码|单号|号$|bh$|dm$|hm$", re.IGNORECASE)


@dataclass
class Profile:
    """A column of a sample: `logical` type as contracts name it, `share` of records with a value, suspicions."""

    source_name: str
    logical: str
    share: float
    distinct: int
    format: str | None = None
    decimals: int = 0
    group_separator: str | None = None
    pattern: str | None = None
    codes: tuple[str, ...] = ()
    personal: tuple[str, float] | None = None
    example: str = ""
    doubts: list[str] = field(default_factory=list)

    @property
    def is_filled(self) -> bool:
        """Whether every record of the sample has a value."""
        return self.share == 1.0


def profiles(records: Sequence[Record]) -> list[Profile]:
    """A profile of each column that any record has, in order of appearance."""
    names = dict.fromkeys(name for record in records for name in record if name is not None)
    return [_profile(str(name), [record.get(name) for record in records]) for name in names]


def keys(records: Sequence[Record], columns: Sequence[Profile]) -> list[str]:
    """The smallest set of always filled columns by which the sample's different records differ; empty if there is none.

    Names that sound like numbers of things go first; measures and times never count.
    """
    different = list({repr(sorted(record.items(), key=str)): record for record in records}.values())
    if len(different) < 2:
        return []
    usable = [c for c in columns if c.is_filled and c.logical in ("string", "integer", "date") and c.distinct > 1]
    usable.sort(key=lambda c: (not KEY_NAME.search(c.source_name), c.logical != "string"))
    numbered = (c for c in columns if c.is_filled and c.source_name.lower() == "revision")
    revision = next(numbered, None)
    for size in range(1, MOST_KEY_COLUMNS + 1):
        for chosen in combinations(usable[:12], size):
            seen = {tuple(str(record.get(c.source_name)) for c in chosen) for record in different}
            if len(seen) == len(different):
                names = [c.source_name for c in chosen]
                extra = revision and revision.source_name not in names
                return [*names, revision.source_name] if extra and revision else names
    return []


def _profile(name: str, values: Sequence[Any]) -> Profile:
    filled = [v for v in values if v is not None and str(v).strip()]
    texts = [str(v).strip() if not isinstance(v, bool) else str(v).lower() for v in filled]
    distinct = len(set(texts))
    found = Profile(name, "string", len(filled) / len(values), distinct, example=texts[0] if texts else "")
    if not texts:
        found.doubts.append("no record of the sample has a value: state type and meaning")
        return found
    if all(isinstance(v, bool) for v in filled) or set(texts) <= {"true", "false"}:
        found.logical = "boolean"
    elif fmt := _date_format(texts):
        found.logical, found.format = "date", fmt
    elif _all(TIMESTAMP.fullmatch, texts):
        found.logical = "timestamp"
    elif _is_number(found, filled, texts):
        pass
    else:
        _describe_text(found, texts)
    if found.logical in ("string", "integer"):
        found.personal = personal.suspicion(texts)
        if found.personal:
            found.logical, found.pattern, found.codes = "string", None, ()
    return found


def _date_format(texts: Sequence[str]) -> str | None:
    for fmt, shape in DATE_SHAPES.items():
        if _all(shape.fullmatch, texts) and _all(lambda text, fmt=fmt: _is_day(text, DATES[fmt]), texts):
            return fmt
    return None


def _is_day(text: str, style: str) -> bool:
    try:
        return datetime.strptime(text, style).year in YEARS
    except ValueError:
        return False


def _is_number(found: Profile, values: Sequence[Any], texts: Sequence[str]) -> bool:
    sent_as_text = isinstance(values[0], str)
    if _all(INTEGER.fullmatch, texts):
        lengths = {len(text) for text in texts}
        if sent_as_text and len(lengths) == 1 and lengths.pop() >= LONG_NUMBER:
            return False  # a number of something, of fixed length
        found.logical = "integer"
        return True
    plain = [text.replace(",", "") if GROUPED.fullmatch(text) else text for text in texts]
    if not _all(lambda text: INTEGER.fullmatch(text) or DECIMAL.fullmatch(text), plain):
        return False
    found.logical = "number"
    found.decimals = max(len(text.partition(".")[2]) for text in plain)
    if list(plain) != list(texts):
        found.group_separator = ","
    return True


def _describe_text(found: Profile, texts: Sequence[str]) -> None:
    if found.distinct <= MOST_CODES and len(texts) >= LEAST_PER_CODE * found.distinct and max(map(len, texts)) <= 24:
        found.codes = tuple(sorted(set(texts)))
        return
    lengths = {len(text) for text in texts}
    if len(lengths) == 1 and (length := lengths.pop()) > 1:
        for letters in ("0-9", "0-9a-f", "0-9A-Z", "0-9A-Za-z"):
            if _all(re.compile(f"[{letters}]{{{length}}}").fullmatch, texts):
                found.pattern = f"^[{letters}]{{{length}}}$"
                return


def _all(test: Callable[[str], Any], texts: Iterable[str]) -> bool:
    return all(test(text) for text in texts)
