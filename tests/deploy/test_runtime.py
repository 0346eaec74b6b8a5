"""The function under the real ``awslambdaric``, in a process of its own: events in, answers out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.adapter import Event
from tests.deploy.conftest import StartFunction
from tests.deploy.runtime_api import Environment, FunctionError, InitError, TimedOut
from tests.doors import rest_event
from tests.store.endpoints import Act, endpoint
from tests.tokens import POOL_ID, Pool

pytestmark = pytest.mark.deploy


def post(pool: Pool, text: str) -> Event:
    headers = [
        ("Authorization", pool.id_token(**{"cognito:username": "runtime"})),
        ("Content-Type", "application/json"),
    ]
    body = json.dumps({"NoteId": "7", "Note": text}).encode()
    return rest_event("POST", headers=headers, body=body)


def at_error(function: Environment) -> list[dict[str, Any]]:
    return [line for line in function.log_records if line["level"] in {"ERROR", "WARNING"}]


def test_events_in_answers_out(start_function: StartFunction, pool: Pool, event: Event) -> None:
    function = start_function()
    assert function.invoke(post(pool, "Grüße 🎈"))["statusCode"] in {200, 201}
    token = pool.id_token(**{"cognito:username": "runtime"})
    answer = function.invoke(rest_event(url="/notes/7", headers=[("Authorization", token)]))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["Note"] == "Grüße 🎈"
    assert function.invoke(event)["body"] == "[]"
    assert function.invoke(rest_event())["statusCode"] == 401
    assert function.starts == 1


def test_each_line_of_the_json_log_is_json_and_names_its_request(
    start_function: StartFunction, pool: Pool, event: Event
) -> None:
    function = start_function(LOG_LEVEL="DEBUG")
    function.invoke(post(pool, "a secret"), request_id="first")
    function.invoke(event, request_id="second")
    function.invoke(rest_event(), request_id="third")
    records = function.log_records
    assert records
    assert all({"timestamp", "level", "message", "requestId"} <= set(each) for each in records)
    assert {each["requestId"] for each in records} <= {"", "first", "second", "third"}
    # Before the first event there is no request; what is said then is of the start.
    of_requests = [each["requestId"] for each in records if each["requestId"]]
    assert set(of_requests) == {"first", "second", "third"}
    token = event["headers"]["Authorization"]
    assert "a secret" not in function.log
    assert token.removeprefix("Bearer ") not in function.log


def test_the_plain_log_names_the_request_too(start_function: StartFunction, event: Event) -> None:
    function = start_function(options={"json_log": False})
    function.invoke(event, request_id="plain-request")
    lines = [line for line in function.log.splitlines() if line]
    assert lines
    assert all("\tplain-request\t" in line for line in lines)


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_while_dynamodb_is_down_the_answer_is_503_in_time(
    start_function: StartFunction, event: Event, dynamodb_endpoint: str, how: str
) -> None:
    with endpoint(dynamodb_endpoint) as dynamodb:
        function = start_function(AWS_ENDPOINT_URL_DYNAMODB=dynamodb.url)
        assert function.invoke(event)["statusCode"] == 200
        if how == "silent":
            dynamodb.default = Act.STALL
        else:
            dynamodb.default = Act.LOSE
        began = time.monotonic()
        answer = function.invoke(event)
        assert time.monotonic() - began < 5
        assert answer["statusCode"] == 503
        assert int(answer["headers"]["retry-after"]) > 0
        dynamodb.stopped.set()
        dynamodb.default = Act.FORWARD
        assert function.invoke(event)["statusCode"] == 200  # and the environment lives on
    assert function.starts == 1


def test_after_a_timeout_the_next_event_finds_a_new_process(
    start_function: StartFunction, event: Event
) -> None:
    with endpoint(default=Act.STALL) as dynamodb:
        function = start_function(options={"timeout": 1.0}, AWS_ENDPOINT_URL_DYNAMODB=dynamodb.url)
        with pytest.raises(TimedOut):
            function.invoke(event)
        assert not function.alive
        assert function.invoke(rest_event(url="/healthz"))["statusCode"] == 200
        assert function.starts == 2


def test_sigterm_ends_it_at_once_and_without_a_word(
    start_function: StartFunction, event: Event
) -> None:
    function = start_function()
    function.invoke(event)
    said = function.log
    began = time.monotonic()
    code = function.terminate()
    assert time.monotonic() - began < 1
    assert code in {0, -15}
    assert function.log == said
    assert function.invoke(event)["statusCode"] == 200


def test_what_is_no_request_at_all_is_an_error_of_the_function(
    start_function: StartFunction,
) -> None:
    function = start_function()
    with pytest.raises(FunctionError, match="unable to infer") as raised:
        function.invoke({"Records": []})
    assert raised.value.payload["errorType"] == "RuntimeError"
    assert function.invoke(rest_event(url="/healthz"))["statusCode"] == 200


def test_a_handler_that_is_not_there_is_an_error_of_the_start(
    start_function: StartFunction,
) -> None:
    function = start_function(options={"handler": "app.nowhere.handler"})
    with pytest.raises(InitError, match="nowhere"):
        function.invoke({})


# --- wrong parameters ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        pytest.param({"COGNITO_USER_POOL_ID": ""}, "COGNITO_USER_POOL_ID", id="no pool"),
        pytest.param({"COGNITO_APP_CLIENT_ID": ""}, "COGNITO_APP_CLIENT_ID", id="no client"),
        pytest.param({"NOTES_STORE": ""}, "NOTES_STORE", id="no store"),
        pytest.param(
            {"COGNITO_USER_POOL_ID": POOL_ID.replace("eu-central-1", "us-east-1")},
            "us-east-1",
            id="a pool in another region",
        ),
        pytest.param({"COGNITO_JWKS": "{}"}, "COGNITO_JWKS", id="no key set"),
    ],
)
def test_a_wrong_variable_is_one_line_in_the_log_and_503_for_everybody(
    start_function: StartFunction, event: Event, variables: dict[str, str], words: str
) -> None:
    function = start_function(**variables)
    for _ in range(3):
        answer = function.invoke(event)
        assert answer["statusCode"] == 503
        assert json.loads(answer["body"]) == {"message": "Service Unavailable"}
    (line,) = at_error(function)
    assert words in line["message"]
    assert "Traceback" not in function.log
    assert "stackTrace" not in line


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        pytest.param(None, "not found", id="no table"),
        pytest.param([("Id", "S", "HASH")], "is its key UserId", id="another key"),
        pytest.param(
            [("UserId", "S", "HASH"), ("NoteId", "S", "RANGE")],
            "is its key UserId",
            id="another type",
        ),
    ],
)
def test_a_wrong_table_is_one_line_in_the_log_and_503(
    start_function: StartFunction,
    pool: Pool,
    event: Event,
    dynamodb: Any,
    keys: list[tuple[str, str, str]] | None,
    words: str,
) -> None:
    table = f"Wrong-{len(keys or ())}-{time.time_ns()}"
    if keys:
        dynamodb.create_table(
            TableName=table,
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind, _ in keys
            ],
            KeySchema=[{"AttributeName": name, "KeyType": role} for name, _, role in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    function = start_function(NOTES_STORE=f"dynamodb://{table}")
    for each in (post(pool, "x"), post(pool, "y"), post(pool, "z")):
        answer = function.invoke(each)
        assert answer["statusCode"] == 503
        assert int(answer["headers"]["retry-after"]) > 0
    (line,) = at_error(function)
    assert table in line["message"]
    assert words in line["message"]
    assert "Traceback" not in function.log


# --- starts ----------------------------------------------------------------------------------


def imported(variables: dict[str, str], folder: Path, program: str = "") -> set[str]:
    """Return what a fresh process has imported when it is ready for its first event."""
    code = f"import app.lambda_handler, sys\n{program}\nprint(*sys.modules)"
    ours = ("COV", "COGNITO_", "NOTES_", "AWS_ENDPOINT")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    lambdas = {"AWS_LAMBDA_FUNCTION_NAME": "notegate", "AWS_REGION": "eu-central-1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environ | lambdas | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


NOT_FOR_THE_FIRST_ANSWER = {
    "a2wsgi",
    "app.local",
    "boto3",
    "h11",
    "httpcore",
    "httpx",
    "jsonschema",
    "moto",
    "pydantic.v1.main",
    "s3transfer",
    "snapshot_restore_py",
    "typer",
    "uvicorn",
    "yaml",
}


def test_a_start_imports_nothing_that_the_first_answer_does_not_need(
    function_variables: dict[str, str], tmp_path: Path
) -> None:
    loaded = imported(function_variables, tmp_path)
    assert {"app.notes", "botocore.client"} <= loaded  # this one while the CPU is free
    assert not loaded & NOT_FOR_THE_FIRST_ANSWER


def test_the_first_answer_imports_nothing_more_of_that(
    function_variables: dict[str, str], tmp_path: Path, event: Event
) -> None:
    program = f"import json; app.lambda_handler.handler(json.loads({json.dumps(event)!r}), None)"
    assert not imported(function_variables, tmp_path, program) & NOT_FOR_THE_FIRST_ANSWER


def test_a_cold_start_is_measured_to_the_first_authorised_answer(
    start_function: StartFunction, event: Event
) -> None:
    function = start_function()
    function.invoke(event)  # bytecode is there now
    timings = [function.time_cold_start(event) for _ in range(3)]
    best = min(timings, key=lambda timing: timing.first_answer)
    assert 0 < best.init < best.first_answer
    # All that takes long is done before the first event, on Lambda's own time.
    assert best.first_answer - best.init < best.init / 2


# --- SnapStart -------------------------------------------------------------------------------


def test_from_a_snapshot_it_goes_on_with_everything_renewed(
    start_function: StartFunction, event: Event, dynamodb_endpoint: str
) -> None:
    with endpoint(dynamodb_endpoint) as dynamodb:
        function = start_function(
            options={"snap_start": True}, AWS_ENDPOINT_URL_DYNAMODB=dynamodb.url
        )
        function.start()
        function.wait_until_ready()  # the snapshot
        assert dynamodb.calls == []  # nothing in it of anybody's notes
        function.restore()
        for _ in range(2):
            assert function.invoke(event)["statusCode"] == 200
    assert at_error(function) == []
