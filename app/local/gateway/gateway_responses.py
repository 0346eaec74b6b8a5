"""``x-amazon-apigateway-gateway-responses``: how a ``Refusal`` looks, customised or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from app.local.gateway.definition import GatewayResponse, Problem
from app.local.gateway.errors import RESPONSE_TYPES, Refusal
from app.local.gateway.exchange import Exchange, substitute
from app.local.gateway.response import Response

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf"gatewayresponse\.header\.({_TOKEN})")
_SOURCE = re.compile(
    r"'[^'\r\n]*'|context\.[\w.-]+|stageVariables\.\w+"
    r"|method\.request\.(?:header|querystring|path|multivalueheader|multivaluequerystring)\..+"
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Variables = Callable[[Exchange, Refusal], Mapping[str, Any]]


def read_gateway_responses(
    value: Any, place: str
) -> tuple[dict[str, GatewayResponse], list[Problem]]:
    """Read the extension; the problems are those of an import."""
    problems: list[Problem] = []
    responses: dict[str, GatewayResponse] = {}
    if not isinstance(value, Mapping):
        return {}, [Problem(place, "is not an object")]
    for name, response in value.items():
        where = f"{place}/{name}"
        if name not in RESPONSE_TYPES:
            problems.append(Problem(where, "there is no such gateway response"))
            continue
        if not isinstance(response, Mapping):
            problems.append(Problem(where, "is not an object"))
            continue
        status = response.get("statusCode")
        if status is not None and not re.fullmatch("[2-5][0-9][0-9]", str(status)):
            problems.append(Problem(f"{where}/statusCode", "is not a status"))
            status = None
        parts: dict[str, dict[str, str]] = {}
        for part in ("responseParameters", "responseTemplates"):
            entries = response.get(part) or {}
            if not isinstance(entries, Mapping):
                problems.append(Problem(f"{where}/{part}", "is not an object"))
                entries = {}
            parts[part] = {str(key): str(entry) for key, entry in entries.items()}
        for key, source in parts["responseParameters"].items():
            at = f"{where}/responseParameters/{key}"
            if not _PARAMETER.fullmatch(key):
                problems.append(Problem(at, "is not gatewayresponse.header.NAME"))
            elif not _SOURCE.fullmatch(source):
                problems.append(Problem(at, f"{source} is no 'static' value and no variable"))
        responses[str(name)] = GatewayResponse(
            None if status is None else int(status),
            parts["responseParameters"],
            parts["responseTemplates"],
        )
    return responses, problems


class GatewayResponses:
    """Writes refusals as the API has them.

    Args:
        configured: what the definition says, by type.
        variables: makes ``context`` and ``stageVariables`` when a template asks for them.
    """

    def __init__(self, configured: Mapping[str, GatewayResponse], variables: Variables) -> None:
        self._variables = variables
        # DEFAULT_4XX and _5XX are for all types of their class that are not set themselves [R].
        self._by_type = {
            name: found
            for name, status in RESPONSE_TYPES.items()
            if (found := configured.get(name) or configured.get(f"DEFAULT_{str(status)[0]}XX"))
        }

    def write(self, refusal: Refusal, exchange: Exchange) -> Response:
        """Return the answer for a refusal."""
        error_type = (
            [(b"x-amzn-ErrorType", refusal.error_type.encode())] if refusal.error_type else []
        )
        configured = self._by_type.get(refusal.type)
        if configured is None:
            return Response(refusal.status, b"application/json", refusal.body, error_type)
        variables = self._variables(exchange, refusal)
        content_type, body = b"application/json", refusal.body
        if configured.templates:
            chosen = _chosen(configured.templates, exchange)
            content_type = _safe(chosen)
            body = substitute(configured.templates[chosen], variables).encode()
        headers = error_type
        for key, source in configured.parameters.items():
            name = key.removeprefix("gatewayresponse.header.")
            value = _safe(_parameter(source, exchange, variables) or "")
            if name.lower() == "content-type":
                content_type = value or content_type
            elif value or source == "''":
                headers = [(n, v) for n, v in headers if n.lower() != name.lower().encode()]
                headers.append((name.encode(), value))
        return Response(configured.status or refusal.status, content_type, body, headers)


def _chosen(templates: Mapping[str, str], exchange: Exchange) -> str:
    """Choose by the Accept header's first media type, else JSON, else the first there is [I]."""
    accept = exchange.request.last.get("accept", "").partition(",")[0].partition(";")[0].strip()
    for wanted in (accept, "application/json"):
        if wanted in templates:
            return wanted
    return next(iter(templates))


def _parameter(source: str, exchange: Exchange, variables: Mapping[str, Any]) -> str | None:
    if source.startswith("'"):
        return source[1:-1]
    if not source.startswith("method.request."):
        return substitute(f"${source}", variables)
    place, _, name = source.removeprefix("method.request.").partition(".")
    if place in {"header", "multivalueheader"}:
        return exchange.request.last.get(name.lower())
    if place in {"querystring", "multivaluequerystring"}:
        values = exchange.request.query_values.get(name)
        return values[-1] if values else None
    return (exchange.path_parameters or {}).get(name)


def _safe(value: str) -> bytes:
    """Make a value from the request fit for a header: no line break gets out."""
    return _CONTROL.sub("", value).strip().encode("utf-8", "replace")
