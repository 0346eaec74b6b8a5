"""Measure 1: the warm Lambda handler, time per event."""

from __future__ import annotations

from contextlib import ExitStack

from tests.benchmarks.contenders import CHALICE, EVERYBODY, OURS, POWERTOOLS, TUTORIAL, check
from tests.benchmarks.report import Measure, Value
from tests.benchmarks.worker import Worker
from tests.benchmarks.world import World


def measure(world: World, *, quick: bool) -> list[Measure]:
    """Run all contenders' handlers in turn, some events each, several rounds."""
    rounds, events = (3, 100) if quick else (15, 1000)
    environment = world.environment(AWS_LAMBDA_FUNCTION_NAME="notes")
    event, forged = world.event(), world.event(token=world.forged_token)
    times: dict[str, list[dict[str, float]]] = {each.name: [] for each in EVERYBODY}
    with ExitStack() as stack:
        workers = {}
        for each in EVERYBODY:
            worker = workers[each.name] = Worker(each.module, environment)
            stack.callback(worker.close)
            answer = worker.ask("answer", event=event)["answer"]
            check(world, each, answer, worker.ask("answer", event=forged)["answer"])
            worker.ask("loop", event=event, events=events)
        for number in range(rounds):
            for index in range(len(EVERYBODY)):
                name = EVERYBODY[(index + number) % len(EVERYBODY)].name
                times[name].append(workers[name].ask("loop", event=event, events=events))
    measures = []
    for kind in ("wall", "cpu"):
        values = {
            name: Value.of([1e6 * each[kind] for each in found], "µs")
            for name, found in times.items()
        }
        result = Measure(
            f"1 {kind}",
            f"warm GET /notes through the Lambda handler, {kind} time per event",
            values.pop(OURS.name),
            values,
            remarks={CHALICE.name: CHALICE.remark},
        )
        if kind == "wall":
            result.at_most(1.0, POWERTOOLS.name)
            result.at_most(0.4, TUTORIAL.name)
        measures.append(result)
    return measures
