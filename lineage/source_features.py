"""What the features of other sources than invoices are made of: the statements of their catalogue, read as queries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from lakehouse import known
from lineage.queries import evaluate_text
from lineage.values import Relation, table
from spark_jobs.source_features import catalogue, identity, job, statement

TABLE = job.TABLE
ASKED = "(SELECT date'2000-01-01' AS as_of)"


def followed(project: Path, tables: Mapping[str, Relation], invoices: Relation | None) -> Relation | None:
    """What `gold.enterprise_source_features` is made of; None where a project has no catalogue.

    `tables`: those of silver by name; `invoices`: the features of invoices, whose rows these are.
    """
    families = catalogue.load(project / "dbt_project" / "source_features")
    if not families or invoices is None:
        return None
    # A contract that was taken away leaves no keys to read its table's versions by.
    there = {name: name for name in job.tables_read(families) if name in tables and known.record_keys(name)}

    made: dict[str, Relation] = {}

    def relation_of(wanted: str) -> Relation:
        if wanted in made:
            return made[wanted]
        if wanted == job.SUBJECTS:
            return evaluate_text(identity.statement(ASKED, there), relation_of)
        if wanted == statement.INVOICES:
            return table(wanted, invoices.columns)
        held = tables.get(wanted)
        return table(wanted, held.columns) if held else Relation({}, frozenset(), wanted)

    since = dict.fromkeys(there, "2000-01-01 00:00:00")
    place = statement.Place(there, since, job.SUBJECTS, statement.INVOICES)
    for family in families:
        made[family.name] = evaluate_text(statement.of_family(family, [date(2000, 1, 1)], place), relation_of)
    whole = statement.together(families, {family.name: family.name for family in families}, statement.INVOICES)
    return evaluate_text(whole, relation_of)
