"""What API Gateway sees of an ASGI request: raw path, method, filtered headers, decoded query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

MAX_BODY = 10_485_760
"""Bytes of a request body that the front end takes [R]."""

_DROPPED = frozenset(
    (
        "connection",
        "content-length",
        "content-md5",
        "expect",
        "max-forwards",
        "proxy-authenticate",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
        "x-http-method-override",
    )
)
"""Headers that never reach the Lambda [R]; the last one is obeyed instead [D]."""

_RECASED = {
    name.lower(): name
    for name in (
        "Authorization",
        "User-Agent",
        "Host",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-Amzn-Trace-Id",
    )
}
"""Headers whose casing does not depend on the client [R]."""

_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)")
_TRACE = re.compile(r"(?:(?:Root|Parent|Sampled|Self|Lineage)=[\w:.-]+;?)+", re.ASCII)


class ClientDisconnected(Exception):
    """The client went away before its request was complete."""


class Request:
    """One request, read once.

    Args:
        scope: the ASGI scope.
        request_id: a UUID.
        extended_id: 15 characters and ``=``.
        trace_root: the ``Root`` of a trace of our own, used when the client sends none.
        now: seconds since the epoch.
        forwarded: the protocol and port that the front end would report.
        domain: the domain name when the request has no Host.
    """

    __slots__ = (
        "_query_values",
        "domain",
        "extended_id",
        "headers",
        "last",
        "method",
        "multi_headers",
        "now",
        "query",
        "raw_path",
        "request_id",
        "sent_domain",
        "source_ip",
        "trace",
    )

    def __init__(
        self,
        scope: Mapping[str, Any],
        *,
        request_id: str,
        extended_id: str,
        trace_root: str,
        now: float,
        forwarded: tuple[str, str],
        domain: str,
    ) -> None:
        self.request_id = request_id
        self.extended_id = extended_id
        self.now = now
        self._query_values: dict[str, list[str]] | None = None
        last: dict[str, str] = {}
        headers: dict[str, str] = {}
        multi: dict[str, list[str]] = {}
        for raw_name, raw_value in scope["headers"]:
            name = raw_name.decode("latin-1")
            lower = name.lower()
            value = _text(raw_value).strip(" \t")
            last[lower] = value
            if lower in _DROPPED:
                continue
            name = _RECASED.get(lower, name)
            headers[name] = value  # the last one
            if name in multi:
                multi[name].append(value)
            else:
                multi[name] = [value]
        self.last = last
        self.headers = headers
        self.multi_headers = multi
        client = scope.get("client")
        self.source_ip: str = str(client[0]) if client else "127.0.0.1"

        self.raw_path, authority = _raw_path(scope)
        host = authority or last.get("host", "")
        named = _HOST.match(host)
        self.sent_domain: str = named[1] if named else ""
        self.domain = self.sent_domain or domain
        self.query: str = _text(scope.get("query_string") or b"")
        self.method: str = last.get("x-http-method-override") or str(scope["method"])

        if headers.get("Authorization", "").startswith("AWS4-"):
            del headers["Authorization"], multi["Authorization"]  # a SigV4 signature [D]
        self.trace = last.get("x-amzn-trace-id", "")
        if not _TRACE.fullmatch(self.trace) or "Root=" not in self.trace:
            self.trace = f"Root={trace_root}"
        before = last.get("x-forwarded-for")
        for name, value in (
            ("Host", host or domain),
            ("X-Amzn-Trace-Id", self.trace),
            ("X-Forwarded-For", f"{before}, {self.source_ip}" if before else self.source_ip),
            ("X-Forwarded-Port", forwarded[1]),
            ("X-Forwarded-Proto", forwarded[0]),
        ):
            headers[name] = value
            multi[name] = [value]

    @property
    def media_type(self) -> str:
        """The body's media type without parameters, in lower case; empty when there is none."""
        return self.last.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def query_values(self) -> dict[str, list[str]]:
        """The decoded values of each query key, in order."""
        values = self._query_values
        if values is None:
            values = self._query_values = {}
            if self.query:
                # `;` separates pairs too [D].
                pairs = parse_qsl(self.query.replace(";", "&"), keep_blank_values=True)
                for key, value in pairs:
                    values.setdefault(key, []).append(value)
        return values

    @property
    def trace_for_response(self) -> tuple[str, str, str]:
        """Root, Parent and Sampled as far as the client gave them; Parent may be empty."""
        parts = dict(part.partition("=")[::2] for part in self.trace.split(";"))
        parent = parts.get("Parent", "")
        return parts["Root"], parent, parts.get("Sampled") or ("1" if parent else "0")


def _text(raw: bytes) -> str:
    """Decode header or query bytes: UTF-8, as clients mean it, else one character a byte."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _raw_path(scope: Mapping[str, Any]) -> tuple[str, str]:
    """Return the path as the client encoded it, and the authority of an absolute-form target."""
    raw = scope.get("raw_path")
    path = quote(scope.get("path") or "/") if raw is None else raw.decode("latin-1")
    authority = ""
    if absolute := _ABSOLUTE.fullmatch(path):
        authority, path = absolute.groups()
    if raw is not None:
        path = path.partition("?")[0]
        if not path.isascii() or not path.isprintable() or " " in path:
            path = quote(path.encode("latin-1"), safe="!$%&'()*+,/:;=@[]|~\"<>\\^`{}#")
    return path if path.startswith("/") else "/" + path, authority


async def read_body(receive: Any, request: Request) -> bytes | None:
    """Return the body, or None as soon as it is known to be over 10 MB.

    Raises:
        ClientDisconnected: before the body was complete.
    """
    announced = request.last.get("content-length", "")
    if announced.isascii() and announced.isdigit() and _more_than_allowed(announced):
        return None
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body", False):
        return None if len(body) > MAX_BODY else body
    chunks, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        body = message.get("body", b"")
        size += len(body)
        if size > MAX_BODY:
            return None
        chunks.append(body)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()


def _more_than_allowed(digits: str) -> bool:
    return len(digits) > 20 or int(digits) > MAX_BODY
