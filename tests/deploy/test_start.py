"""How the handler starts, and what a start from a snapshot renews: in this process, at once."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI

from app import lambda_handler
from app.adapter import make_handler, new_loop
from app.settings import Settings, load_settings
from app.store import DynamoNotes
from tests.api import MakeApp
from tests.doors import rest_event
from tests.store_fixtures import REGION
from tests.tokens import CLIENT_ID, POOL_ID, Pool

InThread = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def in_thread() -> Iterator[InThread]:
    """Return what runs a function where Lambda would: on a thread with no loop of the tests'."""
    with ThreadPoolExecutor(1) as executor:
        yield lambda function: executor.submit(function).result()
        executor.submit(_close_loop).result()


def _close_loop() -> None:
    try:
        asyncio.get_event_loop_policy().get_event_loop().close()
    except RuntimeError:
        return


@pytest.fixture
def settings(pool: Pool) -> Settings:
    """Settings with the key set in them, so that nothing is fetched."""
    return load_settings(
        env_file=None,
        cognito_user_pool_id=POOL_ID,
        cognito_app_client_id=CLIENT_ID,
        cognito_jwks=json.dumps(pool.jwks),
    )


@pytest.fixture
def dynamo_app(make_app: MakeApp, dynamodb_store: DynamoNotes) -> FastAPI:
    """The app on DynamoDB."""
    return make_app(dynamodb_store)


def test_after_a_restore_the_app_goes_on_with_new_connections_keys_and_loop(
    dynamo_app: FastAPI,
    dynamodb_store: DynamoNotes,
    settings: Settings,
    pool: Pool,
    in_thread: InThread,
) -> None:
    def connections() -> int:
        return len(dynamodb_store._connected._endpoint.http_session._manager.pools)

    def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_event_loop_policy().get_event_loop()

    handler = make_handler(dynamo_app)
    event = rest_event(headers=[("Authorization", pool.id_token())])
    assert in_thread(lambda: handler(event, None))["statusCode"] == 200
    before, keys = in_thread(loop), dynamo_app.state.verifier
    assert connections() == 1
    in_thread(lambda: lambda_handler.renew(dynamo_app, settings))
    assert connections() == 0
    assert before.is_closed()
    assert in_thread(loop) is not before
    assert dynamo_app.state.verifier is not keys
    assert in_thread(lambda: handler(event, None))["statusCode"] == 200


def test_a_thread_without_a_loop_gets_one(in_thread: InThread) -> None:
    in_thread(new_loop)
    in_thread(new_loop)  # and another in its place
    assert in_thread(lambda: asyncio.get_event_loop_policy().get_event_loop().is_closed()) is False


@pytest.fixture
def lambda_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[pytest.MonkeyPatch]:
    """The environment of a function on DynamoDB; nothing speaks to it at the start."""
    monkeypatch.chdir(tmp_path_factory.mktemp("task"))
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {
        "AWS_LAMBDA_FUNCTION_NAME": "notegate",
        "AWS_REGION": REGION,
        "COGNITO_USER_POOL_ID": POOL_ID,
        "COGNITO_APP_CLIENT_ID": CLIENT_ID,
        "NOTES_STORE": "dynamodb://Notes",
    }.items():
        monkeypatch.setenv(name, value)
    # Another half of the module under test, for processes of Lambda's only: Pydantic 1 stays.
    importlib.import_module("pydantic.v1")
    level = logging.getLogger().level
    yield monkeypatch
    logging.getLogger().setLevel(level)


class Hooks(ModuleType):
    """Plays ``snapshot_restore_py``, which the managed runtime brings."""

    def __init__(self) -> None:
        super().__init__("snapshot_restore_py")
        self.registered: list[tuple[Any, ...]] = []

    def register_after_restore(self, *what: Any) -> None:
        """Note what is registered."""
        self.registered.append(what)


@pytest.mark.parametrize(("kind", "expected"), [("snap-start", 1), ("on-demand", 0)])
def test_the_renewal_is_registered_where_there_are_snapshots(
    lambda_environment: pytest.MonkeyPatch, kind: str, expected: int
) -> None:
    hooks = Hooks()
    lambda_environment.setitem(sys.modules, "snapshot_restore_py", hooks)
    lambda_environment.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
    fresh = importlib.reload(lambda_handler)
    assert len(hooks.registered) == expected
    for function, app, _ in hooks.registered:
        assert function is fresh.renew
        app.state.store.close()


def test_the_table_is_made_ready_before_the_first_event(
    lambda_environment: pytest.MonkeyPatch,
) -> None:
    ready = []
    lambda_environment.setattr(DynamoNotes, "connect", lambda store: ready.append(store))
    importlib.reload(lambda_handler)
    assert len(ready) == 1


@pytest.mark.parametrize("name", ["COGNITO_USER_POOL_ID", "COGNITO_APP_CLIENT_ID", "NOTES_STORE"])
def test_a_parameter_that_is_missing_is_one_line_and_then_503_that_a_page_can_read(
    lambda_environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    lambda_environment.delenv(name)
    fresh = importlib.reload(lambda_handler)
    for _ in range(3):
        answer = fresh.handler(rest_event(), None)
        assert answer["statusCode"] == 503
        assert int(answer["headers"]["Retry-After"]) > 0
        assert answer["headers"]["Access-Control-Allow-Origin"] == "*"
        assert json.loads(answer["body"]) == {"message": "Service Unavailable"}
    (record,) = (each for each in caplog.records if each.name == "notegate")
    assert name in record.getMessage()
    assert record.exc_info is None


def test_a_pool_in_another_region_is_refused_in_lambda_only(
    lambda_environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lambda_environment.setenv("AWS_REGION", "us-east-1")
    fresh = importlib.reload(lambda_handler)
    assert fresh.handler(rest_event(), None)["statusCode"] == 503
    (record,) = (each for each in caplog.records if each.name == "notegate")
    assert "is in eu-central-1, and this function in us-east-1" in record.getMessage()
    lambda_environment.delenv("AWS_LAMBDA_FUNCTION_NAME")
    assert load_settings(env_file=None).region == "us-east-1"
