"""A contender in a process of its own, told what to do line by line: ``python -m … MODULE``.

Reads one JSON object a line from standard input and writes one back for each, on a copy of
standard output (what a contender prints goes to standard error).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any


class Context:
    """What Lambda's runtime hands to a handler."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"
    function_name = "notes"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:notes"
    memory_limit_in_mb = "1769"
    log_group_name = "/aws/lambda/notes"
    log_stream_name = "2026/11/21/[$LATEST]0"

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left."""
        return 30_000


def resident(pid: int | None = None) -> int:
    """Return the bytes of memory that a process occupies."""
    with open(f"/proc/{pid or 'self'}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main(module: str) -> None:
    """Serve until standard input ends."""
    wire = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    handler = importlib.import_module(module).handler
    context = Context()
    for line in sys.stdin:
        order = json.loads(line)
        wire.write(json.dumps(_obey(order, handler, context)) + "\n")
        wire.flush()


def _obey(order: dict[str, Any], handler: Any, context: Context) -> Any:
    event, text = order.get("event"), json.dumps(order.get("event"))
    if order["do"] == "answer":
        answer = handler(event, context)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {"answer": dict(answer), "cpu": usage.ru_utime + usage.ru_stime}
    if order["do"] == "loop":
        # Each event is parsed anew, as Lambda's runtime does it, and a handler may change it.
        loads = json.loads
        events = order["events"]
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(events):
            handler(loads(text), context)
        return {
            "wall": (time.perf_counter() - wall) / events,
            "cpu": (time.process_time() - cpu) / events,
        }
    if order["do"] == "memory":
        gc.collect()
        return {"resident": resident()}
    raise ValueError(order["do"])


class Worker:
    """The other end: starts such a process and talks to it."""

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", module],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.module = module

    def ask(self, do: str, **order: Any) -> Any:
        """Give an order and wait for what comes of it.

        Raises:
            RuntimeError: the contender broke; why stands on standard error.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.module} broke (exit code {self.process.wait()})")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self.process.communicate()


if __name__ == "__main__":
    main(sys.argv[1])
