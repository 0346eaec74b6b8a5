"""The mails that Cognito would send: announced in the terminal, and kept for an inbox page."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

KEPT = 100


@dataclass(frozen=True)
class Mail:
    """A mail that was not sent. ``code`` is the code or temporary password that it carries."""

    to: str
    subject: str
    text: str
    code: str
    time: float


class Outbox:
    """Where mails go instead of out: the last hundred stay in memory."""

    def __init__(self, announce: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._announce = announce
        self._clock = clock
        self._mails: deque[Mail] = deque(maxlen=KEPT)

    @property
    def mails(self) -> list[Mail]:
        """The mails, newest first."""
        return list(reversed(self._mails))

    def send(self, to: str, subject: str, text: str, code: str) -> None:
        """Announce a mail and keep it."""
        self._mails.append(Mail(to, subject, text, code, self._clock()))
        # A name or address comes from whoever signs up and must not steer the terminal.
        line = f"To {to}: {text}"
        self._announce("".join(c if c.isprintable() else "?" for c in line))
