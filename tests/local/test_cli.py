"""The ``notegate`` command: what it refuses, and its smaller commands."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from app.local import cli
from app.local.events import Endpoint, Unreachable, read, save
from app.local.gateway import Recorder
from app.settings import Settings
from tests.doors import rest_event
from tests.local.running import BIN, environment, free_port, notegate, refused
from tests.tokens import POOL_ID, Pool

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, arguments)


def arn(pool_id: str) -> str:
    return f"arn:aws:cognito-idp:{pool_id.partition('_')[0]}:123456789012:userpool/{pool_id}"


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    path = tmp_path / "api.json"
    done = run("definition", "--user-pool-arn", arn(POOL_ID))
    assert done.exit_code == 0, done.output
    path.write_text(done.stdout)
    return path


# --- definition ---------------------------------------------------------------------------------


def test_the_definition_names_the_given_pool_and_function() -> None:
    done = run(
        *("definition", "--user-pool-arn", arn(POOL_ID), "--region", "eu-central-1"),
        *("--function-arn", "arn:aws:lambda:eu-central-1:123456789012:function:x"),
    )
    made = json.loads(done.stdout)
    scheme = made["components"]["securitySchemes"]["Cognito"]
    assert scheme["x-amazon-apigateway-authorizer"]["providerARNs"] == [arn(POOL_ID)]
    integration = made["paths"]["/notes"]["get"]["x-amazon-apigateway-integration"]
    assert "function:x/invocations" in integration["uri"]
    assert "apigateway:eu-central-1:" in integration["uri"]


def test_the_definition_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGNITO_TOKEN_USE", "access")
    monkeypatch.setenv("COGNITO_SCOPES", "notes/read")
    made = json.loads(run("definition").stdout)
    assert made["paths"]["/notes"]["get"]["security"] == [{"Cognito": ["notes/read"]}]


def test_wrong_settings_stop_it_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGNITO_TOKEN_USE", "access")
    done = run("definition")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("COGNITO_SCOPES: ")


# --- test-authorizer ----------------------------------------------------------------------------


@pytest.fixture
def key_server(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "app.local.gateway.authorizer.http_fetch", lambda url: _answering(json.dumps(pool.jwks))
    )
    monkeypatch.setenv("COGNITO_JWKS_URL", "http://127.0.0.1:9/{userPoolId}/jwks.json")


def _answering(text: str) -> Any:
    async def fetch() -> bytes:
        return text.encode()

    return fetch


@pytest.mark.usefixtures("key_server")
def test_a_good_token_is_accepted_and_its_claims_are_shown(definition: Path, pool: Pool) -> None:
    done = run("test-authorizer", "--definition", str(definition), "--token", pool.id_token())
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["clientStatus"] == 0
    assert answer["claims"]["cognito:username"] == "student"


@pytest.mark.usefixtures("key_server")
def test_a_refused_token_is_explained(definition: Path, pool: Pool) -> None:
    token = pool.id_token(exp=1)
    done = run("test-authorizer", "--definition", str(definition), "--token", token)
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert answer["clientStatus"] == 401
    assert "expired" in answer["log"].lower()
    assert token not in done.output


def test_a_method_without_authorizer_has_nothing_to_test(definition: Path) -> None:
    options = ("--definition", str(definition), "--token", "x", "--path", "/healthz")
    done = run("test-authorizer", *options)
    assert done.exit_code == 1
    assert "no authorizer" in done.stderr


def test_keys_are_never_fetched_where_anybody_could_replace_them(
    definition: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COGNITO_JWKS_URL", "http://keys.example.com/jwks.json")
    for command in (
        ("test-authorizer", "--token", "a.b.c"),
        ("gateway", "--handler", "tests.local.test_cli:handler"),
    ):
        done = run(command[0], "--definition", str(definition), *command[1:])
        assert done.exit_code == 1
        assert "https" in done.stderr


def test_the_pools_own_address_is_the_default() -> None:
    expected = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL_ID}/.well-known/jwks.json"
    assert cli._key_url(POOL_ID) == expected


# --- gateway ------------------------------------------------------------------------------------


def handler(event: Any, context: Any) -> Any:
    return {"statusCode": 200, "body": json.dumps([event["stageVariables"], event["path"]])}


ECHO = """
openapi: 3.0.1
info: {title: echo, version: "1"}
paths:
  /{proxy+}:
    x-amazon-apigateway-any-method:
      responses: {}
      x-amazon-apigateway-integration:
        type: aws_proxy
        httpMethod: POST
        uri: arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/x/invocations
