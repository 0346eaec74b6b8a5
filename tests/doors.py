"""The doors as HTTP clients: the same request, by a server's way, by Lambda's, by the gateway's.

``direct`` calls the app as a server does; ``lambda`` puts the request into the event that a REST
API sends, calls the handler, and reads its answer as API Gateway does; ``gateway`` goes through
the mirror of API Gateway, which then calls that same handler.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
from fastapi import FastAPI
from starlette.types import ASGIApp, Message

from app.adapter import Event, Handler, make_handler
from app.auth import Fetch, KeySet
from app.definition import api_definition, routes_of
from app.local.gateway import Gateway
from tests.tokens import POOL_ID

BASE_URL = "https://api.example.com"
REGION = POOL_ID.partition("_")[0]
DOORS = ("direct", "lambda", "gateway")


class Door(httpx2.BaseTransport):
    """One way to the app. Many clients may go through at once; closed once, by whoever made it."""

    def __init__(
        self,
        transport: httpx2.BaseTransport,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        self._transport = transport
        self._closing = closing

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        return self._transport.handle_request(request)

    def client(self, token: str = "") -> httpx2.Client:
        """Return a client; with a token, a signed-in one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.Client(transport=self, base_url=BASE_URL, headers=headers)

    def shut(self) -> None:
        """Release what the door holds."""
        self._closing()


def open_door(name: str, app: FastAPI, fetch_keys: Fetch) -> Door:
    """Open the door of that name."""
    if name == "lambda":
        return Door(LambdaTransport(make_handler(app)))
    if name == "direct":
        direct = AsgiTransport(app)
        return Door(direct, direct.stop)
    gateway = gateway_of(app, fetch_keys)
    mirror = AsgiTransport(gateway)

    def close() -> None:
        gateway.close()
        mirror.stop()

    return Door(mirror, close)


def gateway_of(app: FastAPI, fetch_keys: Fetch, **options: Any) -> Gateway:
    """Put the mirror of API Gateway in front of the app."""
    keys = {POOL_ID: KeySet(fetch_keys)}
    return Gateway(definition_of(app), make_handler(app), key_sets=keys, region=REGION, **options)


_made: dict[object, dict[str, Any]] = {}


def definition_of(app: FastAPI) -> dict[str, Any]:
    """Return the app's definition; made once for all apps with the same routes."""
    routes = tuple((path, route.name) for path, route in routes_of(app))
    if routes not in _made:
        _made[routes] = api_definition(
            app,
            user_pool_arn=f"arn:aws:cognito-idp:{REGION}:123456789012:userpool/{POOL_ID}",
            function_arn=f"arn:aws:lambda:{REGION}:123456789012:function:notes",
            region=REGION,
        )
    return _made[routes]


class AsgiTransport(httpx2.BaseTransport):
    """Calls an ASGI app as a server would, on an event loop of its own in a thread of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        sent = self._send(request, request.read())
        return asyncio.run_coroutine_threadsafe(sent, self._loop).result(30)

    async def _send(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        raw_path, _, query = request.url.raw_path.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "https",
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "root_path": "",
            "query_string": query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": ("api.example.com", 443),
            "client": ("203.0.113.7", 50000),
        }
        unread: list[Message] = [
            {"type": "http.disconnect"},
            {"type": "http.request", "body": body, "more_body": False},
        ]
        answer: dict[str, Any] = {"body": b""}

        async def receive() -> Message:
            return unread.pop()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.update(status=message["status"], headers=message["headers"])
            else:
                answer["body"] += message["body"]

        await self.app(scope, receive, send)
        return httpx2.Response(
            answer["status"], headers=answer["headers"], content=answer["body"], request=request
        )


class LambdaTransport(httpx2.BaseTransport):
    """Plays API Gateway in as few lines as possible: request → event → handler → response."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        event = rest_event(
            request.method,
            request.url.raw_path.decode(),
            headers=list(request.headers.multi_items()),
            body=request.read(),
        )
        answer = self.handler(json.loads(json.dumps(event)), None)
        json.dumps(answer)
        assert not answer["isBase64Encoded"]  # the definition names no binary types
        body = answer["body"].encode()
        headers = list(answer["headers"].items())
        for name, values in answer.get("multiValueHeaders", {}).items():
            headers += [(name, value) for value in values]
        return httpx2.Response(answer["statusCode"], headers=headers, content=body, request=request)


def rest_event(
    method: str = "GET",
    url: str = "/notes",
    *,
    headers: list[tuple[str, str]] | None = None,
    body: bytes = b"",
    stage: str | None = None,
    **overrides: Any,
) -> Event:
    """Build the event of a REST API (facts/api-gateway.md, section 2).

    ``stage`` is set as behind an invoke URL; None: as behind a custom domain without base path.
    """
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    sent = headers or []
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    many_headers: dict[str, list[str]] = {}
    for name, value in sent:
        many_headers.setdefault(name, []).append(value)
    try:
        text, is_base64 = body.decode(), False
    except UnicodeDecodeError:
        text, is_base64 = base64.b64encode(body).decode(), True
    now = int(time.time() * 1000)
    event: Event = {
        "resource": "/{proxy+}",
        "path": parts.path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in many_headers.items()},
        "multiValueHeaders": many_headers,
        "queryStringParameters": {name: values[-1] for name, values in many.items()} or None,
        "multiValueQueryStringParameters": many or None,
        "pathParameters": {"proxy": parts.path.strip("/")},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "abc123",
            "resourcePath": "/{proxy+}",
            "httpMethod": method,
            "extendedRequestId": "AAAAAAAAAAAAAAA=",
            "requestTime": "21/Nov/2026:12:00:00 +0000",
            "path": f"/{stage}{parts.path}" if stage else parts.path,
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": stage or "Prod",
            "domainPrefix": "api",
            "requestTimeEpoch": now,
            "requestId": "00000000-0000-4000-8000-000000000000",
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "tests"},
            "domainName": "api.example.com",
            "deploymentId": "def456",
            "apiId": "abcdefghij",
        },
        "body": text or None,
        "isBase64Encoded": is_base64 and bool(text),
    }
    return {**event, **overrides}
