"""The pool over HTTP: Cognito's JSON protocol, the public keys, the hosted endpoints.

The server trusts whoever reaches it, as a laptop's tools do. So a web page must not: a request
under a foreign host name (DNS rebinding) or from a foreign origin is refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.local.cognito.answers import Refused
from app.local.cognito.discovery import configuration
from app.local.cognito.hosts import host_of, is_this_machine

if TYPE_CHECKING:
    from app.local.cognito.hosted import Hosted

PREFIX = "/_cognito"
TARGET = "AWSCognitoIdentityProviderService."
MAX_BODY = 1_000_000

_CORS = {
    "access-control-allow-methods": "POST, GET, OPTIONS",
    "access-control-allow-headers": (
        "authorization, cache-control, content-type, x-amz-content-sha256, x-amz-date, "
        "x-amz-security-token, x-amz-target, x-amz-user-agent, amz-sdk-invocation-id, "
        "amz-sdk-request"
    ),
    "access-control-expose-headers": "x-amzn-requestid, x-amzn-errortype, x-amzn-errormessage",
    "access-control-max-age": "3600",
}

_log = logging.getLogger(__name__)


def mount(prefix: str, inner: ASGIApp, otherwise: ASGIApp) -> ASGIApp:
    """Serve one app under a path prefix, and another one elsewhere.

    A framework's mount answers ``POST /prefix`` with a redirect, which the AWS CLI takes for
    the answer; here it reaches the app as ``POST /``.
    """

    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path != prefix and not path.startswith(f"{prefix}/"):
            await otherwise(scope, receive, send)
            return
        raw = scope.get("raw_path") or path.encode()
        inside = {
            "path": path.removeprefix(prefix) or "/",
            "raw_path": raw.removeprefix(prefix.encode()) or b"/",
            "root_path": "",
        }
        await inner({**scope, **inside}, receive, send)

    return mounted


class _Answer(Exception):
    """A refusal before any operation runs."""

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = type


class Server:
    """The ASGI app.

    Args:
        call: Runs an operation with its parameters; raises Refused.
        jwks_of: A pool's key set, or None.
        allowed_hosts: Hosts besides this machine; ``*`` for any.
        hosted: The hosted endpoints.
    """

    def __init__(
        self,
        call: Callable[[str, dict[str, Any]], dict[str, Any]],
        jwks_of: Callable[[str], dict[str, Any] | None],
        allowed_hosts: Collection[str] = (),
        hosted: Hosted | None = None,
    ) -> None:
        self._call = call
        self._hosted = hosted
        self._jwks_of = jwks_of
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        hosted = self._hosted if self._hosted and self._hosted.serves(scope["path"]) else None
        response = await self._answer(scope, headers, receive, hosted)
        origin = headers.get("origin")
        # Pages hold what only their own browser may read.
        shared = hosted is None or hosted.for_apps(scope["path"])
        if shared and origin is not None and self._is_known(origin, headers):
            cors = {**_CORS, "access-control-allow-origin": origin, "vary": "Origin"}
            response.headers.update(cors)
        response.headers["x-amzn-requestid"] = str(uuid.uuid4())
        await response(scope, receive, send)

    async def _answer(
        self, scope: Scope, headers: Headers, receive: Receive, hosted: Hosted | None
    ) -> Response:
        kind = {"content-type": "application/x-amz-json-1.1", "cache-control": "no-store"}
        try:
            self._refuse_foreigners(headers)
            if scope["method"] == "OPTIONS":
                return Response(status_code=204)
            if hosted is not None:
                return await hosted.answer(scope, await _body(receive), PREFIX)
            if scope["method"] in {"GET", "HEAD"}:
                return _json(
                    200, self._document(scope, headers), {"content-type": "application/json"}
                )
            operation = _operation(scope, headers)
            params = _parameters(await _body(receive))
            # In a thread: passwords take a while on purpose, and the disk takes its time.
            return _json(200, await asyncio.to_thread(self._call, operation, params), kind)
        except _Answer as refusal:
            status, type, message = refusal.status, refusal.type, str(refusal)
        except Refused as refusal:
            status, type, message = 400, refusal.type, refusal.message
        except Exception:
            what = scope["path"] if hosted else headers.get("x-amz-target")
            _log.exception("The local user pool failed at %s", what)
            status, type, message = 500, "InternalErrorException", "Internal server error"
        kind["x-amzn-errortype"] = type
        return _json(status, {"__type": type, "message": message}, kind)

    def _is_own(self, host: str) -> bool:
        return host in self._allowed or is_this_machine(host)

    def _is_known(self, origin: str, headers: Headers) -> bool:
        # That any host name is allowed does not mean that any page may call.
        host = host_of(origin)
        return self._is_own(host) or (host != "" and host == host_of(_authority(headers)))

    def _refuse_foreigners(self, headers: Headers) -> None:
        if "*" not in self._allowed and not self._is_own(host_of(_authority(headers))):
            raise _Answer(403, "ForbiddenException", "The local user pool does not know this host")
        origin = headers.get("origin")
        if origin is not None and not self._is_known(origin, headers):
            raise _Answer(403, "ForbiddenException", "The local user pool is not for this origin")

    def _document(self, scope: Scope, headers: Headers) -> dict[str, Any]:
        pool_id, _, rest = scope["path"].removeprefix("/").partition("/")
        keys = self._jwks_of(pool_id)
        if keys is not None and rest == ".well-known/jwks.json":
            return keys
        if keys is not None and rest == ".well-known/openid-configuration":
            base = f"{scope.get('scheme', 'http')}://{headers.get('host', '')}{PREFIX}"
            return configuration(pool_id, base)
        raise _Answer(404, "ResourceNotFoundException", "There is nothing here")


def _json(status: int, document: dict[str, Any], headers: Mapping[str, str]) -> Response:
    return Response(json.dumps(document), status, headers)


def _authority(headers: Headers) -> str:
    return f"//{headers.get('host', '')}"


def _operation(scope: Scope, headers: Headers) -> str:
    target = headers.get("x-amz-target", "")
    if scope["method"] != "POST" or scope["path"] != "/" or not target.startswith(TARGET):
        raise _Answer(
            400, "UnknownOperationException", "Here is Cognito's user pool API (cognito-idp) only"
        )
    # No signature is asked for: who has no AWS account has none, and may use --no-sign-request.
    return target.removeprefix(TARGET)


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise _Answer(413, "RequestEntityTooLargeException", "The request is too large")
    return bytes(body)


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        params = None
    if not isinstance(params, dict):
        raise _Answer(400, "SerializationException", "The body is not a JSON object")
    return params
