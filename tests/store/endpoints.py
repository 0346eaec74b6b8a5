"""A DynamoDB endpoint that misbehaves on demand, in front of one that does not."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit


class Act(Enum):
    """What happens to a request."""

    FORWARD = "it is carried out and answered"
    LOSE = "it is carried out and the connection drops"
    STALL = "it is never answered"


class Refuse(NamedTuple):
    """The request is answered with an error of DynamoDB's."""

    code: str
    status: int = 400


class Endpoint:
    """``calls`` are the operations it saw; ``script`` what happens to the next ones."""

    def __init__(self, behind: str, default: Act | Refuse) -> None:
        self.behind = behind
        self.default = default
        self.script: list[Act | Refuse] = []
        self.calls: list[str] = []
        self.stopped = threading.Event()
        self.url = ""

    def next_act(self, operation: str) -> Act | Refuse:
        self.calls.append(operation)
        return self.script.pop(0) if self.script else self.default


@contextmanager
def endpoint(behind: str = "", default: Act | Refuse = Act.FORWARD) -> Iterator[Endpoint]:
    """Run an endpoint on a free port of loopback, in front of the one at ``behind``."""
    state = Endpoint(behind, default)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            act = state.next_act(self.headers["X-Amz-Target"].partition(".")[2])
            if isinstance(act, Refuse):
                error = {"__type": f"com.amazonaws.dynamodb.v20120810#{act.code}", "message": "no"}
                self.answer(act.status, json.dumps(error).encode())
            elif act is Act.STALL:
                state.stopped.wait(30)
            else:
                status, answer = self.forward(body)
                if act is Act.FORWARD:
                    self.answer(status, answer)

        def forward(self, body: bytes) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(urlsplit(state.behind).netloc)
            connection.request("POST", "/", body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer.status, content

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield state
        state.stopped.set()
        server.shutdown()
        thread.join()
