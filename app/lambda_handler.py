"""The app for Lambda: ``app.lambda_handler.handler``, one function for the whole API.

All that the first answer needs is made while this module is imported: until the first event Lambda
gives a new environment its full share of CPU, and afterwards only what goes with its memory.
"""

from __future__ import annotations

# isort: off
from app import cold_start  # before everything that it makes cheaper

# isort: on
import logging
import os
from typing import Any

from fastapi import FastAPI

from app import logs
from app.adapter import Event, Handler, make_handler, new_loop
from app.application import create_app, token_verifier
from app.settings import Settings, SettingsError, load_settings
from app.store import DynamoNotes, StoreUnusable

log = logging.getLogger("notegate")


def _refuse_all(reason: Exception) -> Handler:
    """Return a handler for a function that is configured wrongly: one line in the log, then 503."""
    for line in str(reason).splitlines():
        log.error("cannot start: %s", line)

    def handler(event: Event, context: Any) -> dict[str, Any]:
        return {
            "statusCode": 503,
            "headers": {
                "Content-Type": "application/json",
                "Cache-Control": "no-store",
                # Nobody can say when somebody will have mended it.
                "Retry-After": "60",
                # Or a web page could not even tell that it is a 503.
                "Access-Control-Allow-Origin": "*",
            },
            "body": '{"message":"Service Unavailable"}',
            "isBase64Encoded": False,
        }

    return handler


def _handler_from_environment() -> Handler:
    try:
        settings = load_settings()
        logs.set_up(settings.log_level)
        app = create_app(settings)
    except (SettingsError, StoreUnusable) as error:
        return _refuse_all(error)
    if isinstance(app.state.store, DynamoNotes):
        app.state.store.connect()
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        # The managed runtime brings it; "Lambda SnapStart runtime hooks for Python".
        from snapshot_restore_py import register_after_restore

        register_after_restore(renew, app, settings)
    return make_handler(app)


def renew(app: FastAPI, settings: Settings) -> None:
    """Make anew what does not survive a snapshot: it may be days old, and many start from it.

    Connections, whose other end is gone; the key set, whose age is counted by a clock that stood
    still; the event loop, which has file descriptors of its own. What is random comes from the
    kernel at every use, and no user is known before the first event.
    """
    app.state.store.close()  # opened again when needed
    app.state.verifier = token_verifier(settings)
    new_loop()


handler = _handler_from_environment()
cold_start.end()
