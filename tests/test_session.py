"""/auth: through every door, against hosted endpoints that can do wrong in every way."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.cookies import Morsel, SimpleCookie
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from app import hosted as hosted_module
from app.adapter import make_handler
from app.application import token_verifier
from app.hosted import ClientRefused, GrantRefused, HostedEndpoints, HostedUnavailable
from app.session import Attempt
from app.settings import load_settings
from tests.api import FakeDirectory, MakeApp, MakeDoor, refusal
from tests.doors import BASE_URL, AsgiTransport, Door, rest_event
from tests.hosted import Answer, Hosted, hangs_up, refused, serve, slow
from tests.tokens import ABSENT, CLIENT_ID, OTHER_CLIENT_ID, POOL_ID, SUB, Pool

T = TypeVar("T")
SESSION = f"__Host-notegate-session-{CLIENT_ID}"
SIGN_IN = f"__Host-notegate-signin-{CLIENT_ID}"
OWN = {"Origin": BASE_URL, "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def hosted(pool: Pool) -> Iterator[Hosted]:
    with serve(Hosted(pool)) as hosted:
        yield hosted


@pytest.fixture
def make(make_app: MakeApp, hosted: Hosted) -> Callable[..., FastAPI]:
    def make(**variables: str) -> FastAPI:
        nowhere: Any = object()
        directory = FakeDirectory()
        directory.users["student"] = {"sub": SUB}
        return make_app(nowhere, directory, cognito_domain=hosted.url, **variables)

    return make


@pytest.fixture
def browser(
    door: str, make: Callable[..., FastAPI], make_door: MakeDoor
) -> Iterator[httpx2.Client]:
    """Return a client with a cookie jar, at each door in turn."""
    with make_door(door, make()).client() as client:
        yield client


def sign_in(browser: httpx2.Client, hosted: Hosted, path: str = "/auth/login") -> httpx2.Response:
    """Return the answer to the callback."""
    return browser.get(hosted.sign_in(browser.get(path).headers["location"]))


def renew(browser: httpx2.Client, **headers: str) -> httpx2.Response:
    return browser.post("/auth/token", headers=OWN | headers)


def sign_out(browser: httpx2.Client) -> httpx2.Response:
    return browser.post("/auth/logout", headers=OWN)


def cookies(answer: httpx2.Response) -> dict[str, Morsel[str]]:
    """Return the cookies that an answer sets or takes back."""
    found: dict[str, Morsel[str]] = {}
    for line in answer.headers.get_list("set-cookie"):
        found.update(SimpleCookie(line))
    return found


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread: here ``asyncio.run`` would take the loop away that other tests use.

    Python 3.11 also stops to trace whoever waits for httpx on anyio, and coverage with it.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def outcome(answer: httpx2.Response) -> str:
    """Return how a callback ended, having checked that it led to the page and nowhere else."""
    assert answer.status_code == 303
    assert answer.headers["referrer-policy"] == "no-referrer"
    page, _, fragment = answer.headers["location"].partition("#")
    assert page == f"{BASE_URL}/"
    return fragment.removeprefix("signin=")


# --- the way it goes --------------------------------------------------------------------------


def test_signing_in_gives_a_token_that_the_api_takes(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    assert outcome(sign_in(browser, hosted)) == ""
    answer = renew(browser)
    assert answer.status_code == 200
    assert set(answer.json()) == {"id_token", "expires_in"}
    assert answer.json()["expires_in"] == 3600
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json()["id_token"]
    user = browser.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert user.json()["name"] == "student"


def test_the_browser_is_sent_off_with_pkce_state_and_nonce(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    answer = browser.get("/auth/login")
    assert answer.status_code == 303
    assert answer.headers["cache-control"] == "no-store"
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked.pop("redirect_uri") == [f"{BASE_URL}/auth/callback"]
    assert asked.pop("scope") == ["openid email profile"]
    assert asked.pop("client_id") == [CLIENT_ID]
    assert asked.pop("response_type") == ["code"]
    assert asked.pop("code_challenge_method") == ["S256"]
    again = parse_qs(urlsplit(browser.get("/auth/login").headers["location"]).query)
    assert set(asked) == {"state", "nonce", "code_challenge"}
    for name, (value,) in asked.items():
        assert len(value) >= 43
        assert again[name] != [value]


def test_what_signing_in_needs_is_in_a_cookie_of_its_own_for_a_while(
    browser: httpx2.Client,
) -> None:
    cookie = cookies(browser.get("/auth/login"))[SIGN_IN]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert cookie["max-age"] == "600"


def test_the_refresh_token_is_in_a_cookie_that_no_script_and_no_other_site_can_use(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    set_by = cookies(sign_in(browser, hosted))
    cookie = set_by[SESSION]
    assert {cookie.value} == hosted.refresh_tokens
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert int(cookie["max-age"]) == 30 * 24 * 3600
    gone = set_by[SIGN_IN]
    assert (gone.value, gone["max-age"]) == ("", "0")
    # Or a browser would not let it take the other one's place.
    assert gone["secure"]


def test_two_windows_can_sign_in_at_once(browser: httpx2.Client, hosted: Hosted) -> None:
    first = browser.get("/auth/login").headers["location"]
    second = browser.get("/auth/login").headers["location"]
    assert outcome(browser.get(hosted.sign_in(first))) == ""
    assert renew(browser).status_code == 200
    # The second comes too late to need it, and takes nothing away.
    assert outcome(browser.get(hosted.sign_in(second))) == "expired"
    assert renew(browser).status_code == 200


def test_a_window_of_its_own_is_told_that_it_is_done(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    assert outcome(sign_in(browser, hosted, "/auth/login?in=window")) == "done"


def test_with_access_tokens_the_page_gets_both(
    door: str, make: Callable[..., FastAPI], make_door: MakeDoor, hosted: Hosted
) -> None:
    app = make(cognito_token_use="access", cognito_scopes="notes/read")
    with make_door(door, app).client() as browser:
        location = browser.get("/auth/login").headers["location"]
        assert "scope=openid+email+profile+notes%2Fread&" in location
        assert outcome(browser.get(hosted.sign_in(location))) == ""
        answer = renew(browser).json()
        assert set(answer) == {"id_token", "access_token", "expires_in"}
        token = {"Authorization": f"Bearer {answer['access_token']}"}
        if door != "gateway":  # whose authorizer in these tests takes ID tokens
            assert browser.get("/userinfo", headers=token).json()["name"] == "student"


def test_a_rotated_refresh_token_takes_the_place_of_the_old_one(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    hosted.rotates = True
    before = cookies(sign_in(browser, hosted))[SESSION].value
    after = cookies(renew(browser))[SESSION].value
    assert before != after
    assert {after} == hosted.refresh_tokens
    assert renew(browser).status_code == 200


def test_each_renewal_lets_the_session_live_on(browser: httpx2.Client, hosted: Hosted) -> None:
    signed_in = cookies(sign_in(browser, hosted))[SESSION]
    renewed = cookies(renew(browser))[SESSION]
    assert (renewed.value, renewed["max-age"]) == (signed_in.value, signed_in["max-age"])


def test_signing_out_revokes_and_says_where_to_end_the_hosted_pages_session(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    sign_in(browser, hosted)
    kept = browser.cookies[SESSION]
    answer = sign_out(browser)
    assert answer.status_code == 200
    url = urlsplit(answer.json()["logout_url"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{hosted.url}/logout"
    assert parse_qs(url.query) == {"client_id": [CLIENT_ID], "logout_uri": [f"{BASE_URL}/"]}
    assert SESSION not in browser.cookies
    assert hosted.refresh_tokens == set()
    refusal(renew(browser), 401, "Unauthorized")
    # Nor does it help to have kept the cookie.
    browser.cookies.set(SESSION, kept, domain="api.example.com")
    refusal(renew(browser), 401, "Unauthorized")


def test_signing_out_twice_or_without_a_session_is_no_mistake(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    assert sign_out(browser).status_code == 200
    assert hosted.forms == []
    for error in ("invalid_grant", "unsupported_token_type"):
        sign_in(browser, hosted)
        hosted.fault = functools.partial(refused, error)
        assert sign_out(browser).status_code == 200
        assert SESSION not in browser.cookies
        hosted.fault = None


# --- who may not ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    ["", "x", "p.x", "pAAAAAAAAAAAAAAAAAAAAAA.AAAA", "é", "\x00", "p" * 5000],
)
def test_a_wrong_state_signs_nobody_in(browser: httpx2.Client, hosted: Hosted, state: str) -> None:
    location = browser.get("/auth/login").headers["location"]
    answer = browser.get(hosted.sign_in(location, state=state))
    assert outcome(answer) == "expired"
    assert cookies(answer) == {}
    assert hosted.forms == []
    # What was under way is not disturbed.
    assert outcome(browser.get(hosted.sign_in(location))) == ""


def test_a_callback_without_a_state_signs_nobody_in(browser: httpx2.Client, hosted: Hosted) -> None:
    browser.get("/auth/login")
    assert outcome(browser.get("/auth/callback?code=stolen")) == "expired"
    assert hosted.forms == []


def test_nobody_can_be_signed_in_with_a_callback_of_another_browser(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    """Login CSRF: the attacker's own code and state, opened by the victim."""
    trap = hosted.sign_in(browser.get("/auth/login").headers["location"])
    browser.cookies.clear()
    assert outcome(browser.get(trap)) == "expired"
    browser.get("/auth/login")
    assert outcome(browser.get(trap)) == "expired"
    assert hosted.forms == []


