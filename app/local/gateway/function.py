"""The Lambda function as its handler sees it: where it comes from, and its context object."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Handler = Callable[[Any, Any], Any]


class HandlerError(Exception):
    """There is no such handler."""


def load_handler(name: str) -> Handler:
    """Import ``MODULE:ATTR`` (or Lambda's own ``MODULE.ATTR``), also from the current directory.

    Raises:
        HandlerError: the name means nothing, the import failed, or it is not callable.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon:
        module_name, _, attribute = name.replace("/", ".").rpartition(".")
    if not module_name or not attribute:
        raise HandlerError(f"{name}: a handler is named MODULE:ATTR")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module may raise anything while it is imported
        raise HandlerError(f"{name}: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise HandlerError(f"{name}: is not callable")
    handler: Handler = found
    return handler


class Context:
    """The context object of one invocation, with the names of Lambda's Python runtime."""

    __slots__ = (
        "_deadline",
        "aws_request_id",
        "client_context",
        "function_name",
        "function_version",
        "identity",
        "invoked_function_arn",
        "log_group_name",
        "log_stream_name",
        "memory_limit_in_mb",
    )

    def __init__(
        self, function: Function, aws_request_id: str, log_stream_name: str, deadline: float
    ) -> None:
        self.aws_request_id = aws_request_id
        self.log_stream_name = log_stream_name
        self.log_group_name = f"/aws/lambda/{function.name}"
        self.function_name = function.name
        self.function_version = "$LATEST"
        self.invoked_function_arn = function.arn
        self.memory_limit_in_mb = str(function.memory)  # the runtime reads it as text
        self.client_context = None
        self.identity = None
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function's own time-out."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class Function:
    """A function's settings.

    Args:
        name: its name.
        memory: MB, only told to the handler.
        timeout: seconds after which Lambda would kill the environment.
        account_id: in its ARN.
        region: in its ARN.
    """

    def __init__(
        self, name: str, *, memory: int, timeout: float, account_id: str, region: str
    ) -> None:
        self.name = name
        self.memory = memory
        self.timeout = timeout
        self.arn = f"arn:aws:lambda:{region}:{account_id}:function:{name}"
