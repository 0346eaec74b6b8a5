"""Lambda's events and an ASGI app: what REST APIs, HTTP APIs, function URLs and balancers send.

Mangum does the work; the classes here give the app the same request that a server would have given
it, where Mangum does not: the stage or base path as ``root_path``, the path's escapes, repeated
headers, cookies.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode, urlsplit

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.handlers import ALB, APIGateway, HTTPGateway
from starlette.types import ASGIApp

Event = dict[str, Any]
Handler = Callable[[Event, Any], dict[str, Any]]

TEXT = [*DEFAULT_TEXT_MIME_TYPES, "application/problem+json", "image/svg+xml"]
"""Types that travel as text: a REST API hands base64 on undecoded unless told which to decode."""


class RestEvent(APIGateway):
    """A REST API's event (payload 1.0), and an HTTP API's in that format."""

    @classmethod
    def infer(cls, event: Event, context: Any, config: Any) -> bool:
        """Whether the event is of this kind."""
        return "requestContext" in event and "httpMethod" in event

    @cached_property
    def scope(self) -> Any:
        """The request as ASGI has it."""
        event = self.event
        path = event["path"] or "/"
        return _scope(
            event,
            self.context,
            method=event["httpMethod"],
            path=path,
            root=_root_path(event, path),
            query=_query(event),
            headers=_headers(event),
            client=(event["requestContext"].get("identity") or {}).get("sourceIp"),
        )


class HttpEvent(HTTPGateway):
    """An HTTP API's or a function URL's event (payload 2.0)."""

    @classmethod
    def infer(cls, event: Event, context: Any, config: Any) -> bool:
        """Whether the event is of this kind."""
        return event.get("version") == "2.0" and "requestContext" in event

    @cached_property
    def scope(self) -> Any:
        """The request as ASGI has it."""
        event = self.event
        context = event["requestContext"]
        path = event["rawPath"] or "/"
        # A named stage is part of the path here, and "$default" never is.
        stage = f"/{context.get('stage')}"
        headers = list(event.get("headers", {}).items())
        if event.get("cookies"):
            headers.append(("cookie", "; ".join(event["cookies"])))
        return _scope(
            event,
            self.context,
            method=context["http"]["method"],
            path=path,
            root=_stage_in(path, stage) or _before(path, event),
            query=event.get("rawQueryString", ""),
            headers=headers,
            client=context["http"].get("sourceIp"),
            decoded=True,
        )


class BalancerEvent(ALB):
    """A load balancer's event."""

    @cached_property
    def scope(self) -> Any:
        """The request as ASGI has it."""
        event = self.event
        headers = list(_headers(event))
        forwarded = [value for name, value in headers if name.lower() == "x-forwarded-for"]
        return _scope(
            event,
            self.context,
            method=event["httpMethod"],
            path=event["path"] or "/",
            root="",
            # It passes names and values on as they were sent, escapes and all.
            query="&".join(f"{name}={value}" for name, value in _pairs(event)),
            headers=headers,
            client=forwarded[0].split(",")[0].strip() if forwarded else None,
        )


def _scope(
    event: Event,
    context: Any,
    *,
    method: str,
    path: str,
    root: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    client: str | None,
    decoded: bool = False,
) -> dict[str, Any]:
    """Build the ASGI scope. ``path`` lacks ``root`` unless it begins with it."""
    if root and path == root:
        path += "/"  # the API's own root, asked for without its slash
    elif root and not path.startswith(f"{root}/"):
        path = root + path
    raw = _bytes(path)
    wire = [(_bytes(name.lower()), _bytes(value)) for name, value in headers]
    sent = dict(wire)
    scheme = sent.get(b"x-forwarded-proto", b"https").decode("latin-1")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path if decoded else unquote_to_bytes(raw).decode("utf-8", "replace"),
        "raw_path": raw,
        "root_path": root,
        "query_string": _bytes(query),
        "headers": wire,
        "server": (
            _hostname(sent.get(b"host", b"")) or "localhost",
            443 if scheme == "https" else 80,
        ),
        "client": (client, 0) if client else None,
        "aws.event": event,
        "aws.context": context,
    }


