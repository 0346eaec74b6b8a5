"""``notegate events``: what the running gateway sends and gets, asked over HTTP on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.local.gateway import Recorder
from app.settings import is_loopback

PREFIX = "/_notegate"
PATH = f"{PREFIX}/events"
POLL_SECONDS = 0.5


class Unreachable(Exception):
    """No gateway answers at that address."""


class Endpoint:
    """Answers ``GET /_notegate/events?after=N&tokens=1`` to this machine and no web page."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._answer(Request(scope, receive))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        here = request.client is not None and is_loopback(f"http://{_host(request.client.host)}")
        # Host: against DNS rebinding. A browser says where a request comes from; the CLI doesn't.
        named = is_loopback(f"http://{request.headers.get('host', '')}")
        if not (here and named) or {"origin", "sec-fetch-site"} & set(request.headers):
            return JSONResponse({"message": "Forbidden"}, 403)
        if request.url.path != "/events" or request.method != "GET":
            return JSONResponse({"message": "Not Found"}, 404)
        after = request.query_params.get("after", "0")
        found = self._recorder.events(
            after=int(after) if after.isdecimal() else 0,
            show_tokens=request.query_params.get("tokens") == "1",
        )
        return JSONResponse(found, headers={"Cache-Control": "no-store"})


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def read(url: str, *, tokens: bool = False, follow: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the running gateway's events, oldest first; with ``follow``, for ever.

    Raises:
        Unreachable: nobody answers there, or not as a gateway of ours.
    """
    import httpx

    after = 0
    with httpx.Client(timeout=5, trust_env=False) as client:
        while True:
            query = {"after": str(after), "tokens": "1" if tokens else "0"}
            try:
                found = client.get(url.rstrip("/") + PATH, params=query).raise_for_status().json()
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                raise Unreachable(f"no gateway answers at {url}: {error}") from None
            for each in found:
                after = each["number"]
                yield each
            if not follow:
                return
            time.sleep(POLL_SECONDS)


def save(event: dict[str, Any], folder: Path) -> Path:
    """Write one exchange as a JSON file that says what it is; return its path."""
    request = event["event"]
    folder.mkdir(parents=True, exist_ok=True)
    words = [request["httpMethod"], *request["resource"].split("/"), str(event["number"])]
    name = "-".join(word.strip("{}+").lower() for word in words if word)
    path = folder / f"{name}.json"
    text = {"source": "notegate events", "event": request, "result": event["result"]}
    path.write_text(json.dumps(text, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
