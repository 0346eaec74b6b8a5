"""Facts 5: required parameters and models."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.gateway.client import Answer, definition, method
from tests.local.gateway.conftest import Open

VALIDATORS = {
    "all": {"validateRequestBody": True, "validateRequestParameters": True},
    "body": {"validateRequestBody": True, "validateRequestParameters": False},
    "parameters": {"validateRequestBody": False, "validateRequestParameters": True},
    "none": {},
}
USE = "x-amazon-apigateway-request-validator"
LOCAL = "#/components/schemas/"
REMOTE = "https://apigateway.amazonaws.com/restapis/abc123/models/"
SCHEMAS: dict[str, Any] = {
    "Note": {
        "type": "object",
        "required": ["Note"],
        "properties": {
            "Note": {"type": "string", "minLength": 1, "maxLength": 5},
            "Count": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            "Maybe": {"oneOf": [{"type": "string"}, {"type": "null"}]},
            "Child": {"$ref": LOCAL + "Note"},
        },
        "additionalProperties": False,
    },
    "Notes": {"type": "array", "items": {"$ref": REMOTE + "Note"}},
    "Either": {"oneOf": [{"$ref": LOCAL + "Note"}, {"type": "null"}]},
    "Empty": {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"},
}


@pytest.fixture
def post(open_gateway: Open) -> Any:
    def post(
        model: str, body: bytes, content_type: str | None = "application/json", use: str = "all"
    ) -> Answer:
        operation = method(
            requestBody={"content": {"application/json": {"schema": {"$ref": LOCAL + model}}}},
            **{USE: use},
        )
        document = definition(
            {"/a": {"post": operation}},
            components={"schemas": SCHEMAS},
            **{"x-amazon-apigateway-request-validators": VALIDATORS},
        )
        headers = [("content-type", content_type)] if content_type else []
        return open_gateway(document)("POST", "/a", headers, body)

    return post


BODIES: dict[str, tuple[str, bytes, bool]] = {
    "right": ("Note", b'{"Note": "x"}', True),
    "missing key": ("Note", b"{}", False),
    "unknown key": ("Note", b'{"Note": "x", "y": 1}', False),
    "wrong type": ("Note", b'{"Note": 1}', False),
    "null": ("Note", b'{"Note": null}', False),
    "too short": ("Note", b'{"Note": ""}', False),
    "too long": ("Note", b'{"Note": "xxxxxx"}', False),
    "draft 4's exclusiveMinimum": ("Note", b'{"Note": "x", "Count": 0}', False),
    "above it": ("Note", b'{"Note": "x", "Count": 1}', True),
    "a float is no integer": ("Note", b'{"Note": "x", "Count": 1.5}', False),
    "oneOf with null": ("Note", b'{"Note": "x", "Maybe": null}', True),
    "oneOf with neither": ("Note", b'{"Note": "x", "Maybe": 1}', False),
    "recursive": ("Note", b'{"Note": "x", "Child": {"Note": "y"}}', True),
    "recursive and wrong": ("Note", b'{"Note": "x", "Child": {}}', False),
    "reference by URL": ("Notes", b'[{"Note": "x"}]', True),
    "reference by URL and wrong": ("Notes", b"[{}]", False),
    "no body, required keys": ("Note", b"", False),
    "no body, array model": ("Notes", b"", False),
    "no body, oneOf model": ("Either", b"", False),
    "no body, a model that takes {}": ("Empty", b"", True),
    "malformed": ("Empty", b"{", False),
    "not UTF-8": ("Empty", b'{"a": "\xff"}', False),
    "UTF-16": ("Empty", '{"a": 1}'.encode("utf-16"), False),
    "NaN": ("Empty", b'{"a": NaN}', False),
    "Infinity": ("Empty", b'{"a": -Infinity}', False),
    "nested beyond reason": ("Empty", b'{"a":' * 100_000, False),
    "nested beyond reason but closed": ("Empty", b"[" * 100_000 + b"]" * 100_000, False),
    "a number beyond reason": ("Empty", b'{"a": ' + b"9" * 10_000 + b"}", False),
    "not an object": ("Empty", b"[]", False),
}


@pytest.mark.parametrize("row", BODIES.values(), ids=BODIES)
def test_a_body_is_held_against_its_model(post: Any, row: tuple[str, bytes, bool]) -> None:
    model, body, fine = row
    answer = post(model, body)
    if fine:
        assert answer.status == 200
    else:
        assert (answer.status, answer.body) == (400, b'{"message": "Invalid request body"}')


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 400),
        ("application/json; charset=utf-8", 400),
        ("Application/JSON", 400),
        (None, 400),
        ("text/plain", 200),
        ("application/problem+json", 200),
    ],
)
def test_the_model_is_chosen_by_content_type(
    post: Any, content_type: str | None, status: int
) -> None:
    assert post("Note", b"{}", content_type).status == status


@pytest.mark.parametrize(
    ("use", "status"), [("all", 400), ("body", 400), ("parameters", 200), ("none", 200)]
)
def test_only_the_validator_that_says_so_looks_at_the_body(
    post: Any, use: str, status: int
) -> None:
    assert post("Note", b"{}", use=use).status == status


PARAMETERS = [
    {"name": "x-header-param", "in": "header", "required": True},
    {"name": "Authorization", "in": "header", "required": True},
    {"name": "qs1", "in": "query", "required": True},
    {"name": "optional", "in": "query", "required": False},
    {"name": "cookie", "in": "cookie", "required": True},
    {"name": "issuer", "in": "path", "required": True},
]
GOOD_HEADERS = [("x-header-param", "1"), ("authorization", "2")]
CALLS: dict[str, tuple[str, str, list[tuple[str, str]], list[str] | None]] = {
    "all are missing": (
        "/a",
        "/a",
        [],
        ["Authorization", "x-header-param", "issuer", "qs1"],
    ),
    "a path parameter that the path lacks is always missing": (
        "/a",
        "/a?qs1=1",
        GOOD_HEADERS,
        ["issuer"],
    ),
    "nothing is missing": ("/{issuer}", "/x?qs1=1", GOOD_HEADERS, None),
    "blank counts as missing": ("/{issuer}", "/x?qs1=%20", GOOD_HEADERS, ["qs1"]),
    "empty counts as missing": ("/{issuer}", "/x?qs1=", GOOD_HEADERS, ["qs1"]),
    "query names count case": ("/{issuer}", "/x?QS1=1", GOOD_HEADERS, ["qs1"]),
    "header names count case": (
        "/{issuer}",
        "/x?qs1=1",
        [("X-Header-Param", "1"), ("authorization", "2")],
        ["x-header-param"],
    ),
    "but not those that are always re-cased": (
        "/{issuer}",
        "/x?qs1=1",
        [("x-header-param", "1"), ("AUTHORIZATION", "2")],
        None,
    ),
}


@pytest.mark.parametrize("row", CALLS.values(), ids=CALLS)
def test_required_parameters(open_gateway: Open, row: Any) -> None:
    path, target, headers, missing = row
    document = definition(
        {path: {"get": method(**{USE: "parameters"}), "parameters": PARAMETERS}},
        **{"x-amazon-apigateway-request-validators": VALIDATORS},
    )
    answer = open_gateway(document)("GET", target, headers)
    if missing is None:
        assert answer.status == 200
    else:
        message = f"Missing required request parameters: [{', '.join(missing)}]"
        assert (answer.status, answer.json()) == (400, {"message": message})


def test_the_log_says_when_only_the_casing_differs(open_gateway: Open, caplog: Any) -> None:
    caplog.set_level("INFO", "notegate.gateway")
    parameter = {"name": "X-Version", "in": "header", "required": True}
    document = definition(
        {"/a": {"get": method(parameters=[parameter])}},
        **{
            "x-amazon-apigateway-request-validators": VALIDATORS,
            USE: "all",
        },
    )
    open_gateway(document)("GET", "/a", [("x-version", "1")])
    assert "the header X-Version came as x-version" in caplog.text


def test_a_method_may_have_another_validator_than_the_api(open_gateway: Open) -> None:
    parameter = {"name": "q", "in": "query", "required": True}
    document = definition(
        {
            "/a": {"get": method(parameters=[parameter])},
            "/b": {"get": method(parameters=[parameter], **{USE: "none"})},
        },
        **{"x-amazon-apigateway-request-validators": VALIDATORS, USE: "parameters"},
    )
    client = open_gateway(document)
    assert (client("GET", "/a").status, client("GET", "/b").status) == (400, 200)


def test_parameters_and_bodies_may_be_references(open_gateway: Open) -> None:
    document = definition(
        {
            "/a": {
                "post": method(
                    parameters=[{"$ref": "#/components/parameters/q"}],
                    requestBody={"$ref": "#/components/requestBodies/b"},
                    **{USE: "all"},
                )
            }
        },
        components={
            "parameters": {"q": {"name": "q", "in": "query", "required": True}},
            "requestBodies": {
                "b": {
                    "content": {
                        "application/json": {"schema": {"type": "array"}},
                        "text/plain": {},
                    }
                }
            },
        },
        **{"x-amazon-apigateway-request-validators": VALIDATORS},
    )
    client = open_gateway(document)
    assert client("POST", "/a", body=b"[]").status == 400
    assert client("POST", "/a?q=1", body=b"{}").status == 400
    assert client("POST", "/a?q=1", body=b"[]").status == 200


def test_the_validation_error_string_is_worded_as_recorded(open_gateway: Open) -> None:
    schema = {
        "type": "object",
        "required": ["bar"],
        "properties": {"bar": {"type": "integer"}},
        "additionalProperties": False,
    }
    document = definition(
        {
            "/a": {
                "post": method(
                    requestBody={"content": {"application/json": {"schema": schema}}},
                    **{USE: "all"},
                )
            }
        },
        **{
            "x-amazon-apigateway-request-validators": VALIDATORS,
            "x-amazon-apigateway-gateway-responses": {
                "BAD_REQUEST_BODY": {
                    "responseTemplates": {"text/plain": "$context.error.validationErrorString"}
                }
            },
        },
    )
    answer = open_gateway(document)("POST", "/a", body=b'{"foo": 1}')
    assert answer.body == (
        b'[object has missing required properties (["bar"]), object instance has properties '
        b'which are not allowed by the schema: ["foo"]]'
    )
    assert b"is not of type" in open_gateway(document)("POST", "/a", body=b'{"bar": ""}').body
