"""Rows for people (a table) or for machines (one JSON object a line)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")


def show(columns: Sequence[str], rows: Iterable[Sequence[Any]], as_json: bool, title: str | None = None) -> None:
    """Prints rows; numbers stand right, and a table is never cut when the output is not a screen."""
    listed = [list(row) for row in rows]
    if as_json:
        for row in listed:
            click.echo(json.dumps(dict(zip(columns, map(_plain, row), strict=True)), ensure_ascii=False, default=str))
        return
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for position, name in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[position], int | float | type(None)) for row in listed)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(_text(cell) for cell in row))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, markup=False).print(table)


def _text(cell: Any) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.6g}"
    return str(_plain(cell)) if not isinstance(cell, dict | list) else json.dumps(_plain(cell), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "asDict"):
        return {k: _plain(v) for k, v in value.asDict().items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value