"""


def test_anybodys_api_is_served_throttled_and_its_events_are_shown(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(ECHO)
    (tmp_path / "echo.py").write_text(
        "import json\n"
        "def handler(event, context):\n"
        "    return {'body': json.dumps([event['stageVariables'], event['path']])}\n"
    )
    with notegate(
        tmp_path,
        *("gateway", "--definition", "api.yaml", "--handler", "echo:handler", "--stage", "v1"),
        *("--stage-variable", "colour=blue=green", "--throttle", "0.01:2"),
        *("--access-log-format", "$context.httpMethod $context.status"),
        PYTHONPATH=str(tmp_path),
    ) as running:
        with running.client("Bearer a.b.c") as client:
            assert client.get("/v1/x?y=1").json() == [{"colour": "blue=green"}, "/x"]
            assert client.get("/x").status_code == 200
            assert client.get("/x").json() == {"message": "Too Many Requests"}
        assert running.said("429\n").splitlines()[1:] == ["GET 200", "GET 200", "GET 429"]
        found = list(read(running.url))
        assert [each["event"]["path"] for each in found] == ["/x", "/x"]
        assert "a.b.c" not in json.dumps(found)
        assert "a.b.c" in json.dumps(list(read(running.url, tokens=True)))
        done = run("events", "--url", running.url, "--save", str(tmp_path / "events"))
        assert done.exit_code == 0
        (first, _) = sorted((tmp_path / "events").iterdir())
        saved = json.loads(first.read_text())
        assert saved["event"]["requestContext"]["path"] == "/v1/x"
        assert saved["result"]["body"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--handler", "nowhere:handler"), "nowhere"),
        (("--handler", "json"), "json"),
        (("--handler", "json:dumps", "--throttle", "x"), "RATE:BURST"),
        (("--handler", "json:dumps", "--stage-variable", "x"), "K=V"),
        (("--handler", "json:dumps", "--stage", "a/b"), "stage"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    (tmp_path / "api.yaml").write_text(ECHO)
    done = run("gateway", "--definition", str(tmp_path / "api.yaml"), *arguments)
    assert done.exit_code == 1
    assert reason in done.stderr
    assert "Traceback" not in done.output


def test_a_definition_that_cannot_be_mirrored_is_refused_with_every_reason(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(ECHO.replace("aws_proxy", "http_proxy"))
    options = ("--definition", str(tmp_path / "api.yaml"), "--handler", "json:dumps")
    done = run("gateway", *options)
    assert done.exit_code == 1
    assert "http_proxy" in done.stderr.lower()


def test_ignoring_it_is_a_warning_and_a_501(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(ECHO.replace("aws_proxy", "http_proxy"))
    options = ("--definition", "api.yaml", "--handler", "json:dumps", "--ignore-unsupported")
    with notegate(tmp_path, "gateway", *options) as running:
        with running.client() as client:
            assert client.get("/x").status_code == 501
        assert "http_proxy" in running.log.lower()


def test_the_ledger_is_a_table_with_certainties() -> None:
    done = run("gateway", "--ledger")
    assert done.exit_code == 0
    assert done.stdout.startswith("| ")
    assert "refused loudly" in done.stdout
    assert "[R]" in done.stdout or "| R |" in done.stdout


def test_a_gateway_needs_a_definition_and_a_handler(tmp_path: Path) -> None:
    for arguments in ((), ("--definition", "x.json"), ("--handler", "json:dumps")):
        done = run("gateway", *arguments)
        assert (done.exit_code, "--definition and --handler" in done.stderr) == (1, True)
    done = run("gateway", "--definition", str(tmp_path / "x.json"), "--handler", "json:dumps")
    assert (done.exit_code, "x.json" in done.stderr) == (1, True)


# --- events -------------------------------------------------------------------------------------


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder()
    event = rest_event(url="/notes/7", headers=[("Authorization", "secret")])
    recorder.record(json.dumps(event | {"resource": "/notes/{NoteId}"}), '{"statusCode": 200}')
    return recorder


def ask(recorder: Recorder, path: str = "/events", **headers: str) -> httpx2.Response:
    client = TestClient(
        Endpoint(recorder), base_url="http://127.0.0.1:8000", client=("127.0.0.1", 5)
    )
    return client.get(path, headers=headers)


def test_events_are_redacted_unless_tokens_are_asked_for(recorder: Recorder) -> None:
    assert "secret" not in ask(recorder).text
    assert "secret" in ask(recorder, "/events?tokens=1").text
    assert ask(recorder, "/events?after=1").json() == []
    assert len(ask(recorder, "/events?after=x").json()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.com"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_no_web_page_can_read_the_events(recorder: Recorder, headers: dict[str, str]) -> None:
    assert ask(recorder, **headers).status_code == 403


def test_nobody_elsewhere_can_read_the_events(recorder: Recorder) -> None:
    for address in ("203.0.113.7", "2001:db8::1"):
        client = TestClient(Endpoint(recorder), base_url="http://127.0.0.1", client=(address, 5))
        assert client.get("/events").status_code == 403


def test_there_is_nothing_else_beside_the_events(recorder: Recorder) -> None:
    assert ask(recorder, "/other").status_code == 404


def test_following_goes_on(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [[{"number": 1}], [], [{"number": 2}]]
    asked = []

    def get(client: Any, url: str, params: dict[str, str]) -> Any:
        import httpx

        asked.append(params["after"])
        return httpx.Response(200, json=answers.pop(0), request=httpx.Request("GET", url))

    monkeypatch.setattr("httpx.Client.get", get)
    monkeypatch.setattr("app.local.events.POLL_SECONDS", 0)
    events = read("http://127.0.0.1:8000", follow=True)
    assert [next(events)["number"], next(events)["number"]] == [1, 2]
    assert asked == ["0", "1", "1"]


def test_without_a_gateway_the_address_is_named() -> None:
    with pytest.raises(Unreachable, match="127.0.0.1:9"):
        list(read("http://127.0.0.1:9"))
    done = run("events", "--url", "http://127.0.0.1:9")
    assert done.exit_code == 1
    assert "no gateway answers" in done.stderr


def test_a_saved_event_is_named_after_its_request(recorder: Recorder, tmp_path: Path) -> None:
    (event,) = recorder.events()
    path = save(event, tmp_path / "new")
    assert path.name == "get-notes-noteid-1.json"
    assert json.loads(path.read_text())["source"] == "notegate events"


# --- serve --------------------------------------------------------------------------------------


def test_what_keeps_it_from_starting_is_said_in_a_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused(tmp_path, "--port", port)
    assert len(said.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in said
    port = str(free_port())
    (tmp_path / "a-file").write_text("")
    said = refused(tmp_path, "--port", port, "--data", "a-file")
    assert said.splitlines()[0] == "Notegate cannot start."
    assert "a-file" in said.splitlines()[1]
    said = refused(tmp_path, "local", "--port", port, CORS_ALLOW_ORIGINS="nonsense")
    assert said.splitlines()[1].startswith("CORS_ALLOW_ORIGINS: ")
    assert "No such option" in refused(tmp_path, "--nonsense")


def test_a_running_one_is_safe_useful_and_ends_quietly(tmp_path: Path) -> None:
    with notegate(tmp_path, "local") as running:
        # Its folder is its own, and nobody but this machine reaches it.
        said = refused(tmp_path, "--port", str(free_port()))
        assert "another process" in said
        port = int(running.url.rpartition(":")[2])
        for address in own_addresses():
            with pytest.raises(OSError, match="refused"):
                _connect_anywhere(address, port)
        # A server with a copied .env.example works against its pool.
        example = (ROOT / ".env.example").read_text()
        (tmp_path / ".env").write_text(example.replace("http://127.0.0.1:8000", running.url))
        token = running.sign_in()["IdToken"]
        with server(tmp_path) as url, httpx2.Client(base_url=url, timeout=20) as client:
            headers = {"Authorization": token}
            assert client.get("/notes", headers=headers).json() == []
            assert client.get("/userinfo", headers=headers).json()["nickname"] == "Stu"
        with running.client(token) as client:
            client.get("/notes/search?text=secret")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) in {0, -signal.SIGINT, 130}
        (line,) = [line for line in running.log.splitlines() if "/notes/search" in line]
        logged = json.loads(line)
        assert (logged["resourcePath"], logged["status"]) == ("/notes/search", 200)
        assert logged["authorizer"] == "allowed"
        assert "secret" not in running.log
        assert "Traceback" not in running.log
        assert token not in running.log


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [BIN / "uvicorn", "app.main:app", "--port", str(port)],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


def own_addresses() -> list[str]:
    found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    return [str(each[4][0]) for each in found if not str(each[4][0]).startswith("127.")]


def _connect_anywhere(address: str, port: int) -> None:
    sock = socket.socket()
    try:
        # This machine's own address, past the guard that keeps tests off the network.
        super(socket.socket, sock).connect((address, port))
    finally:
        sock.close()
