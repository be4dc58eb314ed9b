"""Errors of the source systems: what happened, where, and what to do; the command line prints them without a trace."""

from __future__ import annotations

import click


class SourcesError(click.ClickException):
    """A source system could not do what was asked."""

    def __init__(self, message: str, *, where: str | None = None, remedy: str | None = None) -> None:
        parts = [message, where and f"  where: {where}", remedy and f"  remedy: {remedy}"]
        super().__init__("\n".join(part for part in parts if part))
