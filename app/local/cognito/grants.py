"""Who is signed in: one grant per sign-in, which its refresh token and all its tokens hang on."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

API_SCOPE = "aws.cognito.signin.user.admin"
PER_USER = 200
"""Grants kept per user; the oldest go first. (A laptop's scripts sign in often and never out.)"""


def _id() -> str:
    return str(uuid.uuid4())


@dataclass
class Grant:
    """A sign-in: while it exists, its tokens are good. Times are Unix seconds."""

    token_hash: str
    client_id: str
    user_id: str
    auth_time: int
    expires: float
    scopes: list[str]
    origin_jti: str = field(default_factory=_id)
    event_id: str = field(default_factory=_id)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Grants:
    """The grants of one pool. Refresh tokens are kept as hashes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._grants: dict[str, Grant] = {}

    def new(
        self, client_id: str, user_id: str, auth_time: int, lifetime: float, scopes: Sequence[str]
    ) -> tuple[str, Grant]:
        """Sign a user in: a refresh token, and the grant that it stands for."""
        token = secrets.token_urlsafe(96)
        grant = Grant(
            _hash(token), client_id, user_id, auth_time, self._clock() + lifetime, list(scopes)
        )
        self._grants[grant.origin_jti] = grant
        of_user = [g for g in self._grants.values() if g.user_id == user_id]
        for old in of_user[:-PER_USER]:
            self.revoke(old)
        return token, grant

    def by_token(self, refresh_token: str) -> Grant | None:
        """Find the grant of a refresh token that is neither revoked nor expired."""
        wanted = _hash(refresh_token)
        return next(
            (
                grant
                for grant in self._grants.values()
                if grant.token_hash == wanted and grant.expires > self._clock()
            ),
            None,
        )

    def by_origin(self, origin_jti: str) -> Grant | None:
        """Find the grant that a token's ``origin_jti`` names, if it was not revoked."""
        return self._grants.get(origin_jti)

    def revoke(self, grant: Grant) -> None:
        """End a grant: its refresh token and all tokens made from it."""
        self._grants.pop(grant.origin_jti, None)

    def sign_out(self, user_id: str) -> None:
        """End all grants of a user."""
        self._grants = {o: g for o, g in self._grants.items() if g.user_id != user_id}

    def dump(self) -> list[dict[str, Any]]:
        """Return the grants as JSON; an expired one stays a day, as its access tokens may."""
        return [asdict(g) for g in self._grants.values() if g.expires + 86_400 > self._clock()]

    def load(self, grants: list[dict[str, Any]]) -> None:
        """Take back what dump gave."""
        self._grants = {grant["origin_jti"]: Grant(**grant) for grant in grants}
