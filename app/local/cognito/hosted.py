"""Cognito's hosted endpoints: which address does what.

``/oauth2/authorize`` → ``/login`` (and the screens around it) → the app with a code →
``/oauth2/token``. The pages' addresses are relative, so they work under any prefix.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from app.local.cognito import clients
from app.local.cognito.asked import FORM, Asked, Params, Unreadable
from app.local.cognito.authorize import Authorization, Denied, Unanswerable, read
from app.local.cognito.hosts import is_this_machine
from app.local.cognito.pages import Pages, redirect
from app.local.cognito.screens import SCREENS, Screens
from app.local.cognito.sessions import Sessions
from app.local.cognito.token_endpoint import TokenEndpoint

if TYPE_CHECKING:
    from app.local.cognito.pool import LocalPool

_PAGE = ("GET", "HEAD")


@dataclass(frozen=True)
class _Route:
    methods: Collection[str]
    answer: Callable[[Asked], Response]
    for_apps: bool = False


class Hosted:
    """The hosted endpoints of all pools.

    Args:
        pool: The pools.
        clock: Unix time.
        exposed: Whether the server was asked to answer other machines.
    """

    def __init__(self, pool: LocalPool, clock: Callable[[], float], *, exposed: bool) -> None:
        self._pool = pool
        self._exposed = exposed
        self._pages = Pages()
        self._sessions = Sessions(pool, clock)
        self._screens = Screens(self._pages, self._sessions)
        endpoint = TokenEndpoint(self._sessions)
        self._routes = {
            "/oauth2/authorize": _Route(["GET"], self._authorize),
            "/oauth2/token": _Route(["POST"], endpoint.token, for_apps=True),
            "/oauth2/userInfo": _Route(["GET", "POST"], endpoint.info, for_apps=True),
            "/oauth2/revoke": _Route(["POST"], endpoint.revoke, for_apps=True),
            "/logout": _Route(["GET"], self._logout),
            "/inbox": _Route(_PAGE, self._inbox),
            "/style.css": _Route(_PAGE, self._style),
            **{f"/{name}": _Route([*_PAGE, "POST"], self._screen) for name in SCREENS},
        }

    def serves(self, path: str) -> bool:
        """Whether this address is a hosted endpoint."""
        return path in self._routes

    def for_apps(self, path: str) -> bool:
        """Whether scripts of other origins, as far as the server's rule goes, may read this."""
        return path in self._routes and self._routes[path].for_apps

    async def answer(self, scope: Scope, body: bytes, prefix: str) -> Response:
        """Answer a request to one of the addresses."""
        route = self._routes[scope["path"]]
        if scope["method"] not in route.methods:
            return Response("Method Not Allowed", 405, {"allow": ", ".join(route.methods)})
        headers = Headers(scope=scope)
        try:
            asked = self._read(scope, headers, body, prefix)
        except Unreadable as fault:
            if route.for_apps:
                return JSONResponse(
                    {"error": "invalid_request"}, 400, {"cache-control": "no-store"}
                )
            blank = _asked(scope, headers, prefix, Params(), Params())
            return self._pages.show(blank, "error", status=400, problem=f"{fault}.")
        # In a thread: passwords take a while on purpose, and the disk takes its time.
        return await asyncio.to_thread(self._answer, route, asked)

    def _read(self, scope: Scope, headers: Headers, body: bytes, prefix: str) -> Asked:
        is_form = headers.get("content-type", "").lower().startswith(FORM)
        query, form = Params(scope.get("query_string", b"")), Params(body if is_form else b"")
        return _asked(scope, headers, prefix, query, form)

    def _answer(self, route: _Route, asked: Asked) -> Response:
        try:
            return route.answer(asked)
        except Denied as denied:
            return redirect(denied.url)
        except Unanswerable as fault:
            return self._pages.show(asked, "error", status=400, problem=str(fault))

    def _request(self, asked: Asked) -> Authorization:
        return read(asked.query, self._client)

    def _client(self, client_id: str) -> clients.Client | None:
        return self._pool.run(lambda backend: clients.find(backend, client_id))

    def _authorize(self, asked: Asked) -> Response:
        request = self._request(asked)
        who = None if "login" in request.prompts else self._sessions.current(asked, request)
        if who is not None:
            return self._sessions.grant(request, who)
        if "none" in request.prompts:
            raise request.denied("login_required")
        return redirect(f"../login?{request.query}")

    def _screen(self, asked: Asked) -> Response:
        return self._screens.answer(asked, self._request(asked))

    def _logout(self, asked: Asked) -> Response:
        uri = asked.query.once("logout_uri")
        if not uri:
            # Cognito's other way: sign out, and in again.
            request = self._request(asked)
            return self._sessions.close(redirect(f"login?{request.query}"), asked)
        client = self._client(asked.query.once("client_id"))
        if client is None or uri not in client.logouts:
            raise Unanswerable(
                "The logout_uri is not one of the app client's sign-out URLs. "
                "It has to be the same in every character."
            )
        return self._sessions.close(redirect(uri), asked)

    def _inbox(self, asked: Asked) -> Response:
        if not (asked.near or self._exposed):
            return self._pages.show(
                asked, "error", status=403, problem="The inbox is for this machine alone."
            )
        mails = [
            {
                "to": mail.to,
                "subject": mail.subject,
                "text": mail.text,
                "code": mail.code,
                "when": f"{datetime.fromtimestamp(mail.time, UTC):%Y-%m-%d %H:%M:%S} UTC",
            }
            for mail in self._pool.mails
        ]
        return self._pages.show(asked, "inbox", mails=mails)

    def _style(self, asked: Asked) -> Response:
        headers = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
        return Response(self._pages.style, 200, headers, "text/css")


def _asked(scope: Scope, headers: Headers, prefix: str, query: Params, form: Params) -> Asked:
    return Asked(
        method=scope["method"],
        path=scope["path"],
        origin=f"{scope.get('scheme', 'http')}://{headers.get('host', '')}",
        prefix=prefix,
        query=query,
        form=form,
        headers=headers,
        cookies=cookie_parser(headers.get("cookie", "")),
        near=is_this_machine((scope.get("client") or [""])[0]),
    )
