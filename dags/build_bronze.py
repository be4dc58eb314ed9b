"""
### What it does
Parses what has landed and was not parsed yet, pulled or dropped, by contract into bronze: typed, as sent, with both
times. Broken rows go to quarantine with a reason. Checks the build and publishes all bronze tables in one commit.
Then notes the consents that the bank's applicants signed, so that the next enquiries at the bureau may be made.

### Inputs and outputs
- in: batches in landing; starts when the day's pulls of every connection have ended, or when a drop has landed
- out: tables `bronze.*` and `quarantine.*`; asset `bronze` with the same partition key; the register of consents

### Schedule and date
The partition key comes with the assets. It names the day; what is parsed is all that is pending, so a batch that came
late, or alone, is in the next run at the latest. By hand: trigger with the day as partition key. To leave a
connection out, remove it from the connections file; while its DAG is paused, this one waits for it.

### How to rerun
Clear the failed task, or trigger with the same partition key. With nothing new to parse the run ends as skipped.

### When it fails
- `build`: the engine is down (`vinelake status`); the retries wait for it.
- `tell_held_back`: a batch has too many bad rows, or strays from the batches before it, and its feed was held back; all
  other feeds were published. The message names batch and reasons. Mend the contract, waive the rule (`vinelake waiver`)
  or reject the batch (`vinelake batch reject`), then trigger the DAG again with the same partition key.
- `gate`: the data broke a rule and none of it was published. The message gives the report's path. Mend the data or,
  if the rule is wrong, the contract; then clear `build`.
- `note_consents`: the message says which application's paper is not a consent. Nothing waits for it but the bureau.

### Owner
data-engineering
"""

from __future__ import annotations

from functools import partial
from typing import Any

import chain
from airflow.sdk import DAG, PartitionedAssetTimetable, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from lakehouse.errors import BatchesHeld, GateFailed

with DAG(
    dag_id="build_bronze",
    description="Landing → bronze: typed, as sent; checked and published",
    schedule=PartitionedAssetTimetable(assets=chain.landed()),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(),
    tags=["vinelake", "bronze"],
    doc_md=__doc__,
) as dag:

    @task(inlets=[chain.BRONZE])
    def build() -> dict[str, Any]:
        """Landing → bronze build and quarantine. Skips the run when all that has landed was published before."""
        from spark_jobs import bronze

        context = get_current_context()
        newest, announced = chain.last_landed(), context["inlet_events"][chain.BRONZE]
        chain.drop_date(context)
        chain.skip_if_published(newest, announced, "nothing has landed since the last run")
        try:
            return chain.run_job(bronze.build) | {"through": newest}
        except chain.HELD_BACK as error:  # the other feeds were built: they need not wait for this one
            return {"held_back": str(error), "through": chain.published_through(announced)}

    @task(pool=chain.PUBLISH_POOL, inlets=[chain.BRONZE], outlets=[chain.BRONZE])
    def gate(built: dict[str, Any]) -> dict[str, Any]:
        """Checks the bronze build; publishes it when good, and announces up to which batch."""
        from expectations import gate as gates

        through = built["through"]
        try:
            result = chain.run_job(partial(gates.gate, "bronze"))
        except BatchesHeld as error:  # everything else was published, and silver need not wait
            through = chain.published_through(get_current_context()["inlet_events"][chain.BRONZE])
            result = error.published | {"held_back": str(error)}
        if not result["tables"]:
            raise AirflowSkipException("0 new rows: what has landed held nothing to publish")
        events = get_current_context()["outlet_events"]
        events[chain.BRONZE].extra = {"through": through, "warehouse": chain.warehouse()}
        return result

    @task
    def note_consents() -> dict[str, Any]:
        """Consents signed with applications into their register. Skipped where no bureau is asked."""
        from spark_jobs import application_consents

        purposes = chain.purposes_of_enquiries()
        if not purposes:
            raise AirflowSkipException("no bureau is asked about anybody here")
        return chain.run_job(partial(application_consents.record, purposes=purposes))

    @task
    def tell_held_back(built: dict[str, Any], published: dict[str, Any]) -> dict[str, Any]:
        """Fails where a feed or batch was held back, once the others are published."""
        told = [step["held_back"] for step in (built, published) if "held_back" in step]
        if told:
            raise GateFailed("\n".join(told), remedy="see the runbook: mend, release, waive or reject, then run again")
        return built

    built = build()
    published = gate(built)
    published >> [note_consents(), tell_held_back(built, published)]
