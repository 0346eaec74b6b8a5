"""The six-digit codes of mails: random, short-lived, for one use, and few guesses."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Purpose = Literal["confirm", "password", "email"]

LIFETIME: dict[Purpose, int] = {"confirm": 24 * 3600, "password": 3600, "email": 24 * 3600}
"""Seconds that a code is valid. Source: "Quotas in Amazon Cognito", user pools, codes."""
GUESSES = 5

Verdict = Literal["right", "wrong", "expired", "exhausted"]


@dataclass
class Code:
    """A code that was sent to a user."""

    user_id: str
    purpose: Purpose
    digits: str
    expires: float
    guesses: int = GUESSES


class Codes:
    """The codes that one pool has sent and that were not used yet: one per user and purpose."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._codes: dict[tuple[str, str], Code] = {}

    def new(self, user_id: str, purpose: Purpose) -> str:
        """Make a code, in place of the one before."""
        digits = f"{secrets.randbelow(1_000_000):06}"
        expires = self._clock() + LIFETIME[purpose]
        self._codes[user_id, purpose] = Code(user_id, purpose, digits, expires)
        return digits

    def check(self, user_id: str, purpose: Purpose, digits: str) -> Verdict:
        """Judge a code that a user typed; a wrong one costs a guess."""
        code = self._codes.get((user_id, purpose))
        if code is None or code.expires <= self._clock():
            return "expired"
        if not code.guesses:
            return "exhausted"
        if hmac.compare_digest(code.digits.encode(), digits.encode()):
            return "right"
        code.guesses -= 1
        return "wrong"

    def used(self, user_id: str, purpose: Purpose) -> None:
        """Forget a code whose use has succeeded."""
        self._codes.pop((user_id, purpose), None)

    def forget(self, user_id: str) -> None:
        """Forget a deleted user's codes."""
        self._codes = {key: code for key, code in self._codes.items() if key[0] != user_id}

    def dump(self) -> list[dict[str, Any]]:
        """Return the codes that are still valid, as JSON."""
        return [asdict(c) for c in self._codes.values() if c.expires > self._clock()]

    def load(self, codes: list[dict[str, Any]]) -> None:
        """Take back what dump gave."""
        self._codes = {(c["user_id"], c["purpose"]): Code(**c) for c in codes}