@pytest.mark.parametrize("secret", ["", "A", "A" * 44])
def test_a_browser_without_a_secret_of_ours_finishes_nothing(
    browser: httpx2.Client, hosted: Hosted, secret: str
) -> None:
    """What is derived from no secret, anybody can derive."""
    trap = Attempt(secret, "pAAAAAAAAAAAAAAAAAAAAAA")
    url = HostedEndpoints(hosted.url, CLIENT_ID).authorize_url(
        redirect_uri=f"{BASE_URL}/auth/callback",
        scopes="openid",
        state=trap.state,
        nonce=trap.nonce,
        verifier=trap.verifier,
    )
    if secret:
        browser.cookies.set(SIGN_IN, secret, domain="api.example.com")
    assert outcome(browser.get(hosted.sign_in(url))) == "expired"
    assert hosted.forms == []


def test_a_callback_works_once(browser: httpx2.Client, hosted: Hosted) -> None:
    address = hosted.sign_in(browser.get("/auth/login").headers["location"])
    secret = browser.cookies[SIGN_IN]
    assert outcome(browser.get(address)) == ""
    assert outcome(browser.get(address)) == "expired"
    # Not even with the cookie put back: the code is spent.
    browser.cookies.set(SIGN_IN, secret, domain="api.example.com")
    answer = browser.get(address)
    assert outcome(answer) == "expired"
    assert SESSION not in cookies(answer)
    assert renew(browser).status_code == 200


