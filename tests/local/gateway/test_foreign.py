"""Definitions and handlers of other projects' shapes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from app.auth.jwks import KeySet
from app.local.gateway import load_definition
from tests.local.gateway.client import ANY, definition, method
from tests.local.gateway.conftest import Open
from tests.local.gateway.test_wire import request, serve, talk
from tests.tokens import Pool

powertools: Any = APIGatewayRestResolver(strip_prefixes=[])


@powertools.get("/orders/<order_id>")  # type: ignore[untyped-decorator,unused-ignore] # Powertools' own
def order(order_id: str) -> dict[str, Any]:
    event = powertools.current_event
    return {
        "id": order_id,
        "who": event.request_context.authorizer.claims.get("cognito:username"),
        "page": event.get_query_string_value("page", "1"),
        "stage": event.request_context.stage,
        "table": (event.stage_variables or {}).get("table"),
    }


@powertools.post("/orders")  # type: ignore[untyped-decorator,unused-ignore] # Powertools' own
def create() -> Response[str]:
    body = json.dumps(powertools.current_event.json_body)
    return Response(201, "application/json", body, headers={"Location": "/orders/1"})


@powertools.get("/missing")  # type: ignore[untyped-decorator,unused-ignore] # Powertools' own
def missing() -> None:
    raise NotFoundError("no such order")


def foreign_handler(event: Any, context: Any) -> Any:
    return powertools.resolve(event, context)


@pytest.fixture(scope="module")
def orders() -> dict[str, Any]:
    return load_definition(Path(__file__).parent / "foreign.yaml")


def test_a_powertools_api_behind_a_foreign_definition(
    open_gateway: Open, orders: Any, key_sets: dict[str, KeySet], pool: Pool
) -> None:
    client = open_gateway(orders, foreign_handler, key_sets=key_sets, stage="prod")
    token = [("authorization", f"Bearer {pool.id_token()}")]
    answer = client("GET", "/orders/7?page=2&page=3", token)
    assert answer.json() == {
        "id": "7",
        "who": "student",
        "page": "3",
        "stage": "prod",
        "table": None,
    }
    answer = client("POST", "/prod/orders", token, b'{"a": 1}')
    assert (answer.status, answer["Location"], answer.json()) == (201, "/orders/1", {"a": 1})
    assert client("GET", "/missing", token).status == 404
    assert client("GET", "/orders/7").status == 401
    preflight = client("OPTIONS", "/orders/7")
    assert (preflight.status, preflight["Access-Control-Allow-Origin"]) == (204, "*")


def test_several_stages_of_one_definition_side_by_side(
    open_gateway: Open, orders: Any, key_sets: dict[str, KeySet], pool: Pool
) -> None:
    token = [("authorization", pool.id_token())]
    stages = {
        name: open_gateway(
            orders,
            foreign_handler,
            key_sets=key_sets,
            stage=name,
            stage_variables={"table": f"Orders-{name}"},
        )
        for name in ("dev", "test", "prod")
    }
    for _ in range(2):
        for name, client in stages.items():
            body = client("GET", f"/{name}/orders/1", token).json()
            assert (body["stage"], body["table"]) == (name, f"Orders-{name}")
    host = "abcdefghij.execute-api.eu-west-1.amazonaws.com"
    assert stages["dev"]("GET", "/prod/orders/1", token, host=host).status == 403


def test_a_bare_function_served_by_a_real_server() -> None:
    from app.local.gateway import Gateway

    def handler(event: Any, context: Any) -> Any:
        deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000
        assert deadline > time.monotonic()
        return {"body": f"{event['httpMethod']} {event['pathParameters']['proxy']}"}

    document = definition({"/{proxy+}": {ANY: method()}})
    with serve(Gateway(document, handler)) as port:
        assert talk(port, request("PATCH /a/b%20c HTTP/1.1"))[2] == b"PATCH a/b%20c"
