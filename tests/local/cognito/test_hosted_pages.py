"""The pages: what they say, who may send their forms, and what guards them."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.local.cognito import LocalPool
from app.local.cognito.server import Server
from tests.local.cognito.browser import CALLBACK, LOGGED_OUT, Browser, Form, Hosted, Page

PAGES = ["login", "signup", "confirm", "resendcode", "forgotPassword", "confirmForgotPassword"]

GONE = "Your temporary password is no longer good. Sign in again."


def made(hosted: Hosted, username: str, *, permanent: bool = False, **attributes: str) -> Any:
    """Make a user with the password "secret"."""
    user = {"UserPoolId": hosted.pool.pool_id, "Username": username}
    pairs = [{"Name": name, "Value": value} for name, value in attributes.items()]
    hosted.pool.call(
        "AdminCreateUser", {**user, "TemporaryPassword": "secret", "UserAttributes": pairs}
    )
    if permanent:
        hosted.pool.call("AdminSetUserPassword", {**user, "Password": "secret", "Permanent": True})
    return user


def page_of(hosted: Hosted, path: str, **changes: str) -> tuple[Browser, Page]:
    browser = hosted.browser()
    return browser, browser.get(path, **hosted.request(**changes))


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_guarded(hosted: Hosted, path: str) -> None:
    _, page = page_of(hosted, path)
    assert page.status == 200
    headers = page.response.headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'self' http://127.0.0.1:9",
    }
    assert not {"script", "style"} & set(page.tags)
    assert all(form.action.partition("?")[0] in PAGES for form in page.forms)
    for cookie in headers.get_list("set-cookie"):
        assert "HttpOnly; Path=/_cognito; SameSite=lax" in cookie
        assert "Secure" not in cookie


@pytest.mark.parametrize("path", PAGES)
def test_each_field_has_a_label(hosted: Hosted, path: str) -> None:
    _, page = page_of(hosted, path)
    shown = {name for form in page.forms for name in form.fields if name != "_csrf"}
    assert set(page.labels.values()) == shown
    assert page.title
    assert page.texts["title"] == [page.title]


def test_by_https_the_cookies_are_secure(pool: LocalPool) -> None:
    headers = ask(pool, "/inbox", scheme="https", client=("127.0.0.1", 1))[1]
    assert "; Secure" in headers["set-cookie"]


def test_the_style_is_served(hosted: Hosted) -> None:
    response = hosted.ask("GET", hosted.endpoint + "/style.css")
    assert response.headers["content-type"].startswith("text/css")
    assert "color-scheme" in response.text
    assert hosted.ask("HEAD", hosted.endpoint + "/style.css").status_code == 200


def test_forms_may_lead_to_all_of_the_clients_origins(hosted: Hosted) -> None:
    urls = [
        CALLBACK,
        "http://localhost:9/a",
        "http://localhost:9/b",
        "myapp://callback",
        "http://[::1]:3000/",
        "https://evil.test;script-src/",
        "no-scheme",
    ]
    client_id, _ = hosted.client(CallbackURLs=urls)
    _, page = page_of(hosted, "login", client_id=client_id)
    policy = page.response.headers["content-security-policy"]
    assert policy.endswith(
        "form-action 'self' http://127.0.0.1:9 http://localhost:9 myapp: http: https:"
    )


def test_a_wrong_password_says_so_and_keeps_the_name(hosted: Hosted) -> None:
    browser, page = page_of(hosted, "login")
    for username in ("student", "nobody"):
        page = browser.submit(page, "Sign in", Username=username, Password="wrong")
        assert (page.status, page.problem) == (400, "Incorrect username or password.")
        assert page.forms[0].fields["username"] == username
        assert page.forms[0].fields["password"] == ""
    browser.submit(page, "Sign in", Username="student", Password="student")
    assert "code" in browser.answer


def test_a_client_that_tells_who_exists_does_not_tell_here(hosted: Hosted) -> None:
    client_id, _ = hosted.client(PreventUserExistenceErrors="LEGACY")
    browser, page = page_of(hosted, "login", client_id=client_id)
    page = browser.submit(page, "Sign in", Username="nobody", Password="wrong")
    assert page.problem == "Incorrect username or password."


def test_guessing_has_to_wait(hosted: Hosted) -> None:
    made(hosted, "guessed", permanent=True)
    browser, page = page_of(hosted, "login")
    for _ in range(5):
        page = browser.submit(page, "Sign in", Username="guessed", Password="wrong")
    page = browser.submit(page, "Sign in", Username="guessed", Password="secret")
    assert page.problem == "Too many wrong passwords. Wait a little, then try again."
    try:
        hosted.clock.ahead = 2
        browser.submit(page, "Sign in", Username="guessed", Password="secret")
        assert "code" in browser.answer
    finally:
        hosted.clock.ahead = 0


def test_a_disabled_user_is_told(hosted: Hosted) -> None:
    hosted.pool.call("AdminDisableUser", made(hosted, "off", permanent=True))
    page = hosted.sign_in(hosted.browser(), "off", "secret")
    assert page.problem == "This account is disabled. Ask an administrator."


def test_a_user_to_be_confirmed_is_asked_for_the_code(hosted: Hosted) -> None:
    browser, page = page_of(hosted, "signup")
    typed = {"Username": "late", "Email": "late@example.com", "Password": "secret"}
    browser.submit(page, "Sign up", **typed)
    code = hosted.pool.mails[0].code
    page = hosted.sign_in(browser, "late", "secret")
    assert page.title == "Confirm your account"
    page = browser.submit(page, "Confirm", Confirmation_code=code)
    page = browser.get("confirm", **hosted.request(login_hint="late"))
    page = browser.submit(page, "Confirm", Confirmation_code=code)
    assert page.problem == "This account is confirmed already. Sign in."
    page = browser.submit(page, "Send a new code")
    assert page.problem == "This account is confirmed already. Sign in."


def test_a_user_whose_password_was_reset_is_asked_for_the_code(hosted: Hosted) -> None:
    user = made(hosted, "reset", permanent=True, email="r@example.com", email_verified="true")
    hosted.pool.call("AdminResetUserPassword", user)
    browser = hosted.browser()
    page = hosted.sign_in(browser, "reset", "secret")
    assert page.title == "Choose a new password"
    assert page.notice.startswith("Your password has to be changed.")
    code = hosted.pool.mails[0].code
    page = browser.submit(page, "Change password", Confirmation_code=code, New_password="better")
    browser.submit(page, "Sign in", Password="better")
    assert "code" in browser.answer


def test_a_temporary_password_is_replaced(hosted: Hosted) -> None:
    made(hosted, "fresh")
    browser = hosted.browser()
    page = hosted.sign_in(browser, "fresh", "secret")
    assert page.title == "Choose your own password"
    page = browser.submit(page, "Change password", New_password="short")
    assert page.problem.startswith("This password is not allowed.")
    again, cookie = page, browser.http.cookies["cognito-local-first"]
    browser.submit(page, "Change password", New_password="better")
    assert "code" in browser.answer
    assert "cognito-local-first" not in browser.http.cookies
    browser.http.cookies.set("cognito-local-first", cookie, "127.0.0.1", "/_cognito")
    page = browser.submit(again, "Change password", New_password="other!")
    assert (page.title, page.notice) == ("Sign in", "That took too long. Sign in again.")
    hosted.sign_in(hosted.browser(), "fresh", "better")


def test_a_temporary_password_has_to_be_replaced_soon_and_by_its_browser(hosted: Hosted) -> None:
    made(hosted, "slow")
    browser = hosted.browser()
    page = hosted.sign_in(browser, "slow", "secret")
    assert page_of(hosted, "newPassword")[1].title == "Sign in"
    other, _ = hosted.client()
    assert browser.get("newPassword", **hosted.request(client_id=other)).title == "Sign in"
    assert browser.get("newPassword", **hosted.request()).title == "Choose your own password"
    try:
        hosted.clock.ahead = 200
        page = browser.submit(page, "Change password", New_password="better")
        assert page.notice == "That took too long. Sign in again."
    finally:
        hosted.clock.ahead = 0


@pytest.mark.parametrize("operation", ["AdminDeleteUser", "AdminSetUserPassword"])
def test_a_temporary_password_that_is_no_more_is_not_replaced(
    hosted: Hosted, operation: str
) -> None:
    user = made(hosted, f"racing-{operation}")
    browser = hosted.browser()
    page = hosted.sign_in(browser, user["Username"], "secret")
    password = {"Password": "another", "Permanent": True}
    hosted.pool.call(operation, user | (password if "Set" in operation else {}))
    page = browser.submit(page, "Change password", New_password="better")
    assert (page.status, page.problem) == (400, GONE)


def test_a_second_factor_is_not_left_out(hosted: Hosted) -> None:
    user = made(hosted, "two", permanent=True)
    sms = {"SMSMfaSettings": {"Enabled": True, "PreferredMfa": True}}
    hosted.pool.call("AdminSetUserMFAPreference", user | sms)
    page = hosted.sign_in(hosted.browser(), "two", "secret")
    assert page.status == 400
    assert page.problem.startswith("This account needs a second factor")


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"Username": "student"}, "This username is taken. Choose another one, or sign in."),
        ({"Username": "a b"}, "Some of this can't be used."),
        ({"Username": ""}, "Some of this can't be used."),
        ({"Email": "nonsense"}, "Invalid email address format."),
        ({"Email": ""}, "Fill in all of the fields."),
        ({"Password": "short"}, "This password is not allowed."),
    ],
)
def test_what_is_wrong_with_a_sign_up(hosted: Hosted, typed: dict[str, str], problem: str) -> None:
    browser, page = page_of(hosted, "signup")
    right = {"Username": "new", "Email": "new@example.com", "Password": "secret"}
    page = browser.submit(page, "Sign up", **right | typed)
    assert page.status == 400
    assert page.problem.startswith(problem)
    fields = page.forms[0].fields
    assert (fields["username"], fields["email"]) == tuple({**right, **typed}.values())[:2]
    assert fields["password"] == ""


def test_a_pool_asks_for_what_it_needs(hosted: Hosted) -> None:
    pool_id = hosted.pool.call(
        "CreateUserPool",
        {
            "PoolName": "strict",
            "UsernameAttributes": ["email"],
            "Schema": [{"Name": "given_name", "Required": True}, {"Name": "sub", "Required": True}],
            "Policies": {"PasswordPolicy": {"MinimumLength": 6, "RequireSymbols": False}},
        },
    )["UserPool"]["Id"]
    client_id, _ = hosted.client(UserPoolId=pool_id)
    browser, page = page_of(hosted, "signup", client_id=client_id)
    assert page.labels.keys() == {"Username", "Given name", "Password"}
    rule = "At least 6 characters, with a capital letter, a small letter, a digit."
    assert rule in page.texts["p"]
    typed = {"Username": "b@example.com", "Given_name": "Bo", "Password": "Secret1"}
    page = browser.submit(page, "Sign up", **typed)
    page = browser.submit(page, "Confirm", Confirmation_code=hosted.pool.mails[0].code)
    browser.submit(page, "Sign in", Password="Secret1")
    assert "code" in browser.answer
    hosted.pool.call("DeleteUserPool", {"UserPoolId": pool_id})


def test_a_pool_may_be_closed(hosted: Hosted) -> None:
    closed = {"AllowAdminCreateUserOnly": True}
    params = {"PoolName": "closed", "AdminCreateUserConfig": closed}
    pool_id = hosted.pool.call("CreateUserPool", params)["UserPool"]["Id"]
    client_id, _ = hosted.client(UserPoolId=pool_id)
    _, page = page_of(hosted, "login", client_id=client_id)
    assert "Sign up" not in page.links
    browser, page = page_of(hosted, "signup", client_id=client_id)
    assert "Accounts are made by an administrator here. Ask for one." in page.texts["p"]
    page = browser.get("login", **hosted.request(client_id=client_id))
    page.forms.append(Form("signup?" + urlsplit(str(page.response.url)).query, {}, ["Sign up"]))
    page.forms[-1].fields |= page.forms[0].fields | {"email": "x@example.com", "username": "x"}
    page = browser.submit(page, "Sign up")
    assert page.problem == "SignUp is not permitted for this user pool"
    hosted.pool.call("DeleteUserPool", {"UserPoolId": pool_id})


def test_too_many_wrong_codes(hosted: Hosted) -> None:
    browser, page = page_of(hosted, "signup")
    typed = {"Username": "codes", "Email": "codes@example.com", "Password": "secret"}
    page = browser.submit(page, "Sign up", **typed)
    for _ in range(6):
        page = browser.submit(page, "Confirm", Confirmation_code="x")
    assert page.problem == "Too many wrong codes. Ask for a new one."


def test_a_temporary_password_is_not_forgotten_but_used(hosted: Hosted) -> None:
    made(hosted, "unused", email="u@example.com", email_verified="true")
    browser, page = page_of(hosted, "forgotPassword")
    page = browser.submit(page, "Send a code", Username="unused")
    assert page.problem == "Sign in with the temporary password that you were sent."


def test_nobody_learns_who_has_an_account(hosted: Hosted) -> None:
    browser, page = page_of(hosted, "forgotPassword")
    page = browser.submit(page, "Send a code", Username="nobody")
    assert page.notice == "If there is such an account, a code was sent to its email address."


@pytest.mark.parametrize(
    "forge",
    [
        {"_csrf": ""},
        {"_csrf": "wrong"},
        {"_csrf": "é"},
        {"cookie": ""},
        {"cookie": "cognito-local-csrf=other"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:9"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["login", "forgotPassword"])
def test_a_form_is_sent_by_our_own_page(hosted: Hosted, path: str, forge: dict[str, str]) -> None:
    browser, page = page_of(hosted, path)
    form = {"_csrf": page.forms[0].fields["_csrf"], "username": "student", "password": "student"}
    url = f"{hosted.endpoint}/{path}"
    cookie = "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
    own = {"origin": "http://" + urlsplit(url).netloc, "cookie": cookie}
    headers = own | {n: v for n, v in forge.items() if n != "_csrf"}
    data = form | {n: v for n, v in forge.items() if n == "_csrf"}
    mails = len(hosted.pool.mails)
    response = hosted.ask("POST", url, params=hosted.request(), data=data, headers=headers)
    assert response.status_code == 403
    assert "This page was open for too long." in response.text
    assert "location" not in response.headers
    assert "access-control-allow-origin" not in response.headers
    assert len(hosted.pool.mails) == mails
    right = hosted.ask("POST", url, params=hosted.request(), data=form, headers=own)
    assert right.status_code in (302, 303)


def test_a_foreign_page_sends_nothing(hosted: Hosted) -> None:
    for origin in ("https://evil.test", "null"):
        response = hosted.ask("POST", hosted.endpoint + "/login", headers={"origin": origin})
        assert response.status_code == 403


def test_a_page_that_was_refused_can_be_sent_again(hosted: Hosted) -> None:
    browser, page = page_of(hosted, "login")
    page.forms[0].fields["_csrf"] = "old"
    page = browser.submit(page, "Sign in", Username="student", Password="student")
    assert page.status == 403
    browser.submit(page, "Sign in", Password="student")
    assert "code" in browser.answer


def test_a_new_session_at_each_sign_in(hosted: Hosted) -> None:
    browser = hosted.browser()
    hosted.sign_in(browser)
    first = browser.http.cookies["cognito-local"]
    hosted.sign_in(browser, prompt="login")
    assert browser.http.cookies["cognito-local"] != first
    browser.http.cookies.set("cognito-local", first, "127.0.0.1", "/_cognito")
    browser.get("oauth2/authorize", **hosted.request(prompt="none"))
    assert browser.answer["error"] == "login_required"


def test_signing_out(hosted: Hosted) -> None:
    browser = hosted.browser()
    hosted.sign_in(browser)
    cookie = browser.http.cookies["cognito-local"]
    browser.get("logout", client_id=hosted.pool.client_id, logout_uri=LOGGED_OUT)
    assert browser.at == LOGGED_OUT
    assert "cognito-local" not in browser.http.cookies
    browser.http.cookies.set("cognito-local", cookie, "127.0.0.1", "/_cognito")
    browser.get("oauth2/authorize", **hosted.request(prompt="none"))
    assert browser.answer["error"] == "login_required"


def test_signing_out_and_in_again(hosted: Hosted) -> None:
    browser = hosted.browser()
    hosted.sign_in(browser)
    page = browser.get("logout", **hosted.request())
    assert page.title == "Sign in"
    assert "cognito-local" not in browser.http.cookies
    browser.submit(page, "Sign in", Username="student", Password="student")
    assert browser.answer["state"] == "xyz"


@pytest.mark.parametrize(
    "changes",
    [
        {"logout_uri": LOGGED_OUT + "?x=1"},
        {"logout_uri": LOGGED_OUT[:-1]},
        {"logout_uri": LOGGED_OUT + "#"},
        {"logout_uri": LOGGED_OUT.replace("127.0.0.1", "localhost")},
        {"logout_uri": CALLBACK},
        {"logout_uri": "//evil.test"},
        {"logout_uri": "https://evil.test/"},
        {"logout_uri": "javascript:alert(1)"},
        {"logout_uri": ""},
        {"client_id": "unknown"},
        {"client_id": ""},
    ],
    ids=str,
)
def test_signing_out_leads_nowhere_else(
    hosted: Hosted, signed_in: Browser, changes: dict[str, str]
) -> None:
    query = {"client_id": hosted.pool.client_id, "logout_uri": LOGGED_OUT} | changes
    page = signed_in.get("logout", **query)
    assert (page.status, page.title) == (400, "This can't go on")
    assert signed_in.at == ""
    assert "style.css" in page.response.text
    signed_in.get("oauth2/authorize", **hosted.request())
    assert "code" in signed_in.answer


def test_the_inbox_shows_what_would_have_been_sent(hosted: Hosted) -> None:
    made(hosted, "<b>bold</b>", email="b@example.com")
    page = hosted.browser().get("inbox")
    assert page.texts["h2"][0] == "Your temporary password"
    assert page.texts["code"][0] == "secret"
    assert "<b>bold" not in page.response.text
    assert any(text.startswith("To b@example.com, 20") for text in page.texts["p"])


def ask(pool: LocalPool, path: str, **scope: Any) -> tuple[int, dict[str, str], str]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost:8000")]
    given = {"type": "http", "method": "GET", "path": path, "headers": headers, **scope}
    asyncio.run(pool.asgi(given, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, sent[1]["body"].decode()


@pytest.mark.parametrize(
    ("client", "allowed", "status"),
    [
        (("127.0.0.1", 1), [], 200),
        (("::1", 1), [], 200),
        (("192.0.2.7", 1), [], 403),
        (None, [], 403),
        (("192.0.2.7", 1), ["*"], 200),
    ],
)
def test_the_inbox_is_for_this_machine(
    start: Any, folder: Any, client: Any, allowed: list[str], status: int
) -> None:
    pool = start(folder, allowed_hosts=allowed)
    got, _, text = ask(pool, "/inbox", client=client)
    assert got == status
    assert ("No mail yet." in text) is (status == 200)


def test_a_failure_tells_nothing(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(LocalPool, "mails", None)
    response = hosted.ask("GET", hosted.endpoint + "/inbox?secret=1")
    assert (response.status_code, "NoneType" in response.text) == (500, False)
    assert caplog.records[0].getMessage() == "The local user pool failed at /inbox"


def test_without_hosted_endpoints_there_are_none() -> None:
    server = Server(lambda operation, params: {}, lambda pool_id: None)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": "/login", "headers": headers}
    asyncio.run(server(scope, None, send))  # type: ignore[arg-type] # never called
    assert sent[0]["status"] == 404
