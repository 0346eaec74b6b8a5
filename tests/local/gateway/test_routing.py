"""Facts 1.4 and 1.7, and where an API is: stages, hosts, slashes."""

from __future__ import annotations

from typing import Any

import pytest

from app.auth.jwks import KeySet
from app.local.gateway.stage import Stage
from tests.local.gateway.client import ANY, cognito, definition, method
from tests.local.gateway.conftest import Open

INVOKE_HOST = "abcdefghij.execute-api.us-east-1.amazonaws.com"

PATHS: dict[str, Any] = {
    "/": {"get": method()},
    "/notes": {"get": method(), "post": method()},
    "/notes/{id}": {"get": method(), "put": method()},
    "/notes/search": {"get": method()},
    "/test": {"post": method()},
    "/only-options": {"options": method()},
    "/any": {ANY: method(), "get": method(operationId="theGet")},
    "/a/{b}/c": {"get": method()},
    "/{proxy+}": {"options": method(), "patch": method()},
}

ROWS: dict[str, tuple[str, str, str | None, dict[str, str] | None]] = {
    "root": ("GET", "/", "/", None),
    "literal": ("GET", "/notes", "/notes", None),
    "literal before parameter": ("GET", "/notes/search", "/notes/search", None),
    "parameter": ("GET", "/notes/7", "/notes/{id}", {"id": "7"}),
    "parameter stays encoded": ("GET", "/notes/a%2Fb", "/notes/{id}", {"id": "a%2Fb"}),
    "fall through a literal without the method to the parameter": (
        "PUT",
        "/notes/search",
        "/notes/{id}",
        {"id": "search"},
    ),
    "fall through to the greedy one": ("OPTIONS", "/test", "/{proxy+}", {"proxy": "test"}),
    "fall through from a resource that has only OPTIONS": (
        "PATCH",
        "/only-options",
        "/{proxy+}",
        {"proxy": "only-options"},
    ),
    "fall through from a resource without any method": (
        "PATCH",
        "/a",
        "/{proxy+}",
        {"proxy": "a"},
    ),
    "fall through from deep inside": ("PATCH", "/a/1/c/d", "/{proxy+}", {"proxy": "a/1/c/d"}),
    "greedy needs a segment": ("OPTIONS", "/", None, None),
    "trailing slash": ("GET", "/notes/", "/notes", None),
    "double slash inside": ("GET", "/notes//7", "/notes/{id}", {"id": "7"}),
    "greedy keeps double slashes": ("PATCH", "/x//y", "/{proxy+}", {"proxy": "x//y"}),
    "greedy drops the trailing slash": ("PATCH", "/x/y/", "/{proxy+}", {"proxy": "x/y"}),
    "ANY: DELETE": ("DELETE", "/any", "/any", None),
    "ANY: HEAD": ("HEAD", "/any", "/any", None),
    "ANY: OPTIONS": ("OPTIONS", "/any", "/any", None),
    "ANY: PATCH": ("PATCH", "/any", "/any", None),
    "ANY: POST": ("POST", "/any", "/any", None),
    "ANY: PUT": ("PUT", "/any", "/any", None),
    "beside ANY a method of its own": ("GET", "/any", "/any", None),
    "ANY is not TRACE": ("TRACE", "/any", None, None),
    "ANY is not what nobody knows": ("ANY", "/any", None, None),
    "HEAD is not GET": ("HEAD", "/notes", None, None),
    "literals are compared as sent": ("GET", "/%6eotes", None, None),
    "literals count case": ("GET", "/Notes", None, None),
    "no such path": ("GET", "/nowhere", None, None),
    "method in lower case": ("get", "/notes", None, None),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_pair_of_path_and_method_finds_the_resource(
    open_gateway: Open, saw: list[Any], record: Any, row: tuple[str, str, str | None, Any]
) -> None:
    verb, path, resource, parameters = row
    answer = open_gateway(definition(PATHS), record)(verb, path)
    if resource is None:
        assert (answer.status, saw) == (403, [])
    else:
        assert (answer.status, saw[0]["resource"]) == (200, resource)
        assert saw[0]["pathParameters"] == parameters
        assert saw[0]["httpMethod"] == verb


SLASHES = {
    "/stage/proxy-value": ("/proxy-value", "/stage/proxy-value", {"proxy": "proxy-value"}),
    "/stage/proxy-value/": ("/proxy-value/", "/stage/proxy-value/", {"proxy": "proxy-value"}),
    "/stage/proxy-value//double-slash": (
        "/proxy-value//double-slash",
        "/stage/proxy-value//double-slash",
        {"proxy": "proxy-value//double-slash"},
    ),
    "//stage/proxy-value": ("/proxy-value", "/stage/proxy-value", {"proxy": "proxy-value"}),
    "/stage//proxy-value": ("/proxy-value", "/stage//proxy-value", {"proxy": "proxy-value"}),
    "/stage//hardcoded": ("/hardcoded", "/stage//hardcoded", None),
}


@pytest.mark.parametrize("host", [INVOKE_HOST, "localhost:8000"])
@pytest.mark.parametrize("sent", SLASHES)
def test_slashes_are_as_recorded(
    open_gateway: Open, saw: list[Any], record: Any, sent: str, host: str
) -> None:
    paths = {"/{proxy+}": {ANY: method()}, "/hardcoded": {"get": method()}}
    client = open_gateway(definition(paths), record, stage="stage")
    assert client("GET", sent, host=host).status == 200
    event = saw[0]
    assert (event["path"], event["requestContext"]["path"], event["pathParameters"]) == SLASHES[
        sent
    ]


ADDRESSES = {
    "invoke URL": (INVOKE_HOST, "/Prod/x", ("/x", "/Prod/x")),
    "invoke URL, upper case": (INVOKE_HOST.upper(), "/Prod/x", ("/x", "/Prod/x")),
    "invoke URL in China": (f"{INVOKE_HOST}.cn", "/Prod/x", ("/x", "/Prod/x")),
    "invoke URL, the root without a slash": (INVOKE_HOST, "/Prod", ("/", "/Prod")),
    "invoke URL, the root": (INVOKE_HOST, "/Prod/", ("/", "/Prod/")),
    "invoke URL, another stage": (INVOKE_HOST, "/Dev/x", None),
    "invoke URL, a longer name": (INVOKE_HOST, "/Prods/x", None),
    "invoke URL, no stage": (INVOKE_HOST, "/x", None),
    "localhost": ("localhost:8000", "/x", ("/x", "/x")),
    "localhost under the stage": ("localhost:8000", "/Prod/x", ("/x", "/Prod/x")),
    "a custom domain": ("api.example.com", "/x", ("/x", "/x")),
    "a custom domain, another stage's name": ("api.example.com", "/Dev/x", ("/Dev/x", "/Dev/x")),
    "an address": ("127.0.0.1:8000", "/Prod/x", ("/x", "/Prod/x")),
    "a look-alike": (f"{INVOKE_HOST}.example.com", "/x", ("/x", "/x")),
}


@pytest.mark.parametrize("row", ADDRESSES.values(), ids=ADDRESSES)
def test_the_host_decides_where_the_api_begins(
    open_gateway: Open, saw: list[Any], record: Any, row: tuple[str, str, tuple[str, str] | None]
) -> None:
    host, sent, expected = row
    answer = open_gateway(None, record)("GET", sent, host=host)
    if expected is None:
        assert (answer.status, answer.body) == (403, b'{"message":"Forbidden"}')
    else:
        assert (saw[0]["path"], saw[0]["requestContext"]["path"]) == expected


def test_a_resource_named_like_the_stage_wins_except_at_an_invoke_url(
    open_gateway: Open, saw: list[Any], record: Any
) -> None:
    paths = {"/notes": {"get": method()}, "/notes/{id}": {"get": method()}}
    client = open_gateway(definition(paths), record, stage="notes")
    client("GET", "/notes/7")
    client("GET", "/notes/notes/7", host=INVOKE_HOST)
    assert [event["path"] for event in saw] == ["/notes/7", "/notes/7"]
    assert client("GET", "/notes/notes/7").status == 403


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("", {}),
        ("a b", {}),
        ("$default", {}),
        ("x" * 129, {}),
        ("Prod", {"a-b": "c"}),
        ("Prod", {"a": "b c"}),
        ("Prod", {"a": "x" * 513}),
        ("Prod", {f"v{number}": "x" for number in range(101)}),
    ],
    ids=["empty", "space", "$default", "long", "name", "value", "long value", "many"],
)
def test_a_stage_that_aws_would_refuse_is_refused(name: str, variables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="stage"):
        Stage(name, variables)


