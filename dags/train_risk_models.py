"""
### What it does
Freezes a training set (features joined to outcomes as known, with a manifest) and fits the scorecard, the
size-only benchmark and the gradient-boosted challenger on the same folds. Logs everything to MLflow and
registers a new version under the alias `candidate`. It moves no other alias: that is `promote_model`.

### Inputs and outputs
- in: `gold.enterprise_features`, the outcomes in silver; starts on asset `enterprise_features`
- out: a frozen training set, MLflow runs, a registered version; asset `model_candidate`

### Schedule and date
Starts on every new partition of features, and ends as skipped when the last candidate was trained on features of
less than four weeks before. By hand: trigger with the `as_of` of the features as partition key; that always trains.

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
from airflow.sdk import DAG, PartitionedAssetTimetable, get_current_context, task

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

    @task(inlets=[chain.CANDIDATE])
    def freeze() -> dict[str, Any]:
        """Features and outcomes as known → a sealed training set. Skips the run when no training is due."""
        from ml import training

        chain.skip_unless_training_is_due(get_current_context())
        return chain.run_job(training.freeze_dataset)

    @task(outlets=[chain.CANDIDATE])
    def train() -> dict[str, Any]:
        """Fits, validates, logs and registers the models."""
        from ml import training

        result = chain.run_job(training.train)
        get_current_context()["outlet_events"][chain.CANDIDATE].extra = {"warehouse": chain.warehouse()}
        return result

    freeze() >> train()
