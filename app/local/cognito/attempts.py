"""Guessing passwords: after five wrong ones an account waits, twice as long each time."""

from __future__ import annotations

from collections.abc import Callable

FREE = 5
LONGEST = 15 * 60
REMEMBERED = 10_000


class Attempts:
    """Wrong passwords per name, whether a user has that name or not (that would tell).

    Source: "Password-attempts lockout" in the Cognito developer guide: five free, then one second,
    doubling, to about fifteen minutes. Kept in memory; a restart forgives.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}

    def locked(self, pool_id: str, username: str) -> bool:
        """Whether the name has to wait; a try while it waits is not judged at all."""
        _, until = self._failures.get((pool_id, username), (0, 0.0))
        return self._clock() < until

    def failed(self, pool_id: str, username: str) -> None:
        """Count a wrong password."""
        count = self._failures.pop((pool_id, username), (0, 0.0))[0] + 1
        wait = min(2.0 ** min(count - FREE, 10), LONGEST) if count >= FREE else 0.0
        self._failures[pool_id, username] = (count, self._clock() + wait)
        if len(self._failures) > REMEMBERED:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, pool_id: str, username: str) -> None:
        """Forget the wrong passwords before the right one."""
        self._failures.pop((pool_id, username), None)
