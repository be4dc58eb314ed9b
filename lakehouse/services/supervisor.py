"""A loop that starts again what died by itself: `python -m lakehouse.services.supervisor`.

A service that was stopped on purpose has no pid file and is left alone; so is one that keeps dying.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque

from lakehouse.errors import VinelakeError
from lakehouse.services import stack
from lakehouse.services.process import Process

LOOK_SECONDS = 2
RESTARTS, WINDOW_SECONDS = 5, 600

log = logging.getLogger("supervisor")


def restart_crashed(processes: list[Process], history: dict[str, deque], now: float) -> list[str]:
    """Starts again the crashed ones among `processes`; at most `RESTARTS` times in `WINDOW_SECONDS` each.

    `history` holds the times of earlier restarts by name and is updated. Returns the names restarted.
    """
    restarted = []
    for process in processes:
        if not process.crashed():
            continue
        past = history[process.name]
        while past and past[0] < now - WINDOW_SECONDS:
            past.popleft()
        if len(past) >= RESTARTS:
            continue
        with stack.lock():
            if not process.crashed():
                continue
            past.append(now)
            log.warning("%s died, starting it again (%d of %d)", process.name, len(past), RESTARTS)
            try:
                process.spawn()
            except VinelakeError as error:
                log.error("%s", error)
                continue
        restarted.append(process.name)
        if len(past) == RESTARTS:
            log.error("%s died too often and will be left alone; its log: %s", process.name, process.log_file)
    return restarted


def main() -> None:
    """Watches until its own pid file is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    history: dict[str, deque] = defaultdict(deque)
    watched = stack.processes()
    own = stack.supervisor()
    while own.pid_file.exists():
        restart_crashed(watched, history, time.time())
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
