"""The one error shape: ``{"message": …}``, on 400 ``"errors": [{"field", "reason"}]`` as well.

No exception's text ever reaches a client.
"""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import request_line

log = logging.getLogger("notegate")

MAX_BODY = 6 * 1024 * 1024
"""Bytes of a request body: what Lambda takes, so that no door accepts what another cannot."""


class FieldError(BaseModel):
    """One wrong field: where it is, and what is wrong with it."""

    field: str
    reason: str


class Problem(BaseModel):
    """The shape itself."""

    message: str
    errors: list[FieldError] | None = None


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "A parameter or the body is wrong"},
    401: {"model": Problem, "description": "No valid token"},
    413: {"model": Problem, "description": "The request is too long"},
    503: {"model": Problem, "description": "Try again in `Retry-After` seconds"},
}
"""What every route that needs a user may answer, for the API's description."""


class ApiError(HTTPException):
    """A refusal as the client sees it; ``errors`` says which fields are wrong."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: list[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.errors = errors


def error_response(
    status: int,
    message: str,
    *,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build an answer of the one shape."""
    problem = Problem(message=message, errors=errors)
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status, headers, media_type="application/json")


def unavailable(retry_after: int = 1) -> ApiError:
    """Build the refusal for what may work again in ``retry_after`` seconds."""
    return ApiError(503, "Service Unavailable", headers={"Retry-After": str(retry_after)})


def bad_parameter(field: str, reason: str) -> ApiError:
    """Build the refusal of a path, query or header parameter."""
    return ApiError(
        400, "Invalid request parameters", errors=[FieldError(field=field, reason=reason)]
    )


def install(app: FastAPI) -> None:
    """Give the app's every refusal the one shape."""

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> Response:
        problems = error.errors()
        in_body = any(problem["loc"][:1] == ("body",) for problem in problems)
        return error_response(
            400,
            "Invalid request body" if in_body else "Invalid request parameters",
            errors=[_field_error(problem) for problem in problems],
        )

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> Response:
        if isinstance(error, ApiError):
            return error_response(
                error.status_code, error.detail, errors=error.errors, headers=error.headers
            )
        if error.status_code == 400:
            # FastAPI's own, for a body that it cannot read at all (too deep, not UTF-8).
            unreadable = FieldError(field="body", reason="cannot be read as JSON")
            return error_response(400, "Invalid request body", errors=[unreadable])
        return error_response(error.status_code, error.detail, headers=error.headers)


def _field_error(problem: Any) -> FieldError:
    if problem["type"] == "json_invalid":
        return FieldError(field="body", reason="is not JSON")
    where = [part for part in problem["loc"][1:] if isinstance(part, str)]
    reason = problem["msg"].removeprefix("Value error, ")
    return FieldError(field=".".join(where) or "body", reason=reason)


class Answers:
    """ASGI middleware: every request gets an answer and a line in the log.

    An unforeseen exception becomes a 500 of the one shape and a body that is too long a 413. The
    log names the exception's type and place and never its text, which may hold a note or a token.
    An answer that does not say how long it may be kept must not be kept (RFC 9111, 5.2.2.5).
    It stands inside the CORS middleware, so that all this carries CORS headers too.
    """

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app; answer in its place when it cannot."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0
        received = 0

        async def send_private(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not any(name == b"cache-control" for name, _ in message["headers"]):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        async def receive_counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body:
                raise _TooLong
            return message

        try:
            await self._answer(scope, receive_counting, send_private, lambda: status > 0)
        finally:
            milliseconds = (time.perf_counter() - began) * 1000
            route = getattr(scope.get("route"), "path", "-")
            request_line(scope["method"], route, status, milliseconds, _request_id(scope))

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, started: Callable[[], bool]
    ) -> None:
        try:
            await self.app(scope, receive, send)
            return
        except _TooLong:
            response = error_response(413, "Request Too Long", headers={"Connection": "close"})
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "%s in %s (%s:%s) answering %s",
                type(error).__name__,
                place.name,
                place.filename,
                place.lineno,
                scope["method"],
            )
            if started():
                # Too late for another answer: the server must cut the connection.
                raise RuntimeError("the answer had already begun") from None
            response = error_response(500, "Internal server error")
        await response(scope, receive, send)


def _request_id(scope: Scope) -> str:
    """Return API Gateway's id of the request, or the function's, or a new one."""
    event = scope.get("aws.event")
    if event is None:
        return secrets.token_hex(8)
    given: str | None = event.get("requestContext", {}).get("requestId")
    return given or str(getattr(scope["aws.context"], "aws_request_id", "-"))


class _TooLong(BaseException):
    """Not an Exception: FastAPI makes a 400 of every one raised while it reads a body."""
