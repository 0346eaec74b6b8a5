"""A pool's hosted endpoints as the app sees them: real HTTP on loopback, and all faults on demand.

Keeps to Cognito's contract: a code works once, for the client, redirect URI and PKCE verifier it
was asked with; refresh tokens rotate when told to; ``invalid_grant`` is a 400.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.tokens import Pool

Answer = tuple[int, bytes]


def refused(error: str, status: int = 400) -> Answer:
    """Return an OAuth error."""
    return status, json.dumps({"error": error}).encode()


class Hosted:
    """The endpoints. ``fault``, if set, answers in their place; ``claims`` go into ID tokens."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.url = ""
        self.fault: Callable[[], Answer] | None = None
        self.claims: dict[str, Any] = {}
        self.rotates = False
        self.refresh_tokens: set[str] = set()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._count = 0

    def sign_in(self, authorize_url: str, **answer: str) -> str:
        """Sign in as a person would; return where the browser is sent. ``answer`` replaces."""
        assert authorize_url.startswith(f"{self.url}/oauth2/authorize?")
        asked = dict(parse_qsl(urlsplit(authorize_url).query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        self._count += 1
        code = f"code-{self._count}"
        self._codes[code] = asked
        query = urlencode({"code": code, "state": asked["state"]} | answer)
        return f"{asked['redirect_uri']}?{query}"

    def answer(self, path: str, form: dict[str, str]) -> Answer:
        """Answer a POST."""
        self.forms.append((path, form))
        if self.fault is not None:
            return self.fault()
        assert form["client_id"] == self.pool.client_id
        if path == "/oauth2/revoke":
            self.refresh_tokens.discard(form["token"])
            return 200, b""
        assert path == "/oauth2/token"
        nonce: dict[str, str] = {}
        if form["grant_type"] == "authorization_code":
            asked = self._codes.pop(form["code"], None)
            challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest())
            if (
                asked is None
                or asked["redirect_uri"] != form["redirect_uri"]
                or asked["code_challenge"] != challenge.decode().rstrip("=")
            ):
                return refused("invalid_grant")
            nonce = {"nonce": asked["nonce"]}
        elif form["refresh_token"] not in self.refresh_tokens:
            return refused("invalid_grant")
        tokens = {
            "id_token": self.pool.id_token(**nonce | self.claims),
            "access_token": self.pool.access_token(scope="openid notes/read"),
            "expires_in": 3600,
            "token_type": "Bearer",
        }
        if nonce or self.rotates:
            self._count += 1
            self.refresh_tokens.discard(form.get("refresh_token", ""))
            self.refresh_tokens.add(f"refresh-{self._count}.secret")
            tokens["refresh_token"] = f"refresh-{self._count}.secret"
        return 200, json.dumps(tokens).encode()


@contextmanager
def serve(hosted: Hosted) -> Iterator[Hosted]:
    """Serve them; sets ``url``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, answer = hosted.answer(self.path, dict(parse_qsl(body)))
            if status:
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # so that none outlives the test

        def handle_error(self, *args: object) -> None:
            """Say nothing: who was asked too slowly has hung up."""

    server = Server(("127.0.0.1", 0), Handler)
    hosted.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hosted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def slow() -> Answer:
    """Answer too late."""
    time.sleep(0.6)
    return 200, b"{}"


def hangs_up() -> Answer:
    """Close the connection without a word."""
    return 0, b""
