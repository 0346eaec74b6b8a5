"""Facts 4: the MOCK that the console's "Enable CORS" makes, and CDK's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.gateway.client import INTEGRATION, Answer, definition
from tests.local.gateway.conftest import Open

CONSOLE: dict[str, Any] = {
    "type": "mock",
    "requestTemplates": {"application/json": '{"statusCode": 200}'},
    "passthroughBehavior": "when_no_match",
    "responses": {
        "default": {
            "statusCode": "200",
            "responseParameters": {
                "method.response.header.Access-Control-Allow-Headers": (
                    "'Content-Type,X-Amz-Date,Authorization,X-Api-Key,X-Amz-Security-Token'"
                ),
                "method.response.header.Access-Control-Allow-Methods": "'GET,OPTIONS'",
                "method.response.header.Access-Control-Allow-Origin": "'*'",
            },
            "responseTemplates": {},
        }
    },
}
BINARY = "x-amazon-apigateway-binary-media-types"


@pytest.fixture
def ask(open_gateway: Open) -> Any:
    def ask(
        integration: dict[str, Any],
        headers: Any = (("origin", "https://evil.example"),),
        body: bytes = b"",
        types: list[str] | None = None,
    ) -> Answer:
        document = definition({"/a": {"options": {INTEGRATION: integration}}}, **{BINARY: types})
        return open_gateway(document)("OPTIONS", "/a", headers, body)

    return ask


def test_the_consoles_preflight_on_the_wire(ask: Any) -> None:
    answer = ask(CONSOLE)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.names == [
        "Date",
        "Content-Type",
        "Content-Length",
        "Connection",
        "x-amzn-RequestId",
        "Access-Control-Allow-Headers",
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Origin",
        "x-amz-apigw-id",
    ]
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Length"] == "0"
    assert answer["Access-Control-Allow-Origin"] == "*"


def with_(**changes: Any) -> dict[str, Any]:
    return CONSOLE | changes


def templates(text: str) -> dict[str, Any]:
    return with_(requestTemplates={"application/json": text})


TEXT = [("content-type", "text/plain")]
JSON = [("content-type", "application/json; charset=utf-8")]
ROWS: dict[str, tuple[dict[str, Any], Any, bytes, int]] = {
    "unquoted key": (templates("{statusCode: 200}"), (), b"", 200),
    "CDK's template": (templates("{ statusCode: 200 }"), (), b"", 200),
    "quoted number": (templates('{"statusCode": "200"}\n'), (), b"", 200),
    "content type with parameters": (CONSOLE, JSON, b"{}", 200),
    "no template for the type, no JSON": (CONSOLE, TEXT, b"hello", 500),
    "no template for the type, empty": (CONSOLE, TEXT, b"", 500),
    "no template for the type, passed through": (CONSOLE, TEXT, b'{"statusCode": 200}', 200),
    "passed through as text": (CONSOLE, TEXT, b'{"statusCode": "200"}', 200),
    "passed through, not an integer": (CONSOLE, TEXT, b'{"statusCode": []}', 500),
    "passed through, too deep": (CONSOLE, TEXT, b"[" * 100_000, 500),
    "never passed through": (with_(passthroughBehavior="NEVER"), TEXT, b"", 415),
    "passed through only without templates": (
        with_(passthroughBehavior="WHEN_NO_TEMPLATES"),
        TEXT,
        b"",
        415,
    ),
    "without templates": (
        with_(passthroughBehavior="WHEN_NO_TEMPLATES", requestTemplates=None),
        TEXT,
        b'{"statusCode": 200}',
        200,
    ),
    "a pattern before the default": (
        with_(responses={"default": {"statusCode": 500}, "2\\d\\d": {"statusCode": 202}}),
        (),
        b"",
        202,
    ),
    "no pattern and no default": (with_(responses={"4..": {"statusCode": 400}}), (), b"", 500),
    "no responses": (with_(responses=None), (), b"", 500),
    "CDK's 204": (with_(responses={"default": {"statusCode": 204}}), (), b"", 204),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_status_is_chosen(ask: Any, row: tuple[dict[str, Any], Any, bytes, int]) -> None:
    integration, headers, body, status = row
    assert ask(integration, headers, body).status == status


@pytest.mark.parametrize(
    ("handling", "status"), [({}, 500), ({"contentHandling": "CONVERT_TO_TEXT"}, 200)]
)
def test_binary_everything_breaks_the_preflight_unless_converted(
    ask: Any, handling: dict[str, str], status: int
) -> None:
    assert ask(with_(**handling), types=["*/*"]).status == status


def test_static_bodies_and_headers(ask: Any) -> None:
    response = {
        "statusCode": 200,
        "responseTemplates": {"text/plain": "hello", "application/json": '{"a": 1}'},
        "responseParameters": {"method.response.header.X": "'y'"},
    }
    integration = with_(responses={"default": response})
    answer = ask(integration)
    assert (answer["Content-Type"], answer.body, answer["X"]) == ("text/plain", b"hello", "y")
    answer = ask(integration, [("accept", "application/json;q=1, */*")])
    assert (answer["Content-Type"], answer.body) == ("application/json", b'{"a": 1}')
    response["responseParameters"] = {"method.response.header.Content-Type": "'text/html'"}
    assert ask(integration).all("content-type") == ["text/html"]