@pytest.mark.parametrize(
    ("claims", "because"),
    [
        ({"nonce": "another"}, "another sign-in's"),
        ({"nonce": ABSENT}, "no nonce"),
        ({"nonce": 7}, "no text"),
        ({"aud": OTHER_CLIENT_ID}, "another client's"),
        ({"iss": "https://evil.example.com"}, "another pool's"),
        ({"exp": 1}, "expired"),
        ({"token_use": "access"}, "no ID token"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_id_token_that_is_not_the_answer_signs_nobody_in(
    browser: httpx2.Client, hosted: Hosted, claims: dict[str, Any], because: str
) -> None:
    hosted.claims = claims
    answer = sign_in(browser, hosted)
    assert outcome(answer) == "failed"
    assert SESSION not in cookies(answer)
    assert SESSION not in browser.cookies


def test_another_client_of_the_same_app_is_not_who_signed_in(
    door: str, make: Callable[..., FastAPI], make_door: MakeDoor, hosted: Hosted
) -> None:
    """Its tokens are good at the API, and yet no answer to this sign-in."""
    app = make(cognito_app_client_id=f"{CLIENT_ID},{OTHER_CLIENT_ID}")
    hosted.claims = {"aud": OTHER_CLIENT_ID}
    with make_door(door, app).client() as browser:
        assert outcome(sign_in(browser, hosted)) == "failed"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"error": "access_denied"}, "denied"),
        ({"error": "invalid_scope"}, "failed"),
        ({"error": "<script>alert(1)</script>", "error_description": "<b>"}, "failed"),
        ({}, "failed"),
    ],
)
def test_what_the_sign_in_page_says_instead_of_a_code_is_told_in_our_own_words(
    browser: httpx2.Client, hosted: Hosted, query: dict[str, str], expected: str
) -> None:
    location = browser.get("/auth/login").headers["location"]
    state = parse_qs(urlsplit(location).query)["state"][0]
    answer = browser.get("/auth/callback", params={"state": state, **query})
    assert outcome(answer) == expected
    assert answer.text == ""
    assert browser.cookies.get(SIGN_IN) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://api.example.com"},
        {"Origin": f"{BASE_URL}:8443"},
        {"Origin": f"{BASE_URL}.evil.example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": BASE_URL, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/auth/token", "/auth/logout"])
def test_nobody_but_the_page_itself_may_ask(
    browser: httpx2.Client, hosted: Hosted, path: str, headers: dict[str, str]
) -> None:
    sign_in(browser, hosted)
    hosted.forms.clear()
    answer = browser.post(path, headers=headers)
    refusal(answer, 403, "Only the page itself may ask for this")
    assert cookies(answer) == {}
    assert "access-control-allow-credentials" not in answer.headers
    assert hosted.forms == []
    assert renew(browser).status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": BASE_URL}, {"Sec-Fetch-Site": "same-origin"}])
def test_either_header_is_enough_for_browsers_that_send_one(
    browser: httpx2.Client, hosted: Hosted, headers: dict[str, str]
) -> None:
    sign_in(browser, hosted)
    assert browser.post("/auth/token", headers=headers).status_code == 200


def test_two_origins_are_none(make: Callable[..., FastAPI]) -> None:
    sent = [("Origin", "https://evil.example.com"), ("Origin", BASE_URL)]
    event = rest_event("POST", "/auth/token", headers=[("Host", "api.example.com"), *sent])
    assert make_handler(make())(event, None)["statusCode"] == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/auth/token", "/auth/logout"])
def test_a_link_cannot_do_what_a_post_does(
    browser: httpx2.Client, hosted: Hosted, path: str, method: str
) -> None:
    sign_in(browser, hosted)
    refusal(browser.request(method, path), 405, "Method Not Allowed")
    assert renew(browser).status_code == 200


@pytest.mark.parametrize(
    "junk",
    ["", "a b", "a%0d%0aSet-Cookie:x=1", "é", "{}", '"', "\x7f", "x" * 3801, "unknown"],
    ids=repr,
)
def test_a_cookie_that_is_no_session_is_taken_back(
    door: str, make: Callable[..., FastAPI], make_door: MakeDoor, junk: str
) -> None:
    with make_door(door, make()).client() as browser:
        sent = {**OWN, "Cookie": f"{SESSION}={junk}"}
        raw = {name.encode(): value.encode() for name, value in sent.items()}
        answer = browser.post("/auth/token", headers=httpx2.Headers(raw))
        refusal(answer, 401, "Unauthorized")
        assert cookies(answer)[SESSION]["max-age"] == "0"


def test_without_a_session_there_is_no_token_and_no_cookie_to_take_back(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    answer = renew(browser)
    refusal(answer, 401, "Unauthorized")
    assert cookies(answer) == {}
    assert hosted.forms == []


def test_another_clients_session_on_the_same_host_is_not_ours_to_use_or_end(
    browser: httpx2.Client, hosted: Hosted
) -> None:
    other = SESSION.replace(CLIENT_ID, OTHER_CLIENT_ID)
    browser.cookies.set(other, "theirs", domain="api.example.com")
    answer = renew(browser)
    refusal(answer, 401, "Unauthorized")
    assert cookies(answer) == {}
    assert sign_out(browser).status_code == 200
    assert hosted.forms == []
    assert browser.cookies[other] == "theirs"


@pytest.mark.parametrize(
    "query",
    [
        "next=https://evil.example.com",
        "redirect_uri=https://evil.example.com",
        "in=https://evil.example.com",
        "return=//evil.example.com",
    ],
)
def test_there_is_no_way_to_be_sent_elsewhere(
    browser: httpx2.Client, hosted: Hosted, query: str
) -> None:
    location = browser.get(f"/auth/login?{query}").headers["location"]
    assert "evil" not in location
    assert outcome(browser.get(f"{hosted.sign_in(location)}&{query}")) == ""


# --- when the hosted endpoints fail -----------------------------------------------------------


FAULTS: dict[str, Callable[[], Answer]] = {
    "hangs up": hangs_up,
    "slow": slow,
    "throttles": lambda: (429, b"{}"),
    "broken": lambda: (503, b"<html>"),
    "no JSON": lambda: (200, b"<html>"),
    "no object": lambda: (200, b"[]"),
    "deep": lambda: (200, b"[" * 60_000),
    "too long": lambda: (200, b"{" + b" " * 70_000 + b"}"),
    "no tokens": lambda: (200, b"{}"),
    "wrong client": lambda: refused("invalid_client"),
    "a redirect": lambda: (302, b""),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest) -> str:
    """Return the name of what goes wrong."""
    return str(request.param)


@pytest.fixture
def break_down(fault: str, hosted: Hosted) -> Callable[[FastAPI], None]:
    """Return what makes it go wrong from then on."""

    def break_down(app: FastAPI) -> None:
        hosted.fault = FAULTS[fault]
        if fault == "slow":
            app.state.hosted._timeout = 0.3

    return break_down


@pytest.fixture
def app_(make: Callable[..., FastAPI]) -> FastAPI:
    """Return an app that the test may break."""
    return make()


@pytest.fixture
def at_risk(door: str, app_: FastAPI, make_door: MakeDoor) -> Iterator[httpx2.Client]:
    """Return a browser at that app."""
    with make_door(door, app_).client() as browser:
        yield browser


def test_while_the_hosted_endpoints_fail_the_session_stays(
    break_down: Callable[[FastAPI], None],
    fault: str,
    app_: FastAPI,
    at_risk: httpx2.Client,
    hosted: Hosted,
) -> None:
    sign_in(at_risk, hosted)
    break_down(app_)
    answers = [renew(at_risk)]
    if fault not in {"no tokens", "wrong client"}:  # of which this knows nothing
        answers.append(sign_out(at_risk))
    for answer in answers:
        refusal(answer, 503, "Service Unavailable")
        assert cookies(answer) == {}
    hosted.fault = None
    assert renew(at_risk).status_code == 200


def test_while_the_hosted_endpoints_fail_nobody_is_signed_in_and_nobody_out(
    break_down: Callable[[FastAPI], None],
    fault: str,
    app_: FastAPI,
    at_risk: httpx2.Client,
    hosted: Hosted,
) -> None:
    sign_in(at_risk, hosted)
    break_down(app_)
    answer = sign_in(at_risk, hosted)
    assert outcome(answer) == ("failed" if fault == "wrong client" else "unavailable")
    assert SESSION not in cookies(answer)
    hosted.fault = None
    assert renew(at_risk).status_code == 200


def test_a_server_that_is_not_there_is_a_503_at_once(
    door: str, make_app: MakeApp, make_door: MakeDoor
) -> None:
    nowhere: Any = object()
    app = make_app(nowhere, cognito_domain="http://127.0.0.1:9")
    with make_door(door, app).client() as browser:
        browser.cookies.set(SESSION, "kept", domain="api.example.com")
        began = time.monotonic()
        refusal(renew(browser), 503, "Service Unavailable")
        assert time.monotonic() - began < 3
        assert browser.cookies[SESSION] == "kept"


def test_a_server_that_sends_a_byte_now_and_then_is_left_in_time() -> None:
    import httpx  # noqa: F401 - takes a while, and that is not what is timed

    async def ask() -> float:
        left = asyncio.Event()

        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await asyncio.sleep(0.05)
            with suppress(OSError):
                await writer.wait_closed()
            left.set()

        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        began = time.monotonic()
        with pytest.raises(HostedUnavailable):
            await HostedEndpoints(f"http://127.0.0.1:{port}", "x", timeout=0.3).refresh("r")
        took = time.monotonic() - began
        await left.wait()
        server.close()
        return took

    assert run(ask()) < 1


def test_keys_out_of_reach_sign_nobody_in(
    door: str, make: Callable[..., FastAPI], make_door: MakeDoor, hosted: Hosted
) -> None:
    app = make()
    opened = make_door(door, app)
    with opened.client() as browser:
        location = browser.get("/auth/login").headers["location"]

        async def no_keys() -> bytes:
            raise ConnectionError

        settings = load_settings(
            env_file=None, cognito_user_pool_id=POOL_ID, cognito_app_client_id=CLIENT_ID
        )
        app.state.verifier = token_verifier(settings, no_keys)
        assert outcome(browser.get(hosted.sign_in(location))) == "unavailable"


def test_a_refresh_token_too_long_for_a_cookie_is_said_in_the_log(
    browser: httpx2.Client,
    hosted: Hosted,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("app.session._REFRESH_TOKEN", re.compile("x"))
    assert outcome(sign_in(browser, hosted)) == "failed"
    assert "characters fits no cookie" in caplog.text


def test_a_grant_that_is_refused_is_told_from_a_server_that_fails(hosted: Hosted) -> None:
    async def ask(token: str) -> None:
        await HostedEndpoints(hosted.url, CLIENT_ID).refresh(token)

    with pytest.raises(GrantRefused):
        run(ask("unknown"))
    hosted.fault = lambda: refused("invalid_client")
    with pytest.raises(ClientRefused):
        run(ask("unknown"))


def test_certificates_are_checked_by_one_context_made_once() -> None:
    context = hosted_module._trust()
    assert context is hosted_module._trust()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# --- where ------------------------------------------------------------------------------------


def test_without_a_domain_there_is_no_signing_in(
    door: str, make_app: MakeApp, make_door: MakeDoor
) -> None:
    nowhere: Any = object()
    with make_door(door, make_app(nowhere)).client() as browser:
        for answer in (
            browser.get("/auth/login"),
            browser.get("/auth/callback?code=x&state=y"),
            renew(browser),
            sign_out(browser),
        ):
            refusal(answer, 404, "Signing in by browser is off: COGNITO_DOMAIN is not set")


def at(app: FastAPI, host: str, scheme: str = "http", **headers: str) -> dict[str, Any]:
    sent = [("Host", host), ("X-Forwarded-Proto", scheme), *headers.items()]
    method, path = ("POST", "/auth/token") if headers else ("GET", "/auth/login")
    return make_handler(app)(rest_event(method, path, headers=sent), None)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "localhost"])
def test_on_loopback_http_will_do_with_a_cookie_that_every_browser_takes_there(
    make: Callable[..., FastAPI], host: str
) -> None:
    answer = at(make(), host)
    assert (
        f"redirect_uri=http%3A%2F%2F{host.split(':')[0][:1].replace('[', '%5B')}"
        in (answer["headers"]["location"])
    )
    ((name, cookie),) = SimpleCookie(answer["headers"]["set-cookie"]).items()
    port = "8000" if host.endswith("8000") else "80"
    assert name == f"notegate-signin-{CLIENT_ID}-{port}"
    assert not cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        ("api.example.com", "http"),
        ("192.0.2.7:8000", "http"),
        ("127.0.0.1.evil.example.com", "http"),
        ("localhost@evil.example.com", "http"),
        ("api.example.com/evil", "https"),
        ("api.example.com?", "https"),
        ("api.example.com\\evil", "https"),
        ("api.example.com:99999", "https"),
        ("[::::::::]", "https"),
        ("[::1", "http"),
        ("", "https"),
        ("api.example.com", "ftp"),
        ("api.example.com", "javascript"),
    ],
)
def test_no_session_is_begun_where_it_could_be_read_or_sent_elsewhere(
    make: Callable[..., FastAPI], host: str, scheme: str
) -> None:
    for headers in ({}, OWN):
        answer = at(make(), host, scheme, **headers)
        assert answer["statusCode"] == 403
        assert "Signing in needs https" in answer["body"]
        assert "set-cookie" not in answer["headers"]


