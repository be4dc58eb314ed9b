"""What contradictions and matched trade are made of: their statements, read as queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import sqlglot

from lakehouse import known
from lineage.queries import evaluate_query
from lineage.values import Relation, table
from spark_jobs.contradictions import catalogue, job, statement, trade
from spark_jobs.contradictions.statement import Step

RULES = ""  # which rules told a finding is no column of a source


def followed(project: Path, tables: Mapping[str, Relation]) -> dict[str, Relation]:
    """What `gold.contradiction`, `gold.trade_match` and `gold.trade_unmatched` are made of; none without a catalogue.

    `tables`: those of silver by name.
    """
    where = project / "dbt_project" / "contradictions"
    if not where.is_dir():
        return {}
    # A contract that was taken away leaves no keys to read its table's versions by.
    there = {name: name for name in tables if known.record_keys(name)}
    return _contradictions(where, there, tables) | _trade(where, there, tables)


def _contradictions(where: Path, there: Mapping[str, str], tables: Mapping[str, Relation]) -> dict[str, Relation]:
    kinds = catalogue.load(where)
    plan = statement.plan(kinds, there, where)
    views = _views((*plan.facts, *plan.figures.values()), tables)
    told = {
        kind.name: _evaluated(job.told(kind, plan.figures[kind.name], plan.registered, RULES), views)
        for kind in kinds
        if kind.name in plan.figures
    }
    if not told:
        return {}
    return {job.TABLE: _evaluated(" UNION ALL ".join(f"SELECT * FROM {name}" for name in told), told)}


def _trade(where: Path, there: Mapping[str, str], tables: Mapping[str, Relation]) -> dict[str, Relation]:
    plan = statement.match_plan(there, where)
    views = {} if plan.left_out else _views(plan.facts, tables)
    return {name: views[view] for name, view in trade.TABLES.items() if view in views}


def _views(steps: Iterable[Step], tables: Mapping[str, Relation]) -> dict[str, Relation]:
    """The relation of every step, each of silver and of the steps before it."""
    made = {name: table(name, held.columns) for name, held in tables.items()}
    for step in steps:
        made[step.view] = _evaluated(step.sql, made)
    return made


def _evaluated(text: str, there: Mapping[str, Relation]) -> Relation:
    return evaluate_query(sqlglot.parse_one(text, dialect="spark"), lambda name: there[name])