def _hostname(host: bytes) -> str | None:
    try:
        return urlsplit("//" + host.decode("latin-1")).hostname
    except ValueError:
        return None


def _bytes(text: str) -> bytes:
    """Encode what came in as bytes: one each where that is possible."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _headers(event: Event) -> Iterator[tuple[str, str]]:
    many = event.get("multiValueHeaders")
    if not many:
        yield from (event.get("headers") or {}).items()
        return
    for name, values in many.items():
        if name.lower() == "cookie":
            # RFC 9110, 5.3: the one header whose lines a comma cannot join.
            yield name, "; ".join(values)
        else:
            yield from ((name, value) for value in values)


def _pairs(event: Event) -> list[tuple[str, str]]:
    many = event.get("multiValueQueryStringParameters")
    if many:
        return [(name, value) for name, values in many.items() for value in values]
    return list((event.get("queryStringParameters") or {}).items())


def _query(event: Event) -> str:
    return urlencode(_pairs(event))


def _root_path(event: Event, path: str) -> str:
    """Return what stands before the API's own path: ``/{stage}``, a base path, or "".

    ``requestContext.path`` is what the client asked for. Behind an invoke URL it is the stage and
    then the event's path; behind a custom domain with a base path both carry that base path, and
    the resource tells where the API's own part begins.
    """
    context = event["requestContext"]
    stage = f"/{context.get('stage')}"
    asked = context.get("path") or path
    if event.get("version") == "1.0":
        return _stage_in(path, stage) or _before(path, event)
    if asked == path:
        return _before(path, event)
    return (
        str(asked.removesuffix(path).rstrip("/"))
        if asked.endswith(path)
        else _stage_in(asked, stage)
    )


def _stage_in(path: str, stage: str) -> str:
    return stage if path == stage or path.startswith(f"{stage}/") else ""


def _before(path: str, event: Event) -> str:
    """Return what stands in ``path`` before the part that the event's resource describes."""
    own = event.get("resource") or event.get("routeKey", "").partition(" ")[2]
    if own == "/":
        return path.rstrip("/")
    for name, value in (event.get("pathParameters") or {}).items():
        own = own.replace(f"{{{name}+}}", value).replace(f"{{{name}}}", value)
    own, bare = own.rstrip("/"), path.rstrip("/")
    return bare.removesuffix(own) if own and bare.endswith(own) else ""


def make_handler(app: ASGIApp) -> Handler:
    """Return a Lambda handler around any ASGI app.

    The lifespan stays off: Mangum would run it, start and stop, at every event.
    """
    _own_loop()
    adapted: Any = app  # Mangum's own type for it names the parameters otherwise
    mangum = Mangum(
        adapted,
        lifespan="off",
        custom_handlers=[BalancerEvent, HttpEvent, RestEvent],
        text_mime_types=TEXT,
        # API Gateway counts for itself and would show this one as x-amzn-Remapped-Content-Length.
        exclude_headers=["content-length"],
    )

    def handler(event: Event, context: Any) -> dict[str, Any]:
        _own_loop()
        return mangum(event, context)

    return handler


_thread = threading.local()


def new_loop() -> None:
    """Give this thread another event loop, and close the one it has."""
    _own_loop()
    _thread.loop.close()
    _own_loop()


def _own_loop() -> None:
    """See to it that this thread has its event loop; Mangum runs each event on it.

    Set anew each time: whoever calls ``asyncio.run`` takes away the one that was set.
    """
    loop = getattr(_thread, "loop", None)
    if loop is None or loop.is_closed():
        loop = _thread.loop = _current_loop() or asyncio.new_event_loop()
    asyncio.set_event_loop(loop)


def _current_loop() -> asyncio.AbstractEventLoop | None:
    with warnings.catch_warnings():
        # What asking for a loop that is not there does differs from version to version.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            loop = asyncio.get_event_loop_policy().get_event_loop()
        except RuntimeError:
            return None
    return None if loop.is_closed() else loop
