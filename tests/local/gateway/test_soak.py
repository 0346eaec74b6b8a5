"""64 clients at once: no error, no answer of somebody else's, no growth."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import tracemalloc
from typing import Any

import pytest

from app.auth.jwks import KeySet
from tests.local.gateway.client import ANY, cognito, definition, exchange, http_scope, method
from tests.local.gateway.conftest import Open
from tests.tokens import Pool

CLIENTS = 64
ENVIRONMENTS = 4
API = definition({"/{proxy+}": {ANY: method(security=[{"pool": []}])}}, components=cognito())


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """Return how long to soak: ``--soak SECONDS``, else shortly."""
    return float(request.config.getoption("--soak", default=None) or 2)


def echo(event: Any, context: Any) -> Any:
    body = json.loads(event["body"])
    return {
        "statusCode": 200,
        "headers": {"X-Nonce": event["headers"]["x-nonce"]},
        "body": json.dumps(
            {
                "body": body["nonce"],
                "path": event["pathParameters"]["proxy"],
                "query": event["queryStringParameters"]["n"],
                "user": event["requestContext"]["authorizer"]["claims"]["cognito:username"],
            }
        ),
    }


def test_many_clients_get_their_own_answers_and_memory_stays_flat(
    open_gateway: Open, key_sets: dict[str, KeySet], pool: Pool, seconds: float
) -> None:
    client = open_gateway(API, echo, key_sets=key_sets, environments=ENVIRONMENTS)
    tokens = [pool.id_token(**{"cognito:username": f"user-{n}"}) for n in range(CLIENTS)]
    count = 0

    async def one(number: int, until: float) -> None:
        nonlocal count
        turn = 0
        while time.monotonic() < until:
            nonce = f"{number}-{turn}"
            headers = [("authorization", tokens[number]), ("x-nonce", nonce)]
            scope = http_scope("POST", f"/{nonce}?n={nonce}", headers)
            body = json.dumps({"nonce": nonce}).encode()
            answer = await exchange(client.gateway, scope, [body])
            assert answer.status == 200
            assert answer["X-Nonce"] == nonce
            expected = {"body": nonce, "path": nonce, "query": nonce, "user": f"user-{number}"}
            assert answer.json() == expected
            turn += 1
            count += 1

    async def soak(duration: float) -> None:
        until = time.monotonic() + duration
        await asyncio.gather(*(one(number, until) for number in range(CLIENTS)))

    client.runner.run(soak(seconds / 4))  # warm-up
    threads = threading.active_count()
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    client.runner.run(soak(seconds))
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert count > CLIENTS
    # None but environments, which are started when they are needed.
    assert threading.active_count() <= threads + ENVIRONMENTS
    assert grown < 256 * 1024
