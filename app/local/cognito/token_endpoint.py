"""What apps ask for without a browser: tokens for codes, refreshed and revoked ones, user info.

Source: "The token issuer endpoint", "The token revocation endpoint" and "The user attributes
endpoint" in the Cognito developer guide.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from jose import jwt
from starlette.responses import JSONResponse, Response

from app.local.cognito import accounts, clients
from app.local.cognito.answers import Refused, Tokens
from app.local.cognito.asked import Asked, Unreadable
from app.local.cognito.clients import Client
from app.local.cognito.grants import API_SCOPE
from app.local.cognito.sessions import Sessions

_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


class _Error(Exception):
    """An OAuth error: its code is all that is told."""


class TokenEndpoint:
    """The endpoints for apps."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._pool = sessions.pool

    def token(self, asked: Asked) -> Response:
        """Answer ``POST /oauth2/token``."""
        return self._answer(asked, self._token)

    def revoke(self, asked: Asked) -> Response:
        """Answer ``POST /oauth2/revoke``."""
        return self._answer(asked, self._revoke)

    def info(self, asked: Asked) -> Response:
        """Answer ``/oauth2/userInfo``."""
        try:
            told = self._pool.run(lambda backend: accounts.info(backend, asked.bearer))
        except Refused as refusal:
            error = {"error": "invalid_token", "error_description": refusal.message}
            challenge = ", ".join(f'{name}="{value}"' for name, value in error.items())
            headers = {**_NO_STORE, "www-authenticate": f"Bearer {challenge}"}
            return JSONResponse(error, 401, headers)
        return JSONResponse(told, headers=_NO_STORE)

    def _answer(self, asked: Asked, work: Callable[[Asked], dict[str, Any] | None]) -> Response:
        try:
            answer = work(asked)
        except _Error as error:
            return JSONResponse({"error": str(error)}, 400, _NO_STORE)
        if answer is None:
            return Response(headers=_NO_STORE)
        return JSONResponse(answer, headers=_NO_STORE)

    def _token(self, asked: Asked) -> dict[str, Any]:
        kind = _needed(asked, "grant_type")
        grants = {"authorization_code": self._by_code, "refresh_token": self._by_refresh_token}
        if kind not in grants:
            raise _Error("unsupported_grant_type")
        return grants[kind](asked, self._client(asked))

    def _by_code(self, asked: Asked, client: Client) -> dict[str, Any]:
        ticket, uri = _needed(asked, "code"), _needed(asked, "redirect_uri")
        if "code" not in client.flows:
            raise _Error("unauthorized_client")
        # One try, also for whoever has only the code: it is worthless afterwards. A second try
        # is refused, as at Cognito; that the first one's tokens end, RFC 6749 only recommends.
        code = self._sessions.codes.take(ticket)
        if code is None or (code.client_id, code.redirect_uri) != (client.id, uri):
            raise _Error("invalid_grant")
        verifier = asked.form.once("code_verifier")
        if not _proves(verifier, code.challenge):
            raise _Error("invalid_grant")
        who = code.who
        if not self._pool.run(lambda backend: accounts.may_stay(backend, who)):
            raise _Error("invalid_grant")
        tokens = self._pool.issue(
            who.username,
            code.scopes,
            client_id=client.id,
            nonce=code.nonce,
            auth_time=who.auth_time,
        )
        return _document(tokens, with_id="openid" in code.scopes)

    def _by_refresh_token(self, asked: Asked, client: Client) -> dict[str, Any]:
        token = _needed(asked, "refresh_token")
        if not client.refreshes:
            raise _Error("unauthorized_client")
        try:
            tokens = self._pool.refresh(token, client_id=client.id)
        except Refused:
            raise _Error("invalid_grant") from None
        scopes = jwt.get_unverified_claims(tokens.access_token)["scope"].split()  # just made
        # Sign-ins through the API have Cognito's own scope and an ID token.
        return _document(tokens, with_id="openid" in scopes or scopes == [API_SCOPE])

    def _revoke(self, asked: Asked) -> None:
        client = self._client(asked)
        token = _needed(asked, "token")
        if not client.revokes:
            raise _Error("invalid_request")
        try:
            self._pool.revoke(token, client_id=client.id)
        except Refused as refusal:
            wrong_type = refusal.type == "UnsupportedTokenTypeException"
            raise _Error("unsupported_token_type" if wrong_type else "invalid_client") from None

    def _client(self, asked: Asked) -> Client:
        """Recognize the app client: by its secret if it has one."""
        try:
            basic = asked.basic
        except Unreadable:
            raise _Error("invalid_client") from None
        client_id, secret = asked.form.once("client_id"), asked.form.once("client_secret")
        if basic is not None:
            if secret or client_id not in ("", basic[0]):
                raise _Error("invalid_request")
            client_id, secret = basic
        if not client_id:
            raise _Error("invalid_request")
        client = self._pool.run(lambda backend: clients.find(backend, client_id))
        # A secret for an app client without one is a wrong one, too.
        if client is None or not hmac.compare_digest(
            secret.encode(), (client.secret or "").encode()
        ):
            raise _Error("invalid_client")
        return client


def _needed(asked: Asked, name: str) -> str:
    # A body of another type than a form's is an empty form.
    value = asked.form.once(name)
    if asked.form.repeated or not value:
        raise _Error("invalid_request")
    return value


def _proves(verifier: str, challenge: str | None) -> bool:
    # A verifier without a challenge: somebody took the challenge out (RFC 9700, 2.1.1).
    if challenge is None:
        return not verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return hmac.compare_digest(made, challenge.encode())


def _document(tokens: Tokens, *, with_id: bool) -> dict[str, Any]:
    return {
        **({"id_token": tokens.id_token} if with_id else {}),
        "access_token": tokens.access_token,
        **({"refresh_token": tokens.refresh_token} if tokens.refresh_token else {}),
        "expires_in": tokens.expires_in,
        "token_type": "Bearer",
    }
