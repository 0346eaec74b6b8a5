"""Lambda environments: threads that a bad handler cannot take along."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.local.gateway import environments
from app.local.gateway.throttle import TokenBucket
from tests.local.gateway.client import (
    ANY,
    INTEGRATION,
    PROXY,
    Answer,
    Client,
    definition,
    exchange,
    http_scope,
    method,
)
from tests.local.gateway.conftest import Open


def together(client: Client, *targets: str) -> list[Answer]:
    async def all_() -> list[Answer]:
        return await asyncio.gather(
            *(exchange(client.gateway, http_scope("GET", target)) for target in targets)
        )

    return client.runner.run(all_())


def hurried(milliseconds: int = 100) -> dict[str, Any]:
    integration = PROXY | {"timeoutInMillis": milliseconds}
    return definition({"/{proxy+}": {ANY: method(**{INTEGRATION: integration})}})


class Gate:
    """A handler that waits for ``/slow`` until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.calls: list[str] = []

    def __call__(self, event: Any, context: Any) -> Any:
        self.calls.append(event["path"])
        if event["path"].startswith("/slow"):
            self.opened.wait(10)
        return {"body": event["path"]}


@pytest.fixture
def gate() -> Any:
    gate = Gate()
    yield gate
    gate.opened.set()


class EvilError(Exception):
    def __str__(self) -> str:
        raise SystemExit


class SilentError(BaseException):
    def __str__(self) -> str:
        raise ValueError


class EvilDict(dict[str, Any]):
    def items(self) -> Any:
        raise KeyboardInterrupt


class EvilInt(int):
    pass


async def _coroutine() -> None: ...


def _raise(error: BaseException) -> Callable[[Any, Any], Any]:
    def handler(event: Any, context: Any) -> Any:
        raise error

    return handler


def _recursive() -> Any:
    result: list[Any] = []
    result.append(result)
    return {"body": result}


HARMFUL: dict[str, Callable[[Any, Any], Any]] = {
    "raises": _raise(ValueError("x")),
    "raises what cannot be printed": _raise(EvilError()),
    "raises no Exception, silently": _raise(SilentError()),
    "exits": lambda e, c: sys.exit(3),
    "is interrupted": _raise(KeyboardInterrupt()),
    "stops a generator": _raise(StopIteration()),
    "is cancelled": _raise(asyncio.CancelledError()),
    "recurses": lambda e, c: HARMFUL["recurses"](e, c),
    "returns a coroutine": lambda e, c: _coroutine(),
    "returns itself": lambda e, c: _recursive(),
    "returns a trap": lambda e, c: EvilDict(a=1),
    "takes no arguments": lambda: None,  # type: ignore[dict-item,misc] # the point
    "returns bytes": lambda e, c: b"",
    "returns too much": lambda e, c: {"body": "x" * 6_291_457},
    "returns too much in escapes": lambda e, c: {"body": '"' * 3_145_729},
    "returns too much in UTF-8": lambda e, c: {"body": "☕" * 2_097_153},
}


@pytest.mark.parametrize("handler", HARMFUL.values(), ids=HARMFUL)
def test_a_bad_handler_harms_only_its_own_request(open_gateway: Open, handler: Any) -> None:
    def sometimes(event: Any, context: Any) -> Any:
        return handler(event, context) if event["path"] == "/bad" else {"body": "fine"}

    client = open_gateway(None, sometimes, environments=1)
    for _ in range(2):
        assert (client("GET", "/bad").status, client("GET", "/good").body) == (502, b"fine")


