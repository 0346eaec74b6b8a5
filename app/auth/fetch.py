"""Getting the pool's key set from where it is published."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from app.settings import is_loopback

if TYPE_CHECKING:
    import ssl

Fetch = Callable[[], Awaitable[bytes]]
"""Returns the raw key set. Any Exception is a failed fetch, and FetchFailed one whose text is
logged. Awaited in an event loop of its own."""

MAX_DOCUMENT = 64 * 1024
"""Bytes of a key set document; a pool's has under 1 KiB."""


class FetchFailed(Exception):
    """The key set was not got; the text says from where and why, for the operator."""


def http_fetch(url: str, *, timeout: float = 2.0) -> Fetch:
    """Fetch from ``url``, anew each time; redirects are not followed.

    What it raises is FetchFailed.

    Args:
        url: where the document is, ``https:`` or ``http:``.
        timeout: seconds for the whole exchange.
    """

    async def fetch() -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.to_thread(_get, url, timeout)
        except TimeoutError:
            raise FetchFailed(f"{url} has not answered within {timeout:g} s") from None

    return fetch


def _get(url: str, timeout: float) -> bytes:
    # Python's own client, because a function's first answer may wait for it: httpx costs 0.1 s.
    from http.client import HTTPException
    from urllib import request
    from urllib.error import URLError

    until = time.monotonic() + timeout
    # Not build_opener: it follows redirects, and reads files.
    opener = request.OpenerDirector()
    opener.add_handler(request.ProxyHandler({} if is_loopback(url) else None))
    opener.add_handler(request.HTTPHandler())
    if url.startswith("https:"):
        opener.add_handler(request.HTTPSHandler(context=_tls()))
    # Uncompressed, so that the bound below is a bound on memory too.
    asked = request.Request(url, headers={"Accept-Encoding": "identity"})  # noqa: S310 by settings
    try:
        with opener.open(asked, timeout=timeout) as response:
            if response.status != 200:
                hint = "; is there such a user pool?" if response.status in {400, 404} else ""
                raise FetchFailed(f"{url} answered {response.status}{hint}")
            document = bytearray()
            while chunk := response.read1():
                document += chunk
                if len(document) > MAX_DOCUMENT:
                    raise FetchFailed(f"{url} answered more than {MAX_DOCUMENT} bytes")
                if time.monotonic() > until:
                    raise TimeoutError
            return bytes(document)
    except TimeoutError:
        raise
    except URLError as error:
        raise FetchFailed(f"{url} cannot be reached: {type(error.reason).__name__}") from None
    except (OSError, HTTPException) as error:
        raise FetchFailed(f"{url} broke off: {type(error).__name__}") from None


def _tls() -> ssl.SSLContext:
    """Return the context of a connection; whom it trusts, OpenSSL's own variables can say."""
    import ssl

    import certifi

    named = {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys()
    return ssl.create_default_context(cafile=None if named else certifi.where())
