"""A token becomes its claims, or a refusal with a name (knows no web framework).

The rules are the table "What an official-grade verifier checks" of the project's facts about
Cognito, and RFC 7515, 7519 and 8725.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Literal

from app.auth.jwks import MAX_KID, Key, KeySet
from app.auth.refusals import (
    AlgorithmRefused,
    BadSignature,
    CriticalHeader,
    InvalidClaim,
    MalformedToken,
    MissingClaim,
    MissingScope,
    NotYetValid,
    TokenExpired,
    UnknownKey,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)

Claims = Mapping[str, Any]
"""The claims of a verified token, in the token's order."""

MAX_TOKEN = 10_240
"""Characters of a token: API Gateway takes no more for all header values together, so a longer
one could pass at one door only."""

CLOCK_SKEW = 5
"""Seconds that Cognito's clock may be ahead of ours in ``iat`` and ``nbf``. Not for ``exp``: API
Gateway grants nothing there."""

MAX_VERIFIED = 1000
"""Tokens whose signature is remembered; with their claims some 3 MB."""

MAX_DEPTH = 16
"""Levels of nesting in a header or payload. Cognito uses three (``identities``)."""

_LAST_SECOND = 253_402_300_799  # of the year 9999: later, and dates cannot be computed with
_MAX_NAME = 128  # characters of a user name in Cognito
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME_CLAIM = {"id": "cognito:username", "access": "username"}


class TokenVerifier:
    """Verifies the tokens of one pool.

    A client sends the same token for an hour, so the signatures found good last are remembered:
    MAX_VERIFIED of them, by the token's SHA-256, and only while the very key that verified them is
    in the key set. What the claims say is judged each time anew. Refusals are never remembered.

    Args:
        keys: the pool's keys.
        issuer: what ``iss`` must be.
        client_ids: the app clients whose tokens are accepted; None means every client of the pool,
            which is the rule of API Gateway's Cognito authorizer. Deliberately without a default.
        token_use: which kind of token is accepted.
        scopes: an access token needs one of these; none given, none needed.
        clock: seconds since the epoch.
        leeway: seconds for which an expired token is still accepted.
    """

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str,
        client_ids: Collection[str] | None,
        token_use: Literal["id", "access"],
        scopes: Collection[str] = (),
        clock: Callable[[], float] = time.time,
        leeway: int = 0,
    ) -> None:
        if isinstance(client_ids, str) or isinstance(scopes, str):
            raise TypeError("client_ids and scopes are collections of strings, not one string")
        if client_ids is not None and not client_ids:
            raise ValueError("no app client is accepted; None accepts every client of the pool")
        if scopes and token_use == "id":
            raise ValueError("ID tokens have no scopes")
        self._keys = keys
        self._issuer = issuer
        self._client_ids = None if client_ids is None else frozenset(client_ids)
        self._token_use = token_use
        self._scopes = frozenset(scopes)
        self._clock = clock
        self._leeway = leeway
        self._client_claim = "aud" if token_use == "id" else "client_id"
        self._name_claim = _NAME_CLAIM[token_use]
        self._keeping = threading.Lock()
        self._verified: dict[bytes, tuple[Key, Claims]] = {}

    def for_id_tokens(self) -> TokenVerifier:
        """Return one for the ID tokens of the same pool and clients, on the same keys."""
        return TokenVerifier(
            self._keys,
            issuer=self._issuer,
            client_ids=self._client_ids,
            token_use="id",
            clock=self._clock,
            leeway=self._leeway,
        )

    async def verify(self, token: str) -> Claims:
        """Return the claims of a token in compact form.

        Raises:
            TokenRefused: the subclass says why.
            KeysUnavailable: the key server has to be asked and cannot be reached.
        """
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        seen = self._verified.get(digest)
        if seen is not None:
            key, claims = seen
            # The key set makes its keys anew when it is fetched, so this very object means that
            # the key is published still, and that nothing has changed since.
            if self._keys.known(key.kid) is key:
                self._judge(claims)
                return claims
        key, claims = await self._verify_signature(token)
        self._judge(claims)
        self._keep(digest, key, claims)
        return claims

    async def _verify_signature(self, token: str) -> tuple[Key, Claims]:
        header_part, payload_part, signature_part = _unverified_parts(token)
        kid = _unverified_kid(header_part)
        payload, signature = _decoded(payload_part), _decoded(signature_part)
        key = self._keys.known(kid) or await self._keys.find(kid)
        if key is None:
            raise UnknownKey
        if not key.verify(f"{header_part}.{payload_part}".encode(), signature):
            raise BadSignature
        # Only now: what a forger wrote is neither parsed nor judged.
        return key, MappingProxyType(_json_object(payload))

    def _keep(self, digest: bytes, key: Key, claims: Claims) -> None:
        with self._keeping:
            while len(self._verified) >= MAX_VERIFIED:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = key, claims

    def _judge(self, claims: Claims) -> None:
        now = self._clock()
        if _seconds(claims, "exp") + self._leeway <= now:
            raise TokenExpired
        for name in ("nbf", "iat"):
            if name in claims and _seconds(claims, name) > now + CLOCK_SKEW:
                raise NotYetValid
        if _string(claims, "iss") != self._issuer:
            raise WrongIssuer
        if _string(claims, "token_use") != self._token_use:
            raise WrongTokenUse
        # Access tokens may carry `aud` as well: it names an API there (RFC 8707), not the client.
        client = _string(claims, self._client_claim)
        if self._client_ids is not None and client not in self._client_ids:
            raise WrongClient
        if self._scopes:
            granted = _string(claims, "scope") if "scope" in claims else ""
            if self._scopes.isdisjoint(granted.split(" ")):
                raise MissingScope
        _string(claims, "sub")
        name = _string(claims, self._name_claim)
        if len(name) > _MAX_NAME or _CONTROL.search(name):
            raise InvalidClaim(self._name_claim)


