"""
### What it does
Scores every enterprise that has features as of the drop's date with the champion: score, PD, grade,
reasons. Where a feed was older on that date than its contract allows, the scores say so, refer every enterprise to
a person, or are not given, as the contract states. The scores are written aside, checked by their gate, then
published. Without a champion it ends as skipped.

### Inputs and outputs
- in: `gold.enterprise_features`, `gold.source_freshness`, the model with alias `champion`; starts on asset
  `enterprise_features` or on asset `model_champion`, whichever comes
- out: `gold.enterprise_score`; asset `enterprise_score` with the same partition key

### Schedule and date
Two occasions: new features are scored by the champion in office, and a new champion scores the features
it was trained on. The partition key is the `as_of` to score. After a late approval, trigger with the
newest `as_of` as well.

### How to rerun
Clear the failed task, or trigger with the same partition key: the scores of that `as_of` are replaced.

### When it fails
- `score`: the scores broke a rule (not every enterprise scored or referred, points that do not add up), or
  MLflow is down (`vinelake status`). The message says which. Or a stale feed stops scores: pull it, build the
  features again, clear the task.
- `gate`: an expectation failed and nothing was published. The message gives the report's path.

### Owner
risk-modelling
"""

from __future__ import annotations

from functools import partial
from typing import Any

import chain
from airflow.sdk import DAG, PartitionedAssetTimetable, task

with DAG(
    dag_id="score_portfolio",
    description="Champion × features → scores, grades, reasons; checked and published",
    schedule=PartitionedAssetTimetable(assets=chain.FEATURES | chain.CHAMPION),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(chain.RISK_OWNER),
    tags=["vinelake", "gold", "scoring"],
    doc_md=__doc__,
) as dag:

    @task(pool=chain.ENGINE_POOL)
    def score() -> dict[str, Any]:
        """Scores and audits aside; skips when there is no champion yet."""
        from ml import scoring

        return chain.run_job(scoring.score)

    @task(pool=chain.PUBLISH_POOL, outlets=[chain.SCORES])
    def gate() -> dict[str, Any]:
        """Checks the scores and publishes them."""
        from expectations import gate as gates

        return chain.run_job(partial(gates.gate, "scores"))

    score() >> gate()
