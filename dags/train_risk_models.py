"""
### What it does
Freezes a training set (features joined to outcomes as known, with a manifest) and fits the scorecard, the
size-only benchmark and the gradient-boosted challenger on the same folds. Logs everything to MLflow and
registers a new version under the alias `candidate`. It moves no other alias: that is `promote_model`.

### Inputs and outputs
- in: `gold.enterprise_features`, the outcomes in silver; starts on asset `enterprise_features`
- out: a frozen training set, MLflow runs, a registered version; asset `model_candidate`

### Schedule and date
Starts on every new partition of features, which suits a portfolio that receives a drop now and then. With
daily drops, train monthly: replace the schedule by
`CronPartitionTimetable("0 20 1 * *", timezone=…, key_format="%Y-%m-%d")`; scoring keeps following the
features. By hand: trigger with the `as_of` of the features as partition key.

### How to rerun
Clear the failed task, or trigger with the same partition key: a frozen set is reused, a repeated training
registers a further version.

### When it fails
- `freeze`: too few matured outcomes, or none; the message says how many there are and how many it takes.
- `train`: MLflow is down (`vinelake status`), or a fit did not converge; the message names the model.

### Owner
risk-modelling
"""

from __future__ import annotations

from typing import Any

import chain
from airflow.sdk import DAG, PartitionedAssetTimetable, task

with DAG(
    dag_id="train_risk_models",
    description="Frozen training set → scorecard, benchmark, challenger; registered as candidate",
    schedule=PartitionedAssetTimetable(assets=chain.FEATURES),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(chain.RISK_OWNER),
    tags=["vinelake", "model", "training"],
    doc_md=__doc__,
) as dag:

    @task
    def freeze() -> dict[str, Any]:
        """Features and outcomes as known → a sealed training set."""
        from ml import training

        return chain.run_job(training.freeze_dataset)

    @task(outlets=[chain.CANDIDATE])
    def train() -> dict[str, Any]:
        """Fits, validates, logs and registers the models."""
        from ml import training

        return chain.run_job(training.train)

    freeze() >> train()
