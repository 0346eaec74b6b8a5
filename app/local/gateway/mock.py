"""The MOCK integration, as the console's "Enable CORS" makes it (facts, 4)."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from app.local.gateway import errors
from app.local.gateway.definition import Mock
from app.local.gateway.errors import Refusal
from app.local.gateway.exchange import Exchange
from app.local.gateway.response import Response, matches_binary


def answer_mock(
    mock: Mock, exchange: Exchange, body: bytes, binary_media_types: Collection[str]
) -> Response | Refusal:
    """Return the static answer that the request's template and status choose."""
    media_type = exchange.request.media_type
    if not mock.to_text and matches_binary(media_type, binary_media_types):
        # A binary body has no template; with */* that breaks the console's preflight [C].
        return errors.INTERNAL_ERROR.because("a binary body, and no CONVERT_TO_TEXT")
    status = mock.statuses.get(media_type or "application/json")
    if status is None:
        if mock.passthrough == "NEVER" or (
            mock.passthrough == "WHEN_NO_TEMPLATES" and mock.statuses
        ):
            return errors.UNSUPPORTED_MEDIA_TYPE.because(f"no template for {media_type}")
        status = _passed_through(body)
    if status is None:
        return errors.INTERNAL_ERROR.because("no statusCode that is an integer in the request")
    for response in mock.responses:
        if response.pattern is None or re.fullmatch(response.pattern, str(status)):
            break
    else:
        return errors.INTERNAL_ERROR.because(f"no integration response for {status}")
    content_type, text = b"application/json", b""
    if response.templates:
        accept = exchange.request.last.get("accept", "").partition(",")[0].partition(";")[0]
        wanted = accept.strip().lower()
        if wanted not in response.templates:
            wanted = next(iter(response.templates))
        content_type, text = wanted.encode(), response.templates[wanted]
    headers = []
    for name, value in response.headers:
        if name.lower() == b"content-type":
            content_type = value
        else:
            headers.append((name, value))
    return Response(response.status, content_type, text, headers)


def _passed_through(body: bytes) -> int | None:
    """Read the status from the body itself, which a MOCK without a template gets."""
    try:
        value = json.loads(body.decode())["statusCode"]
        return int(value) if isinstance(value, int | str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
