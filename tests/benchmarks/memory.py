"""Measure 8: resident memory after 100,000 requests against after 1,000."""

from __future__ import annotations

from tests.benchmarks.contenders import OURS
from tests.benchmarks.report import Measure, Value
from tests.benchmarks.server import uvicorn, wrk
from tests.benchmarks.worker import Worker, resident
from tests.benchmarks.world import World

FEW = 1_000


def measure(world: World, *, quick: bool) -> list[Measure]:
    """Send the requests to the Lambda handler and to the server."""
    many = 5_000 if quick else 100_000
    return [
        _result("8 Lambda", "Lambda handler", many, *_handler(world, many)),
        _result("8 server", "server", many, *_server(world, many)),
    ]


def _result(id_: str, door: str, many: int, before: int, after: int) -> Measure:
    peer = f"after {FEW:,}"
    result = Measure(
        id_,
        f"resident memory of the {door} after {many:,} requests",
        Value.of([after / 2**20], "MiB"),
        {peer: Value.of([before / 2**20], "MiB")},
    )
    result.at_most(1.1, peer)
    return result


def _handler(world: World, many: int) -> tuple[int, int]:
    worker = Worker(OURS.module, world.environment(AWS_LAMBDA_FUNCTION_NAME="notes"))
    try:
        worker.ask("loop", event=world.event(), events=FEW)
        before = worker.ask("memory")["resident"]
        worker.ask("loop", event=world.event(), events=many - FEW)
        return before, worker.ask("memory")["resident"]
    finally:
        worker.close()


def _server(world: World, many: int) -> tuple[int, int]:
    with uvicorn(world, "app.main:app") as door:
        done = 0
        while done < FEW:
            done += wrk(door, 1)[1]
        before = resident(door.process.pid)
        while done < many:
            done += wrk(door, 2)[1]
        return before, resident(door.process.pid)
