"""Lambda on this machine: its Runtime API over HTTP, in front of the real ``awslambdaric``.

Source: "Using the Lambda runtime API for custom runtimes" and "Lambda execution environment
lifecycle" in the AWS Lambda developer guide. An ``Environment`` is one execution environment: it
starts the runtime in a process of its own, hands it one event at a time, kills it when an event
takes too long and starts it anew for the next one. What it does not play: the CPU share that goes
with the memory size, extensions, response streaming.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from app.settings import Settings

HANDLER = "app.lambda_handler.handler"
FUNCTION = "notegate"
INIT_SECONDS = 30.0
"""How long a start may take here; Lambda gives it 10 s, on a machine that nobody shares."""

_API = "/2018-06-01/runtime"


class FunctionError(Exception):
    """The function raised; ``payload`` is what the runtime reported."""

    def __init__(self, payload: dict[str, Any]) -> None:
        super().__init__(payload.get("errorMessage", ""))
        self.payload = payload


class InitError(FunctionError):
    """The function could not be started."""


class TimedOut(Exception):
    """The event took longer than the function may; its process was killed."""


class Crashed(Exception):
    """The process ended while it had an event."""


class Answer(NamedTuple):
    """What the runtime posted. ``kind``: response, error, init/error or restore/error."""

    kind: str
    payload: Any


class Timing(NamedTuple):
    """Seconds of a start and its first event, from the start of the process."""

    init: float
    first_answer: float


class _RuntimeApi(ThreadingHTTPServer):
    """The Runtime API for one process: it lives and dies with it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.events: queue.Queue[tuple[str, bytes, float] | None] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.ready = threading.Event()  # the runtime asked for its first event
        self.snapshot = threading.Event()  # it asked to be restored
        self.restored = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet of connections that a killed process left behind; the rest is a bug."""
        if not isinstance(sys.exception(), ConnectionError):
            raise


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _RuntimeApi

    def do_GET(self) -> None:
        api = self.server
        if self.path == f"{_API}/restore/next":
            api.snapshot.set()
            api.restored.wait()
            self._say(200)
        elif self.path == f"{_API}/invocation/next":
            api.ready.set()
            event = api.events.get()
            if event is None:  # the process is gone, or going
                self.close_connection = True
                return
            request_id, body, deadline = event
            self._say(
                200,
                body,
                {
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:"
                    f"123456789012:function:{FUNCTION}",
                    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;"
                    "Parent=9a9197af755a6419;Sampled=1",
                    "Content-Type": "application/json",
                },
            )
        else:
            self._say(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path in {f"{_API}/init/error", f"{_API}/restore/error"}:
            kind = self.path.removeprefix(f"{_API}/")
        elif self.path.startswith(f"{_API}/invocation/"):
            kind = self.path.rpartition("/")[2]
        else:
            self._say(404)
            return
        self._say(202, b'{"status":"OK"}')
        self.server.answers.put(Answer(kind, json.loads(body)))

    def _say(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Environment:
    """One execution environment; a context manager that leaves no process behind.

    Args:
        variables: the function's environment variables, on top of those that Lambda sets.
        handler: what the runtime calls.
        timeout: seconds an event may take.
        json_log: the log format of the function: JSON, or plain text.
        snap_start: whether the process is snapshotted after its start (see ``restore``).
        command: what starts the runtime; the handler's name is added.
        folder: the folder with the code (LAMBDA_TASK_ROOT), where it is not installed.
        user: number of the user it runs as; None is ours.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        handler: str = HANDLER,
        timeout: float = 10.0,
        json_log: bool = True,
        snap_start: bool = False,
        command: Sequence[str | Path] = (sys.executable, "-m", "awslambdaric"),
        folder: Path | None = None,
        user: int | None = None,
    ) -> None:
        self._variables = dict(variables)
        self._handler = handler
        self._timeout = timeout
        self._json_log = json_log
        self._snap_start = snap_start
        self._command = command
        self._folder = folder
        self._user = user
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._scratch = tempfile.TemporaryDirectory()  # Lambda's working folder has no .env
        os.chmod(self._scratch.name, 0o755)  # noqa: S103 - another user may have to enter it
        self._api: _RuntimeApi | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def __enter__(self) -> Environment:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(signal.SIGKILL)
        self._log.close()
        self._scratch.cleanup()

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables of the process: Lambda's own, then the function's.

        Source: "Defined runtime environment variables" in the developer guide.
        """
        ours = {name.upper() for name in Settings.model_fields}
        return {
            **{name: value for name, value in os.environ.items() if name not in ours},
            "AWS_LAMBDA_FUNCTION_NAME": FUNCTION,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_FORMAT": "JSON" if self._json_log else "Text",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if self._snap_start else "on-demand",
            # As in the managed runtime: it waits for events in a thread of its own.
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_REGION": "eu-central-1",
            "TZ": ":UTC",
            **({"LAMBDA_TASK_ROOT": str(self._folder)} if self._folder else {}),
            **self._variables,
        }

    @property
    def log(self) -> str:
        """All that the function wrote so far, through every start."""
        self._log.flush()
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode()

    @property
    def log_records(self) -> list[dict[str, Any]]:
        """The log of a function with the JSON format.

        Raises:
            ValueError: a line is not JSON.
        """
        return [json.loads(line) for line in self.log.splitlines()]

    @property
    def process_user(self) -> int:
        """The number of the user as whom the process runs."""
        return os.stat(f"/proc/{self._process.pid}").st_uid if self._process else -1

    @property
    def alive(self) -> bool:
        """Whether a process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; do not wait for it.

        With ``snap_start`` it stops where the snapshot is made.
        """
        self._end(signal.SIGKILL)
        self.starts += 1
        self._api = api = _RuntimeApi()
        threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True).start()
        self._process = subprocess.Popen(
            [*self._command, self._handler],
            cwd=self._folder or self._scratch.name,
            env=self.environ | {"AWS_LAMBDA_RUNTIME_API": api.address},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )

    def wait_until_ready(self) -> None:
        """Wait until the start is over: the runtime asks for an event, or to be restored.

        Raises:
            InitError: the function could not be started.
        """
        if not self.alive:
            self.start()
        api = self._running()
        until = time.monotonic() + INIT_SECONDS
        reached = api.snapshot if self._snap_start and not api.restored.is_set() else api.ready
        while not reached.wait(0.005):
            if time.monotonic() > until:
                raise TimedOut(f"the start takes longer than {INIT_SECONDS} s:\n{self.log}")
            if not self.alive:
                raise self._failed_start()

    def restore(self) -> None:
        """Take the snapshot, if need be, and go on from it.

        The process goes on itself: nothing here can make a copy of it.
        """
        self.wait_until_ready()
        self._running().restored.set()
        self.wait_until_ready()

    def invoke(self, event: Any, *, request_id: str = "") -> Any:
        """Return the function's answer to an event; start the process if none runs.

        Raises:
            FunctionError: the function raised.
            TimedOut: it took too long.
            Crashed: its process ended.
            InitError: it could not be started.
        """
        if not self.alive:
            self.start()
        if self._snap_start and not self._running().restored.is_set():
            self.restore()
        self.wait_until_ready()
        return self._exchange(event, request_id)

    def time_cold_start(self, event: Any) -> Timing:
        """Measure a start in a new process, from its beginning to the answer to one event."""
        self._end(signal.SIGKILL)
        began = time.perf_counter()
        self.start()
        self.wait_until_ready()
        init = time.perf_counter() - began
        self._exchange(event, "")
        return Timing(init, time.perf_counter() - began)

    def terminate(self) -> int:
        """Send SIGTERM, as Lambda does at the end of an environment; return the exit code.

        Lambda kills what is left after 2 s; so does this.
        """
        return self._end(signal.SIGTERM)

    def _running(self) -> _RuntimeApi:
        if self._api is None:
            raise RuntimeError("nothing runs")
        return self._api

    def _exchange(self, event: Any, request_id: str) -> Any:
        api = self._running()
        deadline = time.time() + self._timeout
        until = time.monotonic() + self._timeout
        api.events.put((request_id or str(uuid.uuid4()), json.dumps(event).encode(), deadline))
        while True:
            try:
                answer = api.answers.get(timeout=0.05)
                break
            except queue.Empty:
                if time.monotonic() > until:
                    self._end(signal.SIGKILL)
                    raise TimedOut(f"no answer within {self._timeout} s") from None
                if not self.alive:
                    raise Crashed(self.log) from None
        if answer.kind != "response":
            raise FunctionError(answer.payload)
        return answer.payload

    def _failed_start(self) -> InitError:
        answers = self._running().answers
        payload = answers.get().payload if not answers.empty() else {"errorMessage": self.log}
        return InitError(payload)

    def _end(self, how: signal.Signals) -> int:
        process, api = self._process, self._api
        self._process = self._api = None
        if process is None or api is None:
            return 0
        process.send_signal(how)
        try:
            code = process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        api.events.put(None)
        api.restored.set()
        api.shutdown()
        api.server_close()
        return code
