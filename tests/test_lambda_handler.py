"""The Lambda door: every kind of event, and every trap of the adapter underneath."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app import lambda_handler
from app.adapter import Event, make_handler
from app.settings import Settings
from app.store import SqliteNotes
from tests.api import MakeApp, SignIn
from tests.doors import rest_event
from tests.tokens import CLIENT_ID, POOL_ID, Pool

EVENTS = Path(__file__).parent / "events"
KINDS = sorted(path.stem for path in EVENTS.glob("*.json"))


def load(kind: str) -> Event:
    event: Event = json.loads((EVENTS / f"{kind}.json").read_text())["event"]
    return event


def with_token(event: Event, token: str) -> Event:
    filled: Event = json.loads(json.dumps(event).replace('"TOKEN"', json.dumps(token)))
    return filled


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request as the app sees it."""
    request = Request(scope, receive)
    seen = {
        "method": request.method,
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("latin-1"),
        "root_path": scope["root_path"],
        "query": scope["query_string"].decode("latin-1"),
        "headers": [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers.raw
        ],
        "cookies": request.cookies,
        "client": request.client and request.client.host,
        "server": scope["server"],
        "url": str(request.url),
        "body": (await request.body()).decode("latin-1"),
    }
    await JSONResponse(seen)(scope, receive, send)


def seen(event: Event) -> dict[str, Any]:
    answer = make_handler(echo)(event, None)
    assert answer["statusCode"] == 200
    body: dict[str, Any] = json.loads(answer["body"])
    return body


def answered(app: ASGIApp, event: Event | None = None) -> dict[str, Any]:
    return make_handler(app)(event or rest_event(), None)


# --- every kind of event ---------------------------------------------------------------------


