"""/docs and /openapi.json: the API's description, offline and behind any stage.

The page asks for everything relative to its own address, so it works under ``/`` and ``/{stage}/``.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from app.errors import ApiError

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
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
_POLICY = {
    # Swagger UI writes style attributes; scripts come from this origin only.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> Response:
    """Show the page."""
    return HTMLResponse(_PAGE, headers=_POLICY)


@router.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    """Send one of the page's parts."""
    if name not in _TYPES:
        raise ApiError(404, "Not Found")
    return Response(
        _file(name),
        media_type=_TYPES[name],
        headers={"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"},
    )


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    """Send the description, with the address under which this very request came in."""
    app: FastAPI = request.app
    root = request.scope.get("root_path", "")
    return JSONResponse({**app.openapi(), "servers": [{"url": root or "/"}]})


def describe(app: FastAPI) -> dict[str, Any]:
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
        app.openapi_schema = schema
    return app.openapi_schema


@cache
def _file(name: str) -> bytes:
    if name == "start.js":
        return _START.encode()
    # Only the folder is needed, so the package is found and not imported.
    spec = find_spec("fastapi_offline")
    if spec is None or spec.submodule_search_locations is None:  # pragma: no cover - a dependency
        raise FileNotFoundError(name)
    return (Path(spec.submodule_search_locations[0]) / "static" / name).read_bytes()
