"""Calls a gateway as a server would, with raw bytes both ways; and the smallest definitions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.local.gateway import Gateway
from tests.tokens import POOL_ID

INTEGRATION = "x-amazon-apigateway-integration"
ANY = "x-amazon-apigateway-any-method"
POOL_ARN = f"arn:aws:cognito-idp:eu-central-1:123456789012:userpool/{POOL_ID}"

PROXY: dict[str, Any] = {
    "type": "aws_proxy",
    "httpMethod": "POST",
    "uri": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/f/invocations",
}


def method(**operation: Any) -> dict[str, Any]:
    """Return an operation with a Lambda proxy integration."""
    return {INTEGRATION: PROXY, "responses": {}} | operation


def definition(paths: dict[str, Any] | None = None, /, **members: Any) -> dict[str, Any]:
    """Return a definition; without paths, everything goes to the Lambda."""
    return {
        "openapi": "3.0.1",
        "info": {"title": "test", "version": "1.0"},
        "paths": paths
        if paths is not None
        else {"/": {ANY: method()}, "/{proxy+}": {ANY: method()}},
    } | members


def cognito(*arns: str, **settings: Any) -> dict[str, Any]:
    """Return ``components`` with the authorizer ``pool``."""
    return {
        "securitySchemes": {
            "pool": {
                "type": "apiKey",
                "name": "Authorization",
                "in": "header",
                "x-amazon-apigateway-authtype": "cognito_user_pools",
                "x-amazon-apigateway-authorizer": {
                    "type": "cognito_user_pools",
                    "providerARNs": list(arns) or [POOL_ARN],
                }
                | settings,
            }
        }
    }


def ok(event: Any, context: Any) -> dict[str, Any]:
    """Answer every event."""
    return {"statusCode": 200, "body": "ok"}


@dataclass
class Answer:
    """What came back, to the byte."""

    status: int
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def names(self) -> list[str]:
        """The header names in their order and casing."""
        return [name.decode() for name, _ in self.raw_headers]

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [v.decode() for n, v in self.raw_headers if n.decode().lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)


def http_scope(
    verb: str,
    target: str,
    headers: Iterable[tuple[str | bytes, str | bytes]] = (),
    *,
    host: str | None = "localhost",
    client: tuple[str, int] | None = ("203.0.113.7", 4242),
) -> dict[str, Any]:
    """Return the ASGI scope of a request; nothing in ``target`` is decoded."""
    raw = [(_bytes(name), _bytes(value)) for name, value in headers]
    if host is not None:
        raw.insert(0, (b"host", host.encode()))
    path, _, query = target.encode().partition(b"?")
    return {
        "type": "http",
        "method": verb,
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "headers": raw,
        "client": client,
    }


async def exchange(app: Any, scope: dict[str, Any], body: Iterable[bytes] = ()) -> Answer:
    """Send a request, its body in chunks, and collect the answer."""
    chunks = list(body) or [b""]
    sent: list[dict[str, Any]] = []
    waiting = iter(
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, 1)
    )

    async def receive() -> dict[str, Any]:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    return Answer(
        start["status"], list(start["headers"]), b"".join(part.get("body", b"") for part in rest)
    )


class Client:
    """A client of one gateway; ``event`` is what the recorded handler saw last."""

    def __init__(self, gateway: Gateway, runner: asyncio.Runner) -> None:
        self.gateway = gateway
        self.runner = runner

    def __call__(
        self,
        verb: str,
        target: str = "/",
        headers: Iterable[tuple[str | bytes, str | bytes]] = (),
        body: bytes | list[bytes] = b"",
        **scope: Any,
    ) -> Answer:
        chunks = [body] if isinstance(body, bytes) else body
        return self.runner.run(
            exchange(self.gateway, http_scope(verb, target, headers, **scope), chunks)
        )


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")
