"""Cognito's hosted endpoints, as one app client speaks to them: OAuth 2.0's code flow with PKCE.

HostedError
├── GrantRefused          the code or refresh token is spent, revoked, or somebody else's
├── ClientRefused         the app client is not one that may ask this: a setting is wrong
└── HostedUnavailable     no answer, or none that says anything about the grant

Source: "User pool endpoints and managed login reference" in the Cognito developer guide.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlencode

from app.settings import is_loopback

log = logging.getLogger("notegate.hosted")

TIMEOUT = 4.0
"""Seconds for one exchange, connecting included: a person is waiting, and so is a Lambda's bill."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer; three tokens have under 8 KiB."""


class HostedError(Exception):
    """The hosted endpoints did not give what was asked for."""


class GrantRefused(HostedError):
    """The code or refresh token is spent, revoked, expired, or somebody else's."""


class ClientRefused(HostedError):
    """The app client may not ask this: it is another pool's, has a secret, or lacks a permission.

    Asking again does not help; what is wrong is in the log.
    """


class HostedUnavailable(HostedError):
    """Whether the grant is good cannot be said now."""


class Tokens(NamedTuple):
    """What the token endpoint gives; ``refresh_token`` is None unless there is a new one."""

    id_token: str
    access_token: str
    refresh_token: str | None
    expires_in: int


class HostedEndpoints:
    """The hosted endpoints of a pool's domain, for one public app client (one without a secret).

    Args:
        domain: their base URL, without a slash at its end.
        client_id: the app client.
        timeout: seconds for one exchange.
    """

    def __init__(self, domain: str, client_id: str, *, timeout: float = TIMEOUT) -> None:
        self.client_id = client_id
        self._domain = domain
        self._timeout = timeout

    def authorize_url(
        self, *, redirect_uri: str, scopes: str, state: str, nonce: str, verifier: str
    ) -> str:
        """Return where a browser goes to sign in. ``verifier`` is PKCE's (RFC 7636, section 4)."""
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._domain}/oauth2/authorize?{urlencode(query)}"

    def logout_url(self, *, logout_uri: str) -> str:
        """Return where a browser goes to end the session that the hosted pages themselves keep."""
        query = urlencode({"client_id": self.client_id, "logout_uri": logout_uri})
        return f"{self._domain}/logout?{query}"

    async def exchange(self, code: str, *, redirect_uri: str, verifier: str) -> Tokens:
        """Return the tokens for a code.

        Raises:
            HostedError: there are none.
        """
        return await self._tokens(
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri,
            code_verifier=verifier,
        )

    async def refresh(self, refresh_token: str) -> Tokens:
        """Return new tokens for a refresh token.

        Raises:
            HostedError: there are none.
        """
        return await self._tokens(grant_type="refresh_token", refresh_token=refresh_token)

    async def revoke(self, refresh_token: str) -> None:
        """End a refresh token and all that came from it.

        Raises:
            HostedError: it was not ended; GrantRefused: because it is none, or ended already.
        """
        await self._post("/oauth2/revoke", token=refresh_token)

    async def _tokens(self, **form: str) -> Tokens:
        answer = await self._post("/oauth2/token", **form)
        id_token, access_token, refresh_token, seconds = (
            answer.get(name) for name in ("id_token", "access_token", "refresh_token", "expires_in")
        )
        if not (
            isinstance(id_token, str)
            and isinstance(access_token, str)
            and isinstance(refresh_token, str | None)
            and type(seconds) is int
        ):
            log.error("the token endpoint gave no tokens; is openid among the client's scopes?")
            raise HostedUnavailable
        return Tokens(id_token, access_token, refresh_token, seconds)

    async def _post(self, path: str, **form: str) -> dict[str, Any]:
        import httpx  # 190 ms that a cold start does not pay unless somebody signs in

        try:
            # A new client each time: no connection outlives its event loop. Bounded as a whole,
            # for httpx's own limits are per read, and a slow server may send a byte now and then.
            async with (
                asyncio.timeout(self._timeout),
                httpx.AsyncClient(
                    verify=_trust(),
                    timeout=self._timeout,
                    trust_env=not is_loopback(self._domain),
                ) as client,
                client.stream(
                    "POST",
                    self._domain + path,
                    data={"client_id": self.client_id, **form},
                    headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                ) as response,
            ):
                raw = bytearray()
                async for chunk in response.aiter_raw():
                    raw += chunk
                    if len(raw) > MAX_ANSWER:
                        raise HostedUnavailable
                status = response.status_code
        except (httpx.HTTPError, OSError) as error:  # a TimeoutError is an OSError
            log.warning("%s failed: %s", path, type(error).__name__)
            raise HostedUnavailable from None
        if status not in {200, 400}:
            log.warning("%s answered %s", path, status)
            raise HostedUnavailable
        answer = _json_object(bytes(raw))
        if status == 400:
            if answer.get("error") == "invalid_grant":
                raise GrantRefused
            # This is one of OAuth's own words and no secret; the rest of the answer may be.
            log.error("%s refuses this app client: %.40r", path, answer.get("error"))
            raise ClientRefused
        return answer


@cache
def _trust() -> ssl.SSLContext:
    """Return the authorities that are trusted, read once: that takes longer than a request."""
    import httpx

    return httpx.create_ssl_context()


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw or b"{}")  # the revocation endpoint says nothing
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HostedUnavailable
    return value
