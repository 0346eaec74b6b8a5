"""TestInvokeAuthorizer: why is this token refused? (facts, 8)."""

# ruff: noqa: PT028  AWS's name for it; not a pytest test

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from app.auth.jwks import KeySet
from app.local.gateway.authorizer import CognitoAuthorizer, KeySets, KeyUrl
from app.local.gateway.claims import java_date
from app.local.gateway.errors import Refusal
from app.local.gateway.openapi import read_api
from app.local.gateway.routing import Routes


class NoAuthorizer(Exception):
    """The method is not there, or has no authorizer to test."""


async def test_authorizer(
    definition: Mapping[str, Any],
    token: str,
    *,
    method: str = "GET",
    path: str = "/",
    key_url: KeyUrl | None = None,
    key_sets: Mapping[str, KeySet] | None = None,
    ignore_unsupported: bool = False,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Return TestInvokeAuthorizer's answer for a token at one method.

    ``clientStatus`` is 0 when the token is accepted, else what a caller would get; ``log`` names
    the reason. Unlike AWS's, which tests ID tokens only, this one knows the method and so its
    scopes, and tests access tokens too.

    Raises:
        DefinitionError: the definition cannot be mirrored.
        NoAuthorizer: there is nothing to test at this method.
    """
    api = read_api(definition, ignore_unsupported=ignore_unsupported)
    match = Routes(api.methods).match(method.upper(), path)
    if match is None:
        raise NoAuthorizer(f"there is no method {method.upper()} {path}")
    found, _ = match
    if found.authorizer is None:
        raise NoAuthorizer(f"{found.http_method} {found.resource} has no authorizer")
    authorizer = CognitoAuthorizer(found.authorizer, KeySets(key_sets, key_url), clock)
    began = time.monotonic()
    outcome = await authorizer.authorize({found.authorizer.header.lower(): token}, found.scopes)
    request_id = str(uuid.uuid4())
    stamp = java_date(clock())
    kind = f"access token with one of {list(found.scopes)}" if found.scopes else "ID token"
    lines = [
        f"Starting authorizer: {found.authorizer.name} for request: {request_id}",
        "Incoming identity: ****",
        f"{found.http_method} {found.resource} takes an {kind}",
    ]
    answer: dict[str, Any] = {"clientStatus": 0}
    if isinstance(outcome, Refusal):
        answer["clientStatus"] = outcome.status
        lines += [f"{outcome.message}: {outcome.reason}", f"Unauthorized request: {request_id}"]
    else:
        lines.append("Successfully completed authorizer execution")
    log = [
        "Execution log for request test-request",
        *(f"{stamp} : {line}" for line in lines),
    ]
    answer["log"] = "\n".join(log) + "\n"
    answer["latency"] = round((time.monotonic() - began) * 1000)
    if not isinstance(outcome, Refusal):
        answer["claims"] = outcome
    return answer
