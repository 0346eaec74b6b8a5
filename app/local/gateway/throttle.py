"""A stage's throttle: a token bucket (facts, 7)."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Lets ``burst`` requests through at once and ``rate`` a second in the long run.

    Args:
        rate: requests a second; 0 lets none through once the burst is spent.
        burst: how many tokens the bucket holds.
        clock: seconds that only go forward.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if rate < 0 or burst < 0:
            raise ValueError("a throttle's rate and burst are not negative")
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._filled = clock()

    def take(self) -> bool:
        """Take a token if there is one."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
