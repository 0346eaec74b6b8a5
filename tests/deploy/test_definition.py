"""The definition that is deployed: what API Gateway refuses, and what it makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.apigateway.models import APIGatewayBackend

from app.local.deploy import template_definition
from tests.deploy.conftest import Stack
from tests.deploy.stack import run

slow = pytest.mark.deploy

# --- the import's limits ---------------------------------------------------------------------
# facts/api-gateway.md, section 5, and "Amazon API Gateway important notes" in its guide.

SCHEMA_KEYWORDS = {
    *("$ref", "additionalProperties", "allOf", "anyOf", "description", "enum", "format", "items"),
    *("maxLength", "maximum", "minLength", "minimum", "multipleOf", "not", "oneOf", "pattern"),
    *("properties", "required", "title", "type", "uniqueItems"),
}
"""Draft 4 without what the import refuses, drops or does not check: ``default``, ``discriminator``,
``example``, ``exclusiveMinimum``, ``maxItems``, ``minItems``, ``nullable``, ``readOnly``, ``xml``;
and nothing that came after draft 4 (``const``, ``examples``, ``if``, ``$defs``, …)."""

TYPES = {"array", "boolean", "integer", "number", "object", "string"}
FORMATS_REFUSED = {"int32", "int64", "decimal"}
PLACES = {"header", "path", "query"}
VERBS = {"delete", "get", "head", "options", "patch", "post", "put"}
OPERATION = {"operationId", "parameters", "requestBody", "responses", "security", "summary", "tags"}
ROOT_KEYS = {"components", "info", "openapi", "paths", "tags"}


def complaints(definition: dict[str, Any]) -> list[str]:
    """Say what API Gateway would refuse or silently drop."""
    found = [f"root: {key}" for key in _foreign(definition, ROOT_KEYS)]
    if not str(definition["openapi"]).startswith("3.0."):
        found.append("openapi: not 3.0")
    components = definition.get("components", {})
    found += [f"components: {key}" for key in set(components) - {"schemas", "securitySchemes"}]
    for name, schema in components.get("schemas", {}).items():
        if not (name.isascii() and name.isalnum()):
            found.append(f"model name {name}")
        found += _schema(schema, name)
    siblings: dict[str, str] = {}
    for path, item in definition["paths"].items():
        for depth, part in enumerate(path.split("/")):
            if part.startswith("{"):
                before = "/".join(path.split("/")[:depth])
                if siblings.setdefault(before, part) != part:
                    found.append(f"{path}: two variables at one place")
                if part.endswith("+}") and not path.endswith(part):
                    found.append(f"{path}: a greedy variable before the end")
            elif "{" in part:
                found.append(f"{path}: a part that is a variable in part")
        found += [f"{path}: {key}" for key in _foreign(item, VERBS)]
        for verb, operation in item.items():
            found += [f"{verb} {path}: {each}" for each in _operation(operation)]
    return found


def _foreign(value: dict[str, Any], known: set[str]) -> list[str]:
    return [key for key in value if key not in known and not key.startswith("x-amazon-apigateway-")]


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    yield from _foreign(operation, OPERATION)
    for parameter in operation.get("parameters", ()):
        if parameter["in"] not in PLACES:
            yield f"a parameter in {parameter['in']}"
        if set(parameter) - {"name", "in", "required", "schema", "description"}:
            yield f"parameter {parameter['name']}"
        yield from _schema(parameter["schema"], parameter["name"])
    for status in operation["responses"]:
        if not (status.isdigit() and len(status) == 3):
            yield f"responses: {status}"
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from _schema(content["schema"], kind)


def _schema(schema: dict[str, Any], where: str) -> Iterator[str]:
    yield from (f"{where}: {key}" for key in set(schema) - SCHEMA_KEYWORDS)
    if not isinstance(schema.get("type", "string"), str) or schema.get("type", "string") not in (
        TYPES
    ):
        yield f"{where}: type {schema['type']}"
    if schema.get("format") in FORMATS_REFUSED:
        yield f"{where}: format {schema['format']}"
    reference = schema.get("$ref", "#/components/schemas/")
    if not reference.startswith("#/components/schemas/"):
        yield f"{where}: $ref {reference}"
    for name, each in schema.get("properties", {}).items():
        yield from _schema(each, f"{where}.{name}")
    for key in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(key, ()):
            yield from _schema(each, f"{where}.{key}")
    for key in ("items", "not"):
        if key in schema:
            yield from _schema(schema[key], f"{where}.{key}")


@pytest.fixture(scope="module")
def deployed() -> str:
    """The definition in the template, as JSON."""
    return json.dumps(template_definition())


def test_the_definition_holds_nothing_that_api_gateway_refuses_or_drops(deployed: str) -> None:
    assert complaints(json.loads(deployed)) == []


NEW_NOTE = ("components", "schemas", "NewNote")
NOTE = (*NEW_NOTE, "properties", "Note")
POST = ("paths", "/notes", "post")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(("security",), [{"Cognito": []}], id="security at the root"),
        pytest.param(("openapi",), "3.1.0", id="OpenAPI 3.1"),
        pytest.param(("servers",), [], id="servers"),
        pytest.param(("components", "schemas", "New_Note"), {}, id="a model's name"),
        pytest.param(("components", "examples"), {}, id="other components"),
        pytest.param((*NEW_NOTE, "discriminator"), {}, id="discriminator"),
        pytest.param((*NEW_NOTE, "example"), {}, id="example"),
        pytest.param((*NOTE, "default"), "", id="a default, deep down"),
        pytest.param((*NOTE, "exclusiveMinimum"), 1, id="exclusiveMinimum"),
        pytest.param((*NOTE, "readOnly"), True, id="readOnly"),
        pytest.param((*NOTE, "type"), "null", id="null as a type"),
        pytest.param((*NOTE, "type"), ["string", "null"], id="several types"),
        pytest.param((*NOTE, "format"), "int64", id="int64"),
        pytest.param((*NOTE, "$ref"), "other.json#/x", id="a reference outwards"),
        pytest.param((*NOTE, "oneOf"), [{"const": 1}], id="const, in a oneOf"),
        pytest.param((*NOTE, "items"), {"minItems": 1}, id="minItems, in items"),
        pytest.param((*POST, "callbacks"), {}, id="callbacks"),
        pytest.param((*POST, "responses", "default"), {}, id="a default response"),
        pytest.param((*POST, "parameters", 0, "in"), "cookie", id="a cookie parameter"),
        pytest.param((*POST, "parameters", 0, "style"), "form", id="a parameter's style"),
        pytest.param(("paths", "/notes", "trace"), {"responses": {}}, id="TRACE"),
        pytest.param(("paths", "/notes/{Other}"), {}, id="two variables at one place"),
        pytest.param(("paths", "/x/{y+}/z"), {}, id="a greedy variable before the end"),
        pytest.param(("paths", "/x{y}"), {}, id="half a variable"),
    ],
)
def test_the_list_of_what_is_refused_finds_it(
    deployed: str, place: tuple[str | int, ...], value: Any
) -> None:
    definition = inside = json.loads(deployed)
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    assert complaints(definition)


# --- what API Gateway makes of it ------------------------------------------------------------


def import_authorizers(backend: Any, api_id: str, document: dict[str, Any]) -> None:
    """Do what moto's import leaves out, with moto's own authorizers and methods.

    "x-amazon-apigateway-authorizer object" in API Gateway's guide: a security scheme with that
    object becomes an authorizer of the scheme's name, and a
    method is protected by the one that its ``security`` names.
    """
    made = {}
    for name, scheme in document["components"].get("securitySchemes", {}).items():
        authorizer = scheme["x-amazon-apigateway-authorizer"]
        places = {"header": "header", "query": "querystring"}
        made[name] = backend.create_authorizer(
            api_id,
            name,
            authorizer["type"].upper(),
            provider_arns=authorizer["providerARNs"],
            auth_type=scheme["x-amazon-apigateway-authtype"],
            identity_source=f"method.request.{places[scheme['in']]}.{scheme['name']}",
        )
    api = backend.get_rest_api(api_id)
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            method = api.get_resource_for_path(path).resource_methods[verb.upper()]
            method.authorization_type = "NONE"
            for name, scopes in (operation.get("security") or [{}])[0].items():
                method.authorization_type = made[name].type
                method.authorizer_id = made[name].id
                method.authorization_scopes = scopes


@slow
def test_import_rest_api_takes_it_and_what_reads_back_is_the_definitions(
    translated: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = APIGatewayBackend.put_rest_api

    def put_rest_api(self: Any, function_id: str, api_doc: Any, *args: Any, **kwargs: Any) -> Any:
        made = real(self, function_id, api_doc, *args, **kwargs)
        import_authorizers(self, function_id, api_doc)
        return made

    monkeypatch.setattr(APIGatewayBackend, "put_rest_api", put_rest_api)
    definition = translated.definition
    (tmp_path / "definition.json").write_text(json.dumps(definition))

    def aws(command: str) -> Any:
        command = f"aws apigateway {command}"
        return json.loads(run(command, environ=translated.environ, folder=tmp_path))

    api = aws("import-rest-api --body fileb://definition.json --fail-on-warnings")["id"]

    (authorizer,) = aws(f"get-authorizers --rest-api-id {api}")["items"]
    ((name, scheme),) = definition["components"]["securitySchemes"].items()
    assert authorizer["name"] == name
    assert authorizer["type"] == "COGNITO_USER_POOLS"
    assert authorizer["providerARNs"] == scheme["x-amazon-apigateway-authorizer"]["providerARNs"]
    assert authorizer["providerARNs"] == [translated.known["UserPool.Arn"]]
    assert authorizer["identitySource"] == "method.request.header.Authorization"

    resources = aws(f"get-resources --rest-api-id {api} --embed methods --limit 500")["items"]
    made = {
        (resource["path"], verb.lower()): method
        for resource in resources
        for verb, method in resource.get("resourceMethods", {}).items()
    }
    assert set(made) == {
        (path, verb) for path, item in definition["paths"].items() for verb in item
    }
    protected = set()
    for (path, verb), method in made.items():
        wanted = definition["paths"][path][verb]["x-amazon-apigateway-integration"]
        integration = method["methodIntegration"]
        assert integration["type"].lower() == wanted["type"]
        assert integration["httpMethod"] == wanted["httpMethod"]
        assert integration["uri"] == wanted["uri"]
        if method["authorizationType"] == "COGNITO_USER_POOLS":
            assert method["authorizerId"] == authorizer["id"]
            protected.add(f"{verb} {path}")
        else:
            assert method["authorizationType"] == "NONE"
    assert protected == {
        "delete /notes/{NoteId}",
        "get /notes",
        "get /notes/search",
        "get /notes/{NoteId}",
        "get /userinfo",
        "post /notes",
        "put /notes/{NoteId}",
    }