@pytest.mark.parametrize("door", ["direct"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_event_reaches_the_notes(
    app: FastAPI, pool: Pool, sign_in: SignIn, kind: str
) -> None:
    sign_in("student").put("/notes/7", json={"Note": "found"})
    answer = make_handler(app)(with_token(load(kind), pool.id_token()), None)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["Note"] == "found"
    assert answer["isBase64Encoded"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_event_without_a_good_token_is_refused(app: FastAPI, kind: str) -> None:
    answer = make_handler(app)(load(kind), None)
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"]) == {"message": "Unauthorized"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_event_is_the_same_request(kind: str) -> None:
    request = seen(load(kind))
    assert request["method"] == "GET"
    assert request["path"] == request["root_path"] + "/notes/7"
    assert request["client"] == "203.0.113.7"
    assert request["url"].startswith("https://")
    roots = {"rest-api": "/Prod", "http-api-2.0-stage": "/test"}
    assert request["root_path"] == roots.get(kind, "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_file_says_where_it_comes_from(kind: str) -> None:
    assert set(json.loads((EVENTS / f"{kind}.json").read_text())) == {"source", "event"}


def test_an_event_of_no_known_kind_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="unable to infer"):
        answered(echo, {"Records": []})


# --- stages and base paths -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "asked", "resource", "parameters", "root"),
    [
        ("/notes", "/Prod/notes", "/notes", None, "/Prod"),
        ("/notes/", "/Prod/notes/", "/notes", None, "/Prod"),
        ("/notes", "/Prod//notes", "/notes", None, "/Prod"),
        ("/", "/Prod/", "/", None, "/Prod"),
        ("/", "/Prod", "/", None, "/Prod"),
        ("/notes", "/notes", "/notes", None, ""),
        ("/notes", "/notes", "/{proxy+}", {"proxy": "notes"}, ""),
        ("/base/notes", "/base/notes", "/notes", None, "/base"),
        ("/base/notes/7", "/base/notes/7", "/notes/{NoteId}", {"NoteId": "7"}, "/base"),
        ("/base/notes/a%2Fb", "/base/notes/a%2Fb", "/{proxy+}", {"proxy": "notes/a%2Fb"}, "/base"),
        ("/a/b/notes", "/a/b/notes", "/{proxy+}", {"proxy": "notes"}, "/a/b"),
        ("/", "/", "/", None, ""),
        ("/other", "/something/else", "/{proxy+}", {"proxy": "other"}, ""),
    ],
)
def test_what_stands_before_the_apis_path_becomes_the_root_path(
    path: str, asked: str, resource: str, parameters: dict[str, str] | None, root: str
) -> None:
    event = rest_event(url=path, stage="Prod", resource=resource, pathParameters=parameters)
    event["requestContext"]["path"] = asked
    request = seen(event)
    assert request["root_path"] == root
    assert request["raw_path"] == (path if path.startswith(f"{root}/") and root else root + path)


def test_behind_a_stage_every_address_in_an_answer_has_the_stage(app: FastAPI, pool: Pool) -> None:
    handler = make_handler(app)
    token = [("Authorization", pool.id_token())]

    def call(method: str, url: str, body: bytes = b"") -> dict[str, Any]:
        return handler(rest_event(method, url, headers=token, body=body, stage="Prod"), None)

    created = call("POST", "/notes", b'{"Note":"x"}')
    assert created["headers"]["location"] == "/Prod/notes/1"
    call("POST", "/notes", b'{"Note":"x"}')
    link = call("GET", "/notes?limit=1")["headers"]["link"]
    assert link.startswith("</Prod/notes?limit=1&cursor=")
    assert (
        "</Prod/notes/search?text=x&"
        in call("GET", "/notes/search?text=x&limit=1")["headers"]["link"]
    )
    page = call("GET", "/docs")
    assert 'src="docs/swagger-ui-bundle.js"' in page["body"]
    description = json.loads(call("GET", "/openapi.json")["body"])
    assert description["servers"] == [{"url": "/Prod"}]
    assert json.loads(handler(rest_event(url="/openapi.json"), None)["body"])["servers"] == [
        {"url": "/"}
    ]


# --- the adapter's traps, by their numbers in facts/traps.md ----------------------------------


def test_trap_1_no_lifespan_runs_at_an_event() -> None:
    kinds = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kinds.append(scope["type"])
        await Response()(scope, receive, send)

    answered(app)
    assert kinds == ["http"]


def test_trap_2_no_event_costs_a_thread(
    app: FastAPI, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = make_handler(app)
    token = [("Authorization", pool.id_token())]
    handler(rest_event(headers=token), None)  # whatever is started once is started now
    started = []
    start = threading.Thread.start

    def noting_start(thread: threading.Thread) -> None:
        # Only this thread plays Lambda; the table's server has threads of its own.
        if threading.current_thread() is threading.main_thread():
            started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noting_start)
    for method, url, body in [
        ("GET", "/notes", b""),
        ("POST", "/notes", b'{"Note":"x","NoteId":1}'),
        ("PUT", "/notes/1", b'{"Note":"y"}'),
        ("GET", "/notes/1", b""),
        ("GET", "/notes/search?text=y", b""),
        ("DELETE", "/notes/1", b""),
        ("GET", "/userinfo", b""),
        ("GET", "/healthz", b""),
        ("GET", "/", b""),
        ("GET", "/docs", b""),
        ("GET", "/docs/swagger-ui.css", b""),
        ("GET", "/openapi.json", b""),
    ]:
        assert handler(rest_event(method, url, headers=token, body=body), None)["statusCode"] < 300
    assert started == []


def test_trap_3_any_thread_can_play_a_lambda_environment() -> None:
    handler = make_handler(echo)
    statuses = []

    def environment() -> None:
        statuses.append(handler(rest_event(), None)["statusCode"])
        statuses.append(handler(rest_event(), None)["statusCode"])
        asyncio.get_event_loop_policy().get_event_loop().close()

    thread = threading.Thread(target=environment)
    thread.start()
    thread.join()
    assert statuses == [200, 200]


def test_trap_3_a_main_thread_without_a_loop_does_not_even_warn() -> None:
    code = (
        "import app.adapter as l, asyncio\n"
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 204, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b''})\n"
        "from tests.doors import rest_event\n"
        "print(l.make_handler(app)(rest_event(), None)['statusCode'])\n"
        "asyncio.get_event_loop_policy().get_event_loop().close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert (done.stdout, done.returncode) == ("204\n", 0), done.stderr


@pytest.mark.parametrize(
    "media_type", ["application/problem+json", "application/json", "text/css", "image/svg+xml"]
)
def test_trap_4_text_travels_as_text(media_type: str) -> None:
    answer = answered(Response("<é>", media_type=media_type))
    assert (answer["body"], answer["isBase64Encoded"]) == ("<é>", False)


def test_trap_4_what_is_not_text_travels_as_base64() -> None:
    answer = answered(Response(b"\x89PNG", media_type="image/png"))
    assert (answer["body"], answer["isBase64Encoded"]) == ("iVBORw==", True)


def test_trap_5_a_base_path_ends_at_a_slash() -> None:
    event = rest_event(url="/Production/notes", stage="Prod")
    event["requestContext"]["path"] = "/Prod/Production/notes"
    assert seen(event)["root_path"] == "/Prod"
    event = load("http-api-2.0-stage")
    event["rawPath"] = "/testing/notes/7"
    event["pathParameters"] = {"proxy": "testing/notes/7"}
    assert seen(event)["root_path"] == ""


def test_trap_6_several_cookie_headers_stay_cookies() -> None:
    cookies = [("Cookie", "a=1; b=2"), ("cookie", "c=3")]
    assert seen(rest_event(headers=cookies[:1] + [("Cookie", "c=3")]))["cookies"] == {
        "a": "1",
        "b": "2",
        "c": "3",
    }
    event = load("http-api-2.0")
    event["cookies"] = ["a=1", "b=2"]
    assert seen(event)["cookies"] == {"a": "1", "b": "2"}
    event = load("alb-multi-value")
    event["multiValueHeaders"]["cookie"] = ["a=1", "b=2"]
    assert seen(event)["cookies"] == {"a": "1", "b": "2"}


def test_trap_6_repeated_headers_stay_apart() -> None:
    request = seen(rest_event(headers=[("X-A", "1"), ("X-A", "2")]))
    assert [value for name, value in request["headers"] if name == "x-a"] == ["1", "2"]


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("[::1]:8000", "::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("api.example.com:8443", "api.example.com"),
        ("api.example.com:x", "api.example.com"),
        ("[::1", "localhost"),
        ("", "localhost"),
    ],
)
def test_trap_6_any_host_is_read(host: str, server: str) -> None:
    assert seen(rest_event(headers=[("Host", host)]))["server"] == [server, 443]


