"""Sealing of comma-separated text with a header: cells that are not sealed keep their spelling, quotes included.

A record is a line. One that does not fit the header is sealed whole: a shifted cell may be anybody's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import TextIO

from lakehouse.errors import SourceError
from lakehouse.vault import Item
from spark_jobs.pull.sealing_json import CHUNK, Seal
from spark_jobs.pull.sealing_plan import UNPARSED_RULE, Plan, Rule


def seal_rows(source: TextIO, target: TextIO, delimiter: str, plan: Plan, seal: Seal, where: str) -> None:
    """Seals every row. `source` and `target` leave line ends alone.

    Raises a SourceError where the header names no field of the contract: then it may be a record itself.
    """
    cells = _Cells(delimiter)
    head = source.readline()
    names = [cells.value(cell).strip() for cell in cells.split(head.lstrip("\ufeff").rstrip("\r\n")) or ()]
    if not set(names) & (plan.clear | plan.rules.keys()):
        raise SourceError(
            "the header names no field of the contract, which has personal fields",
            where=where,
            remedy="nothing of it was kept; ask the sender for a header, or set the feed's option `delimiter`",
        )
    target.write(head)
    rules = [(i, plan.rules.get(n, plan.unknown)) for i, n in enumerate(names) if n not in plan.clear]
    subjects = {rule: _position(names, rule.subject) for _, rule in rules}
    judges = {path: _position(names, path) for _, rule in rules for path, _ in rule.exempt}
    while lines := list(islice(source, CHUNK)):
        rows: list[list[str]] = []
        places: list[tuple[list[str], int]] = []
        items: list[Item] = []
        for line in lines:
            body = line.rstrip("\r\n")
            row = cells.split(body)
            if body.strip() and (row is None or len(row) != len(names)):
                row = [body]
                places.append((row, 0))
                items.append(Item(UNPARSED_RULE.kind, body, UNPARSED_RULE.kind, body))
            elif body.strip():
                for position, rule in rules:
                    value = cells.value(row[position])
                    if value.strip() and not (rule.exempt and rule.spares(partial(_told, cells, row, judges))):
                        places.append((row, position))
                        items.append(_item(cells, row, rule, value, subjects[rule]))
            rows.append(row if body.strip() else [body])
        for (row, position), text in zip(places, seal(items), strict=True):
            row[position] = text
        target.writelines(
            delimiter.join(row) + line[len(line.rstrip("\r\n")) :] for row, line in zip(rows, lines, strict=True)
        )


def _position(names: Sequence[str], path: tuple[str, ...]) -> int | None:
    name = ".".join(path)
    return names.index(name) if name in names else None


def _told(cells: _Cells, row: Sequence[str], positions: dict, path: tuple[str, ...]) -> str | None:
    position = positions[path]
    return None if position is None else cells.value(row[position])


def _item(cells: _Cells, row: Sequence[str], rule: Rule, value: str, position: int | None) -> Item:
    subject = cells.value(row[position]) if position is not None else ""
    if subject.strip():
        return Item(rule.kind, value, rule.subject_kind, subject)
    return Item(rule.kind, value, rule.kind, value)


class _Cells:
    """Cells of a line as they stand, and what they say (RFC 4180: a quote within quotes is doubled)."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        other = f"[^{re.escape(delimiter)}]"
        self._cell = re.compile(rf'("(?:[^"]|"")*"|(?!"){other}*)({re.escape(delimiter)}|$)')

    def split(self, line: str) -> list[str] | None:
        """The cells of a line; None where a quote is not closed, or followed by more than a delimiter."""
        if '"' not in line:
            return line.split(self._delimiter)
        found, position = [], 0
        while match := self._cell.match(line, position):
            found.append(match[1])
            position = match.end()
            if not match[2]:
                return found
        return None

    @staticmethod
    def value(cell: str) -> str:
        return cell[1:-1].replace('""', '"') if cell[:1] == '"' and len(cell) > 1 else cell
