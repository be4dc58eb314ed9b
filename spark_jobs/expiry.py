"""Personal data that no contract keeps any longer: who is concerned, and their erasure.

A contract says in `slaProperties` how long personal data are kept after a record that names the person was last
received (`retention`). A person is kept as long as any contract that names the person keeps the person; a contract that
states no retention keeps for good, like a register of who owns what. Rows of bronze count; what lies in quarantine
alone waits for a decision. The erasure is that of a request (`spark_jobs.erasure`), with its certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from lakehouse import contracts, engine, tables
from lakehouse.contracts import Column, Contract
from lakehouse.settings import get_settings
from lakehouse.time import business_today
from lakehouse.vault import forms, open_vault
from spark_jobs import erasure
from spark_jobs.pull import sealing_plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PURPOSE = "retention ended"
GROUND = "the retention that contracts state (slaProperties)"


@dataclass(frozen=True)
class Expired:
    """A subject whom no contract keeps: `who` (person, enterprise), `kind` of identifier, and how bronze names the
    subject (a token for persons, the number itself for enterprises). `last_on`: the day of the last record."""

    who: str
    kind: str
    said: str
    last_on: date
    kept_until: date


def expired(day: date) -> list[Expired]:
    """The subjects that were kept until before `day`, by kind and last day; nothing is opened for this."""
    with engine.session("expiry") as spark:
        tables.ensure_schemas(spark)
        mentions = list(_mentions(spark))
        if not mentions:
            return []
        rows = spark.sql(
            "SELECT who, kind, said, max(last_on) AS last_on, max(kept_until) AS kept_until "
            f"FROM ({' UNION ALL '.join(mentions)}) GROUP BY who, kind, said "
            f"HAVING count(*) = count(kept_until) AND max(kept_until) < date'{day}' ORDER BY kind, last_on, said"
        ).collect()
    return [Expired(**row.asDict()) for row in rows]


def tally(found: Sequence[Expired]) -> list[tuple[str, str, int, str]]:
    """Whose, kind of identifier, how many, and the day of the oldest last record; no identifier."""
    groups: dict[tuple[str, str], list[str]] = {}
    for subject in found:
        groups.setdefault((subject.who, subject.kind), []).append(subject.last_on.isoformat())
    return [(who, kind, len(days), min(days)) for (who, kind), days in sorted(groups.items())]


def count() -> dict[str, Any]:
    """The tally as of today."""
    return {"expired": tally(expired(business_today()))}


def erase(
    found: Sequence[Expired],
    day: date,
    strip: erasure.Strip,
    models: erasure.Models,
    step: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Erases them as on request, all persons and all enterprises at once; returns the certificates."""
    request = {"author": get_settings().author, "reason": f"{PURPOSE} before {day}", "ground": GROUND}
    done = []
    for who in sorted({subject.who for subject in found}):
        body = erasure.erase(who, _clear([s for s in found if s.who == who]), request, strip, models, step)
        if body:
            done.append(body)
    return done


def _clear(subjects: Sequence[Expired]) -> list[str]:
    """The identifiers themselves; what stands as a token is opened, which the vault notes."""
    tokens = [s.said for s in subjects if forms.TOKEN.fullmatch(s.said)]
    with open_vault() as vault:
        opened = vault.reveal(tokens, PURPOSE) if tokens else []
    return [*opened, *(s.said for s in subjects if not forms.TOKEN.fullmatch(s.said))]


def _mentions(spark: SparkSession) -> Iterator[str]:
    """Statements of the rows of bronze that name subjects: who, the last day, until when the contract keeps them."""
    known = [c for c in contracts.load_all(get_settings().contracts_dir).values() if c.personal_columns]
    if not any(contract.retention_days for contract in known):
        return  # nobody expires, and no table need be read
    named_by = [(c, sealing_plan.subject_of(c, column)) for c in known for column in c.personal_columns]
    kinds = {sealing_plan.identifier(contract, subject) for contract, subject in named_by}
    for contract in known:
        if tables.is_published(spark, contract.bronze_table):
            subjects = {subject.name for other, subject in named_by if other is contract}
            for column in contract.columns:
                is_named = column.is_personal and sealing_plan.identifier(contract, column) in kinds
                if is_named or column.name in subjects:
                    yield _mention(contract, column)


def _mention(contract: Contract, column: Column) -> str:
    days = contract.retention_days
    until = f"date_add(max(received_on), {days})" if days else "CAST(NULL AS DATE)"
    # In a personal column a value that is no token is nobody's, or a mark of an erasure.
    named = f"{column.name} RLIKE '^tok[0-9]+_'" if column.is_personal else f"{column.name} IS NOT NULL"
    return (
        f"SELECT '{erasure.whose(column)}' AS who, '{sealing_plan.identifier(contract, column)}' AS kind, "
        f"{column.name} AS said, max(received_on) AS last_on, {until} AS kept_until "
        f"FROM {tables.published_name(contract.bronze_table)} WHERE {named} GROUP BY {column.name}"
    )