def test_trap_6_a_paths_escapes_are_kept() -> None:
    request = seen(rest_event(url="/a%2Fb/%E4%B8%96%20c%ff", stage="Prod"))
    assert request["raw_path"] == "/Prod/a%2Fb/%E4%B8%96%20c%ff"
    assert request["path"] == "/Prod/a/b/世 c\ufffd"


def test_trap_7_an_exception_is_a_500_in_the_one_shape_with_cors(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere: Any = object()
    app = make_app(nowhere)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret")

    answer = answered(app, rest_event(url="/broken", headers=[("Origin", "https://a.example")]))
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"]) == {"message": "Internal server error"}
    assert answer["headers"]["access-control-allow-origin"] == "*"
    assert answer["headers"]["cache-control"] == "no-store"
    assert "RuntimeError in broken" in caplog.text
    assert "a secret" not in caplog.text


# --- what else a request may be ---------------------------------------------------------------


def test_queries_keep_their_repeats_and_blanks() -> None:
    assert seen(rest_event(url="/x?a=1&a=2&b=&c=%2B+%C3%A9"))["query"] == "a=1&a=2&b=&c=%2B+%C3%A9"
    event = rest_event(url="/x?a=1")
    event["multiValueQueryStringParameters"] = None
    assert seen(event)["query"] == "a=1"


def test_a_load_balancers_query_is_passed_on_as_it_was_sent() -> None:
    event = load("alb")
    event["queryStringParameters"] = {"text": "a%20b%2B", "x": ""}
    assert seen(event)["query"] == "text=a%20b%2B&x="


def test_single_value_headers_are_enough() -> None:
    event = rest_event()
    event["multiValueHeaders"] = None
    event["headers"] = {"X-A": "1"}
    assert ["x-a", "1"] in seen(event)["headers"]
    event["headers"] = None
    assert seen(event)["headers"] == []


def test_a_header_beyond_latin_1_comes_through() -> None:
    assert seen(rest_event(headers=[("X-A", "é")]))["headers"] == [["x-a", "é"]]
    raw = seen(rest_event(headers=[("X-A", "世")]))["headers"][0][1]
    assert raw.encode("latin-1").decode() == "世"


def test_a_body_comes_through_as_text_or_base64() -> None:
    assert seen(rest_event("POST", body="é".encode()))["body"] == "é".encode().decode("latin-1")
    assert seen(rest_event("POST", body=b"\xff\x00"))["body"] == "\xff\x00"


def test_an_event_without_a_client_address_has_no_client() -> None:
    event = rest_event()
    event["requestContext"]["identity"] = None
    assert seen(event)["client"] is None
    event = load("alb")
    del event["headers"]["x-forwarded-for"]
    assert seen(event)["client"] is None


def test_repeated_headers_of_an_answer_are_kept() -> None:
    response = PlainTextResponse("x")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    answer = answered(response)
    assert len(answer["multiValueHeaders"]["set-cookie"]) == 2
    assert len(answered(response, load("http-api-2.0"))["cookies"]) == 2


# --- start ------------------------------------------------------------------------------------


@pytest.fixture
def lambda_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("COGNITO_USER_POOL_ID", POOL_ID)
    monkeypatch.setenv("COGNITO_APP_CLIENT_ID", CLIENT_ID)
    return monkeypatch


def test_the_handler_is_made_from_the_environment(
    lambda_environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = []

    class Noted(SqliteNotes):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            stores.append(self)

    monkeypatch.setattr("app.store.opening.SqliteNotes", Noted)
    level = logging.getLogger().level
    fresh = importlib.reload(lambda_handler)
    try:
        assert fresh.handler(rest_event(url="/healthz"), None)["body"] == '{"status":"ok"}'
        assert fresh.handler(rest_event(), None)["statusCode"] == 401
    finally:
        logging.getLogger().setLevel(level)
        for store in stores:
            store.close()


def test_a_wrong_configuration_is_one_line_each_and_then_503(
    lambda_environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lambda_environment.setenv("COGNITO_USER_POOL_ID", "wrong")
    lambda_environment.setenv("LOG_LEVEL", "LOUD")
    fresh = importlib.reload(lambda_handler)
    assert len(caplog.records) == 2
    assert all("cannot start" in record.getMessage() for record in caplog.records)
    for _ in range(3):
        answer = fresh.handler(rest_event(), None)
        assert answer["statusCode"] == 503
        assert json.loads(answer["body"]) == {"message": "Service Unavailable"}
    assert len(caplog.records) == 2


def test_an_unusable_store_is_one_line_and_then_503(
    lambda_environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    lambda_environment.setenv("NOTES_STORE", f"sqlite:///{tmp_path}")
    fresh = importlib.reload(lambda_handler)
    (record,) = caplog.records
    assert str(tmp_path) in record.getMessage()
    assert fresh.handler(rest_event(), None)["statusCode"] == 503
