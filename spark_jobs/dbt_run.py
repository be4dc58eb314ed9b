"""Runs dbt inside this process, on the Spark session that is already open, and says what failed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lakehouse import engine
from lakehouse.errors import EngineError, GateFailed
from lakehouse.settings import get_settings

log = logging.getLogger("vinelake.dbt")
LOG_BYTES = 20 * 2**20


def project_dir() -> Path:
    """The dbt project's folder."""
    return get_settings().project_dir / "dbt_project"


def work_schema() -> str:
    """The catalog's schema for dbt's steps on the way, which are never published."""
    return f"{get_settings().schema_name('gold')}_work"


def invoke(command: str, arguments: Sequence[str] = (), variables: Mapping[str, Any] | None = None) -> list[Any]:
    """Runs one dbt command and returns its node results.

    dbt's own log goes to `<log_dir>/dbt/dbt.log`. Raises GateFailed naming the first failed test, or
    EngineError naming the first failed model; both name that log.
    """
    from dbt.cli.main import dbtRunner

    settings = get_settings()
    log_dir = settings.log_dir / "dbt"
    log_dir.mkdir(parents=True, exist_ok=True)
    schemas = {
        "work_schema": work_schema(),
        "build_schema": f"{settings.schema_name('gold')}_build",
        "silver_schema": settings.schema_name("silver"),
    }
    flags = [
        "--project-dir", str(project_dir()), "--profiles-dir", str(project_dir()),
        "--target-path", str(settings.home / "dbt"), "--log-path", str(log_dir),
        "--log-file-max-bytes", str(LOG_BYTES), "--log-level", "none", "--log-level-file", "debug",
        # Other variables each day: what was parsed before is of no use, and nobody reads what dbt would keep of it.
        "--no-write-json", "--no-partial-parse",
        "--vars", json.dumps({**schemas, **(variables or {})}),
    ]  # fmt: skip
    with _spark_remote(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to set spark.sql.catalogImplementation")
        outcome = dbtRunner(callbacks=[_progress()]).invoke([command, *flags, *arguments])
    results = list(getattr(outcome.result, "results", None) or [])
    _raise_first_failure(results, outcome.exception, log_dir / "dbt.log")
    return results


@contextlib.contextmanager
def _spark_remote() -> Iterator[None]:
    """Sets SPARK_REMOTE for a while: dbt's adapter asks Spark for "the" session, and Spark looks there whether
    that is a remote one. The session already open is then the one it gets."""
    before = os.environ.get("SPARK_REMOTE")
    os.environ["SPARK_REMOTE"] = before or engine.remote("dbt")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("SPARK_REMOTE", None)


def _progress() -> Callable[[Any], None]:
    """A listener that logs every finished model and test with its seconds."""

    def listen(event: Any) -> None:
        if event.info.name in ("LogModelResult", "LogTestResult"):
            log.info(event.info.msg.strip())

    return listen


def _short(message: str | None) -> str:
    """A node's message without the Java stack that Spark adds to it."""
    text = (message or "no message").split("JVM stacktrace:")[0]
    return " ".join(line.strip() for line in text.splitlines() if not line.strip().startswith("at "))[:1500]


def _raise_first_failure(results: Sequence[Any], exception: BaseException | None, log_file: Path) -> None:
    failed = [r for r in results if str(r.status) in ("error", "fail", "runtime error")]
    if failed:
        first, others = failed[0], len(failed) - 1
        more = f" (and {others} more failed)" if others else ""
        what = f"dbt {first.node.resource_type} {first.node.name} failed{more}: {_short(first.message)}"
        where = f"{first.node.original_file_path}; log {log_file}"
        if first.node.resource_type in ("test", "unit_test"):
            raise GateFailed(
                what, where, "nothing was published; run the test's compiled SQL, named in the log, to see the rows"
            )
        raise EngineError(what, where, "correct the model or the data it reads, then run the step again")
    if exception is not None:
        raise EngineError(
            f"dbt stopped before any model ran: {exception}",
            where=f"log {log_file}",
            remedy="if the text speaks of a file, correct it; if of a connection, see `vinelake status`",
        ) from exception
