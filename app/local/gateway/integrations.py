"""``x-amazon-apigateway-integration`` becomes an ``AwsProxy`` or a ``Mock``, or problems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.local.gateway.definition import AwsProxy, Mock, MockResponse, Problem
from app.local.gateway.findings import escaped

MAX_TIMEOUT = 300_000
"""Milliseconds. 29,000 without a quota request; with one, regional APIs go beyond."""

_FORBIDDEN = frozenset(
    f"integration.request.header.{name}"
    for name in (
        "content-length",
        "transfer-encoding",
        "x-amzn-trace-id",
        "x-amzn-apigateway-api-id",
        "authorization",
        "connection",
        "expect",
        "proxy-authenticate",
        "te",
    )
)
"""Mapping one of these makes every call a 500 [R]."""

_STATUS_CODE = re.compile(r"""\s*\{\s*["']?statusCode["']?\s*:\s*["']?(\d{3})["']?\s*,?\s*\}\s*""")
_STATIC = re.compile(r"'([^'\r\n]*)'")
_HEADER = re.compile(r"method\.response\.header\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_VTL = re.compile(r"[#$]")


def read_integration(value: Any, place: str) -> tuple[AwsProxy | Mock | None, list[Problem]]:
    """Read one integration; None comes with at least one problem."""
    if value is None:
        return None, [Problem(place, "the method has no integration")]
    if not isinstance(value, Mapping):
        return None, [Problem(place, "is not an object")]
    kind = str(value.get("type", "")).lower()
    if kind == "aws_proxy":
        return _aws_proxy(value, place)
    if kind == "mock":
        return _mock(value, place)
    what = f"integration type {value.get('type')} is not mirrored (aws_proxy and mock are)"
    return None, [Problem(f"{place}/type", what, unsupported=True)]


def _aws_proxy(value: Mapping[str, Any], place: str) -> tuple[AwsProxy | None, list[Problem]]:
    problems = []
    if str(value.get("payloadFormatVersion", "1.0")) != "1.0":
        what = "payload 2.0 belongs to HTTP APIs, which are not mirrored"
        problems.append(Problem(f"{place}/payloadFormatVersion", what, unsupported=True))
    if str(value.get("responseTransferMode") or "BUFFERED").upper() != "BUFFERED":
        what = "response streaming is not mirrored"
        problems.append(Problem(f"{place}/responseTransferMode", what, unsupported=True))
    if str(value.get("connectionType") or "INTERNET").upper() != "INTERNET":
        what = "VPC links are not mirrored"
        problems.append(Problem(f"{place}/connectionType", what, unsupported=True))
    timeout = value.get("timeoutInMillis", 29_000)
    if type(timeout) is not int or not 50 <= timeout <= MAX_TIMEOUT:
        problems.append(Problem(f"{place}/timeoutInMillis", f"is not 50 to {MAX_TIMEOUT}"))
        timeout = 29_000
    fails = ""
    method = str(value.get("httpMethod", "POST")).upper()
    if method != "POST":
        fails = f"a Lambda is invoked by POST, and the integration's httpMethod is {method}"
    parameters = value.get("requestParameters") or {}
    for name in parameters if isinstance(parameters, Mapping) else ():
        if str(name).lower() in _FORBIDDEN:
            fails = f"requestParameters map {name}, a forbidden header"
    return (None if problems else AwsProxy(timeout / 1000, fails)), problems


def _mock(value: Mapping[str, Any], place: str) -> tuple[Mock | None, list[Problem]]:
    problems = []
    statuses = {}
    templates = value.get("requestTemplates") or {}
    for media_type, template in templates.items() if isinstance(templates, Mapping) else ():
        match = _STATUS_CODE.fullmatch(str(template))
        if match:
            statuses[str(media_type).lower()] = int(match[1])
        else:
            what = 'a MOCK\'s request template other than {"statusCode": 200} is not mirrored'
            where = f"{place}/requestTemplates/{escaped(media_type)}"
            problems.append(Problem(where, what, unsupported=True))
    passthrough = str(value.get("passthroughBehavior") or "WHEN_NO_MATCH").upper()
    if passthrough not in {"WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"}:
        problems.append(Problem(f"{place}/passthroughBehavior", f"is {passthrough}"))
    responses = value.get("responses") or {}
    read = []
    if not isinstance(responses, Mapping):
        problems.append(Problem(f"{place}/responses", "is not an object"))
        responses = {}
    for pattern, response in responses.items():
        where = f"{place}/responses/{pattern}"
        read.append(_mock_response(str(pattern), response, where, problems))
    if problems:
        return None, problems
    to_text = str(value.get("contentHandling") or "").upper() == "CONVERT_TO_TEXT"
    # Patterns before the default, as both may stand in any order.
    read.sort(key=lambda response: response.pattern is None)
    return Mock(statuses, passthrough, tuple(read), to_text), []


def _mock_response(pattern: str, value: Any, place: str, problems: list[Problem]) -> MockResponse:
    response = value if isinstance(value, Mapping) else {}
    try:
        re.compile(pattern)
        status = int(response.get("statusCode", ""))
    except (re.error, ValueError, TypeError):
        problems.append(Problem(place, "needs a pattern and a statusCode"))
        return MockResponse(None, 500)
    if not 200 <= status <= 599:
        problems.append(Problem(f"{place}/statusCode", "is not 200 to 599"))
    headers = []
    parameters = response.get("responseParameters") or {}
    for name, source in parameters.items() if isinstance(parameters, Mapping) else ():
        header, static = _HEADER.fullmatch(str(name)), _STATIC.fullmatch(str(source))
        if header and static:
            headers.append((header[1].encode(), static[1].encode()))
        else:
            what = f"{source} is not mirrored: a MOCK's header has a 'static' value"
            problems.append(Problem(f"{place}/responseParameters/{name}", what, unsupported=True))
    bodies = {}
    templates = response.get("responseTemplates") or {}
    for media_type, template in templates.items() if isinstance(templates, Mapping) else ():
        text = "" if template is None else str(template)
        if _VTL.search(text):
            what = "mapping templates (VTL) are not mirrored; static text is"
            where = f"{place}/responseTemplates/{escaped(media_type)}"
            problems.append(Problem(where, what, unsupported=True))
        bodies[str(media_type).lower()] = text.encode()
    default = pattern == "default"
    return MockResponse(None if default else pattern, status, tuple(headers), bodies)
