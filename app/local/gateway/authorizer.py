"""The COGNITO_USER_POOLS authorizer, with the project's own verifier (facts, 2.6 and 1.3)."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from app.auth.fetch import http_fetch
from app.auth.jwks import KeySet, KeysUnavailable
from app.auth.refusals import TokenExpired, TokenRefused
from app.auth.tokens import TokenVerifier, unverified_issuer
from app.local.gateway import errors
from app.local.gateway.claims import claims_as_strings
from app.local.gateway.definition import Authorizer, UserPool
from app.local.gateway.errors import Refusal
from app.settings import is_loopback

log = logging.getLogger("notegate.gateway")

MAX_CACHED = 1024
"""Results that one authorizer keeps."""

KeyUrl = Callable[[str], str]
"""From a user pool's id to the URL of its keys."""


class KeySets:
    """The key set of each pool, made when first needed and shared by all authorizers.

    Args:
        given: key sets by pool id, before any URL.
        key_url: where a pool's keys are; None: at the pool's own address.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        given: Mapping[str, KeySet] | None = None,
        key_url: KeyUrl | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sets = dict(given or {})
        self._key_url = key_url
        self._clock = clock

    def __getitem__(self, pool: UserPool) -> KeySet:
        if pool.pool_id not in self._sets:
            url = f"{pool.issuer}/.well-known/jwks.json"
            if self._key_url is not None:
                url = self._key_url(pool.pool_id)
            # Keys that anybody on the way can replace are no keys.
            if urlsplit(url).scheme != "https" and not is_loopback(url):
                raise ValueError(f"the keys of {pool.pool_id} must come by https: {url}")
            self._sets[pool.pool_id] = KeySet(http_fetch(url), clock=self._clock)
        return self._sets[pool.pool_id]


class _Cached(NamedTuple):
    claims: dict[str, str]
    until: float
    keys: KeySet
    generation: int


class CognitoAuthorizer:
    """Answers who is calling, for one authorizer of the definition.

    Args:
        definition: the authorizer.
        key_sets: the keys of its pools.
        clock: seconds since the epoch.
    """

    def __init__(
        self, definition: Authorizer, key_sets: KeySets, clock: Callable[[], float] = time.time
    ) -> None:
        self._header = definition.header.lower()
        self._ttl = definition.ttl
        self._clock = clock
        self._keys = {pool.issuer: key_sets[pool] for pool in definition.pools}
        self._verifiers: dict[tuple[str, tuple[str, ...]], TokenVerifier] = {}
        expression = definition.validation_expression
        self._expression = None if expression is None else re.compile(expression)
        self._cache: OrderedDict[tuple[bytes, tuple[str, ...]], _Cached] = OrderedDict()

    async def authorize(
        self, headers: Mapping[str, str], scopes: tuple[str, ...]
    ) -> dict[str, str] | Refusal:
        """Return the claims as a Lambda gets them, or the refusal with its reason.

        Args:
            headers: the request's, by name in lower case.
            scopes: the method's; with any, the token must be an access token that has one.
        """
        token = headers.get(self._header, "").strip()
        if token[:7].lower() == "bearer ":
            token = token[7:].strip()
        if not token:
            return errors.UNAUTHORIZED.because("the identity source is missing or empty")
        key = (hashlib.sha256(token.encode("utf-8", "replace")).digest(), scopes)
        if (cached := self._cached(key)) is not None:
            return cached
        try:
            return await self._verified(token, scopes, key)
        except TokenExpired:
            return errors.TOKEN_EXPIRED.because("TokenExpired: the token has expired")
        except TokenRefused as refused:
            return errors.UNAUTHORIZED.because(
                f"{type(refused).__name__}: {refused.description}{_detail(refused)}"
            )
        except KeysUnavailable as unavailable:
            return errors.AUTHORIZER_FAILURE.because(f"the pool's keys: {unavailable}")
        except Exception as error:  # whatever happens, nobody gets through
            log.exception("authorizer")
            return errors.AUTHORIZER_FAILURE.because(type(error).__name__)

    async def _verified(
        self, token: str, scopes: tuple[str, ...], key: tuple[bytes, tuple[str, ...]]
    ) -> dict[str, str] | Refusal:
        issuer = unverified_issuer(token)
        keys = self._keys.get(issuer or "")
        if issuer is None or keys is None:
            what = "it is no JWT" if issuer is None else "another issuer's token"
            return errors.UNAUTHORIZED.because(f"{what}; the authorizer trusts {list(self._keys)}")
        verifier = self._verifiers.get((issuer, scopes))
        if verifier is None:
            verifier = self._verifiers[issuer, scopes] = TokenVerifier(
                keys,
                issuer=issuer,
                client_ids=None,
                token_use="access" if scopes else "id",
                scopes=scopes,
                clock=self._clock,
            )
        generation = keys.generation
        claims = await verifier.verify(token)
        if self._expression is not None:
            # Matched against `aud`, which access tokens usually lack [D].
            audience = claims.get("aud")
            if not (isinstance(audience, str) and self._expression.fullmatch(audience)):
                return errors.UNAUTHORIZED.because(
                    "aud does not match the identityValidationExpression"
                )
        strings = claims_as_strings(claims)
        if self._ttl:
            until = min(self._clock() + self._ttl, claims["exp"])
            self._cache[key] = _Cached(strings, until, keys, generation)
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return strings

    def _cached(self, key: tuple[bytes, tuple[str, ...]]) -> dict[str, str] | None:
        cached = self._cache.get(key)
        if cached is None:
            return None
        if self._clock() >= cached.until or cached.keys.generation != cached.generation:
            del self._cache[key]
            return None
        self._cache.move_to_end(key)
        return cached.claims


def _detail(refused: TokenRefused) -> str:
    return f" ({', '.join(map(str, refused.args))})" if refused.args else ""
