"""YAML as plain dictionaries, lists and values, read fast: every job and task begins with some of the project's files.

YAML 1.2 decides what a plain word is: only `true` and `false` are truth values, and a date is text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

YAMLError = yaml.YAMLError


def load(text: str | bytes) -> Any:
    """The one document of a text; YAMLError where it is not readable, or where a key stands twice."""
    return yaml.load(text, Loader=_Loader)


def load_file(path: Path) -> Any:
    """The one document of a file; YAMLError as with `load`."""
    return load(path.read_text(encoding="utf-8"))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """PyYAML in C with the words of YAML 1.2; a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len({str(key) for key in keys}) < len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
