"""/: the page for people, and /web: its parts. Plain HTML, CSS and modules from ``app/web``.

Every answer is text, for a REST API needs telling which types are not.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from app import address
from app.errors import ApiError
from app.routing import make_router

FOLDER = Path(__file__).parent / "web"

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    # The window in which one signs in again is another site's for a while.
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FOR_EVER = "public, max-age=31536000, immutable"

router = make_router(include_in_schema=False)


@router.get("/")
async def page(request: Request) -> Response:
    """Show the page.

    Its parts have addresses with the root path in them: relative ones would miss the stage where
    the page is asked for without a slash at its end.
    """
    html = _template().substitute(
        web=escape(f"{address.root(request)}/web/{_version()}"),
        root=escape(address.root(request)),
        sign_in=_sign_in(request),
    )
    return HTMLResponse(html, headers=_POLICY)


@router.get("/web/{version}/{name}")
async def part(version: str, name: str) -> Response:
    """Send one of the page's parts.

    The version stands before the name, so that a part finds the others of its version by their
    names alone. Asked for another version, as by a page from before a deployment, this sends what
    there is, which must not be kept under that name.
    """
    parts = _parts()
    if name not in parts:
        raise ApiError(404, "Not Found")
    cache_control = _FOR_EVER if version == _version() else "no-store"
    return Response(
        parts[name],
        media_type=_TYPES[Path(name).suffix],
        headers=_POLICY | {"Cache-Control": cache_control},
    )


def _sign_in(request: Request) -> str:
    """Return whether one can sign in here: ``on``, ``off`` or ``insecure`` (the page explains)."""
    if request.app.state.hosted is None:
        return "off"
    origin = address.origin(request)
    return "on" if origin is not None and address.is_private(origin) else "insecure"


@cache
def _template() -> Template:
    return Template((FOLDER / "index.html").read_text(encoding="utf-8"))


@cache
def _parts() -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES
    }


@cache
def _version() -> str:
    digest = sha256()
    for name, content in _parts().items():
        digest.update(f"{name}:{len(content)}:".encode() + content)
    return digest.hexdigest()[:12]
