"""The pool's public keys: fetch, keep, refresh, back off.

The fetch runs in a short-lived thread with its own event loop, not in the loop of the request that
needs it. Under Mangum a loop runs only while an event is answered, and several gateway threads,
each with its own loop, share one app: no task, lock or connection of one loop can serve another.
A thread belongs to none of them, and the end of the request that started it doesn't end it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from app.auth.fetch import MAX_DOCUMENT, Fetch, FetchFailed

log = logging.getLogger("notegate.auth")

MAX_KEYS = 100
"""Keys in a key set; a pool has two."""

MAX_KID = 256
"""Characters of a key id; Cognito's have 44."""

_PADDING, _HASH = PKCS1v15(), SHA256()  # RS256 (RFC 7518, section 3.3)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_MODULUS_BITS = range(2048, 8192 + 1)  # below is weak (NIST SP 800-131A), above costs too much time
_EXPONENT_CHARACTERS = 6  # 32 bits: a longer one makes each verification slow


class KeysUnavailable(Exception):
    """Whether a key exists cannot be said now; asking again makes sense in ``retry_after`` s."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the key set is not available; try again in {retry_after} s")
        self.retry_after = retry_after


class Key:
    """One public signing key, built once from its JWK (RFC 7517).

    Raises:
        ValueError: when the JWK is not one that a user pool signs with.
    """

    __slots__ = ("_key", "kid", "numbers")

    def __init__(self, jwk_: Mapping[str, Any]) -> None:
        kid, n, e = (jwk_.get(name) for name in ("kid", "n", "e"))
        if not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID):
            raise ValueError("no usable kid")
        if jwk_.get("kty") != "RSA" or jwk_.get("use") != "sig":
            raise ValueError("not an RSA signing key")
        if jwk_.get("alg", "RS256") != "RS256":
            raise ValueError("not for RS256")
        # The decoder skips characters that are not base64url, so they are refused here.
        if not (isinstance(n, str) and _BASE64URL.fullmatch(n)):
            raise ValueError("a modulus that is not base64url")
        if not (isinstance(e, str) and _BASE64URL.fullmatch(e)):
            raise ValueError("an exponent that is not base64url")
        if len(e) > _EXPONENT_CHARACTERS:
            raise ValueError("an exponent of more than 32 bits")
        # Only the public members: a private key published by mistake is still a public key here.
        self._key = RSAPublicNumbers(_number(e), _number(n)).public_key()
        if self._key.key_size not in _MODULUS_BITS:
            raise ValueError("a modulus that is too short or too long")
        self.kid: str = kid
        self.numbers = (n, e)

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's RS256 signature of ``signing_input``."""
        try:
            self._key.verify(signature, signing_input, _PADDING, _HASH)
        except InvalidSignature:
            return False
        return True


def _number(base64url: str) -> int:
    return int.from_bytes(urlsafe_b64decode(base64url + "=" * (-len(base64url) % 4)))


@dataclass(frozen=True, slots=True)
class _Published:
    """What was published, and when we asked for it. Replaced as a whole, so read without a lock."""

    keys: Mapping[str, Key]
    since: float