def user_name(claims: Claims) -> str:
    """Return the user name in verified claims of either kind of token."""
    name: str = claims[_NAME_CLAIM[claims["token_use"]]]
    return name


def unverified_issuer(token: str) -> str | None:
    """Return what the token *says* its issuer is, to choose the pool that will verify it.

    Never raises; None when the token says nothing usable.
    """
    try:
        issuer = _json_object(_decoded(_unverified_parts(token)[1])).get("iss")
    except MalformedToken:
        return None
    return issuer if isinstance(issuer, str) else None


def _unverified_parts(token: str) -> tuple[str, str, str]:
    if len(token) > MAX_TOKEN or token.count(".") != 2:
        raise MalformedToken
    header, payload, signature = token.split(".")
    return header, payload, signature


# All tokens of a key have the same header; parsing it anew is 8 % of a verification's time.
# What raises is not kept, and 64 headers are no memory to speak of.
@lru_cache(maxsize=64)
def _unverified_kid(header_part: str) -> str:
    header = _json_object(_decoded(header_part))
    if header.get("alg") != "RS256":
        raise AlgorithmRefused
    if "crit" in header or "b64" in header:
        raise CriticalHeader
    kid = header.get("kid")
    if not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID):
        raise MalformedToken
    return kid


def _decoded(part: str) -> bytes:
    # Without the base64 module's layers, which cost as much again as the work.
    try:
        given = part.encode("ascii")
        raw = a2b_base64(given.translate(_FROM_URL) + b"===")
    except ValueError:
        raise MalformedToken from None
    # The decoder skips foreign characters and drops trailing bits; one token, one spelling.
    if b2a_base64(raw, newline=False).translate(_TO_URL).rstrip(b"=") != given:
        raise MalformedToken
    return raw


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = _JSON.decode(raw.decode())
        if b"\\u" in raw:
            # Half a surrogate pair is legal JSON and no text; it would fail where it is used.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedToken from None
    if not isinstance(value, dict):
        raise MalformedToken
    # Counting is cheap, and only text full of brackets is worth the walk.
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deeper_than(MAX_DEPTH, value):
        raise MalformedToken
    return value


def _deeper_than(levels: int, value: Any) -> bool:
    level = [value]
    for _ in range(levels + 1):
        containers = [item for item in level if isinstance(item, dict | list)]
        level = [
            child
            for item in containers
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return bool(containers)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Readers differ on which one counts (RFC 8725, section 2.4).
        raise ValueError("a member appears twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a JSON number")
    return number


_JSON = json.JSONDecoder(
    object_pairs_hook=_without_duplicates,
    parse_float=_finite,
    parse_constant=_finite,  # NaN and Infinity, which Python reads and JSON has not
)


def _string(claims: Claims, name: str) -> str:
    if name not in claims:
        raise MissingClaim(name)
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise InvalidClaim(name)
    return value


def _seconds(claims: Claims, name: str) -> int:
    if name not in claims:
        raise MissingClaim(name)
    value = claims[name]
    # Cognito writes integers; `type`, because a bool is an int to isinstance.
    if type(value) is not int or not 0 <= value <= _LAST_SECOND:
        raise InvalidClaim(name)
    return value
