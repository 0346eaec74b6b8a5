"""What holds for every route: CORS, the error shape, health, the description and its page."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from app import logs
from app.application import create_app
from app.errors import Answers, ApiError
from app.settings import LOCAL_KID_PREFIX, Settings, load_settings
from app.store import DynamoNotes, Page, StoreUnavailable
from tests.api import FakeDirectory, MakeApp, MakeDoor, SignIn, Stage, refusal
from tests.differences import OWN_ANSWERS, is_gateways_own
from tests.doors import open_door, rest_event
from tests.tokens import CLIENT_ID, POOL_ID, Pool, public_jwk

ROOT = Path(__file__).parent.parent
ORIGIN = {"Origin": "https://front.example.com"}

# --- CORS -------------------------------------------------------------------------------------


def preflight(client: httpx2.Client, path: str = "/notes", **headers: str) -> httpx2.Response:
    asked = {"Access-Control-Request-Method": "POST"} | ORIGIN | headers
    return client.options(path, headers=asked)


@pytest.mark.parametrize("path", ["/notes", "/notes/1", "/userinfo", "/healthz"])
def test_preflight_needs_no_token(client: httpx2.Client, path: str) -> None:
    answer = preflight(
        client, path, **{"Access-Control-Request-Headers": "authorization,content-type,if-match"}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-max-age"] == "7200"
    assert {"GET", "POST", "PUT", "DELETE"} <= set(
        answer.headers["access-control-allow-methods"].split(", ")
    )


def test_a_preflight_for_something_else_is_refused_in_the_one_shape(client: httpx2.Client) -> None:
    answer = preflight(client, **{"Access-Control-Request-Method": "TRACE"})
    assert answer.status_code == 400
    assert answer.json() == {"message": "Disallowed CORS method"}
    assert answer.headers["access-control-allow-origin"] == "*"


def test_every_answer_carries_cors_headers(student: httpx2.Client, client: httpx2.Client) -> None:
    student.post("/notes", json={"Note": "x"})
    answers = [
        student.get("/notes", headers=ORIGIN),
        student.get("/notes/1", headers=ORIGIN),
        student.get("/notes/2", headers=ORIGIN),
        student.get("/notes?limit=0", headers=ORIGIN),
        student.post("/notes", content=b"{", headers=ORIGIN),
        student.put("/notes/1", json={"Note": "x"}, headers=ORIGIN | {"If-None-Match": "*"}),
        student.delete("/notes/1", headers=ORIGIN),
        client.get("/notes", headers=ORIGIN),
        client.get("/nowhere", headers=ORIGIN),
        client.patch("/notes", headers=ORIGIN),
        client.get("/healthz", headers=ORIGIN),
    ]
    statuses = [200, 200, 404, 400, 400, 412, 204, 401, 404, 405, 200]
    for answer, status in zip(answers, statuses, strict=True):
        assert answer.headers["access-control-allow-origin"] == "*"
        if is_gateways_own(answer):
            assert status in {own.app_status for own in OWN_ANSWERS}
        else:
            assert answer.status_code == status
            exposed = answer.headers["access-control-expose-headers"].split(", ")
            assert {"ETag", "Link", "Location", "Retry-After"} <= set(exposed)


def test_only_named_origins_may_call_when_origins_are_named(
    door: str, make_app: MakeApp, make_door: MakeDoor, pool: Pool
) -> None:
    app = make_app(DownStore(), cors_allow_origins="https://front.example.com,http://localhost:5")
    with make_door(door, app).client(pool.id_token()) as client:
        allowed = client.get("/notes", headers=ORIGIN)
        assert allowed.headers["access-control-allow-origin"] == ORIGIN["Origin"]
        assert "Origin" in allowed.headers["vary"]
        foreign = client.get("/notes", headers={"Origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in foreign.headers
        refused = preflight(client, **{"Origin": "https://evil.example.com"})
        assert refused.json() == {"message": "Disallowed CORS origin"}
        assert "access-control-allow-origin" not in refused.headers


# --- the error shape --------------------------------------------------------------------------


def test_what_is_nowhere_is_not_found(client: httpx2.Client) -> None:
    refusal(client.get("/nowhere"), 404, "Not Found")


def test_another_method_is_not_allowed(client: httpx2.Client) -> None:
    answer = client.patch("/notes")
    refusal(answer, 405, "Method Not Allowed")
    assert is_gateways_own(answer) or answer.headers["allow"]


class DownStore:
    """A store that is out of reach, whatever is asked."""

    def __getattr__(self, name: str) -> Any:
        def unavailable(*args: Any, **kwargs: Any) -> None:
            raise StoreUnavailable("the table is throttled", retry_after=3)

        return unavailable


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/notes", None),
        ("GET", "/notes/search?text=x", None),
        ("GET", "/notes/1", None),
        ("POST", "/notes", {"Note": "x"}),
        ("POST", "/notes", {"Note": "x", "NoteId": 1}),
        ("PUT", "/notes/1", {"Note": "x"}),
        ("DELETE", "/notes/1", None),
    ],
)
def test_a_store_out_of_reach_is_a_503_with_retry_after(
    door: str,
    make_app: MakeApp,
    make_door: MakeDoor,
    pool: Pool,
    method: str,
    path: str,
    body: object,
) -> None:
    with make_door(door, make_app(DownStore())).client(pool.id_token()) as client:
        answer = client.request(method, path, json=body)
        refusal(answer, 503, "Service Unavailable")
        assert answer.headers["retry-after"] == "3"


@pytest.mark.usefixtures("one_session")
@pytest.mark.parametrize(("method", "path"), [("PUT", "/notes/1")])
def test_a_table_out_of_reach_is_a_503_within_five_seconds(
    door: str, make_app: MakeApp, make_door: MakeDoor, pool: Pool, method: str, path: str
) -> None:
    store = DynamoNotes("Notes", region="eu-central-1", endpoint_url="http://127.0.0.1:9")
    with make_door(door, make_app(store)).client(pool.id_token()) as client:
        began = time.monotonic()
        answer = client.request(method, path, json={"Note": "x"} if method == "PUT" else None)
        refusal(answer, 503, "Service Unavailable")
        assert time.monotonic() - began < 5


def test_keys_out_of_reach_are_a_503_and_never_a_200_or_401(door: str, pool: Pool) -> None:
    async def fetch() -> bytes:
        raise ConnectionError

    settings = load_settings(
        env_file=None, cognito_user_pool_id=POOL_ID, cognito_app_client_id=CLIENT_ID
    )
    store: Any = DownStore()
    app = create_app(settings, store=store, directory=FakeDirectory(), fetch_keys=fetch)
    opened = open_door(door, app, fetch)
    with opened.client(pool.id_token()) as client:
        refusal(client.get("/notes"), 503, "Service Unavailable")
    opened.shut()


def test_an_answer_already_begun_is_cut_and_not_mended(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("a secret")

    client = TestClient(Answers(app))
    with pytest.raises(RuntimeError, match="already begun"):
        client.get("/")
    assert "a secret" not in caplog.text


def test_what_is_not_http_passes_the_answers_middleware() -> None:
    kinds = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kinds.append(scope["type"])
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    with TestClient(Answers(app)):
        pass
    assert kinds == ["lifespan"]


def test_a_400_of_a_routes_own_keeps_its_words(
    door: str, make_app: MakeApp, make_door: MakeDoor
) -> None:
    app = make_app(DownStore())

    @app.get("/strict")
    async def strict() -> None:
        raise ApiError(400, "No")

    with make_door(door, app).client() as client:
        refusal(client.get("/strict"), 400, "No")


# --- health, description, page ------------------------------------------------------------------


def test_health_needs_no_token(client: httpx2.Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_page_takes_everything_from_its_own_origin(client: httpx2.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    for link in (link for link in links if not link.startswith("data:")):
        assert not link.startswith(("/", "http"))
        part = client.get(f"/{link}")
        assert part.status_code == 200
        assert part.headers["content-type"].split("/")[0] == "text"
        assert "max-age" in part.headers["cache-control"]
    assert 'url: "openapi.json"' in client.get("/docs/start.js").text
    refusal(client.get("/docs/other.js"), 404, "Not Found")
    refusal(client.get("/docs/..%2f..%2fmain.py"), 404, "Not Found")


def test_the_description_names_every_route_with_its_answers(client: httpx2.Client) -> None:
    description = client.get("/openapi.json").json()
    assert {path: sorted(operations) for path, operations in description["paths"].items()} == {
        "/notes": ["get", "post"],
        "/notes/search": ["get"],
        "/notes/{NoteId}": ["delete", "get", "put"],
        "/userinfo": ["get"],
        "/healthz": ["get"],
    }
    for path, operations in description["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            secured = path != "/healthz"
            assert ("security" in operation) is secured
            assert ({"400", "401", "413", "503"} <= set(operation["responses"])) is secured
    put = description["paths"]["/notes/{NoteId}"]["put"]
    assert set(put["responses"]) == {"200", "201", "400", "401", "412", "413", "503"}
    assert "-1" not in json.dumps(description["components"]["schemas"]["NewNote"])


# --- start --------------------------------------------------------------------------------------


def run(code: str, tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=clean | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_server_without_settings_stops_with_a_line_each_and_no_traceback(tmp_path: Path) -> None:
    done = run("import uvicorn; uvicorn.run('app.main:app')", tmp_path)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "Notegate cannot start."
    assert [line.split(":")[0] for line in lines[1:]] == [
        "COGNITO_USER_POOL_ID",
        "COGNITO_APP_CLIENT_ID",
    ]


def test_a_server_with_an_unusable_store_stops_with_a_line_and_no_traceback(tmp_path: Path) -> None:
    done = run(
        "import app.main",
        tmp_path,
        COGNITO_USER_POOL_ID=POOL_ID,
        COGNITO_APP_CLIENT_ID=CLIENT_ID,
        NOTES_STORE=f"sqlite:///{tmp_path}",
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path) in done.stderr


def test_a_server_with_settings_starts(tmp_path: Path) -> None:
    done = run(
        "import app.main as m; print(m.app.title, m.settings.notes_store)",
        tmp_path,
        COGNITO_USER_POOL_ID=POOL_ID,
        COGNITO_APP_CLIENT_ID=CLIENT_ID,
    )
    assert done.stdout.split() == ["Notegate", "sqlite:///notes.db"], done.stderr
    assert (tmp_path / "notes.db").exists()


NOT_AT_START = {
    "app.local",
    "boto3",
    "botocore",
    "dotenv",
    "httpx",
    "jose",
    "moto",
    "pydantic_settings",
    "requests",
    "typer",
    "urllib.request",
    "uvicorn",
}


def test_a_process_on_sqlite_imports_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    done = run(
        "import app.lambda_handler, sys; print(*sys.modules)",
        tmp_path,
        COGNITO_USER_POOL_ID=POOL_ID,
        COGNITO_APP_CLIENT_ID=CLIENT_ID,
    )
    loaded = set(done.stdout.split())
    assert "app.notes" in loaded
    assert loaded & NOT_AT_START == set()


IN_LAMBDA = """
import gc, json, os, sys
import app.lambda_handler as function
from pydantic import BaseModel

