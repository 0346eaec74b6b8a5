"""create_app: puts the pieces together, the one place that knows them all."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from app import docs, errors, notes, page, session, userinfo
from app.auth import Fetch, KeySet, TokenVerifier, http_fetch
from app.aws import running_in_lambda
from app.routing import add_routes
from app.settings import LOCAL_KID_PREFIX, Settings
from app.store import ConditionFailed, NoteStore, StoreUnavailable, open_store

log = logging.getLogger("notegate")

PREFLIGHT_SECONDS = 7200
"""How long a browser may keep a preflight's answer; Chromium keeps none longer."""

_SENT = ("Authorization", "Content-Type", "If-Match", "If-None-Match")
_READ = ("ETag", "Link", "Location", "Retry-After", "WWW-Authenticate")


def create_app(
    settings: Settings,
    *,
    store: NoteStore | None = None,
    directory: userinfo.Directory | None = None,
    fetch_keys: Fetch | None = None,
) -> FastAPI:
    """Build the app.

    Args:
        settings: the configuration.
        store: where the notes are; default: what ``settings.notes_store`` says.
        directory: where users are looked up; default: the pool of the settings.
        fetch_keys: fetches the pool's key set; default: from ``settings.jwks_url``.

    Raises:
        StoreUnusable: the store cannot be opened.
    """
    app = FastAPI(
        title="Notegate",
        version="1",
        description="Your notes, and who you are. Sign in with Amazon Cognito.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.store = store or open_store(
        settings.notes_store,
        region=settings.region,
        endpoint_url=settings.aws_endpoint_url_dynamodb or None,
    )
    app.state.directory = directory or userinfo.CognitoDirectory(
        settings.cognito_user_pool_id,
        region=settings.pool_region,
        endpoint_url=settings.aws_endpoint_url_cognito_identity_provider or None,
    )
    app.state.verifier = token_verifier(settings, fetch_keys)
    add_routes(app, notes.router)
    add_routes(app, userinfo.router)
    session.install(app, settings)
    docs.install(app, settings)
    add_routes(app, page.router)
    app.add_api_route("/healthz", healthz, tags=["health"])
    errors.install(app)
    app.add_exception_handler(StoreUnavailable, _store_unavailable)
    app.add_exception_handler(ConditionFailed, _condition_failed)
    app.add_middleware(errors.Answers)
    app.add_middleware(
        Cors,
        allow_origins=settings.cors_allow_origins,
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=_SENT,
        expose_headers=_READ,
        max_age=PREFLIGHT_SECONDS,
    )
    return app


def token_verifier(settings: Settings, fetch_keys: Fetch | None = None) -> TokenVerifier:
    """Build what verifies the pool's tokens, with a key set of its own."""
    in_lambda = running_in_lambda()
    return TokenVerifier(
        KeySet(
            fetch_keys or http_fetch(settings.jwks_url),
            preloaded=settings.jwks,
            refuse_kid_prefix=LOCAL_KID_PREFIX if in_lambda else None,
            # A thread of Lambda's stands still once the event is answered.
            background=not in_lambda,
        ),
        issuer=settings.issuer,
        client_ids=settings.cognito_app_client_id,
        token_use=settings.cognito_token_use,
        scopes=settings.cognito_scopes,
    )


async def healthz() -> dict[str, str]:
    """Tell that the app runs; asks nothing of anybody else."""
    return {"status": "ok"}


class Cors(CORSMiddleware):
    """Starlette's, with its one refusal in the one shape."""

    def preflight_response(self, request_headers: Any) -> Response:
        """Answer a preflight."""
        response = super().preflight_response(request_headers)
        if response.status_code == 400:
            allowed = {
                name: value
                for name, value in response.headers.items()
                if name not in {"content-length", "content-type"}
            }
            return errors.error_response(400, bytes(response.body).decode(), headers=allowed)
        return response


async def _store_unavailable(request: Request, error: Exception) -> Response:
    # The store itself told the operator, once and not at every request.
    log.debug("the store is unavailable: %s", error)
    headers = {"Retry-After": str(getattr(error, "retry_after", 1))}
    return errors.error_response(503, "Service Unavailable", headers=headers)


async def _condition_failed(request: Request, error: Exception) -> Response:
    return errors.error_response(412, "Precondition Failed")
