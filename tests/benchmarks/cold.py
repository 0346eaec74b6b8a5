"""Measure 2: a fresh process and its first authorised answer, wall and CPU."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.contenders import (
    CHALICE,
    COGNITO,
    FLOOR,
    OURS,
    POWERTOOLS,
    TUTORIAL,
    Contender,
    check,
)
from tests.benchmarks.dynamodb import Table, open_table
from tests.benchmarks.report import Measure, Value
from tests.benchmarks.worker import Worker
from tests.benchmarks.world import World

SHIPPED = "ours, keys shipped"
OURS_DYNAMODB = "ours, DynamoDB"
POWERTOOLS_BOTO3 = "Powertools with boto3, DynamoDB"


@dataclass(frozen=True, slots=True)
class _Start:
    name: str
    contender: Contender
    environment: dict[str, str]


def measure(world: World, *, quick: bool) -> list[Measure]:
    """Start every contender several times, in turn."""
    with open_table(world) as table:
        starts = _starts(world, table)
        for start in starts:  # once before it counts: bytecode, the disk's cache
            _first_answer(world, start)
        rounds = 2 if quick else 15
        samples: dict[str, list[tuple[float, float]]] = {start.name: [] for start in starts}
        for number in range(rounds):
            for index in range(len(starts)):
                start = starts[(index + number) % len(starts)]
                samples[start.name].append(_first_answer(world, start))
    return [
        _measure("2 wall", "wall", samples, lambda sample: sample[0]),
        _measure("2 cpu", "CPU", samples, lambda sample: sample[1]),
    ]


def _starts(world: World, table: Table) -> list[_Start]:
    environment = world.environment(AWS_LAMBDA_FUNCTION_NAME="notes")
    ours = environment | {
        "NOTES_STORE": f"dynamodb://{table.name}",
        "AWS_ENDPOINT_URL_DYNAMODB": table.url,
    }
    theirs = environment | {"NOTES_TABLE": table.name, "AWS_ENDPOINT_URL_DYNAMODB": table.url}
    return [
        _Start(OURS.name, OURS, environment),
        _Start(SHIPPED, OURS, environment | {"COGNITO_JWKS": json.dumps(world.pool.jwks)}),
        *(
            _Start(each.name, each, environment)
            for each in (TUTORIAL, COGNITO, POWERTOOLS, CHALICE, FLOOR)
        ),
        _Start(OURS_DYNAMODB, OURS, ours),
        _Start(POWERTOOLS_BOTO3, POWERTOOLS, theirs),
    ]


def _first_answer(world: World, start: _Start) -> tuple[float, float]:
    """Return seconds of wall and of CPU from nothing to the first answer."""
    began = time.perf_counter()
    worker = Worker(start.contender.module, start.environment)
    try:
        found = worker.ask("answer", event=world.event())
        wall = time.perf_counter() - began
    finally:
        worker.close()
    check(world, start.contender, found["answer"])
    return wall, found["cpu"]


def _measure(
    id_: str,
    kind: str,
    samples: dict[str, list[tuple[float, float]]],
    pick: Callable[[tuple[float, float]], float],
) -> Measure:
    values = {
        name: Value.of([1000 * pick(sample) for sample in found], "ms")
        for name, found in samples.items()
    }
    ours = values[OURS_DYNAMODB]
    result = Measure(
        id_,
        f"cold: a fresh process to its first answer, {kind}",
        values.pop(OURS.name),
        values,
        remarks={CHALICE.name: CHALICE.remark},
    )
    result.at_most(0.8, TUTORIAL.name)
    result.at_most(1.2, POWERTOOLS_BOTO3, of=(OURS_DYNAMODB, ours))
    return result
