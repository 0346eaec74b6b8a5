"""The one error shape: ``{"message": …}``, on 400 ``"errors": [{"field", "reason"}]`` as well.

No exception's text ever reaches a client.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any, TypedDict

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("notegate")

MAX_BODY = 6 * 1024 * 1024
"""Bytes of a request body: what Lambda takes, so that no door accepts what another cannot."""


class FieldError(TypedDict):
    """One wrong field: where it is, and what is wrong with it."""

    field: str
    reason: str


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
    body: dict[str, Any] = {"message": message}
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, headers=dict(headers or {}))


def unavailable(retry_after: int = 1) -> ApiError:
    """Build the refusal for something that may work again in ``retry_after`` seconds."""
    return ApiError(503, "Service Unavailable", headers={"Retry-After": str(retry_after)})


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
            message = error.detail
        elif error.status_code == 400:
            # FastAPI's own: a body that cannot be parsed at all (too deep, not UTF-8).
            message = "Invalid request body"
        else:
            message = str(error.detail)
        errors = error.errors if isinstance(error, ApiError) else None
        return error_response(error.status_code, message, errors=errors, headers=error.headers)


def _field_error(problem: Any) -> FieldError:
    where = [str(part) for part in problem["loc"][1:] if isinstance(part, str)]
    if problem["type"] == "json_invalid":
        return {"field": "body", "reason": "is not JSON"}
    return {
        "field": ".".join(where) or "body",
        "reason": problem["msg"].removeprefix("Value error, "),
    }


class LastResort:
    """ASGI middleware: an unforeseen exception becomes a 500 of the one shape, a long body a 413.

    It stands inside the CORS middleware, so that these answers carry CORS headers too. The log
    names the exception's type and place and never its text, which may hold a note or a token.
    """

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app; answer in its place when it cannot."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False
        received = 0

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        async def receive_counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body:
                raise _TooLong
            return message

        try:
            await self.app(scope, receive_counting, send_noting)
        except _TooLong:
            response = error_response(413, "Request Too Long")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "%s in %s line %s, answering %s %s",
                type(error).__name__,
                place.name,
                place.lineno,
                scope["method"],
                scope["path"],
            )
            response = error_response(500, "Internal server error")
        else:
            return
        if started:
            raise ConnectionError("the answer had already begun")
        await response(scope, receive, send)


class _TooLong(BaseException):
    """Not an Exception: FastAPI makes a 400 of every one raised while it reads a body."""
