"""What the route tests share: signed-in clients, and the one error shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx2
from fastapi import FastAPI

from app.store import NoteStore
from app.userinfo import DirectoryUnavailable
from tests.differences import app_headers, is_gateways_own, may_say
from tests.doors import Door

MakeApp = Callable[..., FastAPI]
"""``make_app(store, directory, **variables)`` builds the app with settings of the test's own."""

MakeDoor = Callable[[str, FastAPI], Door]
"""``make_door(name, app)`` opens a door that is shut when the test ends."""

SignIn = Callable[..., httpx2.Client]
"""``sign_in(name)`` gives a client of the door under test with that user's token; without a name,
a user whom nobody else has."""


def refusal(answer: httpx2.Response, status: int, message: str, *fields: str) -> httpx2.Response:
    """Assert a refusal in the one error shape, as the app says it or the gateway in its place.

    ``fields`` are those that a 400 of the app's names, in any order.
    """
    body: dict[str, Any] = answer.json()
    if is_gateways_own(answer):
        assert may_say(answer, status, message), f"the gateway may not say {answer.text} here"
        assert set(body) == {"message"}
    else:
        assert (answer.status_code, body["message"]) == (status, message), answer.text
        errors = body.get("errors", [])
        assert set(body) - {"errors"} == {"message"}
        assert all(set(error) == {"field", "reason"} for error in errors)
        if fields:
            assert {error["field"] for error in errors} == set(fields)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) > 0
    return answer


def challenge(answer: httpx2.Response) -> str | None:
    """Return WWW-Authenticate as the app sent it; None if the gateway refused in its place."""
    if is_gateways_own(answer):
        return None
    headers = dict(app_headers(answer))
    return headers["www-authenticate"]


class FakeDirectory:
    """A user pool as the app sees it."""

    def __init__(self) -> None:
        self.users: dict[str, Mapping[str, str]] = {}
        self.down = False

    def attributes(self, username: str) -> Mapping[str, str] | None:
        """Look a user up."""
        if self.down:
            raise DirectoryUnavailable
        return self.users.get(username)


class Stage(NamedTuple):
    """One app on one store, and its doors: made once, for making them is what takes time."""

    app: FastAPI
    store: NoteStore
    directory: FakeDirectory
    doors: dict[str, Door]
