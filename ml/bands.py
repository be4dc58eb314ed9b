"""What bands enterprises would be in by the champion, from features that are not published: for asking what if.

A band is the grade of a score, or `refer` for an enterprise that is referred to a person and gets none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.decisions import DeltaLedger, aliases_by_ledger, verified
from ml.promotion import CHAMPION
from ml.scoring import apply_statement
from ml.tracking import Registry, client

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REFERRED = "refer"


@dataclass(frozen=True)
class Champion:
    """The model in office: its version and its scoring statement."""

    number: str
    statement: str


def champion(spark: SparkSession) -> Champion | None:
    """The champion by the ledger of decisions; None before the first, without asking the registry.

    Raises ServiceError when there is one and the registry does not answer.
    """
    number = aliases_by_ledger(verified(DeltaLedger().entries())).get(CHAMPION)
    if number is None:
        return None
    registry = Registry(client())
    version = registry.version(number)
    return Champion(number, registry.artifact_text(version.run_id, "scorecard.sql")) if version else None


def of_features(spark: SparkSession, model: Champion, features: DataFrame) -> dict[str, tuple[int | None, str]]:
    """Score and band per enterprise; `features`: rows of `gold.enterprise_features` of one date."""
    scored = apply_statement(spark, model.statement, features, model.number, "not published")
    rows = scored.selectExpr("enterprise_id", "score", f"coalesce(grade, '{REFERRED}') AS band").collect()
    return {row["enterprise_id"]: (row["score"], row["band"]) for row in rows}
