"""
### What it does
Decides whether the candidate becomes champion. The promotion gate compares them (same folds or holdout,
calibration, stability); then a person who is not the author approves or rejects; then the decision enters
the promotion ledger and, if approved, the alias `champion` moves.

### Inputs and outputs
- in: the registered version with alias `candidate`; starts on asset `model_candidate`
- out: a row in the promotion ledger; alias `champion`; asset `model_champion` only when approved

### Schedule and date
Starts when a candidate was registered; the partition key is its features' `as_of`.

### Who approves
The user set as approver (`VINELAKE_APPROVER`), in Airflow under *Required Actions*, within seven days. The
author's answer is refused. An unattended demo answers over the same interface as that user, and says so.

### How to rerun
Clear `check` to have the gate look again; it asks for a new answer. A decision once made stays in the
ledger.

### When it fails
- `check`: the candidate must not be promoted; the message gives the reasons and the report. This is an
  answer, not an outage: the champion stays.
- `approve`: nobody answered in seven days. Clear it to ask again.
- `decide`: the approver is the author, or the registry is down (`vinelake status`).

### Owner
risk-modelling
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import chain
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, PartitionedAssetTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

APPROVE, REJECT = "Approve", "Reject"

with DAG(
    dag_id="promote_model",
    description="Candidate → gate → a person's decision → champion",
    schedule=PartitionedAssetTimetable(assets=chain.CANDIDATE),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(chain.RISK_OWNER),
    tags=["vinelake", "model", "approval"],
    doc_md=__doc__,
) as dag:

    @task
    def check() -> dict[str, Any]:
        """The promotion gate; fails when the candidate must not be promoted."""
        from ml import promotion

        return chain.run_job(promotion.check)

    # HITLOperator rather than ApprovalOperator: a rejection has to reach `decide`, to enter the ledger.
    approve = HITLOperator(
        task_id="approve",
        subject="Promote the candidate of {{ dag_run.partition_key }} to champion?",
        body="The gate's findings:\n\n"
        "{% for name, value in (ti.xcom_pull(task_ids='check') or {}).items() %}"
        "- **{{ name }}**: {{ value | string | truncate(300) }}\n{% endfor %}",
        options=[APPROVE, REJECT],
        params={"comment": Param("", type="string", title="Reason, conditions, end date")},
        assigned_users=[{"id": chain.approver(), "name": chain.approver()}],
        response_timeout=timedelta(days=7),
        execution_timeout=None,
        doc_md="Waits for the approver's answer.",
    )

    @task(pool=chain.PUBLISH_POOL, outlets=[chain.CHAMPION])
    def decide(answer: dict[str, Any]) -> dict[str, Any]:
        """Writes the decision to the ledger and moves the alias; skips what follows a rejection."""
        from ml import promotion

        approved = answer["chosen_options"] == [APPROVE]
        result = chain.run_job(
            partial(
                promotion.decide,
                approver=answer["responded_by_user"]["id"],
                decision="approve" if approved else "reject",
                comment=answer["params_input"].get("comment", ""),
            )
        )
        if not approved:
            raise AirflowSkipException("rejected: the champion stays")
        return result

    check() >> approve
    decide(approve.output)
