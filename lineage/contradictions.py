"""What contradictions and matched trade are made of: their statements, read as queries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lakehouse import known
from lineage.queries import evaluate_text
from lineage.values import Relation, table
from spark_jobs.contradictions import catalogue, job, statement, trade


def followed(project: Path, tables: Mapping[str, Relation]) -> dict[str, Relation]:
    """What `gold.contradiction`, `gold.trade_match` and `gold.trade_unmatched` are made of; none without a catalogue.

    `tables`: those of silver by name.
    """
    where = project / "dbt_project" / "contradictions"
    if not where.is_dir():
        return {}
    # A contract that was taken away leaves no keys to read its table's versions by.
    there = {name: name for name in tables if known.record_keys(name)}
    kinds = catalogue.load(where)
    plan, matching = statement.plan(kinds, there, where), statement.match_plan(there, where)
    made = {name: table(name, held.columns) for name, held in tables.items()}
    for step in (*plan.facts, *plan.figures.values(), *matching.facts):
        if step.view not in made:  # many facts are read by both plans
            made[step.view] = _evaluated(step.sql, made)
    found = {name: made[view] for name, view in trade.TABLES.items() if view in made}
    told = {
        kind.name: _evaluated(job.told(kind, plan.figures[kind.name], plan.registered, rules=""), made)
        for kind in kinds
        if kind.name in plan.figures
    }
    if told:
        found[job.TABLE] = _evaluated(" UNION ALL ".join(f"SELECT * FROM {name}" for name in told), told)
    return found


def _evaluated(text: str, there: Mapping[str, Relation]) -> Relation:
    return evaluate_text(text, lambda name: there[name])
