"""Facts 1.6: customised answers."""

from __future__ import annotations

from typing import Any

import pytest

from app.local.gateway import DefinitionError
from app.local.gateway.errors import RESPONSE_TYPES
from tests.local.gateway.client import INTEGRATION, PROXY, Answer, cognito, definition, method
from tests.local.gateway.conftest import Open

KEY = "x-amazon-apigateway-gateway-responses"
LISTED = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}
CORS = {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"}


@pytest.mark.parametrize("name", LISTED)
def test_the_listed_defaults(name: str) -> None:
    assert RESPONSE_TYPES[name] == LISTED[name]


@pytest.fixture
def ask(open_gateway: Open) -> Any:
    def ask(
        responses: dict[str, Any],
        verb: str = "GET",
        target: str = "/closed",
        headers: Any = (),
        handler: Any = None,
        **options: Any,
    ) -> Answer:
        document = definition(
            {
                "/closed": {"get": method(security=[{"pool": []}])},
                "/open/{id}": {"get": method()},
                "/slow": {"get": method(**{INTEGRATION: PROXY | {"timeoutInMillis": 50}})},
            },
            components=cognito(),
            **{KEY: responses},
        )
        return open_gateway(document, handler or (lambda e, c: []), **options)(
            verb, target, headers
        )

    return ask


def templates(text: str, media_type: str = "application/json") -> dict[str, Any]:
    return {"responseTemplates": {media_type: text}}


def test_a_default_is_for_every_type_of_its_class(ask: Any) -> None:
    responses = {"DEFAULT_4XX": {"responseParameters": CORS}}
    for target, status in (("/closed", 401), ("/nowhere", 403)):
        answer = ask(responses, target=target)
        assert (answer.status, answer["Access-Control-Allow-Origin"]) == (status, "*")
    assert ask(responses, target="/open/1").all("access-control-allow-origin") == []
    answer = ask({"DEFAULT_5XX": {"responseParameters": CORS}}, target="/open/1")
    assert (answer.status, answer["Access-Control-Allow-Origin"]) == (502, "*")


def test_a_type_that_is_set_itself_ignores_the_default(ask: Any) -> None:
    responses = {"DEFAULT_4XX": {"responseParameters": CORS}, "UNAUTHORIZED": {"statusCode": 403}}
    answer = ask(responses)
    assert (answer.status, answer.all("access-control-allow-origin")) == (403, [])
    assert answer.body == b'{"message":"Unauthorized"}'


def test_a_default_may_set_the_status(ask: Any) -> None:
    assert ask({"DEFAULT_4XX": {"statusCode": "418"}}).status == 418
    assert ask({"DEFAULT_5XX": {"statusCode": 599}}, target="/open/1").status == 599


def test_forbidden_and_the_front_ends_413_cannot_be_customised(ask: Any) -> None:
    responses = {
        "DEFAULT_4XX": {"responseParameters": CORS, "statusCode": 400},
        "REQUEST_TOO_LARGE": {"statusCode": 400},
    }
    host = "abcdefghij.execute-api.us-east-1.amazonaws.com"
    assert ask(responses, headers=[("host", host)], target="/nope").status == 403
    assert ask(responses, headers=[("content-length", "10485761")]).status == 413


TEMPLATES: dict[str, tuple[str, bytes]] = {
    "the default template": (
        '{"message":$context.error.messageString}',
        b'{"message":"Unauthorized"}',
    ),
    "message": ("<$context.error.message>", b"<Unauthorized>"),
    "type": ("$context.error.responseType", b"UNAUTHORIZED"),
    "nothing to validate": ("[$context.error.validationErrorString]", b"[]"),
    "braces": ("${context.error.message}!", b"Unauthorized!"),
    "path": ("$context.path $context.resourcePath $context.httpMethod", b"/closed /closed GET"),
    "identity": ("$context.identity.sourceIp", b"203.0.113.7"),
    "brackets": ("$context.identity['sourceIp']", b"203.0.113.7"),
    "null": ("[$context.identity.user]", b"[]"),
    "an object": ("[$context.identity]", b"[]"),
    "unknown": ("[$context.nothing.at.all]", b"[]"),
    "stage variable": ("$stageVariables.colour", b"red"),
    "unknown stage variable": ("[$stageVariables.shape]", b"[]"),
    "not VTL": ("#set($x = 1)$x $input.body", b"#set($x = 1)$x $input.body"),
    "the mirror's own reason stays inside": ("[$context.error.reason]", b"[]"),
    "static": ("caf\u00e9", "caf\u00e9".encode()),
}


@pytest.mark.parametrize("row", TEMPLATES.values(), ids=TEMPLATES)
def test_templates(ask: Any, row: tuple[str, bytes]) -> None:
    template, body = row
    answer = ask({"UNAUTHORIZED": templates(template)}, stage_variables={"colour": "red"})
    assert answer.body == body
    assert answer["Content-Length"] == str(len(body))


def test_ids_in_a_template_are_the_answers(ask: Any) -> None:
    answer = ask({"UNAUTHORIZED": templates("$context.requestId $context.extendedRequestId")})
    assert answer.body.decode() == f"{answer['x-amzn-RequestId']} {answer['x-amz-apigw-id']}"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/html", "text/html"),
        ("text/html;q=1, application/json", "text/html"),
        ("application/json", "application/json"),
        ("image/png", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_template_is_chosen_by_accept(ask: Any, accept: str, content_type: str) -> None:
    both = {"responseTemplates": {"text/html": "<p>", "application/json": "{}"}}
    answer = ask({"UNAUTHORIZED": both}, headers=[("accept", accept)])
    assert answer["Content-Type"] == content_type


def test_without_a_json_template_the_first_one_is_taken(ask: Any) -> None:
    answer = ask({"UNAUTHORIZED": templates("<p>", "text/html")})
    assert (answer["Content-Type"], answer.body) == ("text/html", b"<p>")


SOURCES: dict[str, tuple[str, str, Any, list[str]]] = {
    "static": ("'a b'", "/closed", (), ["a b"]),
    "static and empty": ("''", "/closed", (), [""]),
    "context": ("context.error.responseType", "/closed", (), ["UNAUTHORIZED"]),
    "stage variable": ("stageVariables.colour", "/closed", (), ["red"]),
    "header": ("method.request.header.Origin", "/closed", [("origin", "https://x")], ["https://x"]),
    "header that is not there": ("method.request.header.Origin", "/closed", (), []),
    "query": ("method.request.querystring.q", "/closed?q=1&q=2", (), ["2"]),
    "query that is not there": ("method.request.querystring.q", "/closed", (), []),
    "query with a line break": (
        "method.request.querystring.q",
        "/closed?q=a%0D%0AX-Evil:%201",
        (),
        ["aX-Evil: 1"],
    ),
    "header with a line break": (
        "method.request.header.Origin",
        "/closed",
        [("origin", "a\r\nX-Evil: 1")],
        ["aX-Evil: 1"],
    ),
    "path parameter that is not there": ("method.request.path.id", "/closed", (), []),
}


@pytest.mark.parametrize("row", SOURCES.values(), ids=SOURCES)
def test_header_sources(ask: Any, row: tuple[str, str, Any, list[str]]) -> None:
    source, target, headers, values = row
    parameters = {"responseParameters": {"gatewayresponse.header.X-Out": source}}
    answer = ask(
        {"UNAUTHORIZED": parameters},
        target=target,
        headers=headers,
        stage_variables={"colour": "red"},
    )
    assert answer.all("X-Out") == values
    assert answer.all("X-Evil") == []


def test_a_path_parameter_in_a_header(ask: Any) -> None:
    parameters = {"responseParameters": {"gatewayresponse.header.X-Out": "method.request.path.id"}}
    assert ask({"DEFAULT_5XX": parameters}, target="/open/7")["X-Out"] == "7"


def test_a_parameter_replaces_what_the_gateway_would_send(ask: Any) -> None:
    parameters = {
        "responseParameters": {
            "gatewayresponse.header.Content-Type": "'text/plain'",
            "gatewayresponse.header.X-Amzn-ErrorType": "'Mine'",
        }
    }
    answer = ask({"UNAUTHORIZED": parameters})
    assert answer["Content-Type"] == "text/plain"
    assert answer["x-amzn-ErrorType"] == "Mine"


def test_a_timeout_can_be_customised(ask: Any) -> None:
    import time

    answer = ask(
        {"INTEGRATION_TIMEOUT": {"statusCode": 503}},
        target="/slow",
        handler=lambda e, c: time.sleep(0.2),
    )
    assert (answer.status, answer.body) == (503, b'{"message": "Endpoint request timed out"}')


WRONG: dict[str, Any] = {
    "not an object": ["x"],
    "an unknown type": {"TEAPOT": {}},
    "a type that is no object": {"THROTTLED": []},
    "a status out of range": {"THROTTLED": {"statusCode": 42}},
    "templates that are no object": {"THROTTLED": {"responseTemplates": ["x"]}},
    "a parameter that is no header": {"THROTTLED": {"responseParameters": {"X": "'y'"}}},
    "a header name with a line break": {
        "THROTTLED": {"responseParameters": {"gatewayresponse.header.a\r\nb": "'y'"}}
    },
    "a source that is neither static nor a variable": {
        "THROTTLED": {"responseParameters": {"gatewayresponse.header.X": "y"}}
    },
    "a static value with a line break": {
        "THROTTLED": {"responseParameters": {"gatewayresponse.header.X": "'a\r\nb'"}}
    },
}


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_what_api_gateway_would_not_import_is_refused(ask: Any, value: Any) -> None:
    with pytest.raises(DefinitionError, match="gateway-responses"):
        ask(value)
