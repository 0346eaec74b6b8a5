"""The pages that people see: templates, forms that only our own pages can send, strict headers."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.local.cognito.asked import Asked
from app.local.cognito.authorize import Authorization

FOLDER = Path(__file__).with_name("pages")
CSRF_COOKIE = "cognito-local-csrf"

_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With "no-referrer" browsers would send our own forms with the origin "null".
    "referrer-policy": "same-origin",
}
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'; form-action "
)


class Pages:
    """Makes pages. A form is taken from a browser that got it from here (signed double submit)."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.style = (FOLDER / "style.css").read_bytes()

    def show(
        self,
        asked: Asked,
        name: str,
        *,
        status: int = 200,
        problem: str = "",
        notice: str = "",
        request: Authorization | None = None,
        **values: Any,
    ) -> Response:
        """Make a page.

        Args:
            asked: The request, whose cookie the page's forms hang on.
            name: The template.
            status: The answer's.
            problem: What went wrong and what to do.
            notice: What went well.
            request: The authorization request that the page is on the way of.
            values: What else the template needs.
        """
        csrf = asked.cookies.get(CSRF_COOKIE, "") or secrets.token_urlsafe(32)
        values["root"] = "../" * (asked.path.count("/") - 1)
        targets = ["'none'"]
        if request is not None:
            values |= {"query": request.query, "client": request.client}
            targets = ["'self'", *dict.fromkeys(request.form_targets())]
        page = self._templates.get_template(f"{name}.html").render(
            csrf=self._sign(csrf), problem=problem, notice=notice, **values
        )
        response = HTMLResponse(page, status, _HEADERS)
        response.headers["content-security-policy"] = _POLICY + " ".join(targets)
        if csrf != asked.cookies.get(CSRF_COOKIE):
            set_cookie(response, asked, CSRF_COOKIE, csrf)
        return response

    def sent_by_us(self, asked: Asked) -> bool:
        """Whether a form came from a page that this browser was given."""
        csrf = asked.cookies.get(CSRF_COOKIE, "")
        given = asked.form.once("_csrf").encode()
        right = hmac.compare_digest(self._sign(csrf).encode(), given)
        return right and asked.from_own_page

    def _sign(self, csrf: str) -> str:
        return hmac.digest(self._key, csrf.encode(), "sha256").hex()


def redirect(url: str, status: int = 302) -> Response:
    """Send a browser on. What it is sent with is for once."""
    return RedirectResponse(url, status, {"cache-control": "no-store"})


def set_cookie(
    response: Response, asked: Asked, name: str, value: str, seconds: int | None = None
) -> None:
    """Set a cookie for the pool's pages alone; one without a value goes."""
    # With "strict", whoever comes from the app would come without it.
    rest: Mapping[str, Any] = {"httponly": True, "samesite": "lax", "secure": asked.secure}
    response.set_cookie(name, value, max_age=seconds if value else 0, path=asked.prefix, **rest)
