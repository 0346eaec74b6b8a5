"""Gateways that are closed after the test, and a loop that no test shares with another."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.auth.jwks import KeySet
from app.local.gateway import Gateway
from tests.local.gateway.client import Client, definition, ok
from tests.tokens import Pool

Open = Callable[..., Client]


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Return what runs coroutines, without touching the thread's own event loop."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        yield runner


@pytest.fixture
def open_gateway(runner: asyncio.Runner) -> Iterator[Open]:
    """Return what builds a gateway and a client for it: ``(definition, handler, **options)``."""
    gateways: list[Gateway] = []

    def build(document: Any = None, handler: Any = ok, **options: Any) -> Client:
        gateway = Gateway(definition() if document is None else document, handler, **options)
        gateways.append(gateway)
        return Client(gateway, runner)

    yield build
    for gateway in gateways:
        gateway.close()


@pytest.fixture
def saw() -> list[dict[str, Any]]:
    """Return the events that ``record`` was called with."""
    return []


@pytest.fixture
def record(saw: list[dict[str, Any]]) -> Callable[[Any, Any], dict[str, Any]]:
    """Return a handler that keeps its events."""

    def handler(event: Any, context: Any) -> dict[str, Any]:
        saw.append(copy.deepcopy(event))
        return {"statusCode": 200}

    return handler


@pytest.fixture
def key_sets(pool: Pool) -> dict[str, KeySet]:
    """Return the pool's keys, as a gateway takes them."""
    return {pool.pool_id: key_set(pool.jwks)}


def key_set(document: Any) -> KeySet:
    """Return a key set that has its keys and never finds others."""

    async def fetch() -> bytes:
        return json.dumps(document).encode()

    return KeySet(fetch, preloaded=document)
