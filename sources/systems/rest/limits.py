"""A token bucket for each client: `burst` requests at once, then `rate` a second."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from sources.systems.rest.answers import ApiError


class Buckets:
    """The buckets of one server."""

    def __init__(self, rate: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self.now = rate, burst, now
        self._level: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, client: str) -> int:
        """Takes one request; 0 if it may go on, else the whole seconds to wait."""
        with self._lock:
            now = self.now()
            level, seen = self._level.get(client, (float(self.burst), now))
            level = min(self.burst, level + (now - seen) * self.rate)
            if level >= 1:
                self._level[client] = (level - 1, now)
                return 0
            self._level[client] = (level, now)
            return max(1, math.ceil((1 - level) / self.rate))

    def admit(self, client: str) -> None:
        """Takes one request; ApiError 429, which says how long to wait, for a client that asks too often."""
        if wait := self.take(client):
            raise ApiError(429, "too_many_requests", f"wait {wait} s", Retry_After=str(wait))
