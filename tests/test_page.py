"""The page and its parts: what every door serves, and what they may and may not contain."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.adapter import make_handler
from app.page import FOLDER
from tests.api import MakeApp, MakeDoor, refusal
from tests.doors import AsgiTransport, Door, rest_event

PARTS = sorted(path.name for path in FOLDER.iterdir() if path.suffix in {".js", ".css"})
MODULES = [name for name in PARTS if name.endswith(".js")]
DOMAIN = "https://notes.auth.eu-central-1.amazoncognito.com"


class Tags(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, *names: str) -> list[str]:
        return [value for _, a in self.found for name in names if (value := a.get(name))]


@pytest.fixture
def make(make_app: MakeApp) -> Callable[..., FastAPI]:
    def make(**variables: str) -> FastAPI:
        nowhere: Any = object()
        return make_app(nowhere, **variables)

    return make


def in_lambda(app: FastAPI, host: str = "api.example.com", **more: Any) -> str:
    headers = [("Host", host), ("X-Forwarded-Proto", more.pop("scheme", "https"))]
    answer = make_handler(app)(rest_event(url="/", headers=headers, **more), None)
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    return str(answer["body"])


def sign_in(html: str) -> str | None:
    return dict(Tags(html).found)["html"]["data-sign-in"]


def test_the_page_is_there_at_every_door(client: httpx2.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "$" not in answer.text


def test_every_part_is_there_and_may_be_kept_for_ever(client: httpx2.Client) -> None:
    tags = Tags(client.get("/").text)
    linked = [v for v in tags.values("src", "href") if "/web/" in v]
    assert {link.rpartition("/")[2] for link in linked} == set(PARTS)
    for link in linked:
        part = client.get(link)
        assert part.status_code == 200
        kind = "javascript" if link.endswith(".js") else "css"
        assert part.headers["content-type"] == f"text/{kind}; charset=utf-8"
        assert part.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert part.headers["x-content-type-options"] == "nosniff"
        assert part.text == (FOLDER / link.rpartition("/")[2]).read_text()


def test_a_page_from_before_a_deployment_gets_what_there_is_and_must_not_keep_it(
    client: httpx2.Client,
) -> None:
    part = client.get("/web/000000000000/app.js")
    assert part.status_code == 200
    assert part.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["other.js", "index.html", "..%2fmain.py", "app.js%00", "APP.JS", "__init__.py"]
)
def test_nothing_else_is_there(client: httpx2.Client, name: str) -> None:
    refusal(client.get(f"/web/1/{name}"), 404, "Not Found")


def test_the_browser_is_told_to_run_nothing_but_the_pages_own_files(
    client: httpx2.Client,
) -> None:
    headers = client.get("/").headers
    policy = dict(
        directive.split(" ", 1) for directive in headers["content-security-policy"].split("; ")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin-allow-popups"


def test_the_page_has_nothing_that_its_policy_forbids(client: httpx2.Client) -> None:
    html = client.get("/").text
    for tag, attributes in Tags(html).found:
        assert tag not in {"style", "base", "iframe", "object"}
        assert tag != "script" or attributes["src"]
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    assert not re.search(r"<script[^>]*>[^<]", html)


def test_nothing_is_fetched_from_elsewhere(client: httpx2.Client) -> None:
    for value in Tags(client.get("/").text).values("src", "href", "action"):
        assert value.startswith(("/", "#", "data:image/svg+xml,"))
        assert not value.startswith("//")
    for name in PARTS:
        text = (FOLDER / name).read_text()
        assert "://" not in text
        assert "@import" not in text
        assert "url(" not in text


@pytest.mark.parametrize("name", MODULES)
def test_no_script_keeps_anything_or_makes_html_of_text(name: str) -> None:
    text = (FOLDER / name).read_text()
    for word in (
        *("localStorage", "sessionStorage", "indexedDB", "document.cookie", "caches."),
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("),
    ):
        assert word not in text


@pytest.mark.parametrize("name", MODULES)
def test_every_module_finds_the_others_by_their_names_alone(name: str) -> None:
    imported = re.findall(r'(?:from|import) "([^"]+)"', (FOLDER / name).read_text())
    assert {each.removeprefix("./") for each in imported} <= set(MODULES)
    assert all(each.startswith("./") for each in imported)


def test_every_element_that_a_script_looks_for_is_in_the_page() -> None:
    ids = set(Tags((FOLDER / "index.html").read_text()).values("id"))
    wanted = {
        each
        for name in MODULES
        for each in re.findall(r'byId\("([\w-]+)"\)', (FOLDER / name).read_text())
    }
    assert wanted
    assert wanted <= ids


def test_every_field_has_a_label_and_every_reference_an_element() -> None:
    tags = Tags((FOLDER / "index.html").read_text())
    ids = tags.values("id")
    assert len(ids) == len(set(ids))
    for reference in tags.values("for", "aria-labelledby", "aria-describedby"):
        assert set(reference.split()) <= set(ids)
    fields = [a["id"] for tag, a in tags.found if tag in {"input", "textarea", "select"}]
    assert set(fields) <= set(tags.values("for"))


@pytest.mark.parametrize("path", ["/Prod", "/Prod/"])
def test_behind_a_stage_everything_is_under_the_stage_with_and_without_a_slash(
    make: Callable[..., FastAPI], path: str
) -> None:
    event = rest_event(url="/", stage="Prod", resource="/", pathParameters=None)
    event["requestContext"]["path"] = path
    body = make_handler(make())(event, None)["body"]
    own = [v for v in Tags(body).values("src", "href") if not v.startswith(("#", "data:"))]
    assert len(own) > len(PARTS)
    assert all(value.startswith("/Prod/") for value in own)


def test_behind_a_base_path_everything_is_under_the_base_path(
    make: Callable[..., FastAPI],
) -> None:
    event = rest_event(url="/base", resource="/", pathParameters=None)
    answer = make_handler(make())(event, None)
    assert answer["statusCode"] == 200
    assert 'href="/base/auth/login"' in answer["body"]


@pytest.mark.parametrize("root", ["//evil.example.com", "/\\evil.example.com", '/"><script>'])
def test_a_strange_root_path_brings_nothing_foreign_into_the_page(
    make: Callable[..., FastAPI], root: str
) -> None:
    app = make()

    async def rooted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": root, "path": root + scope["path"]}, receive, send)

    transport = AsgiTransport(rooted)
    with Door(transport).client() as browser:
        html = browser.get("/").text
    transport.stop()
    assert [tag for tag, _ in Tags(html).found].count("script") == 1
    for value in Tags(html).values("src", "href"):
        assert not re.match(r"[/\\]{2}|/\\", value)


# --- can one sign in? -------------------------------------------------------------------------


def test_without_a_domain_the_page_says_so(client: httpx2.Client) -> None:
    assert sign_in(client.get("/").text) == "off"


def test_with_a_domain_one_can_sign_in(
    door: str, make: Callable[..., FastAPI], make_door: MakeDoor
) -> None:
    with make_door(door, make(cognito_domain=DOMAIN)).client() as browser:
        assert sign_in(browser.get("/").text) == "on"


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        ("api.example.com", "https", "on"),
        ("127.0.0.1:8000", "http", "on"),
        ("192.0.2.7:8000", "http", "insecure"),
        ("bad host", "https", "insecure"),
    ],
)
def test_where_a_session_could_be_read_the_page_says_so(
    make: Callable[..., FastAPI], host: str, scheme: str, expected: str
) -> None:
    html = in_lambda(make(cognito_domain=DOMAIN), host, scheme=scheme)
    assert sign_in(html) == expected


# --- /docs ------------------------------------------------------------------------------------


@pytest.fixture
def docs(door: str, make: Callable[..., FastAPI], make_door: MakeDoor) -> httpx2.Client:
    return make_door(door, make(cognito_domain=f"{DOMAIN}/")).client()


def test_the_description_tells_where_to_sign_in_and_which_token_to_send(
    docs: httpx2.Client,
) -> None:
    description = docs.get("/openapi.json").json()
    scheme = description["components"]["securitySchemes"]["CognitoSignIn"]
    assert scheme["type"] == "oauth2"
    assert scheme["x-tokenName"] == "id_token"
    flow = scheme["flows"]["authorizationCode"]
    assert flow["authorizationUrl"] == f"{DOMAIN}/oauth2/authorize"
    assert flow["tokenUrl"] == f"{DOMAIN}/oauth2/token"
    assert set(flow["scopes"]) == {"openid", "email", "profile"}
    for path, operations in description["paths"].items():
        for operation in operations.values():
            offered = [name for each in operation.get("security", []) for name in each]
            assert offered == ([] if path == "/healthz" else ["Cognito", "CognitoSignIn"])


def test_with_access_tokens_the_description_says_so(make: Callable[..., FastAPI]) -> None:
    app = make(cognito_domain=DOMAIN, cognito_token_use="access", cognito_scopes="notes/read")
    scheme = app.openapi()["components"]["securitySchemes"]["CognitoSignIn"]
    assert scheme["x-tokenName"] == "access_token"
    assert "notes/read" in scheme["flows"]["authorizationCode"]["scopes"]


def test_the_docs_page_signs_in_with_the_first_app_client(
    make: Callable[..., FastAPI],
) -> None:
    transport = AsgiTransport(make(cognito_domain=DOMAIN, cognito_app_client_id="one,two"))
    with Door(transport).client() as browser:
        page = browser.get("/docs")
    transport.stop()
    (ui,) = (a for _, a in Tags(page.text).found if a.get("id") == "swagger-ui")
    assert (ui["data-client-id"], ui["data-scopes"]) == ("one", "openid email profile")
    assert f"connect-src 'self' {DOMAIN};" in page.headers["content-security-policy"]


def test_the_docs_pages_way_back_runs_its_own_file_only(docs: httpx2.Client) -> None:
    page = docs.get("/docs/oauth2-redirect?code=x&state=y")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert Tags(page.text).values("src") == ["oauth2-redirect.js"]
    script = docs.get("/docs/oauth2-redirect.js")
    assert "swaggerUIRedirectOauth2" in script.text
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"


def test_without_a_domain_the_docs_offer_no_sign_in(client: httpx2.Client) -> None:
    page = client.get("/docs")
    assert 'data-client-id=""' in page.text
    assert "connect-src 'self';" in page.headers["content-security-policy"]
    description = client.get("/openapi.json").json()
    assert list(description["components"]["securitySchemes"]) == ["Cognito"]


def test_the_parts_are_packed_with_the_app() -> None:
    assert Path(__file__).parent.parent / "app" / "web" == FOLDER
    assert {"app.js", "app.css"} <= set(PARTS)
