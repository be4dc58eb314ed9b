"""A long campaign of kills at random moments: `make torture`. The last result is in docs/torture.md.

`VINELAKE_TORTURE_KILLS` sets how many (20 otherwise), `VINELAKE_TORTURE_SEED` which moments.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lakehouse import engine
from lakehouse.settings import PROJECT_DIR, Settings
from tests.integration.conftest import FIRST_DROP, all_hashes, run_main_job
from tests.integration.test_kills import MAIN_JOB

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="long: run `make torture`"),
]


def test_any_number_of_kills_ends_in_the_same_tables(two_drops: dict, first_drop: Path, lakehouse: Settings) -> None:
    kills = int(os.environ.get("VINELAKE_TORTURE_KILLS", "20"))
    moments = random.Random(int(os.environ.get("VINELAKE_TORTURE_SEED", "1")))
    killed: list[str] = []
    finished = 0
    while len(killed) < kills:
        client = subprocess.Popen(
            [sys.executable, "-c", MAIN_JOB, FIRST_DROP, str(first_drop)],
            cwd=PROJECT_DIR,
            env=dict(os.environ),
            stderr=subprocess.DEVNULL,
        )
        delay = moments.uniform(1, 60)
        try:
            client.wait(timeout=delay)
            # The job may end before its moment comes; a job with nothing left to do proves nothing more.
            finished += 1
            assert finished < 3 * kills, "the job is too short for these moments"
            continue
        except subprocess.TimeoutExpired:
            pass
        if moments.random() < 0.3:
            engine.process().running().kill()
            client.wait(timeout=180)
            engine.start()
            killed.append(f"engine after {delay:.1f} s")
        else:
            client.kill()
            client.wait()
            time.sleep(moments.uniform(0, 3))
            killed.append(f"client after {delay:.1f} s")
        print(f"kill {len(killed)} of {kills}: {killed[-1]}", flush=True)
    run_main_job(FIRST_DROP, first_drop)
    with engine.session() as spark:
        assert all_hashes(spark) == two_drops["first_hash"]
