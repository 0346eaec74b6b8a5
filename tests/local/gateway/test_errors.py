"""Facts 1.1 to 1.5: the gateway's own answers, to the byte."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.auth.jwks import KeySet
from app.local.gateway.request import MAX_BODY
from tests.local.gateway.client import INTEGRATION, PROXY, Answer, cognito, definition, method
from tests.local.gateway.conftest import Open
from tests.tokens import OTHER_POOL_ID, Pool

PROXY_ORDER = [
    "Date",
    "Content-Type",
    "Content-Length",
    "Connection",
    "x-amzn-RequestId",
    "x-amzn-ErrorType",
    "x-amz-apigw-id",
]

API = definition(
    {
        "/open": {"get": method(), "post": method()},
        "/closed": {"get": method(security=[{"pool": []}])},
        "/scoped": {"get": method(security=[{"pool": ["notes/read", "notes/write"]}])},
        "/slow": {"get": method(**{INTEGRATION: PROXY | {"timeoutInMillis": 50}})},
        "/get-integration": {"get": method(**{INTEGRATION: PROXY | {"httpMethod": "GET"}})},
        "/forbidden-mapping": {
            "get": method(
                **{
                    INTEGRATION: PROXY
                    | {"requestParameters": {"integration.request.header.TE": "'trailers'"}}
                }
            )
        },
        "/checked": {
            "post": method(
                parameters=[
                    {"name": "b", "in": "query", "required": True, "schema": {"type": "string"}},
                    {"name": "a", "in": "query", "required": True, "schema": {"type": "string"}},
                ],
                requestBody={"content": {"application/json": {"schema": {"type": "object"}}}},
                **{"x-amazon-apigateway-request-validator": "all"},
            )
        },
    },
    components=cognito(),
    **{
        "x-amazon-apigateway-request-validators": {
            "all": {"validateRequestBody": True, "validateRequestParameters": True}
        },
        "x-amazon-apigateway-binary-media-types": ["image/png"],
    },
)


def handler(event: Any, context: Any) -> Any:
    if event["path"] == "/slow":
        time.sleep(0.2)
    match (event["queryStringParameters"] or {}).get("do"):
        case "raise":
            raise ValueError("secret")
        case "malformed":
            return {"message": "no such key"}
        case "too-long":
            return {"body": "x" * 6_291_456}
        case "bad-base64":
            return {"body": "%%%", "isBase64Encoded": True}
    return {"statusCode": 200}


def no_space(message: str) -> bytes:
    return b'{"message":"%s"}' % message.encode()


def spaced(message: str) -> bytes:
    return b'{"message": "%s"}' % message.encode()


NO_TOKEN = no_space("Missing Authentication Token")
UNAUTHORIZED = no_space("Unauthorized")
INTERNAL = spaced("Internal server error")
INVOKE: Any = {"host": "abcdefghij.execute-api.us-east-1.amazonaws.com"}
Request = Callable[[Pool], dict[str, Any]]


def request(verb: str, target: str, /, **more: Any) -> Request:
    return lambda pool: {"verb": verb, "target": target} | more


def with_token(target: str, token: Callable[[Pool], str]) -> Request:
    return lambda pool: {
        "verb": "GET",
        "target": target,
        "headers": [("authorization", token(pool))],
    }


CASES: dict[str, tuple[Request, int, bytes, str]] = {
    "unknown path": (
        request("GET", "/nowhere"),
        403,
        NO_TOKEN,
        "MissingAuthenticationTokenException",
    ),
    "unknown method": (
        request("DELETE", "/open"),
        403,
        NO_TOKEN,
        "MissingAuthenticationTokenException",
    ),
    "OPTIONS without an OPTIONS method": (
        request("OPTIONS", "/open", headers=[("origin", "https://x.example")]),
        403,
        NO_TOKEN,
        "MissingAuthenticationTokenException",
    ),
    "HEAD is not GET": (
        request("HEAD", "/open"),
        403,
        b"",
        "MissingAuthenticationTokenException",
    ),
    "unknown path before authorization": (
        request("GET", "/closed/x"),
        403,
        NO_TOKEN,
        "MissingAuthenticationTokenException",
    ),
    "unknown stage of an invoke URL": (
        request("GET", "/dev/open", **INVOKE),
        403,
        no_space("Forbidden"),
        "ForbiddenException",
    ),
    "no stage in an invoke URL": (
        request("GET", "/", **INVOKE),
        403,
        no_space("Forbidden"),
        "ForbiddenException",
    ),
    "stage name as a prefix only": (
        request("GET", "/Production/open", **INVOKE),
        403,
        no_space("Forbidden"),
        "ForbiddenException",
    ),
    "Cognito: no header": (request("GET", "/closed"), 401, UNAUTHORIZED, "UnauthorizedException"),
    "Cognito: empty": (
        with_token("/closed", lambda pool: "Bearer "),
        401,
        UNAUTHORIZED,
        "UnauthorizedException",
    ),
    "Cognito: garbage": (
        with_token("/closed", lambda pool: "Bearer garbage"),
        401,
        UNAUTHORIZED,
        "UnauthorizedException",
    ),
    "Cognito: bad signature": (
        with_token("/closed", lambda pool: pool.forge(sign=lambda _: b"\0" * 256)),
        401,
        UNAUTHORIZED,
        "UnauthorizedException",
    ),
    "Cognito: another pool": (
        with_token("/closed", lambda pool: Pool(OTHER_POOL_ID).id_token()),
        401,
        UNAUTHORIZED,
        "UnauthorizedException",
    ),
    "Cognito: expired": (
        with_token("/closed", lambda pool: pool.id_token(exp=int(time.time()) - 1)),
        401,
        no_space("The incoming token has expired"),
        "UnauthorizedException",
    ),
    "Cognito: access token without scopes on the method": (
        with_token("/closed", lambda pool: pool.access_token()),
        401,
        UNAUTHORIZED,
        "UnauthorizedException",
    ),
    "Cognito: ID token with scopes on the method": (
        with_token("/scoped", lambda pool: pool.id_token()),
        401,
        UNAUTHORIZED,
        "UnauthorizedException",
    ),
    "Cognito: access token with none of the scopes": (
        with_token("/scoped", lambda pool: pool.access_token(scope="notes/delete")),
        401,
        UNAUTHORIZED,
        "UnauthorizedException",
    ),
    "validator: parameters": (
        request("POST", "/checked", body=b"{}"),
        400,
        spaced("Missing required request parameters: [a, b]"),
        "BadRequestException",
    ),
    "validator: parameters before the body": (
        request("POST", "/checked?b=1", body=b"[]"),
        400,
        spaced("Missing required request parameters: [a]"),
        "BadRequestException",
    ),
    "validator: body": (
        request("POST", "/checked?a=1&b=1", body=b"[]"),
        400,
        spaced("Invalid request body"),
        "BadRequestException",
    ),
    "validator: malformed body": (
        request("POST", "/checked?a=1&b=1", body=b"{"),
        400,
        spaced("Invalid request body"),
        "BadRequestException",
    ),
    "event over 6 MB": (
        request("POST", "/open", body=b"x" * 6_291_456),
        413,
        spaced("Request Too Long"),
        "BadRequestException",
    ),
    "event over 6 MB by its escapes only": (
        request("POST", "/open", body=b'"' * 3_145_728),
        413,
        spaced("Request Too Long"),
        "BadRequestException",
    ),
    "integration time-out": (
        request("GET", "/slow"),
        504,
        spaced("Endpoint request timed out"),
        "InternalServerErrorException",
    ),
    "malformed proxy response": (
        request("GET", "/open?do=malformed"),
        502,
        INTERNAL,
        "InternalServerErrorException",
    ),
    "Lambda raised": (
        request("GET", "/open?do=raise"),
        502,
        INTERNAL,
        "InternalServerErrorException",
    ),
    "result over 6 MB": (
        request("GET", "/open?do=too-long"),
        502,
        INTERNAL,
        "InternalServerErrorException",
    ),
    "integrationHttpMethod is not POST": (
        request("GET", "/get-integration"),
        500,
        INTERNAL,
        "InternalServerErrorException",
    ),
    "response base64 cannot be decoded": (
        request("GET", "/open?do=bad-base64", headers=[("accept", "image/png")]),
        500,
        INTERNAL,
        "InternalServerErrorException",
    ),
    "forbidden header in a parameter mapping": (
        request("GET", "/forbidden-mapping"),
        500,
        INTERNAL,
        "InternalServerErrorException",
    ),
}


def ask(open_gateway: Open, key_sets: dict[str, KeySet], pool: Pool, make: Request) -> Answer:
    client = open_gateway(API, handler, key_sets=key_sets)
    wanted = make(pool)
    return client(wanted.pop("verb"), wanted.pop("target"), **wanted)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_error_has_its_exact_answer(
    open_gateway: Open,
    key_sets: dict[str, KeySet],
    pool: Pool,
    case: tuple[Request, int, bytes, str],
) -> None:
    make, status, body, error_type = case
    answer = ask(open_gateway, key_sets, pool, make)
    assert (answer.status, answer.body) == (status, body)
    assert answer.names == PROXY_ORDER
    assert answer["x-amzn-ErrorType"] == error_type
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Length"] == str(len(body))
    assert answer["Connection"] == "keep-alive"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                        answer["x-amzn-RequestId"])  # fmt: skip
    assert re.fullmatch(r"[A-Za-z0-9+/]{15}=", answer["x-amz-apigw-id"])
    assert re.fullmatch(
        r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", answer["Date"]
    )


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (NO_TOKEN, 42),
        (UNAUTHORIZED, 26),
        (no_space("Forbidden"), 23),
        (no_space("The incoming token has expired"), 44),
        (no_space("Too Many Requests"), 31),
        (INTERNAL, 36),
        (spaced("Invalid request body"), 35),
        (spaced("Endpoint request timed out"), 41),
        (spaced("Request Too Long"), 31),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else None,
)
def test_these_bodies_have_the_recorded_lengths(body: bytes, length: int) -> None:
    assert len(body) == length


def test_a_head_request_gets_the_same_headers_and_no_body(open_gateway: Open) -> None:
    client = open_gateway(definition({"/a": {"get": method()}}))
    get, head = client("GET", "/b"), client("HEAD", "/b")
    assert head.names == get.names
    assert head["Content-Length"] == "0"
    assert head.body == b""


def front_end_413(answer: Answer) -> None:
    assert answer.status == 413
    assert answer.body == b"HTTP content length exceeded 10485760 bytes."
    assert answer.raw_headers[1:] == [
        (b"content-type", b"text; charset=utf-8"),
        (b"Content-Length", b"44"),
        (b"Connection", b"keep-alive"),
    ]


@pytest.mark.parametrize("length", [b"10485761", b"9" * 5000], ids=["by one", "by far"])
def test_an_announced_body_over_10_mb_is_refused_unread(open_gateway: Open, length: bytes) -> None:
    answer = open_gateway()("POST", "/x", [("content-length", length)], [b"first"] * 3)
    front_end_413(answer)


def test_a_chunked_body_over_10_mb_is_refused_as_soon_as_it_is(open_gateway: Open) -> None:
    front_end_413(open_gateway()("POST", "/x", body=[b"x" * MAX_BODY, b"x", b"never read"]))
    front_end_413(open_gateway()("POST", "/x", body=b"x" * (MAX_BODY + 1)))


def test_the_front_ends_413_comes_before_stage_and_route(open_gateway: Open) -> None:
    client = open_gateway(definition({"/a": {"get": method()}}))
    front_end_413(client("POST", "/x/y", [("content-length", "10485761")], **INVOKE))


def test_a_url_beyond_the_quota_is_414(open_gateway: Open) -> None:
    answer = open_gateway()("GET", "/" + "x" * 10_240)
    assert (answer.status, answer.body) == (414, no_space("Request URI too long"))
    assert "x-amzn-ErrorType" not in answer.names
    assert open_gateway()("GET", "/" + "x" * 10_000).status == 200


def test_a_method_arn_over_1600_bytes_is_414_with_authorization_only(
    open_gateway: Open, key_sets: dict[str, KeySet]
) -> None:
    paths = {
        "/open/{p}": {"get": method()},
        "/closed/{p}": {"get": method(security=[{"pool": []}])},
    }
    client = open_gateway(definition(paths, components=cognito()), key_sets=key_sets)
    assert client("GET", "/open/" + "x" * 1600).status == 200
    assert client("GET", "/closed/" + "x" * 1600).status == 414
    assert client("GET", "/closed/x").status == 401


def test_an_error_has_no_trace_id_no_cors_no_hints(open_gateway: Open) -> None:
    answer = open_gateway(API, handler)("GET", "/closed", [("origin", "https://x.example")])
    for name in ("X-Amzn-Trace-Id", "Access-Control-Allow-Origin", "WWW-Authenticate"):
        assert answer.all(name) == []


def test_a_client_that_asks_to_close_hears_it_from_the_server(open_gateway: Open) -> None:
    answer = open_gateway()("GET", "/x", [("connection", "close")])
    assert "Connection" not in answer.names


def test_a_fault_of_the_mirrors_own_is_a_500_and_never_an_exception(
    open_gateway: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_gateway()
    monkeypatch.setattr(client.gateway, "_routes", None)
    answer = client("GET", "/x")
    assert (answer.status, answer.body) == (500, INTERNAL)


def test_a_client_that_goes_away_in_its_body_gets_nothing(open_gateway: Open) -> None:
    client = open_gateway()
    messages = [{"type": "http.request", "body": b"half", "more_body": True}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    from tests.local.gateway.client import http_scope

    client.runner.run(client.gateway(http_scope("POST", "/"), receive, send))
    assert sent == []
