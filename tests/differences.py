"""Where the doors may differ, all of it, each with its reason.

The gateway answers some requests by itself, before the app sees them, as it does in the cloud; and
it adds and renames headers. Whatever is not in this list must be the same at every door.
"""

from __future__ import annotations

from typing import NamedTuple

import httpx2


class Own(NamedTuple):
    """An answer of the gateway's own, and the app's for the same request."""

    status: int
    message: str
    app_status: int
    app_message: str
    reason: str


OWN_ANSWERS = [
    Own(
        403, "Missing Authentication Token", 404, "Not Found",
        "the gateway knows the definition's paths and no others",
    ),
    Own(
        403, "Missing Authentication Token", 405, "Method Not Allowed",
        "likewise: a path and a method are one thing to it",
    ),
    Own(
        403, "Missing Authentication Token", 200, "",
        "a preflight for a path that is not there: the app has one policy for all paths; or a "
        "literal path written with escapes (/%6eotes): the gateway compares paths as they are sent",
    ),
    Own(403, "Missing Authentication Token", 400, "Disallowed CORS", "likewise, refused"),
    Own(401, "Unauthorized", 401, "Unauthorized", "its authorizer comes first"),
    Own(
        401, "The incoming token has expired", 401, "The incoming token has expired",
        "its authorizer comes first",
    ),
    Own(
        400, "Invalid request body", 400, "Invalid request body",
        "its validator comes first, and names no fields",
    ),
    Own(
        400, "Missing required request parameters: [", 400, "Invalid request parameters",
        "its validator comes first; of parameters it only checks that they are there",
    ),
    Own(
        413, "Request Too Long", 413, "Request Too Long",
        "it counts the whole event: escapes in the body and headers too",
    ),
    Own(
        500, "", 503, "Service Unavailable",
        "without the pool's keys its authorizer fails, and that has no other status",
    ),
]  # fmt: skip

ADDED_HEADERS = {
    "connection": "of the connection",
    "date": "of the connection",
    "x-amzn-requestid": "tells the request in the log",
    "x-amz-apigw-id": "tells the request in the log",
    "x-amzn-trace-id": "for X-Ray",
    "x-amzn-errortype": "on its own answers",
    "content-length": "the app says it too; a server adds it for an answer without body",
}
ADDED_WHEN_ABSENT = {"content-type": "an answer without one is called application/json"}
RENAMED_HEADERS = {
    "x-amzn-remapped-www-authenticate": "www-authenticate",
    "x-amzn-remapped-content-length": "content-length",
    "x-amzn-remapped-connection": "connection",
}
"""The gateway keeps these names for itself and moves the app's out of the way."""


def is_gateways_own(answer: httpx2.Response) -> bool:
    """Whether the gateway gave this answer without asking the app."""
    return "x-amzn-errortype" in answer.headers


def may_say(answer: httpx2.Response, app_status: int, app_message: str) -> bool:
    """Whether the gateway may give this answer of its own where the app says that."""
    message = answer.json()["message"] or ""  # null, where an authorizer fails
    return any(
        answer.status_code == own.status
        and (message.startswith(own.message) if own.message else not message)
        and app_status == own.app_status
        and (app_message.startswith(own.app_message) if own.app_message else not app_message)
        for own in OWN_ANSWERS
    )


def app_headers(answer: httpx2.Response) -> list[tuple[str, str]]:
    """Return the headers that the app gave, in the app's names, in one order."""
    headers = []
    for name, value in answer.headers.multi_items():
        name = RENAMED_HEADERS.get(name.lower(), name.lower())
        if name in ADDED_HEADERS or (name in ADDED_WHEN_ABSENT and not answer.content):
            continue
        headers.append((name, value))
    return sorted(headers)
