"""What the pool answers to callers in this process: users, tokens, refusals."""

from __future__ import annotations

from dataclasses import dataclass


class Refused(Exception):
    """What Cognito answers instead: ``type`` is the name of its exception."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(f"{type}: {message}")
        self.type = type
        self.message = message


@dataclass(frozen=True)
class User:
    """A user who may sign in."""

    username: str
    sub: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Tokens:
    """A sign-in's tokens; a refresh brings no new refresh token. ``expires_in`` is in seconds."""

    id_token: str
    access_token: str
    refresh_token: str | None
    expires_in: int
