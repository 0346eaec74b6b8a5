"""Lambda environments: threads, each with its own event loop, each with one event at a time."""

from __future__ import annotations

import asyncio
import decimal
import inspect
import json
import logging
import os
import threading
import time
from queue import SimpleQueue
from typing import Any

from app.local.gateway.event import too_large
from app.local.gateway.function import Context, Function, Handler
from app.local.gateway.wire import request_id

log = logging.getLogger("notegate.gateway")

QUICK = 0.002
"""Seconds for which the gateway's loop waits for a quick handler and does nothing else,"""

MAX_BEFORE = 10
"""and so for each event before it, up to this many,"""

MAX_UNTRIED = 255
"""but not for so many events once a handler was not quick (first 1, then 3, 7, …)."""

MAX_ABANDONED = 16
"""Threads left behind with a handler that does not return, before none is replaced any more."""


class FunctionError(Exception):
    """The invocation gave no result; ``payload`` is Lambda's account of it."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"{error_type}: {message}")
        self.payload = {"errorMessage": message, "errorType": error_type}


class EndpointTimedOut(Exception):
    """The integration's time was over before the function's result came."""


Outcome = tuple[str, Any] | Exception


class _Job:
    """One event on its way. Its result is for whoever looks first: see ``Environments._at_once``.

    ``done`` is locked until ``outcome`` is there; ``awaited``, once set, says that the gateway's
    loop wants to be called when it is.
    """

    __slots__ = (
        "awaited",
        "deadline",
        "done",
        "environment",
        "event",
        "future",
        "given_up",
        "loop",
        "outcome",
        "started",
        "timer",
    )

    def __init__(self, event: str, deadline: float) -> None:
        self.event = event
        self.deadline = deadline
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[tuple[str, Any]]
        self.timer: asyncio.TimerHandle
        self.done = threading.Lock()
        self.done.acquire()
        self.outcome: Outcome
        self.awaited = False
        self.environment: _Environment | None = None
        self.started = 0.0
        self.given_up = False


class Environments:
    """Runs a handler in at most ``size`` environments, started as they are needed.

    When all are busy, events wait in order: a burst would meet cold starts there. An event whose
    time is over before an environment was free is never run. An environment whose handler does
    not return within the function's time-out is replaced, as Lambda would kill it; a thread cannot
    be killed, so it stays until its handler returns, and ``MAX_ABANDONED`` bounds how many do.

    Args:
        handler: called with the event and a context.
        function: what the context says.
        size: how many environments there may be.
    """

    def __init__(self, handler: Handler, function: Function, size: int) -> None:
        if size < 1:
            raise ValueError("at least one environment is needed")
        self._handler = handler
        self._function = function
        self._size = size
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards what follows
        self._live: list[_Environment] = []
        self._abandoned: list[_Environment] = []
        self._outstanding = 0
        self._closed = False
        # In the gateway's loop only: how many invocations were not waited for, of how many.
        self._untried = self._to_skip = 0

    async def invoke(self, event: str, deadline: float) -> tuple[str, Any]:
        """Return the result as JSON text and parsed.

        Args:
            event: JSON text.
            deadline: when waiting ends, by ``time.monotonic``.

        Raises:
            FunctionError: it raised, exited, returned what is no JSON, timed out by itself.
            EndpointTimedOut: the deadline passed; the handler may be running still.
        """
        job = _Job(event, deadline)
        with self._lock:
            if self._closed:
                raise FunctionError("Gateway.Closed", "the gateway is closed")
            self._outstanding += 1
            self._grow()
            self._jobs.put(job)
        if not self._at_once(job):
            job.future = job.loop.create_future()
            limit = min(deadline - time.monotonic(), self._function.timeout)
            job.timer = job.loop.call_later(max(0.0, limit), self._tick, job)
            job.awaited = True
            if not job.done.acquire(blocking=False):  # it may have come just before that
                return await job.future
            job.timer.cancel()
            job.future.cancel()
        if isinstance(job.outcome, Exception):
            raise job.outcome
        return job.outcome

    def _at_once(self, job: _Job) -> bool:
        """Wait for a quick handler without letting the loop go on; whether its result is there.

        Two threads of one interpreter that both have something to do take its lock from each
        other at every system call, which was half of a request's time. So the loop stands still
        for as long as a quick handler takes. After one that was not quick the next ones are not
        waited for, up to MAX_UNTRIED of them: a slow handler must not stop others' requests.
        """
        if self._untried < self._to_skip:
            self._untried += 1
            return False
        self._untried = 0
        # Those before it come first.
        if job.done.acquire(timeout=QUICK * min(self._outstanding, MAX_BEFORE)):
            self._to_skip = 0
            return True
        self._to_skip = min(2 * self._to_skip + 1, MAX_UNTRIED)
        return False

    def close(self, patience: float = 2.0) -> None:
        """Let running handlers finish for ``patience`` seconds, and end every idle thread."""
        with self._lock:
            self._closed = True
            threads = [*self._live, *self._abandoned]
        for _ in threads:
            self._jobs.put(None)
        until = time.monotonic() + patience
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                log.warning("%s: its handler did not return; left behind", thread.name)

    def _grow(self) -> None:
        if self._outstanding > len(self._live) and len(self._live) < self._size:
            environment = _Environment(self)
            self._live.append(environment)
            environment.start()

    # In the gateway's loop:

    def _tick(self, job: _Job) -> None:
        """Look at a job whose first time limit has come; comes back for the function's own."""
        now = time.monotonic()
        overdue = job.started and now >= job.started + self._function.timeout
        if overdue:
            self._abandon(job)
            self._fail(job, FunctionError("Sandbox.Timedout", "the function timed out"))
            return
        if now >= job.deadline:
            job.given_up = True
            self._fail(job, EndpointTimedOut())
            if not job.started:
                return
        nearest = job.started + self._function.timeout if job.started else job.deadline
        job.timer = job.loop.call_later(max(0.001, nearest - now), self._tick, job)

    def _abandon(self, job: _Job) -> None:
        environment = job.environment
        with self._lock:
            self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
            if environment not in self._live or len(self._abandoned) >= MAX_ABANDONED:
                return
            environment.retired = True
            self._live.remove(environment)
            self._abandoned.append(environment)
            self._outstanding -= 1
            if not self._closed:
                self._grow()
        log.warning("%s: killed at the function's time-out", environment.name)

    @staticmethod
    def _fail(job: _Job, error: Exception) -> None:
        if not job.future.done():
            job.future.set_exception(error)

    @staticmethod
    def _deliver(job: _Job) -> None:
        job.timer.cancel()
        if job.future.done():
            return
        if isinstance(job.outcome, Exception):
            job.future.set_exception(job.outcome)
        else:
            job.future.set_result(job.outcome)

    # In an environment's thread:

    def _finished(self, environment: _Environment) -> None:
        with self._lock:
            if not environment.retired:
                self._outstanding -= 1


