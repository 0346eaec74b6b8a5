"""A browser as far as hosted sign-in needs one: cookies, redirects, forms found by their labels."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import uvicorn

from app.local.cognito import PREFIX, LocalPool, mount
from tests.local.cognito.support import Clock

CALLBACK = "http://127.0.0.1:9/auth/callback"
LOGGED_OUT = "http://127.0.0.1:9/"
VERIFIER = "a-verifier-of-at-least-forty-three-characters-0"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:43]


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """What a page shows."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.forms: list[Form] = []
        self.labels: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.texts: dict[str, list[str]] = {}
        self.tags: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag == "form":
            self.forms.append(Form(found["action"] or ""))
        elif tag == "input":
            self.forms[-1].fields[found["name"] or ""] = found.get("value") or ""
        if tag not in ("input", "meta", "link"):
            self._open.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        tag, found = self._open[-1]
        if tag == "label":
            self.labels[text] = found["for"] or ""
        elif tag == "button":
            self.forms[-1].buttons.append(text)
        elif tag == "a":
            self.links[text] = urljoin(str(self.response.url), found["href"])
        self.texts.setdefault(found.get("role") or tag, []).append(text)

    @property
    def title(self) -> str:
        return self.texts["h1"][0]

    @property
    def problem(self) -> str:
        return " ".join(self.texts.get("alert", []))

    @property
    def notice(self) -> str:
        return " ".join(self.texts.get("status", []))


class Browser:
    """One person's browser. It stops where the pool sends it elsewhere."""

    def __init__(self, endpoint: str, transport: httpx2.BaseTransport) -> None:
        self.endpoint = endpoint
        self.http = httpx2.Client(transport=transport, timeout=20, trust_env=False)
        self.at = ""
        """Where the pool sent the browser, if elsewhere."""

    def get(self, path: str, **query: str) -> Page:
        url = urljoin(self.endpoint + "/", path)
        return self._follow(self.http.get(f"{url}?{urlencode(query)}" if query else url))

    def submit(self, page: Page, button: str, **typed: str) -> Page:
        """Fill a form in, by labels (spaces as underscores), and press its button."""
        form = next(form for form in page.forms if button in form.buttons)
        by_label = {page.labels[label.replace("_", " ")]: text for label, text in typed.items()}
        assert by_label.keys() <= form.fields.keys()
        url = urljoin(str(page.response.url), form.action)
        headers = {"origin": "http://" + urlsplit(url).netloc, "sec-fetch-site": "same-origin"}
        return self._follow(self.http.post(url, data=form.fields | by_label, headers=headers))

    def _follow(self, response: httpx2.Response) -> Page:
        self.at = ""
        while response.is_redirect:
            target = urljoin(str(response.url), response.headers["location"])
            assert response.headers["cache-control"] == "no-store"
            if not target.startswith(self.endpoint + "/"):
                self.at = target
                break
            response = self.http.get(target)
        return Page(response)

    @property
    def answer(self) -> dict[str, str]:
        """What the app was told."""
        query = parse_qs(urlsplit(self.at).query, keep_blank_values=True, strict_parsing=True)
        return {name: values[0] for name, values in query.items() if len(values) == 1}


@dataclass
class Hosted:
    """A pool behind a server."""

    pool: LocalPool
    endpoint: str
    clock: Clock
    transport: httpx2.HTTPTransport = field(default_factory=httpx2.HTTPTransport)
    """One for all: making one takes longer than a request."""

    def browser(self) -> Browser:
        return Browser(self.endpoint, self.transport)

    def ask(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """Ask as somebody without any cookies."""
        return self.browser().http.request(method, url, **options)

    def request(self, **changes: str) -> dict[str, str]:
        """An authorization request; a change to nothing takes a parameter out."""
        request = {
            "response_type": "code",
            "client_id": self.pool.client_id,
            "redirect_uri": CALLBACK,
            "state": "xyz",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in request.items() if value}

    def sign_in(
        self, browser: Browser, username: str = "student", password: str = "student", **changes: str
    ) -> Page:
        page = browser.get("oauth2/authorize", **self.request(**changes))
        return browser.submit(page, "Sign in", Username=username, Password=password)

    def form(self, code: str, /, **changes: str) -> dict[str, str]:
        """A request for tokens; a change to nothing takes a parameter out."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self.pool.client_id,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        } | changes
        return {name: value for name, value in form.items() if value}

    def exchange(self, code: str, /, headers: Any = None, **changes: str) -> httpx2.Response:
        url = f"{self.endpoint}/oauth2/token"
        return self.ask("POST", url, data=self.form(code, **changes), headers=headers)

    def client(self, **settings: Any) -> tuple[str, str]:
        """Make an app client: its id, and its secret or nothing."""
        params = {
            "UserPoolId": self.pool.pool_id,
            "ClientName": "other",
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthFlows": ["code"],
            "AllowedOAuthScopes": ["openid", "email"],
            "CallbackURLs": [CALLBACK],
        }
        made = self.pool.call("CreateUserPoolClient", params | settings)["UserPoolClient"]
        return made["ClientId"], made.get("ClientSecret", "")


async def _elsewhere(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"elsewhere"})


@contextlib.contextmanager
def listening(pool: LocalPool) -> Iterator[str]:
    """Serve a pool; its origin. The pool is closed in the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = mount(PREFIX, pool.asgi, _elsewhere)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
    pool.close()
