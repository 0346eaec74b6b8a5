"""The definition: the app's own routes, in what API Gateway imports."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from jsonschema import Draft4Validator
from pydantic import BaseModel

from app.definition import _draft4, api_definition, routes_of
from tests.api import MakeApp

POOL_ARN = "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_Testing01"
FUNCTION_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:notes"


@pytest.fixture(scope="module")
def own_app(make_app: MakeApp) -> FastAPI:
    nowhere: Any = object()
    return make_app(nowhere)


class Inner(BaseModel):
    x: int


class Outer(BaseModel):
    inner: Inner
    again: list[Inner]


def made(app: FastAPI, **options: Any) -> dict[str, Any]:
    given = {"user_pool_arn": POOL_ARN, "function_arn": FUNCTION_ARN, "region": "eu-central-1"}
    return api_definition(app, **(given | options))


@pytest.fixture(scope="module")
def definition(own_app: FastAPI) -> dict[str, Any]:
    return made(own_app)


def methods(definition: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, operations in definition["paths"].items()
        for method, operation in operations.items()
    }


def walk(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from walk(each)


def test_every_route_is_there_and_every_path_takes_preflights(
    own_app: FastAPI, definition: dict[str, Any]
) -> None:
    routes = {
        (method.lower(), path)
        for path, route in routes_of(own_app)
        for method in route.methods or ()
    }
    assert {
        ("get", "/docs/{name}"),
        ("get", "/"),
        ("get", "/web/{version}/{name}"),
        ("get", "/auth/login"),
        ("get", "/auth/callback"),
        ("post", "/auth/token"),
        ("post", "/auth/logout"),
    } <= routes
    assert routes | {("options", path) for path in definition["paths"]} == set(methods(definition))


def test_what_needs_a_user_has_the_authorizer_and_nothing_else(
    definition: dict[str, Any],
) -> None:
    secured = {key for key, operation in methods(definition).items() if "security" in operation}
    assert secured == {
        ("get", "/notes"),
        ("post", "/notes"),
        ("get", "/notes/search"),
        ("get", "/notes/{NoteId}"),
        ("put", "/notes/{NoteId}"),
        ("delete", "/notes/{NoteId}"),
        ("get", "/userinfo"),
    }
    for key in secured:
        assert methods(definition)[key]["security"] == [{"Cognito": []}]


def test_scopes_are_on_the_methods_that_need_a_user(own_app: FastAPI) -> None:
    scoped = made(own_app, scopes=["notes/read", "notes/write"])
    assert scoped["paths"]["/notes"]["get"]["security"] == [
        {"Cognito": ["notes/read", "notes/write"]}
    ]
    assert "security" not in scoped["paths"]["/healthz"]["get"]


def test_every_method_calls_the_same_function(definition: dict[str, Any]) -> None:
    integrations = [o["x-amazon-apigateway-integration"] for o in methods(definition).values()]
    assert all(integration == integrations[0] for integration in integrations)
    assert integrations[0]["type"] == "aws_proxy"
    assert integrations[0]["httpMethod"] == "POST"
    assert FUNCTION_ARN in integrations[0]["uri"]


def test_every_path_parameter_is_declared(definition: dict[str, Any]) -> None:
    for (_, path), operation in methods(definition).items():
        declared = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))


def test_it_holds_nothing_that_api_gateway_does_not_import(definition: dict[str, Any]) -> None:
    refused = {"discriminator", "readOnly", "default", "example", "examples", "const", "anyOf"}
    for schema in walk(definition["components"]["schemas"]):
        assert not refused & set(schema)
        assert not isinstance(schema.get("exclusiveMinimum"), (int, float)) or isinstance(
            schema["exclusiveMinimum"], bool
        )
        assert schema.get("type") != "null"
        assert schema.get("format") not in {"int32", "int64", "decimal"}
    assert all(name.isalnum() for name in definition["components"]["schemas"])
    assert "security" not in definition


def test_it_does_not_depend_on_where_one_signs_in(
    make_app: MakeApp, definition: dict[str, Any]
) -> None:
    nowhere: Any = object()
    assert made(make_app(nowhere, cognito_domain="https://sign-in.example.com")) == definition


def test_its_models_are_draft_4_and_agree_with_the_app(definition: dict[str, Any]) -> None:
    schemas = definition["components"]["schemas"]
    for schema in schemas.values():
        Draft4Validator.check_schema(schema)
    content = definition["paths"]["/notes"]["post"]["requestBody"]["content"]
    reference = content["application/json"]["schema"]["$ref"]
    model = Draft4Validator(
        {**schemas[reference.rpartition("/")[2]], "components": definition["components"]}
    )
    for good in (
        {"Note": "x"},
        {"Note": "x", "NoteId": 1},
        {"Note": "x", "NoteId": "001", "UserId": 1},
    ):
        assert model.is_valid(good)
    for bad in (
        {},
        {"Note": ""},
        {"Note": 1},
        {"Note": "x", "NoteId": None},
        {"Note": "x", "NoteId": "a"},
    ):
        assert not model.is_valid(bad)


@pytest.mark.parametrize(
    ("origins", "mapped"),
    [
        (["*"], "'*'"),
        (["https://a.example"], "'https://a.example'"),
        (["https://a.example", "https://b.example"], "method.request.header.origin"),
    ],
)
def test_the_gateways_own_errors_carry_cors_headers(
    own_app: FastAPI, origins: list[str], mapped: str
) -> None:
    responses = made(own_app, cors_allow_origins=origins)["x-amazon-apigateway-gateway-responses"]
    assert set(responses) == {"DEFAULT_4XX", "DEFAULT_5XX"}
    for response in responses.values():
        header = "gatewayresponse.header.Access-Control-Allow-Origin"
        assert response["responseParameters"][header] == mapped


def test_it_is_json(definition: dict[str, Any]) -> None:
    assert json.loads(json.dumps(definition)) == definition


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"exclusiveMinimum": 1}, {"minimum": 1, "exclusiveMinimum": True}),
        ({"exclusiveMaximum": 9}, {"maximum": 9, "exclusiveMaximum": True}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"title": "T", "default": 1, "type": "string"}, {"type": "string"}),
        ({"$ref": "#/components/schemas/A_B"}, {"$ref": "#/components/schemas/AB"}),
        ({"properties": {"title": {"title": "T"}}}, {"properties": {"title": {}}}),
        ({"oneOf": [{"type": "integer"}]}, {"oneOf": [{"type": "integer"}]}),
    ],
)
def test_a_schema_becomes_draft_4(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert _draft4(schema) == expected


def test_a_null_among_alternatives_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="imports no null"):
        _draft4({"anyOf": [{"type": "string"}, {"type": "null"}]})


def test_models_that_models_use_come_along(make_app: MakeApp) -> None:
    nowhere: Any = object()
    app = make_app(nowhere)

    @app.post("/outer")
    async def outer(body: Outer) -> None: ...

    schemas = made(app)["components"]["schemas"]
    assert {"Inner", "Outer"} <= set(schemas)


def test_included_routes_are_found_among_others(own_app: FastAPI) -> None:
    assert all(isinstance(route, APIRoute) for _, route in routes_of(own_app))
