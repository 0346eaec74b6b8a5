from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import httpx2
import pytest

from app.userinfo import CACHE_SECONDS, CACHE_USERS, CognitoDirectory, DirectoryUnavailable
from tests.api import FakeDirectory, SignIn, challenge, refusal
from tests.store_fixtures import SharedSession
from tests.tokens import ABSENT, POOL_ID, SUB, Pool

# --- the route --------------------------------------------------------------------------------


@pytest.fixture
def signed_in(client: httpx2.Client, pool: Pool) -> Callable[..., httpx2.Response]:
    return lambda **claims: client.get(
        "/userinfo", headers={"Authorization": pool.id_token(**claims)}
    )


Ask = Callable[..., httpx2.Response]


def test_the_caller_is_described(signed_in: Ask) -> None:
    answer = signed_in()
    assert answer.status_code == 200
    assert answer.json() == {"name": "student", "email": "student@example.com", "nickname": "Stu"}
    assert answer.headers["cache-control"] == "no-store"


def test_without_an_email_in_the_token_the_pools_is_given(signed_in: Ask) -> None:
    assert signed_in(email=ABSENT).json()["email"] == "s@example.com"


def test_what_is_unknown_is_null(signed_in: Ask, directory: FakeDirectory) -> None:
    directory.users["student"] = {"sub": SUB}
    answer = signed_in(email=ABSENT)
    assert answer.json() == {"name": "student", "email": None, "nickname": None}


def test_a_deleted_user_is_refused(signed_in: Ask, directory: FakeDirectory) -> None:
    directory.users.clear()
    answer = signed_in()
    refusal(answer, 401, "Unauthorized")
    assert "no longer exists" in str(challenge(answer))


def test_a_user_made_anew_under_the_same_name_is_another_user(
    signed_in: Ask, directory: FakeDirectory
) -> None:
    directory.users["student"] = {"sub": "another"}
    refusal(signed_in(), 401, "Unauthorized")


def test_a_pool_that_does_not_answer_is_a_503(signed_in: Ask, directory: FakeDirectory) -> None:
    directory.down = True
    refusal(signed_in(), 503, "Service Unavailable")


# --- the directory, against a pool that says what the test wants -------------------------------


class PoolServer:
    """Answers AdminGetUser over HTTP and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.status = 200
        self.answer: dict[str, Any] = {
            "Username": "student",
            "Enabled": True,
            "UserAttributes": [{"Name": "sub", "Value": SUB}, {"Name": "nickname", "Value": "Stu"}],
        }
        self.delay = 0.0
        self.url = ""

    def fail(self, kind: str, status: int = 400) -> None:
        self.status = status
        self.answer = {"__type": kind, "message": "no"}

    @contextmanager
    def running(self) -> Iterator[PoolServer]:
        pool = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                pool.calls += 1
                self.rfile.read(int(self.headers["content-length"]))
                time.sleep(pool.delay)
                body = json.dumps(pool.answer).encode()
                self.send_response(pool.status)
                self.send_header("content-type", "application/x-amz-json-1.1")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    return  # the client had enough of waiting

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        yield self
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def pool_server() -> Iterator[PoolServer]:
    with PoolServer().running() as server:
        yield server


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def cognito(
    pool_server: PoolServer,
    clock: list[float],
    aws_session: boto3.session.Session,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[CognitoDirectory]:
    clients = []

    class Session(SharedSession):
        def create_client(self, *args: Any, **kwargs: Any) -> Any:
            clients.append(super().create_client(*args, **kwargs))
            return clients[-1]

    monkeypatch.setattr("botocore.session.get_session", lambda: Session(aws_session))
    yield CognitoDirectory(
        POOL_ID, region="eu-central-1", endpoint_url=pool_server.url, clock=lambda: clock[0]
    )
    for each in clients:
        each.close()


def test_a_user_is_looked_up_once_a_minute(
    cognito: CognitoDirectory, pool_server: PoolServer, clock: list[float]
) -> None:
    assert cognito.attributes("student") == {"sub": SUB, "nickname": "Stu"}
    clock[0] += CACHE_SECONDS - 1
    cognito.attributes("student")
    assert pool_server.calls == 1
    clock[0] += 1
    cognito.attributes("student")
    assert pool_server.calls == 2


def test_what_is_kept_is_bounded_and_the_longest_unused_goes_first(
    cognito: CognitoDirectory, pool_server: PoolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CACHE_USERS >= 1000
    monkeypatch.setattr("app.userinfo.CACHE_USERS", 2)
    for name in ("a", "b", "a", "c", "a"):
        cognito.attributes(name)
    assert pool_server.calls == 3
    cognito.attributes("b")
    assert pool_server.calls == 4


def test_a_user_who_is_not_there_is_none_and_asked_for_again(
    cognito: CognitoDirectory, pool_server: PoolServer
) -> None:
    pool_server.fail("UserNotFoundException")
    assert cognito.attributes("student") is None
    assert cognito.attributes("student") is None
    assert pool_server.calls == 2


def test_a_disabled_user_is_none(cognito: CognitoDirectory, pool_server: PoolServer) -> None:
    pool_server.answer["Enabled"] = False
    assert cognito.attributes("student") is None


@pytest.mark.parametrize(
    ("kind", "status", "logged"),
    [
        ("TooManyRequestsException", 400, False),
        ("InternalErrorException", 500, True),
        ("NotAuthorizedException", 400, True),
        ("ResourceNotFoundException", 400, True),
    ],
)
def test_a_pool_that_refuses_is_unavailable(
    cognito: CognitoDirectory,
    pool_server: PoolServer,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    status: int,
    logged: bool,
) -> None:
    pool_server.fail(kind, status)
    with pytest.raises(DirectoryUnavailable):
        cognito.attributes("student")
    assert (kind in caplog.text) is logged


def test_a_pool_that_is_slow_is_given_up_within_five_seconds(
    cognito: CognitoDirectory, pool_server: PoolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool_server.delay = 10
    monkeypatch.setattr("app.userinfo.READ_SECONDS", 0.1)
    started = time.monotonic()
    with pytest.raises(DirectoryUnavailable):
        cognito.attributes("student")
    assert time.monotonic() - started < 5
    pool_server.delay = 0


def test_an_unreachable_pool_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    cognito = CognitoDirectory(POOL_ID, region="eu-central-1", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(DirectoryUnavailable):
        cognito.attributes("student")


def test_a_failure_is_not_kept(cognito: CognitoDirectory, pool_server: PoolServer) -> None:
    answer = pool_server.answer
    pool_server.fail("TooManyRequestsException")
    with pytest.raises(DirectoryUnavailable):
        cognito.attributes("student")
    pool_server.status, pool_server.answer = 200, answer
    assert cognito.attributes("student")


def test_someone_elses_userinfo_is_never_given(sign_in: SignIn, directory: FakeDirectory) -> None:
    directory.users["teacher"] = {"sub": SUB, "nickname": "T"}
    assert sign_in("teacher").get("/userinfo").json()["name"] == "teacher"
    assert sign_in("student").get("/userinfo").json()["nickname"] == "Stu"
