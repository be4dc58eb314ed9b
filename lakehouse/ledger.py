"""The ledger of runs and batches: what ran, on which partition, with how many rows, bytes and seconds.

`control.run` gets one row when a job ends, well or not. `control.batch` gets one row per batch and step;
the accounting identity rows in = accepted + quarantined + duplicates is asserted before it is stored.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lakehouse import control, tables
from lakehouse.errors import IntegrityError
from lakehouse.time import utc_now

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RUN_SCHEMA = (
    "run_id string, job string, partition string, state string, started_at timestamp, seconds double, "
    "details string, error string"
)
BATCH_SCHEMA = (
    "batch_id string, contract string, partition string, manifest_hash string, files int, bytes bigint, "
    "rows_in bigint, rows_accepted bigint, rows_quarantined bigint, rows_duplicate bigint, "
    "reasons map<string, bigint>, profile map<string, bigint>, run_id string, recorded_at timestamp"
)


REJECTED = "batch_rejected"  # the reason that every row of a rejected batch gets


@dataclass(frozen=True)
class BatchAccount:
    """What became of one batch's rows; refuses to exist when the rows do not add up."""

    batch_id: str
    contract: str
    partition: str
    manifest_hash: str
    files: int
    bytes: int
    rows_in: int
    rows_accepted: int
    rows_quarantined: int
    rows_duplicate: int
    reasons: Mapping[str, int]
    profile: Mapping[str, int]

    def __post_init__(self) -> None:
        out = self.rows_accepted + self.rows_quarantined + self.rows_duplicate
        if out != self.rows_in:
            raise IntegrityError(
                f"{self.rows_in:,} rows came in, but {self.rows_accepted:,} accepted + {self.rows_quarantined:,} "
                f"quarantined + {self.rows_duplicate:,} duplicates = {out:,}",
                where=f"batch {self.batch_id} of {self.contract}",
                remedy="nothing was published; this is a fault of the parsing step: report it with the batch",
            )


@dataclass
class Run:
    """A job's run while it lasts; `details` is what the ledger will say of it."""

    run_id: str
    job: str
    partition: str
    details: dict[str, Any]


@contextlib.contextmanager
def run(spark: SparkSession, job: str, partition: str) -> Iterator[Run]:
    """Records a job in `control.run` when it ends; an error is recorded and raised on."""
    tables.ensure_schemas(spark)
    current = Run(uuid.uuid4().hex[:12], job, partition, {})
    started, clock, state, error_text = utc_now(), time.monotonic(), "failed", None
    try:
        yield current
        state = "success"
    except BaseException as error:
        error_text = f"{type(error).__name__}: {error}"[:4000]
        raise
    finally:
        row = (
            current.run_id,
            job,
            partition,
            state,
            started,
            round(time.monotonic() - clock, 3),
            json.dumps(current.details, ensure_ascii=False, default=str),
            error_text,
        )
        with contextlib.suppress(Exception) if state == "failed" else contextlib.nullcontext():
            control.append("run", RUN_SCHEMA, [row])


def record_batches(accounts: Sequence[BatchAccount], run_id: str) -> None:
    """Writes the accounts of batches, each batch and contract once: a repeat replaces its row."""
    rows = [(*asdict(account).values(), run_id, utc_now()) for account in accounts]
    control.merge("batch", BATCH_SCHEMA, rows, ("batch_id", "contract"))


def forget_batches(batch_ids: Collection[str]) -> None:
    """Takes back what an earlier build booked of batches that are held back now: they have no rows in any build."""
    if booked_ids := sorted({row["batch_id"] for row in booked()} & set(batch_ids)):
        control.delete("batch", "batch_id", booked_ids)


def booked() -> list[dict[str, Any]]:
    """The accounts of all batches, in no order."""
    return control.rows("batch", BATCH_SCHEMA)


def rows_rejected(account: Mapping[str, Any]) -> int:
    """How many rows of a batch a person has rejected: all or none."""
    return (account["reasons"] or {}).get(REJECTED, 0)


def unpublished(spark: SparkSession) -> list[dict[str, Any]]:
    """Booked batches with rows that no publication brought to readers yet, in order of their ids."""
    published = tables.published_batches(spark)
    rows = [row for row in booked() if row["rows_in"] > rows_rejected(row)]
    return sorted((row for row in rows if row["batch_id"] not in published), key=lambda row: row["batch_id"])


def past_runs() -> list[dict[str, Any]]:
    """Every run of a job that has ended, the newest first."""
    return sorted(control.rows("run", RUN_SCHEMA), key=lambda row: row["started_at"], reverse=True)


def batches(spark: SparkSession) -> DataFrame:
    """The batch ledger; created empty when nothing has come in yet."""
    tables.ensure_schemas(spark)
    return spark.table(tables.ensure_control_table(spark, "batch", BATCH_SCHEMA))


def runs(spark: SparkSession) -> DataFrame:
    """The run ledger; created empty when nothing has run yet."""
    tables.ensure_schemas(spark)
    return spark.table(tables.ensure_control_table(spark, "run", RUN_SCHEMA))
