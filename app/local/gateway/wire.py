"""An answer on the wire: AWS's header names and order (facts, 1.2 and 3.2)."""

from __future__ import annotations

import os
from base64 import b64encode
from email.utils import formatdate
from functools import lru_cache

from app.local.gateway.request import MAX_BODY, Request
from app.local.gateway.response import Headers, Response

FRONT_END_413 = Response(
    413,
    b"text; charset=utf-8",
    f"HTTP content length exceeded {MAX_BODY} bytes.".encode(),
    content_type_name=b"content-type",
)
"""The front end's own: before any API logic, without ids, not customisable [R]."""


def wire_headers(answer: Response, request: Request, length: int, lineage: str) -> Headers:
    """Return all headers of an answer.

    ASGI wants lower-case names; AWS's casing reaches the client because uvicorn passes names on
    as they are.

    Args:
        answer: the answer.
        request: what is answered.
        length: the Content-Length.
        lineage: the part of the trace id that stands for the function.
    """
    headers = [
        (b"Date", _date(int(request.now))),
        (answer.content_type_name, answer.content_type),
    ]
    if answer.status not in {204, 304}:  # RFC 9110, section 8.6
        headers.append((b"Content-Length", b"%d" % length))
    if "close" not in request.last.get("connection", "").lower():  # the server says that
        headers.append((b"Connection", b"keep-alive"))
    if answer is FRONT_END_413:
        return headers
    headers.append((b"x-amzn-RequestId", request.request_id.encode()))
    headers += answer.headers
    headers.append((b"x-amz-apigw-id", request.extended_id.encode()))
    if answer.proxied:
        root, parent, sampled = request.trace_for_response
        trace = (
            f"Root={root};Parent={parent or os.urandom(8).hex()};Sampled={sampled}"
            f";Lineage=1:{lineage}:0"
        )
        headers.append((b"X-Amzn-Trace-Id", trace.encode()))
    return headers


def make_ids(second: int) -> tuple[str, str, str]:
    """Return a request id (UUID), an extended one (15 characters and ``=``) and a trace root."""
    random = os.urandom(39)
    extended = b64encode(random[16:27]).decode()
    return _uuid(random[:16].hex()), extended, f"1-{second:08x}-{random[27:].hex()}"


def request_id() -> str:
    """Return a request id."""
    return _uuid(os.urandom(16).hex())  # a fifth of uuid4's time


def _uuid(random: str) -> str:
    variant = "89ab"[int(random[16], 16) & 3]
    return f"{random[:8]}-{random[8:12]}-4{random[13:16]}-{variant}{random[17:20]}-{random[20:]}"


@lru_cache(maxsize=8)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