def test_a_handler_may_use_its_event_loop_in_any_way(open_gateway: Open) -> None:
    async def answer() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"body": "fine"}

    async def leave_a_task_behind() -> None:
        loop = asyncio.get_running_loop()
        loop.create_task(asyncio.sleep(3600))  # that nobody keeps it is the point

    def handler(event: Any, context: Any) -> Any:
        match event["path"]:
            case "/run":
                return asyncio.run(answer())
            case "/close":
                asyncio.get_event_loop().close()
            case "/leave":
                asyncio.get_event_loop().run_until_complete(leave_a_task_behind())
        return (
            asyncio.get_event_loop().run_until_complete(answer())
            if event["path"] != "/close"
            else {}
        )

    for targets in ("/own /run /own /close /own /leave", "/own /close"):
        client = open_gateway(None, handler, environments=1)
        for target in targets.split():
            assert client("GET", target).status == 200


def test_a_task_that_refuses_to_end_does_not_keep_the_gateway_open(
    open_gateway: Open, caplog: Any
) -> None:
    async def stubborn() -> None:
        raise RuntimeError("left behind")

    def handler(event: Any, context: Any) -> Any:
        loop = asyncio.get_event_loop()
        loop.shutdown_asyncgens = stubborn  # type: ignore[method-assign] # the point
        return {}

    client = open_gateway(None, handler)
    client("GET", "/x")
    client.gateway.close()
    assert "left tasks" in caplog.text


def test_an_environment_has_one_event_at_a_time_and_there_are_only_so_many(
    open_gateway: Open,
) -> None:
    inside: list[int] = []
    most = 0
    threads = set()
    lock = threading.Lock()

    def handler(event: Any, context: Any) -> Any:
        nonlocal most
        with lock:
            inside.append(1)
            most = max(most, len(inside))
            threads.add(threading.get_ident())
        time.sleep(0.02)
        with lock:
            inside.pop()
        return {"body": event["path"]}

    client = open_gateway(None, handler, environments=3)
    targets = [f"/{number}" for number in range(12)]
    assert [a.body.decode() for a in together(client, *targets)] == targets
    assert (most, len(threads)) == (3, 3)


def test_a_quiet_gateway_starts_one_environment(open_gateway: Open) -> None:
    threads = set()

    def handler(event: Any, context: Any) -> Any:
        threads.add(threading.get_ident())
        return {}

    client = open_gateway(None, handler)
    for _ in range(5):
        client("GET", "/x")
        time.sleep(0.005)
    assert len(threads) == 1


def test_events_for_a_quick_handler_share_one_environment(
    open_gateway: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "QUICK", 5)  # on a busy machine, too
    threads = set()

    def handler(event: Any, context: Any) -> Any:
        threads.add(threading.get_ident())
        return {"body": event["path"]}

    client = open_gateway(None, handler)
    targets = [f"/{number}" for number in range(200)]
    assert [a.body.decode() for a in together(client, *targets)] == targets
    assert len(threads) == 1  # the loop waited for each


def test_a_slow_handler_does_not_hold_up_the_others_for_long(open_gateway: Open) -> None:
    def handler(event: Any, context: Any) -> Any:
        time.sleep(0.1)
        return {"body": event["path"]}

    client = open_gateway(None, handler, environments=16)
    targets = [f"/{number}" for number in range(16)]
    together(client, "/first")
    began = time.monotonic()
    assert [a.body.decode() for a in together(client, *targets)] == targets
    assert time.monotonic() - began < 1.4  # one after the other they take 1.6 s


@pytest.mark.parametrize("seconds", [0.0, 0.0015, 0.002, 0.0025, 0.005])
def test_no_result_is_lost_wherever_the_loop_stops_waiting(
    open_gateway: Open, seconds: float
) -> None:
    def handler(event: Any, context: Any) -> Any:
        time.sleep(seconds)
        if event["path"].endswith("7"):
            raise ValueError
        return {"body": event["path"]}

    client = open_gateway(None, handler, environments=3)
    pool = client.gateway._environments
    for number in range(40):
        pool._to_skip = pool._untried = 0  # it waits each time
        answer = client("GET", f"/{number}")
        if number % 10 == 7:
            assert answer.status == 502
        else:
            assert answer.body.decode() == f"/{number}"


