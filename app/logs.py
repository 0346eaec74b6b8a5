"""One line per request, and what the libraries below may say.

Never a token, a password, a note's text or a search's: so no query strings, no libraries that log
what they send, and of an exception its type and place only.
"""

from __future__ import annotations

import logging

access = logging.getLogger("notegate.access")

_TALKATIVE = ("boto3", "botocore", "httpcore", "httpx", "mangum", "urllib3")
"""They log whole requests at DEBUG, or a line per request at INFO."""


def set_up(level: str) -> None:
    """Let the app's own loggers speak from ``level`` on, the libraries from WARNING on."""
    logging.getLogger().setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def set_up_server(level: str) -> None:
    """Do so for a server: lines go to the terminal, and ours takes the place of uvicorn's."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    set_up(level)
    logging.getLogger("uvicorn.access").disabled = True


def request_line(method: str, route: str, status: int, milliseconds: float, request: str) -> None:
    """Write the line of one request.

    Args:
        method: its verb.
        route: the template of its path, not the path.
        status: the answer's.
        milliseconds: how long it took.
        request: an id that tells it from all others, the same as in API Gateway's log.
    """
    if access.isEnabledFor(logging.INFO):
        access.info(
            "%s %s %s %.1f ms %s",
            method,
            route,
            status,
            milliseconds,
            request,
            # Lambda's JSON log shows these as members of their own.
            extra={
                "method": method,
                "route": route,
                "status": status,
                "durationMs": round(milliseconds, 1),
                "apiRequestId": request,
            },
        )
