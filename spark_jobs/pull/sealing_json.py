"""Sealing of JSON: only the fields that are sealed are written anew; every other value keeps its bytes.

A number such as 12.500 or one of thirty digits stays as it was sent; blanks between values do not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, BinaryIO

import msgspec

from lakehouse.errors import SourceError
from lakehouse.vault import Item
from spark_jobs.pull.sealing_plan import UNPARSED_RULE, Node, Plan, Rule

Seal = Callable[[Sequence[Item]], list[str]]
CHUNK = 5_000
SHORTEST_ECHO = 4
QUOTE = ord('"')
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def seal_lines(source: BinaryIO, target: BinaryIO, plan: Plan, seal: Seal) -> None:
    """One record a line. A line that is no object is sealed whole, and stands as the bare sealed text."""
    while lines := list(islice(source, CHUNK)):
        slots = _Slots(plan)
        records = [slots.record(line) if line.strip() else None for line in lines]
        slots.fill(seal)
        for line, held in zip(lines, records, strict=True):
            if held is None:
                target.write(line)
                continue
            (record,) = held
            target.write(record.encode() if isinstance(record, str) else _encode(record))
            target.write(line[len(line.rstrip(b"\r\n")) :])


def seal_document(content: bytes, path: str, plan: Plan, seal: Seal, where: str) -> bytes:
    """One document with its records in the list at `path` (dotted; empty: the document itself).

    Around the records, a value that repeats what was sealed in them (the identifier that was asked for) is sealed too.
    Raises a SourceError where there are no records at that place.
    """
    try:
        levels, records = _records(content, [step for step in path.split(".") if step])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise SourceError(
            f"the answer is not the JSON that the contract describes (records at {path or 'its top'}): it holds "
            "personal fields, and what cannot be read cannot be sealed",
            where=where,
            remedy="nothing of it was kept; try again, and correct the feed's option `records` if the source changed",
        ) from error
    slots = _Slots(plan)
    held = [slots.record(bytes(record)) for record in records]
    slots.echoes(levels)
    slots.fill(seal)
    whole: Any = [record[0] for record in held]
    if not isinstance(levels[-1][1], list):
        whole = whole[0]
    for level, step in reversed([level for level in levels if level[0] is not None]):
        level[step] = whole
        whole = level
    return _encode(whole)


def _records(content: bytes, steps: list[str]) -> tuple[list[tuple[dict | None, Any]], list[msgspec.Raw]]:
    """(objects around the records with the step taken in each, then a pair that tells a list from one), records."""
    levels: list[tuple[dict | None, Any]] = []
    raw = msgspec.Raw(content)
    for step in steps:
        level = _OBJECT.decode(raw)
        raw = level[step]
        levels.append((level, step))
    if bytes(raw).lstrip()[:1] == b"[":
        return [*levels, (None, [])], _LIST.decode(raw)
    _OBJECT.decode(raw)
    return [*levels, (None, None)], [raw]


class _Slots:
    """The places of a chunk of records that take sealed values, and what is to be sealed for them."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._root = plan, plan.root
        self._places: list[tuple[Any, Any]] = []
        self._items: list[Item] = []

    def record(self, text: bytes) -> list[Any]:
        """A record ready to be filled, in a list of one (the place of a record that is sealed whole)."""
        try:
            record = _OBJECT.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            held: list[Any] = [None]
            whole, kind = text.decode("utf-8", "surrogateescape").rstrip("\r\n"), UNPARSED_RULE.kind
            self._add(held, 0, Item(kind, whole, kind, whole))
            return held
        self._object(record, self._root, record)
        return [record]

    def echoes(self, levels: Sequence[tuple[dict | None, Any]]) -> None:
        """Marks values around the records that hold a sealed value."""
        sealed = {i.value.encode("utf-8", "replace"): i for i in self._items if len(i.value) >= SHORTEST_ECHO}
        for level, step in levels:
            for name, raw in (level or {}).items():
                if name == step:
                    continue
                plain = _encode(msgspec.json.decode(raw))
                if item := next((item for value, item in sealed.items() if value in plain), None):
                    self._add(level, name, item._replace(kind="echo", value=_text(raw) or ""))

    def fill(self, seal: Seal) -> None:
        """Seals all that was collected, and puts it in place."""
        for (container, name), text in zip(self._places, seal(self._items), strict=True):
            container[name] = text

    def _object(self, values: dict[str, Any], node: Node, record: dict[str, Any]) -> None:
        for name, rule in node.seals.items():
            if (raw := values.get(name)) is not None:
                self._value(values, name, raw, rule, record)
        for name, below in node.below.items():
            if name in values and name not in node.seals:
                self._level(values, name, below, record)
        if not node.is_open and not values.keys() <= node.known:
            for name in sorted(values.keys() - node.known):
                self._value(values, name, values[name], self._plan.unknown, record)

    def _level(self, container: Any, name: Any, node: Node, record: dict[str, Any]) -> None:
        """Goes down into an object or a list of them; anything else there is nothing the contract knows."""
        raw = container[name]
        first = bytes(raw)[:1]
        if first == b"{":
            container[name] = _OBJECT.decode(raw)
            self._object(container[name], node, record)
        elif first == b"[":
            container[name] = _LIST.decode(raw)
            for position in range(len(container[name])):
                self._level(container[name], position, node, record)
        elif not (node.is_open and not node.seals):
            self._value(container, name, raw, self._plan.unknown, record)

    def _value(self, container: Any, name: Any, raw: Any, rule: Rule, record: dict[str, Any]) -> None:
        text = _text(raw)
        if text is None or text.isspace() or not text:
            return
        if rule.exempt and rule.spares(lambda path: _at(record, path)):
            return
        subject = _at(record, rule.subject)
        if subject is None or subject.isspace() or not subject:
            self._add(container, name, Item(rule.kind, text, rule.kind, text))  # the value stands for its person
        else:
            self._add(container, name, Item(rule.kind, text, rule.subject_kind, subject))

    def _add(self, container: Any, name: Any, item: Item) -> None:
        self._places.append((container, name))
        self._items.append(item)


def _text(raw: Any) -> str | None:
    """A value as text: a string's content, any other JSON as it stands; None for null."""
    text = bytes(raw)
    if text[0] != QUOTE:
        return None if text == b"null" else text.decode("utf-8", "surrogateescape")
    if b"\\" in text:
        return json.loads(text.decode("utf-8", "surrogateescape"))
    return text[1:-1].decode("utf-8", "surrogateescape")


def _at(record: dict[str, Any], path: tuple[str, ...]) -> str | None:
    """The text of a field by its path; None where nothing of that path stands there."""
    if len(path) == 1:
        raw = record.get(path[0])
        return _text(raw) if isinstance(raw, msgspec.Raw) else None
    for step in path[:-1]:
        record = record.get(step)
        if isinstance(record, msgspec.Raw):
            record = _OBJECT.decode(record) if bytes(record)[:1] == b"{" else None
        if not isinstance(record, dict):
            return None
    raw = record.get(path[-1]) if path else None
    return _text(raw) if isinstance(raw, msgspec.Raw) else None