def test_two_hosts_are_none(make: Callable[..., FastAPI]) -> None:
    event = rest_event(url="/auth/login", headers=[("Host", "a.example"), ("Host", "b.example")])
    assert make_handler(make())(event, None)["statusCode"] == 403


def test_behind_a_stage_every_address_has_the_stage(
    make: Callable[..., FastAPI], make_door: MakeDoor, hosted: Hosted
) -> None:
    with make_door("gateway", make()).client() as browser:
        location = browser.get("/Prod/auth/login").headers["location"]
        back = hosted.sign_in(location)
        assert back.startswith(f"{BASE_URL}/Prod/auth/callback?")
        assert browser.get(back).headers["location"] == f"{BASE_URL}/Prod/"
        assert browser.post("/Prod/auth/token", headers=OWN).status_code == 200
        out = browser.post("/Prod/auth/logout", headers=OWN).json()["logout_url"]
        assert parse_qs(urlsplit(out).query)["logout_uri"] == [f"{BASE_URL}/Prod/"]


@pytest.mark.parametrize("root", ["//evil.example.com", "/\\evil.example.com", "///evil"])
def test_a_strange_root_path_leads_nowhere_else(make: Callable[..., FastAPI], root: str) -> None:
    app = make()

    async def rooted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": root, "path": root + scope["path"]}, receive, send)

    transport = AsgiTransport(rooted)
    with Door(transport, transport.stop).client() as browser:
        location = browser.get("/auth/callback").headers["location"]
        assert location.startswith(f"{BASE_URL}/")
        assert urlsplit(location).hostname == "api.example.com"
    transport.stop()


