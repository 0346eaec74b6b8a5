"""The stage's access log: one line per request, of ``$context`` variables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from app.local.gateway.exchange import substitute

Write = Callable[[str], None]

_JSON = {
    "requestId": "requestId",
    "extendedRequestId": "extendedRequestId",
    "requestTime": "requestTime",
    "ip": "identity.sourceIp",
    "httpMethod": "httpMethod",
    "resourcePath": "resourcePath",
    "path": "path",
    "stage": "stage",
    "status": "status",
    "responseLength": "responseLength",
    "responseLatency": "responseLatency",
    "authorizer": "authorizer.outcome",
    "integrationStatus": "integration.status",
    "integrationLatency": "integration.latency",
    "error": "error.message",
    "errorResponseType": "error.responseType",
    "reason": "error.reason",
}
_FIELDS = [(name, *path.rpartition(".")[::2]) for name, path in _JSON.items()]
_NOTHING: Mapping[str, Any] = {}
_LINE_BREAKS = str.maketrans({"\r": "\\r", "\n": "\\n", "\x00": "\\0", "\x1b": "\\x1b"})


def access_line(context: Mapping[str, Any], format_: str | None) -> str:
    """Return the line; without a format, JSON that leaves unknown values out.

    A value from the request cannot begin a line of its own, nor reach the terminal's controls.
    """
    if format_ is not None:
        line = substitute(format_, {"context": context}, missing="-")
        return "".join(c if c.isprintable() else c.translate(_LINE_BREAKS) for c in line)
    values: dict[str, Any] = {}
    for name, group, key in _FIELDS:
        part = context.get(group, _NOTHING) if group else context
        value = part.get(key)
        if value is not None and value != "":
            values[name] = value
    return json.dumps(values)