class KeySet:
    """The keys of one pool, usable from any number of threads and event loops at once.

    Args:
        fetch: gets the document.
        preloaded: a key set that is trusted like one fetched now, so that the first token costs
            no fetch.
        clock: seconds that only go forward.
        refuse_kid_prefix: keys whose kid begins so are left out (the local pool's, in AWS).
        soft_limit: age in seconds from which the set is refreshed while it still serves.
        hard_limit: age in seconds from which the set is no longer trusted.
        cooldown: seconds between two fetches, however many unknown kids arrive.
        background: whether a refresh at the soft limit runs beside the request. False in Lambda,
            which freezes every thread once the answer is given: a refresh would not end before
            its time-out, so there one request in an hour waits for it.

    ``generation`` grows with every change of the set. The rules are the table "Key set policy" of
    the project's facts about Cognito.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        preloaded: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        refuse_kid_prefix: str | None = None,
        soft_limit: float = 3600,
        hard_limit: float = 86400,
        cooldown: float = 10,
        background: bool = True,
    ) -> None:
        self.generation = 0
        self._fetch = fetch
        self._clock = clock
        self._refuse_kid_prefix = refuse_kid_prefix
        self._soft_limit = soft_limit
        self._hard_limit = hard_limit
        self._cooldown = cooldown
        self._background = background
        self._lock = threading.Lock()  # guards what follows; never held while waiting
        self._published = _Published({}, since=-math.inf)
        self._flight: Future[None] | None = None  # the one fetch that is under way
        self._tried = -math.inf  # when the last fetch began
        self._failed = False  # how the last fetch ended
        if preloaded is not None:
            try:
                self._published = _Published(self._usable(preloaded), since=clock())
            except ValueError as error:
                log.warning("The preloaded key set is of no use: %s", error)

    def known(self, kid: str) -> Key | None:
        """Return the key at once, or None when only ``find`` can tell.

        Past the soft limit this starts a refresh. It never waits.
        """
        published = self._published
        age = self._clock() - published.since
        if age < self._soft_limit:
            return published.keys.get(kid)
        if age >= self._hard_limit:
            return None
        if self._background:
            self._fetch_once()
        elif self._may_fetch():
            return None  # so that the caller goes to find(), which waits for the refresh
        return published.keys.get(kid)

    async def find(self, kid: str) -> Key | None:
        """Return the key, fetching the set when that may help; None: the pool has no such key.

        Raises:
            KeysUnavailable: the last fetch failed, so nobody knows whether the key exists.
        """
        if key := self.known(kid):
            return key
        if flight := self._fetch_once():
            # A running Future cannot be cancelled, so a caller that goes away stops only its wait.
            await asyncio.wrap_future(flight)
        with self._lock:
            now, published = self._clock(), self._published
            trusted = now - published.since < self._hard_limit
            if trusted and kid in published.keys:
                return published.keys[kid]
            if trusted and not self._failed:
                return None
            raise KeysUnavailable(max(1, math.ceil(self._tried + self._cooldown - now)))

    def _may_fetch(self) -> bool:
        return self._flight is None and self._clock() - self._tried >= self._cooldown

    def _fetch_once(self) -> Future[None] | None:
        """Return the fetch under way, or begin one; None while the last one is too recent."""
        with self._lock:
            if not self._may_fetch():
                return self._flight
            self._tried = self._clock()
            flight = self._flight = Future()
            flight.set_running_or_notify_cancel()
        try:
            threading.Thread(
                target=self._fly, args=(flight,), name="notegate-keys", daemon=True
            ).start()
        except RuntimeError:  # the machine has no thread left
            self._land(flight, None)
        return flight

    def _fly(self, flight: Future[None]) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._fetch_and_land(flight))
        except Exception as error:  # no loop, for want of a file descriptor
            _log_failure(error)
        finally:
            self._land(flight, None)  # nobody waits for ever, whatever happened

    async def _fetch_and_land(self, flight: Future[None]) -> None:
        keys = None
        try:
            document = await self._fetch()
            if len(document) > MAX_DOCUMENT:
                raise FetchFailed("the document is too long")
            keys = self._usable(json.loads(document))
        except Exception as error:
            _log_failure(error)
        # Here and not after the loop has closed: closing waits for a name look-up that timed out.
        self._land(flight, keys)

    def _land(self, flight: Future[None], keys: Mapping[str, Key] | None) -> None:
        with self._lock:
            if self._flight is not flight:
                return
            self._flight = None
            self._failed = keys is None
            if keys is not None:
                before = {kid: key.numbers for kid, key in self._published.keys.items()}
                if before != {kid: key.numbers for kid, key in keys.items()}:
                    self.generation += 1
                # The age counts from the question: the answer may have been under way for long.
                self._published = _Published(keys, since=self._tried)
        flight.set_result(None)

    def _usable(self, document: Any) -> dict[str, Key]:
        entries = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(entries, list) or len(entries) > MAX_KEYS:
            raise ValueError("not a key set")
        keys: dict[str, Key] = {}
        for entry in entries:
            try:
                key = Key(entry)
            except Exception as error:  # whatever is wrong with one key never spoils the others
                log.warning("A key was left out: %s", type(error).__name__)
                continue
            if not (self._refuse_kid_prefix and key.kid.startswith(self._refuse_kid_prefix)):
                keys.setdefault(key.kid, key)
        if not keys:
            raise ValueError("no usable key")
        return keys


def _log_failure(error: Exception) -> None:
    # Of what others wrote only its kind: a key server's text is nothing for a log.
    known = isinstance(error, FetchFailed)
    log.warning("The key set could not be fetched: %s", error if known else type(error).__name__)
