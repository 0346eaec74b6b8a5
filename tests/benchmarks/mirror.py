"""Measure 4, taken apart: the gateway mirror in one process, without a server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from app.adapter import make_handler
from app.application import create_app
from app.auth import KeySet
from app.definition import api_definition
from app.local.gateway import Gateway
from app.local.server import function_arn, user_pool_arn
from app.settings import load_settings
from tests.benchmarks.report import Measure, Value
from tests.benchmarks.world import World
from tests.tokens import CLIENT_ID, POOL_ID

ALONE = "the Lambda handler alone"
EMPTY = "the gateway around a handler that has its answer ready"


def measure(world: World, *, quick: bool) -> list[Measure]:
    """Answer the same request by the handler, by the gateway, and by both, in turn."""
    rounds, requests = (3, 100) if quick else (15, 500)
    settings = load_settings(
        env_file=None,
        cognito_user_pool_id=POOL_ID,
        cognito_app_client_id=CLIENT_ID,
        cognito_jwks=json.dumps(world.pool.jwks),
        notes_store=f"sqlite:///{world.notes_file}",
    )
    app = create_app(settings, fetch_keys=_nobody)
    keys = KeySet(_nobody, preloaded=settings.jwks)
    handler = make_handler(app)
    event = world.event()
    answer = handler(event, None)
    region = settings.pool_region
    definition = api_definition(
        app,
        user_pool_arn=user_pool_arn(POOL_ID),
        function_arn=function_arn(region),
        region=region,
    )

    def gateway(handler: Callable[[Any, Any], Any]) -> Gateway:
        return Gateway(definition, handler, key_sets={POOL_ID: keys}, access_log=lambda line: None)

    both, empty = gateway(handler), gateway(lambda event, context: answer)
    scope = _scope(world)

    async def through(door: Gateway) -> None:
        await door(scope, _receive, _send)

    async def alone() -> None:
        await asyncio.to_thread(_repeat, lambda: handler(event, None), requests)

    async def main() -> dict[str, list[float]]:
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "ours": lambda: _again(lambda: through(both), requests),
            ALONE: alone,
            EMPTY: lambda: _again(lambda: through(empty), requests),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                cpu = time.process_time()
                await way()
                if number:  # the first is to warm up
                    found[name].append(1e6 * (time.process_time() - cpu) / requests)
        return found

    try:
        values = {name: Value.of(each, "µs") for name, each in asyncio.run(main()).items()}
    finally:
        both.close()
        empty.close()
        app.state.store.close()
    return [Measure("4 parts", "the mirror without its server, CPU", values.pop("ours"), values)]


async def _again(once: Callable[[], Awaitable[None]], times: int) -> None:
    for _ in range(times):
        await once()


def _repeat(once: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        once()


async def _nobody() -> bytes:
    raise OSError("the keys are there already")


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: dict[str, Any]) -> None:
    if message.get("status", 200) != 200:
        raise AssertionError(message)


def _scope(world: World) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/notes",
        "raw_path": b"/notes",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": [
            (b"Host", b"127.0.0.1:8000"),
            (b"Authorization", b"Bearer " + world.token.encode()),
        ],
    }
