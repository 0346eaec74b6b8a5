"""What an operator reads when a store does not answer: one line, not one per request."""

from __future__ import annotations

import logging
import time

from app.store.base import StoreUnavailable

_SECONDS = 60.0
_KINDS = 100

_log = logging.getLogger("app.store")


class Complaints:
    """The log lines about one store; each kind at most once a minute.

    ``subject`` is how the operator knows the store: the file, or the table.
    """

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._last: dict[str, float] = {}

    def unavailable(self, kind: str, reason: str) -> StoreUnavailable:
        """Log the reason unless this kind was logged within the minute; return what to raise."""
        message = f"{self._subject}: {' '.join(reason.split())}"
        time_now = time.monotonic()
        if time_now - self._last.get(kind, -_SECONDS) >= _SECONDS:
            if len(self._last) >= _KINDS:
                self._last.clear()
            self._last[kind] = time_now
            _log.error("%s", message)
        return StoreUnavailable(message)