class _Environment(threading.Thread):
    """One environment. Module state is shared with the others: they are threads of one process."""

    def __init__(self, pool: Environments) -> None:
        super().__init__(name="lambda-environment", daemon=True)
        self.retired = False
        self._pool = pool
        today = time.strftime("%Y/%m/%d", time.gmtime())
        self._log_stream = f"{today}/[$LATEST]{os.urandom(16).hex()}"

    def run(self) -> None:
        pool = self._pool
        loop = asyncio.new_event_loop()
        try:
            while not self.retired:
                job = pool._jobs.get()
                if job is None:
                    break
                if job.given_up:
                    pool._finished(self)
                    continue
                if loop.is_closed():
                    loop = asyncio.new_event_loop()
                # Each time, for a handler may have called asyncio.run, which takes it away.
                asyncio.set_event_loop(loop)
                job.environment = self
                job.started = time.monotonic()
                job.outcome = self._invoke(job)
                pool._finished(self)
                job.done.release()
                if job.awaited:
                    try:
                        job.loop.call_soon_threadsafe(pool._deliver, job)
                    except RuntimeError:
                        log.info("nobody waits for this result any more")
                del job
        finally:
            _close(loop)

    def _invoke(self, job: _Job) -> Outcome:
        function = self._pool._function
        context = Context(function, request_id(), self._log_stream, job.started + function.timeout)
        try:
            result = self._pool._handler(json.loads(job.event), context)
        except BaseException as error:  # SystemExit too ends one invocation, not the gateway
            if isinstance(error, Exception):
                log.error("the handler raised", exc_info=error)
            else:
                log.error("the handler raised %s", type(error).__name__)
            kind = type(error).__name__ if isinstance(error, Exception) else "Runtime.ExitError"
            return FunctionError(kind, _text(error))
        try:
            if inspect.iscoroutine(result):
                result.close()  # the runtime does not await it either
            text = _encode(result)
            text.encode()
            if too_large(text):
                return FunctionError("Function.ResponseSizeTooLarge", "the result exceeds 6 MB")
            return text, json.loads(text)
        except BaseException as error:  # an object of the handler's may do anything here
            return FunctionError("Runtime.MarshalError", f"not JSON: {_text(error)}")


def _marshal(value: Any) -> Any:
    """Lambda's runtime writes a Decimal as a number, and nothing else beyond JSON."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, default=_marshal, separators=(",", ":")
).encode


def _text(error: BaseException) -> str:
    try:
        return str(error)[:1000]
    except BaseException:  # of a class of the handler's
        return type(error).__name__


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop with whatever a handler left in it."""
    if loop.is_closed():
        return
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=1))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except Exception:
        log.exception("a handler left tasks that do not end")
    finally:
        asyncio.set_event_loop(None)
        loop.close()
