"""Call what blocks: on a worker thread under a server, in place inside Lambda.

A server's event loop answers many clients and must not wait for one client's query. A Lambda
environment has one event at a time and nothing else to do; there a thread costs more than it gives
(each event is its own root task, so anyio would start a new one every time).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

P = ParamSpec("P")
T = TypeVar("T")


async def call(request: Request, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return ``function(*args, **kwargs)``; what it raises is raised here."""
    if "aws.event" in request.scope:  # set by Mangum
        return function(*args, **kwargs)
    return await run_in_threadpool(partial(function, *args, **kwargs))
