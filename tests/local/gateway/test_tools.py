"""What the command line needs: handlers by name, test calls, recorded events, the access log."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.auth.jwks import KeySet
from app.local.gateway import (
    HandlerError,
    NoAuthorizer,
    Recorder,
    load_handler,
    test_invoke,
)
from app.local.gateway.recorder import REDACTED, redacted
from tests.local.gateway.client import INTEGRATION, PROXY, cognito, definition, method
from tests.local.gateway.conftest import Open
from tests.tokens import Pool

# Handlers by name


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "foreign_handlers.py").write_text(
        "def handler(event, context): return {}\n"
        "class Api:\n    @staticmethod\n    def handle(event, context): return {}\n"
        "number = 7\n"
    )
    (tmp_path / "foreign_broken.py").write_text("raise SystemError('x')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])


@pytest.mark.parametrize(
    "name",
    ["foreign_handlers:handler", "foreign_handlers.handler", "foreign_handlers:Api.handle"],
)
def test_a_handler_is_found_in_the_current_directory(module: None, name: str) -> None:
    assert load_handler(name)({}, None) == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "MODULE:ATTR"),
        ("alone", "MODULE:ATTR"),
        ("foreign_handlers:", "MODULE:ATTR"),
        ("no_such_module_anywhere:handler", "ModuleNotFoundError"),
        ("foreign_handlers:nothing", "AttributeError"),
        ("foreign_handlers:number", "not callable"),
        ("foreign_broken:handler", "SystemError"),
    ],
)
def test_a_handler_that_is_not_there(module: None, name: str, why: str) -> None:
    with pytest.raises(HandlerError, match=why):
        load_handler(name)


# TestInvokeAuthorizer

API = definition(
    {
        "/open": {"get": method()},
        "/closed": {"get": method(security=[{"pool": []}])},
        "/scoped/{id}": {"put": method(security=[{"pool": ["a/write"]}])},
    },
    components=cognito(),
)


def invoke(key_sets: dict[str, KeySet], token: str, verb: str, path: str) -> dict[str, Any]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        answer: dict[str, Any] = runner.run(
            test_invoke.test_authorizer(API, token, method=verb, path=path, key_sets=key_sets)
        )
        return answer


def test_an_accepted_token(key_sets: dict[str, KeySet], pool: Pool) -> None:
    answer = invoke(key_sets, pool.id_token(), "get", "/closed")
    assert list(answer) == ["clientStatus", "log", "latency", "claims"]
    assert answer["clientStatus"] == 0
    assert answer["claims"]["token_use"] == "id"
    assert answer["claims"]["exp"].endswith(str(time.gmtime().tm_year)) or answer["claims"]["exp"]
    assert answer["log"].startswith("Execution log for request test-request\n")
    assert isinstance(answer["latency"], int)


REFUSED: dict[str, tuple[Callable[[Pool], str], str, str, int, str]] = {
    "expired": (
        lambda pool: pool.id_token(exp=int(time.time()) - 5),
        "GET",
        "/closed",
        401,
        "TokenExpired",
    ),
    "access token": (lambda pool: pool.access_token(), "GET", "/closed", 401, "WrongTokenUse"),
    "ID token for scopes": (lambda pool: pool.id_token(), "PUT", "/scoped/1", 401, "WrongTokenUse"),
    "scope": (lambda pool: pool.access_token(), "PUT", "/scoped/1", 401, "MissingScope"),
    "no JWT": (lambda pool: "x", "GET", "/closed", 401, "no JWT"),
    "another issuer": (
        lambda pool: pool.forge(payload=pool.id_claims(iss="https://x")),
        "GET",
        "/closed",
        401,
        "another issuer's token",
    ),
    "nothing": (lambda pool: "", "GET", "/closed", 401, "identity source is missing"),
    "signature": (lambda pool: pool.forge(sign=lambda _: b"x" * 256), "GET", "/closed", 401,
                  "BadSignature"),
    "claim": (lambda pool: pool.id_token(sub=7), "GET", "/closed", 401, "InvalidClaim"),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
def test_the_log_names_the_reason(key_sets: dict[str, KeySet], pool: Pool, row: Any) -> None:
    make, verb, path, status, reason = row
    token = make(pool)
    answer = invoke(key_sets, token, verb, path)
    assert (answer["clientStatus"], "claims" in answer) == (status, False)
    assert reason in answer["log"]
    assert "Unauthorized request" in answer["log"]
    assert len(token) < 20 or token[-20:] not in answer["log"]


@pytest.mark.parametrize(("verb", "path"), [("GET", "/open"), ("POST", "/closed"), ("GET", "/x")])
def test_a_method_without_an_authorizer_cannot_be_tested(
    key_sets: dict[str, KeySet], verb: str, path: str
) -> None:
    with pytest.raises(NoAuthorizer):
        invoke(key_sets, "x", verb, path)


# Events


def test_events_are_kept_with_their_results_tokens_redacted(open_gateway: Open, pool: Pool) -> None:
    recorder = Recorder(size=2)

    def handler(event: Any, context: Any) -> Any:
        if event["path"] == "/raise":
            raise ValueError("why")
        return {"body": json.dumps({"access_token": "opaque"}), "headers": {"Set-Cookie": "a=1"}}

    client = open_gateway(None, handler, on_exchange=recorder.record)
    token = pool.id_token()
    client("GET", "/first")
    client("GET", "/second?id_token=x", [("authorization", token), ("cookie", "s=1")])
    client("GET", "/raise")
    second, third = recorder.events()
    assert [second["number"], third["number"]] == [2, 3]
    assert second["event"]["path"] == "/second"
    assert second["event"]["headers"]["Authorization"] == REDACTED
    assert second["event"]["multiValueHeaders"]["cookie"] == [REDACTED]
    assert second["event"]["queryStringParameters"] == {"id_token": REDACTED}
    assert second["result"]["headers"] == {"Set-Cookie": REDACTED}
    assert json.loads(second["result"]["body"]) == {"access_token": REDACTED}
    assert third["result"] == {"errorMessage": "why", "errorType": "ValueError"}
    assert [found["number"] for found in recorder.events(after=2)] == [3]
    shown = recorder.events(show_tokens=True)[0]["event"]
    assert shown["headers"]["Authorization"] == token


def test_an_event_without_a_result_is_kept_too(open_gateway: Open) -> None:
    recorder = Recorder()
    document = definition({"/a": {"get": method(**{INTEGRATION: PROXY | {"timeoutInMillis": 50}})}})
    client = open_gateway(document, lambda e, c: time.sleep(0.1), on_exchange=recorder.record)
    assert client("GET", "/a").status == 504
    assert recorder.events()[0]["result"] == {"errorType": "EndpointTimedOut"}


JWT = Pool().id_token()
FORM = "grant_type=refresh_token&refresh_token=opaque&client_id=x"
REDACTIONS: dict[str, tuple[Any, Any]] = {
    "a JWT anywhere": ({"x": f"see {JWT}!"}, {"x": f"see {REDACTED}!"}),
    "a form": ({"body": FORM}, {"body": FORM.replace("opaque", REDACTED)}),
    "JSON in a body": (
        {"body": '{"Password": "a\\"b", "name": "c"}'},
        {"body": f'{{"Password": "{REDACTED}", "name": "c"}}'},
    ),
    "a harmless body": ({"body": "hello=1&b=2"}, {"body": "hello=1&b=2"}),
    "base64 with a token": (
        {"isBase64Encoded": True, "body": b64encode(JWT.encode()).decode()},
        {"isBase64Encoded": True, "body": REDACTED},
    ),
    "base64 without": (
        {"isBase64Encoded": True, "body": "eA=="},
        {"isBase64Encoded": True, "body": "eA=="},
    ),
    "base64 that is no text": (
        {"isBase64Encoded": True, "body": "/w=="},
        {"isBase64Encoded": True, "body": "/w=="},
    ),
    "the claim token_use": ({"token_use": "id"}, {"token_use": "id"}),
    "the status": ({"statusCode": 200}, {"statusCode": 200}),
    "a code": ({"code": "abc"}, {"code": REDACTED}),
}  # fmt: skip


@pytest.mark.parametrize("row", REDACTIONS.values(), ids=REDACTIONS)
def test_redaction(row: tuple[Any, Any]) -> None:
    value, expected = row
    assert redacted(value) == expected


# Access log


@pytest.fixture
def lines() -> list[str]:
    return []


def test_one_json_line_per_request(
    open_gateway: Open, lines: list[str], key_sets: dict[str, KeySet], pool: Pool
) -> None:
    client = open_gateway(API, access_log=lines.append, key_sets=key_sets)
    answer = client("GET", "/closed", [("authorization", pool.id_token())])
    client("GET", "/closed")
    client("GET", "/nowhere")
    good, refused, unknown = map(json.loads, lines)
    assert good["requestId"] == answer["x-amzn-RequestId"]
    assert (good["resourcePath"], good["httpMethod"], good["status"]) == ("/closed", "GET", 200)
    assert (good["authorizer"], good["integrationStatus"]) == ("allowed", 200)
    assert good["integrationLatency"] <= good["responseLatency"] + 1
    assert good["responseLength"] == 2
    assert (refused["status"], refused["error"]) == (401, "Unauthorized")
    assert "missing" in refused["authorizer"]
    assert "integrationStatus" not in refused
    assert unknown["errorResponseType"] == "MISSING_AUTHENTICATION_TOKEN"


def test_a_format_of_ones_own(open_gateway: Open, lines: list[str]) -> None:
    format_ = '$context.identity.sourceIp "$context.httpMethod $context.path" $context.status ' \
              "$context.error.message $context.identity.userAgent"  # fmt: skip
    client = open_gateway(access_log=lines.append, access_log_format=format_)
    client("GET", "/x", [("user-agent", b"a\nb\x1b[2Jc")])
    assert lines == ['203.0.113.7 "GET /x" 200 - a\\nb\\x1b[2Jc']


def test_no_request_writes_two_lines(open_gateway: Open, lines: list[str]) -> None:
    client = open_gateway(access_log=lines.append)
    client("GET", "/x", [("user-agent", b"a\nb")])
    assert len(lines[0].splitlines()) == 1


# The ASGI protocol beside HTTP


def test_lifespan_and_websockets(open_gateway: Open) -> None:
    client = open_gateway()
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    def receive(*types: str) -> Any:
        messages = iter([{"type": type_} for type_ in types])

        async def receive() -> dict[str, Any]:
            return next(messages)

        return receive

    run = client.runner.run
    run(client.gateway({"type": "websocket"}, receive("websocket.connect"), send))
    run(client.gateway({"type": "telepathy"}, receive(), send))
    assert client("GET", "/x").status == 200
    lifespan = receive("lifespan.startup", "lifespan.shutdown")
    run(client.gateway({"type": "lifespan"}, lifespan, send))
    assert [message["type"] for message in sent] == [
        "websocket.close",
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert client("GET", "/x").status == 502


def test_the_current_directory_is_added_to_the_path_once(
    module: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    load_handler("foreign_handlers:handler")
    load_handler("foreign_handlers:handler")
    assert sys.path.count(str(Path.cwd())) == 1
