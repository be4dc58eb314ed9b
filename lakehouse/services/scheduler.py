"""Airflow's scheduler with its fork server started first: `python -m lakehouse.services.scheduler`.

Airflow starts the fork server with the first task, which would then wait for all of its imports. Started
here, it imports while the scheduler itself starts.
"""

from __future__ import annotations

import sys
from multiprocessing import forkserver

PRELOAD = "lakehouse.services.preload"


def main() -> None:
    """Runs `airflow scheduler` in this process; Airflow's configuration names the same fork server."""
    forkserver.set_forkserver_preload([PRELOAD])
    forkserver.ensure_running()
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "scheduler", "--skip-serve-logs"]
    airflow()


if __name__ == "__main__":
    main()
