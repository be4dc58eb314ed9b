"""Client, engine and jobs killed in mid-run: running again ends in the same tables, also after a late commit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import engine, tables
from lakehouse.settings import PROJECT_DIR, Settings
from spark_jobs import bronze, landing, silver
from tests.integration.conftest import FIRST_DROP, SECOND_DROP, all_hashes, run_main_job

pytestmark = pytest.mark.engine
MAIN_JOB = """
import pathlib, sys
from tests.integration.conftest import run_main_job
run_main_job(sys.argv[1], pathlib.Path(sys.argv[2]))
"""
STRAY = """
import sys
from lakehouse import engine
with engine.session("stray") as spark:
    spark.sql(sys.argv[1]).collect()
"""


def start(code: str, *arguments: str) -> subprocess.Popen:
    """Runs a client of the engine as a process of its own, in this test's lakehouse."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=PROJECT_DIR, env=dict(os.environ), stderr=subprocess.DEVNULL
    )


def wait_for(condition: Callable[[], bool], client: subprocess.Popen, seconds: float = 300) -> None:
    """Waits until the job has come so far; fails when it ended before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert client.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < deadline, "the job never came so far"
        time.sleep(0.05)


def test_a_killed_clients_late_commit_reaches_no_reader_and_no_later_build(
    first_drop: Path, lakehouse: Settings
) -> None:
    from expectations.gate import gate

    landing.land(FIRST_DROP, first_drop)
    bronze.build(FIRST_DROP)
    table = "bronze.bank__applicant"
    with engine.session() as spark:
        assert tables.build_version(table) == 0
    build = tables.build_name(table)
    # The copy of every row commits some seconds after its client is gone.
    sleep = "(SELECT reflect('java.lang.Thread', 'sleep', 20000L) AS slept)"
    client = start(STRAY, f"INSERT INTO {build} SELECT {build}.* FROM {build} CROSS JOIN {sleep} WHERE slept <> 'no'")
    time.sleep(8)
    client.kill()
    client.wait()

    gate("bronze", FIRST_DROP)
    with engine.session() as spark:
        published = tables.content_hash(tables.read(spark, table))
        deadline = time.monotonic() + 60
        while tables.build_version(table) == tables.current_manifest().versions[table]:
            if time.monotonic() > deadline:
                pytest.fail("the late commit never came: the test proves nothing")
            time.sleep(1)
        assert tables.content_hash(tables.read(spark, table)) == published
    silver.build(FIRST_DROP)
    gate("silver", FIRST_DROP)
    bronze.build(FIRST_DROP)
    with engine.session() as spark:
        assert tables.begin_build(spark, table) is not None
        assert tables.content_hash(spark.table(tables.build_name(table))) == published


def test_drops_built_together_and_killed_anywhere_give_the_tables_of_one_by_one(
    two_drops: dict, first_drop: Path, second_drop: Path, lakehouse: Settings
) -> None:
    """A backfill: both drops land before anything is built, and one build takes them in."""

    def log(table: str) -> Path:
        return Path(tables.build_location(table)) / "_delta_log"

    landing.land(FIRST_DROP, first_drop)
    client = start(MAIN_JOB, SECOND_DROP, str(second_drop))
    wait_for(log("bronze.gov_tax__purchase_invoice").exists, client)
    client.kill()
    client.wait()

    client = start(MAIN_JOB, SECOND_DROP, str(second_drop))
    wait_for(log("silver.vat_invoice").exists, client)
    client.kill()
    client.wait()

    client = start(MAIN_JOB, SECOND_DROP, str(second_drop))
    wait_for(log("gold.enterprise_flow_daily").exists, client)
    engine.process().running().kill()  # the last kill: an engine that starts anew compiles everything anew
    assert client.wait(timeout=120) != 0
    engine.start()

    run_main_job(SECOND_DROP, second_drop)
    with engine.session() as spark:
        assert all_hashes(spark) == two_drops["second_hash"]
