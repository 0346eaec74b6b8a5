"""Who is signed in at the hosted pages, and the authorization codes that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

from app.local.cognito import accounts
from app.local.cognito.accounts import SignedIn
from app.local.cognito.asked import Asked
from app.local.cognito.authorize import Authorization
from app.local.cognito.pages import redirect, set_cookie
from app.local.cognito.tickets import Tickets

if TYPE_CHECKING:
    from app.local.cognito.pool import LocalPool

SESSION_COOKIE = "cognito-local"
WAITING_COOKIE = "cognito-local-first"
SESSION_SECONDS = 3600
CODE_SECONDS = 300
WAITING_SECONDS = 180


@dataclass(frozen=True)
class Code:
    """What an authorization code stands for."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    nonce: str | None
    challenge: str | None
    who: SignedIn


class Sessions:
    """Sessions, users about to choose their first password, and codes; all of them in memory."""

    def __init__(self, pool: LocalPool, clock: Callable[[], float]) -> None:
        self.pool = pool
        self.codes: Tickets[Code] = Tickets(clock, CODE_SECONDS)
        self._sessions: Tickets[SignedIn] = Tickets(clock, SESSION_SECONDS)
        self._waiting: Tickets[tuple[str, SignedIn]] = Tickets(clock, WAITING_SECONDS)

    def current(self, asked: Asked, request: Authorization) -> SignedIn | None:
        """Find who is signed in with this browser, in the pool of the request's app client."""
        who = self._sessions.get(asked.cookies.get(SESSION_COOKIE, ""))
        if who is None or who.pool_id != request.client.pool_id:
            return None
        return who if self.pool.run(lambda backend: accounts.may_stay(backend, who)) else None

    def open(self, response: Response, asked: Asked, who: SignedIn) -> Response:
        """Sign a user in with this browser, in place of whoever was."""
        self._sessions.take(asked.cookies.get(SESSION_COOKIE, ""))
        set_cookie(response, asked, SESSION_COOKIE, self._sessions.new(who), SESSION_SECONDS)
        return response

    def close(self, response: Response, asked: Asked) -> Response:
        """Sign out with this browser."""
        self._sessions.take(asked.cookies.get(SESSION_COOKIE, ""))
        set_cookie(response, asked, SESSION_COOKIE, "")
        return response

    def grant(self, request: Authorization, who: SignedIn) -> Response:
        """Send the browser back to the app with an authorization code."""
        code = Code(
            request.client.id,
            request.redirect_uri,
            request.scopes,
            request.params.get("nonce"),
            request.params.get("code_challenge"),
            who,
        )
        return redirect(request.back(code=self.codes.new(code)))

    def wait(
        self, response: Response, asked: Asked, request: Authorization, who: SignedIn
    ) -> Response:
        """Remember a user who has to choose a password first."""
        ticket = self._waiting.new((request.client.id, who))
        set_cookie(response, asked, WAITING_COOKIE, ticket, WAITING_SECONDS)
        return response

    def waiting(self, asked: Asked, request: Authorization) -> SignedIn | None:
        """Find who has to choose a password first, in this browser and for this app client."""
        client_id, who = self._waiting.get(asked.cookies.get(WAITING_COOKIE, "")) or ("", None)
        return who if client_id == request.client.id else None

    def waited(self, response: Response, asked: Asked) -> Response:
        """Forget that somebody had to choose a password."""
        self._waiting.take(asked.cookies.get(WAITING_COOKIE, ""))
        set_cookie(response, asked, WAITING_COOKIE, "")
        return response
