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
from lakehouse.settings import PROJECT_DIR, get_settings
from tests.integration.conftest import FIRST_DROP, all_hashes, run_main_job
from tests.integration.test_kills import MAIN_JOB

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="long: run `make torture`"),
]
LONGEST_SECONDS = 40.0
ENGINE_SHARE = 0.3
KILLS_A_ROUND = 5


def test_any_number_of_kills_ends_in_the_same_tables(
    two_drops: dict, first_drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Round by round, each in an empty lakehouse: the job is killed until it comes through, then compared."""
    kills = int(os.environ.get("VINELAKE_TORTURE_KILLS", "20"))
    moments = random.Random(int(os.environ.get("VINELAKE_TORTURE_SEED", "1")))
    done = rounds = 0
    while done < kills:
        rounds += 1
        monkeypatch.setenv("VINELAKE_ENVIRONMENT", f"round{rounds}")
        get_settings.cache_clear()
        done += kill_until_through(first_drop, moments, min(KILLS_A_ROUND, kills - done))
        run_main_job(FIRST_DROP, first_drop)
        with engine.session() as spark:
            assert all_hashes(spark) == two_drops["first_hash"], f"round {rounds}"
        print(f"round {rounds}: {done} kills of {kills} so far, tables equal", flush=True)


def kill_until_through(drop: Path, moments: random.Random, at_most: int) -> int:
    """Starts the job again and again, kills its client or the engine each time; returns the number of kills."""
    for kills in range(at_most):
        command = [sys.executable, "-c", MAIN_JOB, FIRST_DROP, str(drop)]
        client = subprocess.Popen(command, cwd=PROJECT_DIR, env=dict(os.environ), stderr=subprocess.DEVNULL)
        delay = moments.uniform(1, LONGEST_SECONDS)
        try:
            client.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            pass
        else:
            assert client.returncode == 0, "the job failed without having been killed"
            return kills
        if moments.random() < ENGINE_SHARE:
            engine.process().running().kill()
            client.wait(timeout=180)
            engine.start()
            print(f"  engine killed after {delay:.1f} s", flush=True)
        else:
            client.kill()
            client.wait()
            time.sleep(moments.uniform(0, 3))
            print(f"  client killed after {delay:.1f} s", flush=True)
    return at_most
