"""The app's API Gateway definition: its own routes in API Gateway's OpenAPI dialect.

What is deployed and what the local mirror runs on. Made from the app, so the two cannot differ.
Dialect: "Working with API Gateway extensions to OpenAPI" and "Amazon API Gateway important notes"
in the API Gateway developer guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.auth import UserRoute

AUTHORIZER = "Cognito"
VALIDATOR = "body-and-parameters"
TIMEOUT_MS = 29_000

_NOT_IMPORTED = frozenset({"title", "default", "examples", "example", "readOnly", "discriminator"})
"""Schema keywords that API Gateway refuses or drops (facts/api-gateway.md, section 5)."""


def api_definition(
    app: FastAPI,
    *,
    user_pool_arn: str,
    function_arn: str,
    region: str,
    scopes: Sequence[str] = (),
    cors_allow_origins: Sequence[str] = ("*",),
) -> dict[str, Any]:
    """Return the definition as a JSON-ready dict.

    Args:
        app: the app that ``create_app`` made.
        user_pool_arn: the pool whose tokens the authorizer takes.
        function_arn: the function that every method calls.
        region: where the API is.
        scopes: what every method that needs a user asks for; none: it takes ID tokens.
        cors_allow_origins: for the answers that the gateway gives by itself.
    """
    description = app.openapi()
    integration = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/"
        f"{function_arn}/invocations",
        "passthroughBehavior": "when_no_match",
        "timeoutInMillis": TIMEOUT_MS,
    }
    paths: dict[str, Any] = {}
    models: set[str] = set()
    for path, route in routes_of(app):
        operations = paths.setdefault(path, {})
        for method in sorted(route.methods or ()):
            described = description["paths"].get(path, {}).get(method.lower(), {})
            operation = _method(described, path, integration)
            models.update(_referenced(operation))
            if isinstance(route, UserRoute):
                operation["security"] = [{AUTHORIZER: list(scopes)}]
            operations[method.lower()] = operation
    for path, operations in paths.items():
        # Preflight has no token; it goes to the app, so that there is one CORS policy.
        operations["options"] = {
            "parameters": _path_parameters(path),
            "responses": {"200": {"description": "The CORS policy"}},
            "x-amazon-apigateway-integration": integration,
        }
    return {
        "openapi": "3.0.1",
        "info": {"title": app.title, "version": app.version, "description": app.description},
        "paths": paths,
        "components": {
            "schemas": _models(description["components"]["schemas"], models),
            "securitySchemes": {
                AUTHORIZER: {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "cognito_user_pools",
                    "x-amazon-apigateway-authorizer": {
                        "type": "cognito_user_pools",
                        "providerARNs": [user_pool_arn],
                    },
                }
            },
        },
        "x-amazon-apigateway-request-validators": {
            VALIDATOR: {"validateRequestBody": True, "validateRequestParameters": True}
        },
        "x-amazon-apigateway-request-validator": VALIDATOR,
        "x-amazon-apigateway-gateway-responses": {
            kind: {"responseParameters": _cors(cors_allow_origins)}
            for kind in ("DEFAULT_4XX", "DEFAULT_5XX")
        },
    }


def routes_of(app: FastAPI) -> Iterator[tuple[str, APIRoute]]:
    """Yield the app's routes with their paths."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield route.path, route


def _method(described: dict[str, Any], path: str, integration: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "parameters": [_parameter(each) for each in described.get("parameters", ())]
        or _path_parameters(path),
        "responses": {
            status: {"description": response["description"]}
            for status, response in described.get("responses", {}).items()
        }
        or {"200": {"description": "OK"}},
        "x-amazon-apigateway-integration": integration,
    }
    if "requestBody" in described:
        operation["requestBody"] = {
            "required": True,
            "content": {
                kind: {"schema": _draft4(content["schema"])}
                for kind, content in described["requestBody"]["content"].items()
            },
        }
    return operation


def _parameter(described: dict[str, Any]) -> dict[str, Any]:
    """Keep what API Gateway checks: whether a parameter is there, and never what it holds."""
    return {
        "name": described["name"],
        "in": described["in"],
        "required": described.get("required", False),
        "schema": {"type": "string"},
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)\+?}", path)
    ]


def _referenced(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, str):
        for each in value:
            yield from _referenced(each)


def _models(schemas: dict[str, Any], wanted: set[str]) -> dict[str, Any]:
    """Return the models that request bodies use, those included that these use."""
    models: dict[str, Any] = {}
    todo = sorted(wanted)
    while todo:
        name = todo.pop()
        if name not in models:
            models[_model_name(name)] = _draft4(schemas[name])
            todo += _referenced(schemas[name])
    return dict(sorted(models.items()))


def _model_name(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", name)


def _draft4(schema: Any) -> Any:
    """Turn JSON Schema as Pydantic writes it into the draft 4 that API Gateway imports."""
    if isinstance(schema, list):
        return [_draft4(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: _draft4(each) for name, each in value.items()}
        elif key == "$ref":
            out[key] = "#/components/schemas/" + _model_name(value.rpartition("/")[2])
        elif key in {"exclusiveMinimum", "exclusiveMaximum"}:
            # A number here since draft 6; in draft 4 a flag beside the bound.
            out[key.replace("exclusiveM", "m")] = value
            out[key] = True
        elif key == "const":
            out["enum"] = [value]
        elif key in {"anyOf", "oneOf"} and {"type": "null"} in value:
            raise ValueError("API Gateway imports no null: leave the field out instead")
        elif key not in _NOT_IMPORTED:
            out[key] = _draft4(value)
    return out


def _cors(origins: Sequence[str]) -> dict[str, str]:
    # Of several origins only the caller's can be named. These answers hold nothing to protect.
    one = f"'{origins[0]}'" if len(origins) == 1 else "method.request.header.origin"
    return {
        "gatewayresponse.header.Access-Control-Allow-Origin": "'*'" if "*" in origins else one,
        "gatewayresponse.header.Vary": "'Origin'",
        "gatewayresponse.header.Cache-Control": "'no-store'",
    }