# --- what must not be seen --------------------------------------------------------------------


def test_no_code_and_no_token_is_in_a_log_or_an_address(
    browser: httpx2.Client, hosted: Hosted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = browser.get("/auth/login")
    callback = browser.get(hosted.sign_in(login.headers["location"]))
    renewed = renew(browser)
    hosted.fault = lambda: refused("invalid_request")
    renew(browser)
    hosted.fault = None
    signed_out = sign_out(browser)
    (secret,) = (cookies(login)[SIGN_IN].value,)
    asked = parse_qs(urlsplit(login.headers["location"]).query)
    ticket = asked["state"][0].partition(".")[0]
    secrets = [
        secret,
        Attempt(secret, ticket).verifier,
        "code-1",
        "refresh-",
        renewed.json()["id_token"],
        "access_token",
    ]
    shown = callback.headers["location"] + signed_out.text + login.headers["location"]
    ours = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("httpx2")
    )
    for each in secrets:
        assert each not in shown
        assert each not in ours
    assert "invalid_request" in ours


def test_in_lambda_signing_in_costs_no_thread(
    make: Callable[..., FastAPI], hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = make_handler(make())
    hosted.refresh_tokens.add("r")
    sent = [("Host", "api.example.com"), ("Cookie", f"{SESSION}=r"), *OWN.items()]
    event = rest_event("POST", "/auth/token", headers=sent)
    loop = asyncio.new_event_loop()
    statuses: list[int] = []

    def environment() -> None:
        asyncio.set_event_loop(loop)
        statuses.extend(handler(event, None)["statusCode"] for _ in range(2))

    playing = threading.Thread(target=environment)
    starters = []
    start = threading.Thread.start

    def noting_start(thread: threading.Thread) -> None:
        starters.append(threading.current_thread())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noting_start)
    playing.start()
    playing.join()
    loop.close()
    assert statuses == [200, 200]
    assert threading.current_thread() in starters
    assert playing not in starters
