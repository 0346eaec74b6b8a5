"""Under which address a request came in: its origin, and what stands before the app's own paths."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from fastapi import Request

from app.settings import is_loopback

_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")


def origin(request: Request) -> str | None:
    """Return ``https://host[:port]`` as a browser has it; None if the request names no such host.

    Whoever forges Host gets addresses that lead to what they forged, and nobody else sees them:
    every answer made from them is private, and Cognito redirects only to registered addresses.
    """
    hosts = {host.lower() for host in request.headers.getlist("host")}
    host = hosts.pop() if len(hosts) == 1 else ""
    url = f"{request.scope['scheme']}://{host}"
    if not _ORIGIN.fullmatch(url):
        return None
    try:
        urlsplit(url).port  # noqa: B018 - raises for one beyond 65535
    except ValueError:
        return None
    return url


def root(request: Request) -> str:
    """Return what stands before the app's own paths: "", or ``/{stage}`` or a base path.

    Never more than a path, whatever was asked for: two slashes, or a backslash, begin a host.
    """
    path = request.scope.get("root_path", "").strip("/")
    return "/" + quote(path, safe="/%:@!$&'()*+,;=~") if path else ""


def is_private(origin: str) -> bool:
    """Whether nobody on the way can read or change what goes to the origin: https, or loopback."""
    return origin.startswith("https:") or is_loopback(origin)
