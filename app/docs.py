"""/docs and /openapi.json: the API's description, offline and behind any stage.

The page asks for everything relative to its own address, so it works under ``/`` and ``/{stage}/``.
With the pool's hosted endpoints known, its Authorize button signs in there: Swagger UI does so by
itself, with PKCE, and keeps the tokens in its own memory.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from app.errors import ApiError
from app.routing import add_routes, make_router
from app.settings import Settings

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notegate API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui" data-client-id="{client_id}" data-scopes="{scopes}"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """const page = document.getElementById("swagger-ui");
const ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  oauth2RedirectUrl: new URL("docs/oauth2-redirect", location.href).href,
  requestInterceptor: (request) => {
    // Another origin's token endpoint would have to allow it, and nobody reads it.
    delete request.headers["X-Requested-With"];
    return request;
  },
});
if (page.dataset.clientId) {
  ui.initOAuth({
    clientId: page.dataset.clientId,
    scopes: page.dataset.scopes,
    usePkceWithAuthorizationCodeGrant: true,
  });
}
"""
_REDIRECT_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Signing in to the Notegate API</title>
<link rel="icon" href="data:,">
</head>
<body>
<p>This window closes by itself.</p>
<script src="oauth2-redirect.js"></script>
</body>
</html>
"""
# What Swagger UI expects of the page that its sign-in ends at.
_REDIRECT = """(() => {
  const given = new URLSearchParams(location.search);
  history.replaceState(null, "", location.pathname);
  const asked = window.opener && window.opener.swaggerUIRedirectOauth2;
  if (!asked) {
    document.querySelector("p").textContent =
      "Nobody waits for this sign-in any more. Close this window and press Authorize again.";
    return;
  }
  const about = { authId: asked.auth.name, source: "auth" };
  if (given.get("state") !== asked.state) {
    asked.errCb({ ...about, level: "error", message: "This is the answer to another sign-in." });
  } else if (given.has("code")) {
    asked.auth.code = given.get("code");
    asked.callback({ auth: asked.auth, redirectUrl: asked.redirectUrl });
  } else {
    const error = given.get("error") || "no code";
    asked.errCb({ ...about, level: "error", message: `Signing in failed: ${error}` });
  }
  window.close();
})();
"""
_POLICY = {
    # Swagger UI writes style attributes; scripts come from this origin only.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data:; connect-src 'self'{hosted}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
    "oauth2-redirect": "text/html; charset=utf-8",
    "oauth2-redirect.js": "text/javascript; charset=utf-8",
}
_OWN = {
    "start.js": _START,
    "oauth2-redirect": _REDIRECT_PAGE,
    "oauth2-redirect.js": _REDIRECT,
}

router = make_router(include_in_schema=False)


def install(app: FastAPI, settings: Settings) -> None:
    """Give the app its description and the page."""
    domain = settings.cognito_domain
    app.state.docs_page = _PAGE.format(
        client_id=escape(settings.cognito_app_client_id[0]) if domain else "",
        scopes=escape(settings.sign_in_scopes) if domain else "",
    )
    # The page itself asks the token endpoint, which is another origin's in the cloud.
    hosted = " {0.scheme}://{0.netloc}".format(urlsplit(domain)) if domain else ""
    app.state.docs_policy = {name: text.format(hosted=hosted) for name, text in _POLICY.items()}
    app.openapi = lambda: describe(app, settings)  # type: ignore[method-assign] # FastAPI's own way
    add_routes(app, router)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show the page."""
    return HTMLResponse(request.app.state.docs_page, headers=request.app.state.docs_policy)


@router.get("/docs/{name}")
async def docs_file(request: Request, name: str) -> Response:
    """Send one of the page's parts."""
    if name not in _TYPES:
        raise ApiError(404, "Not Found")
    cached = {"Cache-Control": "public, max-age=3600"}
    return Response(
        _file(name), media_type=_TYPES[name], headers=request.app.state.docs_policy | cached
    )


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Send the description, with the address under which this very request came in."""
    app: FastAPI = request.app
    root = request.scope.get("root_path", "")
    return JSONResponse({**app.openapi(), "servers": [{"url": root or "/"}]})


def describe(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """Return the app's OpenAPI description (made once, kept in the app).

    FastAPI says 422 for bad input wherever there is any; here that is a 400.
    """
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        for operations in schema["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(unused, None)
        if settings.cognito_domain:
            _offer_sign_in(schema, settings)
        app.openapi_schema = schema
    return app.openapi_schema


def _offer_sign_in(schema: dict[str, Any], settings: Settings) -> None:
    """Describe the hosted endpoints as a second way to the same token."""
    scopes = settings.sign_in_scopes.split()
    schema["components"]["securitySchemes"]["CognitoSignIn"] = {
        "type": "oauth2",
        "description": "Sign in at the Amazon Cognito user pool",
        # Swagger UI's own word for which of the tokens to send; it would take the access token.
        "x-tokenName": f"{settings.cognito_token_use}_token",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": f"{settings.cognito_domain}/oauth2/authorize",
                "tokenUrl": f"{settings.cognito_domain}/oauth2/token",
                "scopes": dict.fromkeys(scopes, ""),
            }
        },
    }
    for operations in schema["paths"].values():
        for operation in operations.values():
            if "security" in operation:
                operation["security"].append({"CognitoSignIn": ["openid"]})


@cache
def _file(name: str) -> bytes:
    if name in _OWN:
        return _OWN[name].encode()
    # Only the folder is needed, so the package is found and not imported.
    spec = find_spec("fastapi_offline")
    if spec is None or spec.submodule_search_locations is None:  # pragma: no cover - a dependency
        raise FileNotFoundError(name)
    return (Path(spec.submodule_search_locations[0]) / "static" / name).read_bytes()
