"""Prints a demo: its progress while it runs, its summary at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lakehouse.demo.watch import TaskSeen, moment

MARKS = {"success": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[dim]–[/]", "upstream_failed": "[dim]–[/]"}


class Progress:
    """One line per finished task; on a terminal also a line that moves, with what is at work now."""

    def __init__(self, console: Console, since: datetime) -> None:
        self.since = since
        self.console, self._status, self._begun = console, console.status("waiting for Airflow"), time.monotonic()

    def __enter__(self) -> Progress:
        self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._status.stop()

    def changed(self, task: TaskSeen) -> None:
        """Prints a task that has ended, or that is tried again; what had ended before the demo began is old."""
        if task.ended and moment(task.ended) < self.since:
            return
        if task.state in MARKS and task.state != "upstream_failed":
            if task.state == "skipped" and not task.seconds:
                return  # it never began: what it waits for was skipped
            seconds = "" if task.state == "skipped" else f"{task.seconds or 0:6.1f} s"
            note = "  skipped" if task.state == "skipped" else ""
            self._line(f"{MARKS[task.state]} {task.dag_id:<18} {task.task_id:<14} {seconds}{note}")
        elif task.state == "up_for_retry":
            why = escape(task.reason.splitlines()[0][:160] if task.reason else "no reason given")
            self._line(f"[yellow]↻[/] {task.dag_id:<18} {task.task_id:<14} attempt {task.attempt} failed: {why}")

    def tick(self, working: list[TaskSeen]) -> None:
        """Shows what is at work, and how long the demo has taken so far."""
        names = ", ".join(f"{task.dag_id} ▸ {task.task_id}" for task in working) or "scheduler"
        self._status.update(f"{time.monotonic() - self._begun:4.0f} s  {names}")

    def say(self, text: str) -> None:
        """A sentence between the lines."""
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)


def summary(console: Console, facts: dict[str, Any]) -> None:
    """The whole summary of a day: what was pulled, or the drop that was received."""
    console.print()
    if facts["sources"]:
        console.rule(f"[bold]pulled up to {facts['partition']}", align="left")
        _sources(console, facts["sources"])
        _reasons(console, facts["rows"])
    else:
        console.rule(f"[bold]drop of {facts['partition']}", align="left")
        _rows(console, facts["rows"])
    _gates(console, facts["gates"])
    _features(console, facts["features"])
    _model(console, facts["model"])
    _portfolio(console, facts["portfolio"])


def _table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    console.print(f"[bold]{escape(title)}[/]", highlight=False, soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number, name in enumerate(columns):
        is_name = number == 0
        table.add_column(name, justify="left" if is_name else "right", overflow="fold", no_wrap=is_name)
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else escape(str(cell)) for cell in row))
    console.print(table)
    console.print()


def _rows(console: Console, batches: list[dict[str, Any]]) -> None:
    names = ("rows_in", "rows_accepted", "rows_duplicate", "rows_quarantined")
    lines = [[b["contract"], *(b[name] for name in names)] for b in batches]
    if len(lines) > 1:
        lines.append(["all", *(sum(b[name] for b in batches) for name in names)])
    _table(console, "Rows", ["feed", "in", "accepted", "duplicate", "quarantined"], lines)
    _reasons(console, batches)


def _sources(console: Console, sources: list[dict[str, Any]]) -> None:
    names = ("feeds", "rows_in", "rows_today", "rows_duplicate", "rows_quarantined")
    lines = [[s["department"].split(" ▸ ")[-1], *(s[name] for name in names), _age(s)] for s in sources]
    lines.append(["all", *(sum(s[name] for s in sources) for name in names), ""])
    columns = ["source", "feeds", "rows", "today", "duplicate", "quarantined", "days"]
    _table(console, "Sources", columns, lines)


def _age(source: dict[str, Any]) -> str:
    if source["breached"]:
        return f"{'never' if source['stale_days'] is None else source['stale_days']}, too old"
    return "" if source["stale_days"] is None else str(source["stale_days"])


def _reasons(console: Console, batches: list[dict[str, Any]]) -> None:
    reasons = [(b["contract"], code, rows) for b in batches for code, rows in sorted(b["reasons"].items())]
    if reasons:
        _table(console, "Quarantined because", ["feed", "reason", "rows"], reasons)


def _gates(console: Console, gates: list[dict[str, Any]]) -> None:
    lines = [[g["layer"], "passed" if g["passed"] else "FAILED", g["expectations"], g["failed"]] for g in gates]
    if lines:
        _table(console, "Gates", ["layer", "verdict", "expectations", "failed"], lines)


def _features(console: Console, found: dict[str, Any] | None) -> None:
    if found:
        console.print(
            f"[bold]Features[/]  {found['features']} per enterprise; {found['enterprises']:,} enterprises × "
            f"{found['dates']} dates = {found['rows']:,} rows\n",
            highlight=False,
        )


def _model(console: Console, model: dict[str, Any] | None) -> None:
    if model is None:
        console.print("[bold]Model[/]  no champion in office\n", highlight=False)
        return
    evidence = model["evidence"]
    lines = []
    for name, auc in evidence.get("auc", {}).items():
        ks = evidence.get("ks", {}).get(name)
        lines.append([name.replace("_", " "), _interval(auc), _interval(ks)])
    sample = f"{evidence.get('bads', '?')} bads of {evidence.get('rows', '?')}"
    title = f"Model  champion is version {model['version']}, {sample}; all on the same folds"
    _table(console, title, ["candidate", "AUC (95 %)", "KS (95 %)"], lines)
    later = evidence.get("out_of_time")
    if later:
        told = ", ".join(f"{name.replace('_', ' ')} {_interval(auc)}" for name, auc in later["auc"].items())
        console.print(
            f"  out of time from {later['cut']}, {later['bads']} bads of {later['rows']}: AUC {told}",
            highlight=False,
            soft_wrap=True,
        )
    for pair, gain in evidence.get("gains", {}).items():
        verdict = "" if gain["low"] > 0 or gain["high"] < 0 else "   interval covers zero: no claim"
        told = f"  gain of {pair.replace('_', ' ')}: {_signed(gain)}{verdict}"
        console.print(told, highlight=False, soft_wrap=True)
    console.print()


def _interval(found: dict[str, float] | None) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})" if found else ""


def _signed(found: dict[str, float]) -> str:
    return f"{found['value']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def _portfolio(console: Console, grades: list[dict[str, Any]]) -> None:
    if not grades:
        console.print("[bold]Portfolio[/]  not scored yet\n", highlight=False)
        return
    total = sum(g["enterprises"] for g in grades)
    lines = [
        [
            g["grade"] if g["decision"] == "scored" else f"{g['grade']} ({g['decision']})",
            g["enterprises"],
            f"{g['enterprises'] / total:.1%}",
            "" if g["mean_pd"] is None else f"{g['mean_pd']:.1%}",
            "" if g["lowest_score"] is None else f"{g['lowest_score']}–{g['highest_score']}",
        ]
        for g in grades
    ]
    _table(
        console,
        f"Portfolio  {total:,} enterprises, model version {grades[0]['model_version']}",
        ["grade", "enterprises", "share", "mean PD", "scores"],
        lines,
    )


def places(console: Console, addresses: dict[str, str], users: Sequence[str], passwords: str) -> None:
    """Where every page is, and who may log in."""
    console.print("[bold]Look at it[/]")
    for name, address in addresses.items():
        console.print(f"  {name:<14} {address}", highlight=False, soft_wrap=True)
    console.print(
        f"  {'log in as':<14} {' or '.join(users)}; passwords in {passwords}", highlight=False, soft_wrap=True
    )


def seconds(console: Console, phases: Sequence[tuple[str, float]]) -> None:
    """How long each phase took."""
    told = " · ".join(f"{name} {took:.0f} s" for name, took in phases)
    text = f"  {'seconds':<14} {told} · all {sum(took for _, took in phases):.0f} s\n"
    console.print(text, highlight=False, soft_wrap=True)
