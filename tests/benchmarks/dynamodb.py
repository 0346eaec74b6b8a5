"""Measure 9: how often the DynamoDB store calls, counted on their way out."""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.adapter import Handler, make_handler
from app.application import create_app
from app.settings import load_settings
from app.store import DynamoNotes, Note
from tests.benchmarks.report import Measure, Target, Value
from tests.benchmarks.world import NOTES, World, text_of
from tests.tokens import CLIENT_ID, POOL_ID, USER_NAME

ALLOWED = {
    "list a page": {"Query": 1},
    "search": {"Query": 1},
    "get": {"GetItem": 1},
    "put": {"PutItem": 1},
    "delete": {"DeleteItem": 1},
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the user's notes, and where it is."""

    name: str
    url: str
    region: str


@contextlib.contextmanager
def open_table(world: World) -> Iterator[Table]:
    """Yield a table in a moto of its own."""
    from moto.server import ThreadedMotoServer

    from tests.store_fixtures import create_table

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line per request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        table = Table("", "http://{}:{}".format(*server.get_host_and_port()), "eu-central-1")
        client = _client(table)
        table = Table(create_table(client), table.url, table.region)
        client.close()
        store = DynamoNotes(table.name, region=table.region, endpoint_url=table.url)
        when = datetime(2026, 11, 21, 12, tzinfo=UTC)
        for number in range(1, NOTES + 1):
            store.put(Note(USER_NAME, number, text_of(number), when, f"{number:016x}"))
        store.close()
        yield table
    finally:
        server.stop()


def _client(table: Table) -> Any:
    import boto3

    return boto3.client("dynamodb", region_name=table.region, endpoint_url=table.url)


def measure(world: World, *, quick: bool) -> list[Measure]:
    """Send one request of each kind and count."""
    del quick  # it is quick
    with open_table(world) as table:
        counted = _count(world, table)
    calls = {name: sum(calls.values()) for name, calls in counted.items()}
    extra = sum(counted[name] != allowed for name, allowed in ALLOWED.items())
    listed = "; ".join(
        f"{name}: {', '.join(f'{n} {call}' for call, n in calls.items())}"
        for name, calls in counted.items()
    )
    result = Measure(
        "9",
        "DynamoDB calls of one request each to list, search, get, put, delete",
        Value.of([sum(calls.values())], "calls"),
        remarks={"ours": listed},
    )
    result.targets.append(
        Target("1 call each: Query, Query, GetItem, PutItem, DeleteItem", extra, 0)
    )
    return [result]


def _count(world: World, table: Table) -> dict[str, Counter[str]]:
    settings = load_settings(
        env_file=None,
        cognito_user_pool_id=POOL_ID,
        cognito_app_client_id=CLIENT_ID,
        cognito_jwks=json.dumps(world.pool.jwks),
        notes_store=f"dynamodb://{table.name}",
        aws_endpoint_url_dynamodb=table.url,
    )
    app = create_app(settings)
    handler = make_handler(app)
    sent: Counter[str] = Counter()

    def count(request: Any, **_: Any) -> None:
        sent[request.headers["X-Amz-Target"].decode().rpartition(".")[2]] += 1

    store = app.state.store
    store.connect()
    store._connected.meta.events.register("before-send.dynamodb", count)
    try:
        return {
            "list a page": _calls(handler, sent, world.event(query={"limit": "10"}), 200),
            "search": _calls(
                handler, sent, world.event(path="/notes/search", query={"text": "note 3"}), 200
            ),
            "get": _calls(handler, sent, world.event(path="/notes/1"), 200),
            "put": _calls(
                handler, sent, world.event("PUT", '{"Note": "new"}', path="/notes/2"), 200
            ),
            "delete": _calls(handler, sent, world.event("DELETE", path="/notes/2"), 204),
        }
    finally:
        store.close()


def _calls(
    handler: Handler, sent: Counter[str], event: dict[str, Any], status: int
) -> Counter[str]:
    sent.clear()
    answer = handler(event, None)
    if answer["statusCode"] != status:
        raise RuntimeError(f"{event['httpMethod']} {event['path']}: {answer}")
    return Counter(sent)
