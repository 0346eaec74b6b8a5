"""Whatever comes in and whatever a handler returns: always one of the documented answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.local.gateway import Gateway
from tests.local.gateway.client import ANY, Answer, cognito, definition, exchange, method
from tests.local.gateway.test_mock import CONSOLE

ERRORS = {
    (400, "BadRequestException"),
    (401, "UnauthorizedException"),
    (403, "MissingAuthenticationTokenException"),
    (403, "ForbiddenException"),
    (413, "BadRequestException"),
    (413, None),
    (414, None),
    (415, "BadRequestException"),
    (429, "TooManyRequestsException"),
    (500, "InternalServerErrorException"),
    (502, "InternalServerErrorException"),
    (504, "InternalServerErrorException"),
}
API = definition(
    {
        "/": {"get": method()},
        "/notes/{id}": {ANY: method(security=[{"pool": []}])},
        "/checked": {
            "post": method(
                parameters=[{"name": "q", "in": "query", "required": True}],
                requestBody={"content": {"application/json": {"schema": {"type": "object"}}}},
            ),
            "options": {"x-amazon-apigateway-integration": CONSOLE},
        },
        "/{proxy+}": {ANY: method()},
    },
    components=cognito(),
    **{
        "x-amazon-apigateway-request-validators": {
            "v": {"validateRequestBody": True, "validateRequestParameters": True}
        },
        "x-amazon-apigateway-request-validator": "v",
        "x-amazon-apigateway-binary-media-types": ["image/*"],
        "x-amazon-apigateway-gateway-responses": {
            "BAD_REQUEST_PARAMETERS": {
                "responseParameters": {
                    "gatewayresponse.header.X-Q": "method.request.querystring.x",
                    "gatewayresponse.header.X-H": "method.request.header.x",
                },
                "responseTemplates": {"text/plain": "$context.path $context.error.message"},
            }
        },
    },
)
SETTINGS = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Results:
    """A handler whose result is set from outside."""

    def __init__(self) -> None:
        self.result: Any = {"statusCode": 200}

    def __call__(self, event: Any, context: Any) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        yield runner


@pytest.fixture(scope="module")
def results() -> Results:
    return Results()


@pytest.fixture(scope="module")
def gateway(results: Results) -> Iterator[Gateway]:
    gateway = Gateway(API, results, access_log=lambda line: None)
    yield gateway
    gateway.close()


def documented(answer: Answer) -> None:
    """Check that an answer is a success or one of the documented errors, and well-formed."""
    kinds = answer.all("x-amzn-ErrorType")
    proxied = bool(answer.all("X-Amzn-Trace-Id"))
    if not proxied:
        mock = answer.status == 200 and bool(answer.all("Access-Control-Allow-Origin"))
        assert mock or (answer.status, kinds[0] if kinds else None) in ERRORS
    for name, value in answer.raw_headers:
        assert re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value)
        assert value == value.strip(b" \t")


header = st.tuples(
    st.sampled_from(
        [b"host", b"accept", b"authorization", b"content-type", b"content-length", b"cookie",
         b"x-http-method-override", b"x-amzn-trace-id", b"x-forwarded-for", b"connection", b"x",
         b"transfer-encoding", b"user-agent", b"expect"]
    )
    | st.binary(max_size=12),
    st.sampled_from(
        [b"", b"localhost", b"a.execute-api.us-east-1.amazonaws.com", b"[::1", b"application/json",
         b"image/png", b"Bearer a.b.c", b"AWS4-HMAC-SHA256 x", b"9" * 30, b"-1", b"DELETE",
         b"close",
         b"Root=1-a-b;Parent=c", b"\xff\r\nX: y", b"Bearer eyJhbGciOiJSUzI1NiJ9.e30.AA"]
    )
    | st.binary(max_size=40),
)  # fmt: skip
path = st.lists(
    st.sampled_from(
        [b"/", b"//", b"Prod", b"notes", b"checked", b"%", b"%2F", b"%00", b"%zz", b"..", b"\xff",
         b"{id}", b"http://h/", b"*", b"?", b" ", b"a" * 6000]
    )
    | st.binary(max_size=5),
    max_size=6,
).map(b"".join)  # fmt: skip
query = st.lists(
    st.sampled_from([b"q=1", b"q=", b"&", b";", b"x=%0d%0aA: b", b"%ff", b"=", b"x" * 11_000])
    | st.binary(max_size=6),
    max_size=4,
).map(b"".join)


@SETTINGS
@given(
    verb=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "TRACE", "get", "ANY", ""])
    | st.text(max_size=5),
    raw_path=path | st.none(),
    query=query,
    headers=st.lists(header, max_size=6),
    body=st.lists(st.binary(max_size=30) | st.just(b"{}") | st.just(b"[" * 5000), max_size=3),
    client=st.none() | st.just(("::1", 1)),
)
def test_any_request(
    gateway: Gateway,
    runner: asyncio.Runner,
    results: Results,
    verb: str,
    raw_path: bytes | None,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    body: list[bytes],
    client: Any,
) -> None:
    results.result = {"statusCode": 200}
    scope = {
        "type": "http",
        "method": verb,
        "path": "/x",
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
        "client": client,
    }
    documented(runner.run(exchange(gateway, scope, body)))


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["201", "\r\nA: b", "eA==", "\ud800", "é"])
    | st.binary(max_size=3),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers(), children, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(["Content-Type", "content-type", "Server", "X", "x", "Set-Cookie", "a b"])
maps = st.dictionaries(names | st.text(max_size=5), json_like, max_size=3)
result = (
    st.fixed_dictionaries(
        {},
        optional={
            "statusCode": st.integers(199, 600) | json_like,
            "headers": maps | json_like,
            "multiValueHeaders": st.dictionaries(names, st.lists(json_like, max_size=3), max_size=3)
            | json_like,
            "body": st.text(max_size=30) | json_like,
            "isBase64Encoded": st.booleans() | json_like,
            "surplus": st.none(),
        },
    )
    | json_like
    | st.sampled_from([ValueError("x"), SystemExit(1), KeyboardInterrupt(), object(), {1: 2}])
)


@SETTINGS
@given(result=result, accept=st.sampled_from([b"image/png", b"*/*", b""]))
def test_any_result(
    gateway: Gateway, runner: asyncio.Runner, results: Results, result: Any, accept: bytes
) -> None:
    results.result = result
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "headers": [(b"accept", accept)],
        "client": None,
    }
    answer = runner.run(exchange(gateway, scope))
    documented(answer)
    if answer.status in {204, 304}:
        assert answer.body == b""
    else:
        assert answer["Content-Length"] == str(len(answer.body))