def test_the_steps_come_in_aws_order(open_gateway: Open, key_sets: dict[str, KeySet]) -> None:
    # Everything is wrong with each request; mending one thing at a time shows the next refusal.
    operation = method(
        security=[{"pool": []}],
        parameters=[{"name": "q", "in": "query", "required": True}],
        **{"x-amazon-apigateway-request-validator": "p"},
    )
    document = definition(
        {"/a": {"get": operation}},
        components=cognito(),
        **{"x-amazon-apigateway-request-validators": {"p": {"validateRequestParameters": True}}},
    )
    from tests.tokens import Pool

    client = open_gateway(document, lambda e, c: [], key_sets=key_sets, throttle=(0, 1))
    huge = [("content-length", "10485761")]
    token = [("authorization", Pool().id_token())]
    assert client("GET", "/x/b", huge, host=INVOKE_HOST).status == 413  # size
    assert client("GET", "/x/b", host=INVOKE_HOST).json() == {"message": "Forbidden"}  # stage
    assert client("GET", "/Prod/b", host=INVOKE_HOST).status == 403  # route
    assert client("GET", "/Prod/a", host=INVOKE_HOST).status == 401  # authorizer
    assert client("GET", "/a", token).status == 400  # throttle let it through: validator
    assert client("GET", "/a?q=1", token).status == 429  # throttle before validator
    assert open_gateway(document, lambda e, c: [], key_sets=key_sets)(
        "GET", "/a?q=1", token
    ).status == 502  # integration  # fmt: skip
