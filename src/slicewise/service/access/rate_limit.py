"""How many requests one caller may send: a leaky bucket a name, within one process."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_NAMES = 10_000
"""Names remembered before those that wait for nothing are forgotten."""


class RateLimiter:
    """Admits a steady rate with room for one minute's worth at once.

    The generic cell rate algorithm (ITU-T I.371): one number a name, the time at which its bucket
    would be empty. Every worker process counts for itself.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with every bucket empty.

        Args:
            per_minute: Requests a minute for one name; 0 is no limit.
            clock: Seconds that only go up.
        """
        self._per_minute = per_minute
        self._clock = clock
        self._empty_at: dict[str, float] = {}

    def wait(self, name: str) -> float:
        """Count one request; seconds until it may come again, 0 where it may come now.

        A request that has to wait is not counted.
        """
        if not self._per_minute:
            return 0.0
        now, each = self._clock(), 60.0 / self._per_minute
        empty_at = max(self._empty_at.get(name, now), now) + each
        late = empty_at - now - 60.0
        if late > 1e-9:
            return late
        if len(self._empty_at) >= MOST_NAMES:
            self._forget(now)
        self._empty_at[name] = empty_at
        return 0.0

    def _forget(self, now: float) -> None:
        self._empty_at = {name: at for name, at in self._empty_at.items() if at > now}
