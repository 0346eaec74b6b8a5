"""The event a Lambda gets: pure functions of a request, its method and its stage (facts, 2)."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from app.local.gateway.exchange import Exchange
from app.local.gateway.response import matches_binary

MAX_EVENT = 6_291_456
"""Bytes of an invocation's payload, and of its result [R]."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@lru_cache(maxsize=8)
def request_time(second: int) -> str:
    """Return ``10/Jul/2026:19:19:04 +0000`` (not strftime, whose month has a locale)."""
    t = time.gmtime(second)
    month = _MONTHS[t.tm_mon - 1]
    return f"{t.tm_mday:02}/{month}/{t.tm_year}:{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"


class EventMaker:
    """Makes events; holds what all events of a stage have in common."""

    def __init__(
        self,
        *,
        account_id: str,
        api_id: str,
        deployment_id: str,
        stage: str,
        stage_variables: dict[str, str] | None,
        binary_media_types: Collection[str],
    ) -> None:
        self._account_id = account_id
        self._api_id = api_id
        self._deployment_id = deployment_id
        self._stage = stage
        self._stage_variables = stage_variables
        self._binary = binary_media_types

    def event(self, exchange: Exchange, body: bytes) -> dict[str, Any]:
        """Return the event, with its keys in the recorded order."""
        request = exchange.request
        query = request.query_values
        encoded = bool(body) and matches_binary(request.media_type, self._binary)
        text: str | None = None
        if body:
            text = b64encode(body).decode() if encoded else body.decode("utf-8", "replace")
        return {
            "resource": exchange.method.resource if exchange.method else None,
            "path": exchange.path,
            "httpMethod": request.method,
            "headers": request.headers,
            "multiValueHeaders": request.multi_headers,
            "queryStringParameters": (
                {key: values[-1] for key, values in query.items()} if query else None
            ),
            "multiValueQueryStringParameters": query or None,
            "pathParameters": exchange.path_parameters,
            "stageVariables": self._stage_variables,
            "requestContext": self.request_context(exchange),
            "body": text,
            "isBase64Encoded": encoded,
        }

    def request_context(self, exchange: Exchange) -> dict[str, Any]:
        """Return ``requestContext``; also what ``$context`` offers to templates and logs."""
        request, method = exchange.request, exchange.method
        context: dict[str, Any] = {"resourceId": method.resource_id if method else None}
        if exchange.claims is not None:
            context["authorizer"] = {"claims": exchange.claims}
        context["resourcePath"] = method.resource if method else None
        if method and method.operation_name:
            context["operationName"] = method.operation_name
        context |= {
            "httpMethod": request.method,
            "extendedRequestId": request.extended_id,
            "requestTime": request_time(int(request.now)),
            "path": exchange.stage_path,
            "accountId": self._account_id,
            "protocol": "HTTP/1.1",
            "stage": self._stage,
            "domainPrefix": request.domain.partition(".")[0],
            "requestTimeEpoch": int(request.now * 1000),
            "requestId": request.request_id,
            "identity": {
                "cognitoIdentityPoolId": None,
                "accountId": None,
                "cognitoIdentityId": None,
                "caller": None,
                "sourceIp": request.source_ip,
                "principalOrgId": None,
                "accessKey": None,
                "cognitoAuthenticationType": None,
                "cognitoAuthenticationProvider": None,
                "userArn": None,
                "userAgent": request.last.get("user-agent"),
                "user": None,
            },
            "domainName": request.domain,
            "deploymentId": self._deployment_id,
            "apiId": self._api_id,
        }
        return context


def too_large(text: str) -> bool:
    """Whether JSON text has more bytes than Lambda takes or gives."""
    # A character is at most four bytes, so short text needs no encoding to know.
    return len(text) * 4 > MAX_EVENT and len(text.encode("utf-8", "replace")) > MAX_EVENT