print(json.dumps({
    "loaded": [name for name, module in sys.modules.items() if module is not None],
    "collecting": gc.isenabled(),
    "frozen": gc.get_freeze_count(),
    "defer": "defer_build" in BaseModel.model_config,
    "description": function.handler(json.loads(os.environ["EVENT"]), None),
}))
"""


def test_a_function_starts_lean_and_describes_itself_like_a_server(tmp_path: Path) -> None:
    done = run(
        IN_LAMBDA,
        tmp_path,
        AWS_LAMBDA_FUNCTION_NAME="notes",
        AWS_REGION=POOL_ID.partition("_")[0],
        COGNITO_USER_POOL_ID=POOL_ID,
        COGNITO_APP_CLIENT_ID=CLIENT_ID,
        NOTES_STORE="dynamodb://Notes",
        EVENT=json.dumps(rest_event(url="/openapi.json")),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # botocore brings Python's own client.
    unwanted = NOT_AT_START | {"pydantic.v1"}
    assert set(found["loaded"]) & unwanted <= {"botocore", "urllib.request"}
    assert found["collecting"]
    assert found["frozen"] > 10_000
    assert not found["defer"]
    # FastAPI's models, which a function makes ready only now, describe the same API.
    described = json.loads(found["description"]["body"])
    settings = load_settings(
        env_file=None,
        cognito_user_pool_id=POOL_ID,
        cognito_app_client_id=CLIENT_ID,
        notes_store="dynamodb://Notes",
    )
    expected = create_app(settings).openapi()
    assert {**described, "servers": None} == {**expected, "servers": None}


def test_each_request_is_one_line_that_names_no_text(
    sign_in: SignIn, door: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "notegate")
    client = sign_in("student")
    client.post("/notes", json={"NoteId": 7, "Note": "a secret"})
    client.get("/notes/7")
    client.get("/notes/search?text=secret")
    client.put("/notes/7", content=b'{"Note": "secret')
    lines = [record for record in caplog.records if record.name == "notegate.access"]
    assert [line.getMessage().split(" ")[:3] for line in lines][:3] == [
        ["POST", "/notes", "201"],
        ["GET", "/notes/{NoteId}", "200"],
        ["GET", "/notes/search", "200"],
    ]
    assert len(lines) == (3 if door == "gateway" else 4)  # its validator refuses the last
    for line in lines:
        assert line.__dict__["durationMs"] >= 0
        assert line.__dict__["apiRequestId"]
    assert len({line.__dict__["apiRequestId"] for line in lines}) == len(lines) or door == "lambda"
    assert "secret" not in caplog.text
    assert client.headers["authorization"] not in caplog.text


def test_what_is_nowhere_has_a_line_too(
    make_app: MakeApp, make_door: MakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "notegate")
    with make_door("direct", make_app(DownStore())).client() as client:
        client.get("/secret")
    assert "GET - 404" in caplog.text
    assert "secret" not in caplog.text


def test_the_log_of_a_server_is_ours_and_no_library_tells_what_it_sends() -> None:
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("botocore", "httpx", "mangum")}
    before, access = root.level, logging.getLogger("uvicorn.access")
    try:
        logs.set_up_server("DEBUG")
        assert access.disabled
        assert not any(logging.getLogger(name).isEnabledFor(logging.INFO) for name in levels)
    finally:
        access.disabled = False
        root.setLevel(before)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def test_operation_ids_are_readable(client: httpx2.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    ids = {o["operationId"] for operations in paths.values() for o in operations.values()}
    assert {"list_notes", "save_note", "search_notes", "get_note", "put_note", "userinfo"} <= ids


def test_in_lambda_the_local_pools_keys_are_not_trusted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same keys, the same tokens: good on a laptop, refused in AWS."""
    local = Pool()
    local.id_kid = LOCAL_KID_PREFIX + "one"
    keys = {"keys": [public_jwk(local.id_key, local.id_kid)]}

    async def fetch() -> bytes:
        return json.dumps(keys).encode()

    def status() -> int:
        settings = load_settings(
            env_file=None,
            cognito_user_pool_id=POOL_ID,
            cognito_app_client_id=CLIENT_ID,
            notes_store="dynamodb://Notes",
        )
        app = create_app(settings, store=stage.store, directory=FakeDirectory(), fetch_keys=fetch)
        door = open_door("direct", app, fetch)
        with door.client(local.id_token()) as client:
            answer = client.get("/notes")
        door.shut()
        return answer.status_code

    assert status() == 200
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "notes")
    assert status() in {401, 503}


