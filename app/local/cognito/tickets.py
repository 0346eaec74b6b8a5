"""Random tickets that stand for something for a while: sessions, authorization codes."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Tickets(Generic[T]):
    """What tickets stand for; in memory, so a restart makes all of them worthless.

    A ticket is found by its hash, so that the time a search takes tells nothing about others.

    Args:
        clock: Unix time.
        lifetime: Seconds that a ticket is good.
        limit: How many are kept; the oldest go first.
    """

    def __init__(self, clock: Callable[[], float], lifetime: float, limit: int = 1000) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._limit = limit
        self._kept: dict[bytes, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def new(self, value: T) -> str:
        """Make a ticket for something."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._kept[_hash(ticket)] = (self._clock() + self._lifetime, value)
            while len(self._kept) > self._limit:
                del self._kept[next(iter(self._kept))]
        return ticket

    def get(self, ticket: str) -> T | None:
        """Find what a ticket stands for; None if it is not good, or no longer."""
        return self._good(self._kept.get(_hash(ticket)))

    def take(self, ticket: str) -> T | None:
        """Find what a ticket stands for, and make it worthless: of all callers one gets it."""
        with self._lock:
            return self._good(self._kept.pop(_hash(ticket), None))

    def _good(self, found: tuple[float, T] | None) -> T | None:
        return found[1] if found is not None and self._clock() < found[0] else None


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
