"""A contract's text: read fast into plain values, and again with marks only where a fault needs its line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from lakehouse import plain_yaml
from lakehouse.errors import ContractError


class Faults:
    """Raises contract errors with the line at which the faulty field stands."""

    def __init__(self, path: Path, text: str, document: Any) -> None:
        self.path, self.text, self.document = path, text, document

    def own(self, name: str) -> list[str | int]:
        """Where the contract's custom property of that name stands."""
        entries = self.document.get("customProperties") or []
        numbers = [i for i, entry in enumerate(entries) if entry["property"] == name]
        return ["customProperties", *numbers[:1]]

    def stop(self, what: str, at: Sequence[str | int], remedy: str) -> NoReturn:
        """Raises a ContractError about the field at that place."""
        dotted = ".".join(map(str, at)) or "(top level)"
        line = _line(self._marked, at)
        raise ContractError(what, where=f"{self.path.name}, line {line}, field {dotted}", remedy=remedy)

    @cached_property
    def _marked(self) -> Any:
        return _marked(self.path, self.text)


def read(path: Path) -> str:
    """The file's text; a ContractError with the line that is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ContractError(
            f"not UTF-8: byte 0x{error.object[error.start]:02x} cannot stand there",
            where=f"{path.name}, line {line}",
            remedy="save the file as UTF-8",
        ) from error


def parse(path: Path, text: str) -> Any:
    """The document as plain dictionaries, lists and values; a ContractError with the line that is not YAML."""
    try:
        return plain_yaml.load(text)
    except plain_yaml.YAMLError:
        return _marked(path, text)


def _marked(path: Path, text: str) -> Any:
    """The document with the line of each part, which takes thirty times as long."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        return YAML().load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem
    except ReaderError as error:
        line, problem = text[: error.position].count("\n") + 1, f"{error.reason}: {error.character!r}"
    raise ContractError(f"not readable as YAML: {problem}", where=f"{path.name}, line {line}", remedy="mend the YAML")


def _line(document: Any, at: Sequence[str | int]) -> int:
    node, line = document, 1
    for step in at:
        marks = getattr(node, "lc", None)
        try:
            line = (marks.item(step)[0] if isinstance(step, int) else marks.key(step)[0]) + 1
            node = node[step]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line
