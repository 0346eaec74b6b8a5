"""Authorization header → User; the only place where a refusal becomes a 401."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.auth.jwks import KeysUnavailable
from app.auth.refusals import MissingScope, TokenExpired, TokenRefused
from app.auth.tokens import Claims, TokenVerifier, user_name

log = logging.getLogger("notegate.auth")

# RFC 7235: the scheme in any case. Without a scheme too: API Gateway takes a bare token, and the
# front end of the course sends one.
_CREDENTIALS = re.compile(r"(?:bearer +)?([^ \t]+)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class User:
    """Who is calling, by a verified token."""

    name: str
    claims: Claims

    @property
    def email(self) -> str | None:
        """The address in the token, if it has one (access tokens have none)."""
        email = self.claims.get("email")
        return email if isinstance(email, str) else None

    @property
    def token_use(self) -> str:
        """``id`` or ``access``."""
        return str(self.claims["token_use"])


def only_value(values: Sequence[str]) -> str | None:
    """Return the one value of the Authorization header; None without one.

    Raises:
        HTTPException: 401 for several, because nobody knows which of them is meant.
    """
    if len(values) > 1:
        raise unauthorized()
    return values[0] if values else None


async def authenticate(header_value: str | None, verifier: TokenVerifier) -> User:
    """Return the user whom an Authorization header's value names.

    Raises:
        HTTPException: 401 with ``WWW-Authenticate`` (RFC 6750, section 3), or 503 with
            ``Retry-After`` when the pool's keys are out of reach.
    """
    credentials = _CREDENTIALS.fullmatch(header_value or "")
    if credentials is None:
        raise unauthorized()
    try:
        claims = await verifier.verify(credentials[1])
    except TokenRefused as refusal:
        # Never more than the class: a log with tokens in it is a log of passwords.
        log.info("Refused a token: %s", type(refusal).__name__)
        raise unauthorized(refusal) from None
    except KeysUnavailable as error:
        headers = {"Retry-After": str(error.retry_after)}
        raise HTTPException(503, "Service Unavailable", headers) from None
    return User(user_name(claims), claims)


def unauthorized(refusal: TokenRefused | None = None) -> HTTPException:
    """Build the 401 for a refusal; without one, for a request that brings no credentials."""
    challenge = "Bearer"
    if refusal is not None:
        # RFC 6750 wants 403 for a missing scope; API Gateway's REST APIs answer 401.
        error = "insufficient_scope" if isinstance(refusal, MissingScope) else "invalid_token"
        challenge += f' error="{error}", error_description="{refusal.description}"'
    # API Gateway's own words.
    expired = isinstance(refusal, TokenExpired)
    detail = "The incoming token has expired" if expired else "Unauthorized"
    return HTTPException(401, detail, {"WWW-Authenticate": challenge})


class UserRoute(APIRoute):
    """A route that knows its user before it reads the body.

    FastAPI parses the body before it resolves dependencies; API Gateway authorizes first, so a
    stranger with a bad body must get 401, not 400. Needs a TokenVerifier in
    ``app.state.verifier``.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def authenticate_and_handle(request: Request) -> Response:
            value = only_value(request.headers.getlist("authorization"))
            request.state.user = await authenticate(value, request.app.state.verifier)
            return await handle(request)

        return authenticate_and_handle


class _CurrentUser(SecurityBase):
    """The dependency: hands out what UserRoute found, and shows the scheme in OpenAPI."""

    def __init__(self) -> None:
        self.model = HTTPBearer(
            bearerFormat="JWT", description="A token of the Amazon Cognito user pool"
        )
        self.scheme_name = "Cognito"

    async def __call__(self, request: Request) -> User:
        user = getattr(request.state, "user", None)
        if not isinstance(user, User):
            raise RuntimeError("the route is not a UserRoute: nobody has verified a token")
        return user


current_user = _CurrentUser()
"""Dependency: the user of the request, on routes of a router with ``route_class=UserRoute``."""

SignedIn = Annotated[User, Security(current_user)]