def test_after_slow_events_quick_ones_are_waited_for_again(open_gateway: Open) -> None:
    def handler(event: Any, context: Any) -> Any:
        time.sleep(0.05 if event["path"] == "/slow" else 0)
        return {}

    client = open_gateway(None, handler)
    pool = client.gateway._environments
    together(client, *["/slow"] * 3)
    assert pool._to_skip > 0
    for _ in range(10 * environments.MAX_UNTRIED):
        client("GET", "/quick")
        if pool._to_skip == 0:
            break  # a busy machine may make some of them slow
    assert pool._to_skip == 0


def test_at_the_limit_504_while_the_environment_stays_busy(open_gateway: Open, gate: Gate) -> None:
    client = open_gateway(hurried(), gate, environments=1)
    began = time.monotonic()
    assert client("GET", "/slow").status == 504
    assert 0.09 < time.monotonic() - began < 5
    assert client("GET", "/waits").status == 504  # all are busy
    gate.opened.set()
    time.sleep(0.05)
    assert client("GET", "/next").status == 200
    # What was answered before it could begin never runs.
    assert gate.calls == ["/slow", "/next"]


def test_the_limit_counts_from_arrival(
    open_gateway: Open, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_gateway(hurried(300), gate, environments=1)
    gate.opened.set()
    monkeypatch.setattr(gate.opened, "wait", lambda timeout: time.sleep(0.2))
    first, second = together(client, "/slow/1", "/slow/2")
    assert sorted([first.status, second.status]) == [200, 504]


def test_a_stuck_environment_is_replaced_at_the_functions_timeout(
    open_gateway: Open, gate: Gate, caplog: Any
) -> None:
    client = open_gateway(hurried(100), gate, environments=1, function_timeout=0.2)
    assert client("GET", "/slow").status == 504

    async def later() -> Answer:
        await asyncio.sleep(0.2)
        return await exchange(client.gateway, http_scope("GET", "/next"))

    assert client.runner.run(later()).status == 200
    assert "killed at the function's time-out" in caplog.text
    gate.opened.set()
    time.sleep(0.05)
    assert client("GET", "/again").status == 200
    assert client.gateway._environments._outstanding == 0  # the killed one is not counted twice


def test_a_function_that_times_out_by_itself_is_502(open_gateway: Open, gate: Gate) -> None:
    client = open_gateway(None, gate, environments=1, function_timeout=0.1)
    assert client("GET", "/slow").status == 502
    assert client("GET", "/next").status == 200


def test_requests_that_wait_behind_a_killed_environment_are_answered(
    open_gateway: Open, gate: Gate
) -> None:
    client = open_gateway(None, gate, environments=1, function_timeout=0.1)
    slow, waiting = together(client, "/slow", "/waiting")
    assert (slow.status, waiting.status) == (502, 200)


def test_only_so_many_environments_are_replaced(
    open_gateway: Open, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "MAX_ABANDONED", 1)
    client = open_gateway(hurried(150), gate, environments=1, function_timeout=0.05)
    assert client("GET", "/slow").status == 502
    assert client("GET", "/slow").status == 502
    assert client("GET", "/next").status == 504  # the last one is not replaced
    gate.opened.set()
    time.sleep(0.05)
    assert client("GET", "/next").status == 200


def test_a_client_that_leaves_does_not_stop_the_event(open_gateway: Open, gate: Gate) -> None:
    client = open_gateway(None, gate)

    async def leave() -> None:
        task = asyncio.ensure_future(exchange(client.gateway, http_scope("GET", "/slow")))
        while not gate.calls:
            await asyncio.sleep(0.005)
        task.cancel()
        gate.opened.set()
        await asyncio.sleep(0.05)

    client.runner.run(leave())
    assert gate.calls == ["/slow"]
    assert client("GET", "/next").status == 200


def test_a_result_for_a_loop_that_is_gone_is_dropped(open_gateway: Open, gate: Gate) -> None:
    client = open_gateway(None, gate, environments=1)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:

        async def ask() -> None:
            task = asyncio.ensure_future(exchange(client.gateway, http_scope("GET", "/slow")))
            while not gate.calls:
                await asyncio.sleep(0.005)
            task.cancel()

        runner.run(ask())
    gate.opened.set()
    assert client("GET", "/next").status == 200


def test_close_waits_for_what_runs_and_no_longer(
    open_gateway: Open, gate: Gate, caplog: Any
) -> None:
    client = open_gateway(hurried(50), gate)
    assert client("GET", "/slow").status == 504
    pool = client.gateway._environments
    pool.close(patience=0.05)
    assert "left behind" in caplog.text
    assert client("GET", "/next").status == 502  # closed


def test_closing_during_a_kill_starts_nothing_new(open_gateway: Open, gate: Gate) -> None:
    client = open_gateway(hurried(50), gate, function_timeout=0.15)
    assert client("GET", "/slow").status == 504
    client.gateway._environments.close(patience=0.01)
    client.runner.run(asyncio.sleep(0.15))
    assert client.gateway._environments._live == []


def test_a_gateway_may_be_closed_unused_and_twice(open_gateway: Open) -> None:
    client = open_gateway()
    client.gateway.close()
    client.gateway.close()


def test_the_context_object(open_gateway: Open) -> None:
    seen: list[dict[str, Any]] = []

    def handler(event: Any, context: Any) -> Any:
        seen.append({name: getattr(context, name) for name in dir(context) if name[0] != "_"})
        seen[-1]["remaining"] = context.get_remaining_time_in_millis()
        return {}

    client = open_gateway(
        None, handler, function_name="notes", account_id="1" * 12, region="eu-x-1"
    )
    client("GET", "/a")
    client("GET", "/b")
    first, second = seen
    assert first["function_name"] == "notes"
    assert first["function_version"] == "$LATEST"
    assert first["memory_limit_in_mb"] == "128"
    assert first["invoked_function_arn"] == "arn:aws:lambda:eu-x-1:111111111111:function:notes"
    assert first["log_group_name"] == "/aws/lambda/notes"
    assert "[$LATEST]" in first["log_stream_name"]
    assert (first["client_context"], first["identity"]) == (None, None)
    assert 29_000 < first["remaining"] <= 30_000
    assert first["aws_request_id"] != second["aws_request_id"]


def test_at_least_one_environment() -> None:
    with pytest.raises(ValueError, match="environment"):
        environments.Environments(lambda e, c: None, None, 0)  # type: ignore[arg-type] # never called


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_bucket_lets_a_burst_through_and_refills() -> None:
    clock = Clock()
    bucket = TokenBucket(2, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now = 0.4
    assert not bucket.take()
    clock.now = 0.6
    assert bucket.take()
    assert not bucket.take()
    clock.now = 100
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("rate", "burst"), [(-1, 1), (1, -1)])
def test_a_bucket_is_not_negative(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        TokenBucket(rate, burst)


def test_a_throttled_request_gets_its_exact_429(open_gateway: Open) -> None:
    clock = Clock()
    client = open_gateway(throttle=(1, 2), monotonic=clock)
    assert [client("GET", "/x").status for _ in range(3)] == [200, 200, 429]
    answer = client("GET", "/x")
    assert answer.body == b'{"message":"Too Many Requests"}'
    assert answer["x-amzn-ErrorType"] == "TooManyRequestsException"
    assert answer.all("Retry-After") == []
    clock.now = 1
    assert client("GET", "/x").status == 200


def test_each_gateway_has_its_own_bucket(open_gateway: Open) -> None:
    first, second = (open_gateway(throttle=(0, 1)) for _ in range(2))
    assert [client("GET", "/x").status for client in (first, second, first)] == [200, 200, 429]