def test_only_a_short_page_of_a_quick_store_is_read_on_the_servers_own_thread(
    make_app: MakeApp, make_door: MakeDoor, pool: Pool
) -> None:
    threads = []

    class QuickStore:
        reads_at_once = True

        def page(self, *args: Any, **kwargs: Any) -> Page:
            threads.append(threading.current_thread().name)
            return Page([], None)

    with make_door("direct", make_app(QuickStore())).client(pool.id_token()) as client:
        for limit in (100, 1, 101):
            assert client.get(f"/notes?limit={limit}").status_code == 200

    assert threads[0] == threads[1] != threads[2]


def test_a_slow_store_does_not_stop_the_servers_other_clients(
    make_app: MakeApp, make_door: MakeDoor, pool: Pool
) -> None:
    let_go = threading.Event()

    class SlowStore:
        reads_at_once = False

        def page(self, *args: Any, **kwargs: Any) -> None:
            let_go.wait(5)
            raise StoreUnavailable("slow")

    with make_door("direct", make_app(SlowStore())).client(pool.id_token()) as client:
        waiting = threading.Thread(target=client.get, args=("/notes",))
        waiting.start()
        time.sleep(0.05)
        assert client.get("/healthz").status_code == 200
        assert waiting.is_alive()
        let_go.set()
        waiting.join()
