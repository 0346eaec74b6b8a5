"""``/oauth2/authorize``: what is asked of a request, and where each refusal goes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote_plus

import httpx2
import pytest

from app.local.cognito.grants import API_SCOPE
from tests.local.cognito.browser import CALLBACK, CHALLENGE, LOGGED_OUT, Browser, Hosted
from tests.local.cognito.support import claims

XSS = "\"'><script>alert(1)</script>"


def get(hosted: Hosted, query: dict[str, str] | str, path: str = "oauth2/authorize") -> Any:
    return hosted.ask("GET", f"{hosted.endpoint}/{path}", params=query)


def refused_by_page(response: httpx2.Response, text: str) -> None:
    assert response.status_code == 400
    assert text in response.text
    assert "location" not in response.headers


@pytest.mark.parametrize("path", ["oauth2/authorize", "login", "signup", "newPassword"])
@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK + "/",
        CALLBACK + "?next=1",
        CALLBACK + "#top",
        CALLBACK + "%00",
        CALLBACK.replace(":9", ":90"),
        CALLBACK.replace("127.0.0.1", "localhost"),
        CALLBACK.replace("127.0.0.1", "127.0.0.1@evil.test"),
        CALLBACK.replace("/auth", "/AUTH"),
        CALLBACK.replace("/auth", "//auth"),
        CALLBACK.replace("/auth", "/x/../auth"),
        CALLBACK.replace("http", "https"),
        CALLBACK.replace("http", "HTTP"),
        " " + CALLBACK,
        LOGGED_OUT,
        "http://evil.test/",
        "//evil.test/",
        "javascript:alert(1)",
        "",
    ],
)
def test_a_redirect_uri_is_the_same_in_every_character(hosted: Hosted, path: str, uri: str) -> None:
    response = get(hosted, hosted.request(redirect_uri=uri), path)
    refused_by_page(response, "not one of the app client&#39;s callback URLs")


def test_a_registered_fragment_is_refused(hosted: Hosted) -> None:
    client_id, _ = hosted.client(CallbackURLs=[CALLBACK + "#top"])
    request = hosted.request(client_id=client_id, redirect_uri=CALLBACK + "#top")
    refused_by_page(get(hosted, request), "callback URLs")


@pytest.mark.parametrize("client_id", ["", "unknown", "NOTEGATELOCALCLIENT0000001"])
def test_an_unknown_client_is_refused_by_a_page(hosted: Hosted, client_id: str) -> None:
    refused_by_page(get(hosted, hosted.request(client_id=client_id)), "client_id is not")


@pytest.mark.parametrize("twice", ["client_id", "redirect_uri"])
def test_who_asks_has_to_be_clear(hosted: Hosted, twice: str) -> None:
    query = "&".join(f"{n}={quote_plus(v)}" for n, v in hosted.request().items())
    refused_by_page(get(hosted, f"{query}&{twice}={hosted.request()[twice]}"), "is not")


@pytest.mark.parametrize(
    "query", ["state=%ff", "state=%80abc", "&".join("x=1" for _ in range(101))]
)
def test_what_can_not_be_read_is_refused_by_a_page(hosted: Hosted, query: str) -> None:
    url = f"{hosted.endpoint}/oauth2/authorize?{query}"
    refused_by_page(hosted.ask("GET", url), "not URL-encoded")
    assert hosted.ask("GET", hosted.endpoint + "/style.css?x=%ff").status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"scope": "openid unknown"}, "invalid_scope"),
        ({"scope": "OPENID"}, "invalid_scope"),
        ({"scope": "email"}, "invalid_scope"),
        ({"scope": "phone openid"}, "invalid_scope"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": "", "code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"code_challenge": CHALLENGE[1:]}, "invalid_request"),
        ({"code_challenge": CHALLENGE[1:] + "é"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "\n"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_other_refusals_go_to_the_app(hosted: Hosted, changes: dict[str, str], error: str) -> None:
    browser = hosted.browser()
    browser.get("oauth2/authorize", **hosted.request(**changes))
    assert browser.at.startswith(CALLBACK + "?")
    assert browser.answer["error"] == error
    assert browser.answer["state"] == "xyz"
    assert browser.answer.keys() <= {"error", "error_description", "state"}


def test_the_pages_judge_as_well(hosted: Hosted) -> None:
    browser = hosted.browser()
    browser.get("login", **hosted.request(code_challenge_method="plain"))
    assert browser.answer["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("twice", "told"), [("scope", {"state": "xyz"}), ("state", {}), ("nonce", {"state": "xyz"})]
)
def test_a_parameter_given_twice_is_refused(
    hosted: Hosted, twice: str, told: dict[str, str]
) -> None:
    query = "&".join(f"{n}={quote_plus(v)}" for n, v in hosted.request().items())
    browser = hosted.browser()
    browser.get(f"oauth2/authorize?{query}&{twice}=openid&{twice}=email")
    description = {"error_description": f"{twice} is given more than once"}
    assert browser.answer == {"error": "invalid_request"} | description | told


@pytest.mark.parametrize(
    "settings",
    [
        {"AllowedOAuthFlowsUserPoolClient": False},
        {"AllowedOAuthFlows": ["implicit"]},
        {"AllowedOAuthFlows": []},
    ],
    ids=str,
)
def test_an_app_client_needs_the_code_flow(hosted: Hosted, settings: dict[str, Any]) -> None:
    client_id, _ = hosted.client(**settings)
    browser = hosted.browser()
    browser.get("oauth2/authorize", **hosted.request(client_id=client_id))
    assert browser.answer["error"] == "unauthorized_client"


def test_an_app_client_without_scopes_gets_none(hosted: Hosted) -> None:
    client_id, _ = hosted.client(AllowedOAuthScopes=[])
    browser = hosted.browser()
    browser.get("oauth2/authorize", **hosted.request(client_id=client_id))
    assert browser.answer["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "state",
    [
        "a b+c%20&d=e#f",
        "/path?x=1&y=ä€😀",
        '{"a":"b"}',
        "\x00\r\nLocation: http://evil.test",
        XSS,
        "x" * 5000,
    ],
    ids=["reserved", "unicode", "json", "control", "markup", "long"],
)
def test_the_state_comes_back_as_it_was(hosted: Hosted, state: str) -> None:
    browser = hosted.browser()
    hosted.sign_in(browser, state=state)
    assert browser.answer["state"] == state
    browser.get("oauth2/authorize", **hosted.request(state=state))
    assert browser.answer["state"] == state
    browser.get("oauth2/authorize", **hosted.request(state=state, scope="no"))
    assert browser.answer["state"] == state


def test_without_a_state_none_comes_back(hosted: Hosted, signed_in: Browser) -> None:
    signed_in.get("oauth2/authorize", **hosted.request(state=""))
    assert signed_in.answer.keys() == {"code"}


def test_a_redirect_uri_keeps_its_own_query(hosted: Hosted, signed_in: Browser) -> None:
    uri = CALLBACK + "?tenant=1"
    client_id, _ = hosted.client(CallbackURLs=[uri])
    signed_in.get("oauth2/authorize", **hosted.request(client_id=client_id, redirect_uri=uri))
    assert signed_in.at.startswith(uri + "&code=")


@pytest.mark.parametrize("prompt", ["", "none", "select_account", "consent"])
def test_a_session_signs_in_without_a_password(
    hosted: Hosted, signed_in: Browser, prompt: str
) -> None:
    signed_in.get("oauth2/authorize", **hosted.request(prompt=prompt))
    assert signed_in.answer.keys() == {"code", "state"}


def test_a_session_is_not_used_if_the_app_wants_a_password(
    hosted: Hosted, signed_in: Browser
) -> None:
    page = signed_in.get("oauth2/authorize", **hosted.request(prompt="login", login_hint="ann"))
    assert page.title == "Sign in"
    assert page.forms[0].fields["username"] == "ann"


def test_a_session_ends_after_an_hour(hosted: Hosted) -> None:
    browser = hosted.browser()
    hosted.sign_in(browser)
    try:
        hosted.clock.ahead += 3590
        browser.get("oauth2/authorize", **hosted.request())
        assert "code" in browser.answer
        hosted.clock.ahead += 20
        assert browser.get("oauth2/authorize", **hosted.request()).title == "Sign in"
    finally:
        hosted.clock.ahead = 0


@pytest.mark.parametrize(
    "operation",
    ["AdminDisableUser", "AdminDeleteUser", "AdminResetUserPassword", "AdminSetUserPassword"],
)
def test_a_session_ends_with_its_user_or_password(hosted: Hosted, operation: str) -> None:
    user = {"UserPoolId": hosted.pool.pool_id, "Username": f"leaver-{operation}"}
    password = {"Password": "secret", "Permanent": True}
    email = {"email": "leaver@example.com", "email_verified": "true"}
    attributes = [{"Name": name, "Value": value} for name, value in email.items()]
    hosted.pool.call("AdminCreateUser", {**user, "UserAttributes": attributes})
    hosted.pool.call("AdminSetUserPassword", user | password)
    browser = hosted.browser()
    hosted.sign_in(browser, user["Username"], "secret")
    assert "code" in browser.answer
    hosted.pool.call(operation, user | (password if "Set" in operation else {}))
    browser.get("oauth2/authorize", **hosted.request(prompt="none"))
    assert browser.answer["error"] == "login_required"


def test_a_session_is_for_one_pool(hosted: Hosted, signed_in: Browser) -> None:
    pool_id = hosted.pool.call("CreateUserPool", {"PoolName": "other"})["UserPool"]["Id"]
    client_id, _ = hosted.client(UserPoolId=pool_id)
    signed_in.get("oauth2/authorize", **hosted.request(client_id=client_id, prompt="none"))
    assert signed_in.answer["error"] == "login_required"
    hosted.pool.call("DeleteUserPool", {"UserPoolId": pool_id})


def test_a_session_of_a_deleted_pool_is_over(hosted: Hosted) -> None:
    pool_id = hosted.pool.call("CreateUserPool", {"PoolName": "brief"})["UserPool"]["Id"]
    client_id, _ = hosted.client(UserPoolId=pool_id)
    user = {"UserPoolId": pool_id, "Username": "ann"}
    hosted.pool.call("AdminCreateUser", user | {"MessageAction": "SUPPRESS"})
    password = {"Password": "Secret-1234", "Permanent": True}
    hosted.pool.call("AdminSetUserPassword", user | password)
    browser = hosted.browser()
    hosted.sign_in(browser, "ann", "Secret-1234", client_id=client_id)
    code = browser.answer["code"]
    hosted.pool.call("DeleteUserPool", {"UserPoolId": pool_id})
    form = {"grant_type": "authorization_code", "code": code, "client_id": client_id}
    response = hosted.ask("POST", f"{hosted.endpoint}/oauth2/token", data=form)
    assert response.json() == {"error": "invalid_client"}


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
def test_only_a_browser_that_goes_there_is_answered(hosted: Hosted, method: str) -> None:
    url = f"{hosted.endpoint}/oauth2/authorize"
    response = hosted.ask(method, url, params=hosted.request())
    assert response.status_code == 405
    assert response.headers["allow"] == "GET"


def test_a_link_from_anywhere_leads_here_but_no_script(hosted: Hosted) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    url = f"{hosted.endpoint}/oauth2/authorize"
    assert hosted.ask("GET", url, params=hosted.request(), headers=headers).status_code == 302
    headers["origin"] = "https://evil.test"
    assert hosted.ask("GET", url, params=hosted.request(), headers=headers).status_code == 403


def test_all_of_the_clients_scopes_unless_some_are_asked_for(
    hosted: Hosted, signed_in: Browser
) -> None:
    for asked, given in [
        ("", f"openid email profile {API_SCOPE}"),
        ("profile  openid profile", "profile openid"),
    ]:
        signed_in.get("oauth2/authorize", **hosted.request(scope=asked))
        tokens = hosted.exchange(signed_in.answer["code"]).json()
        assert claims(tokens["access_token"])["scope"] == given


@pytest.mark.parametrize("name", ["state", "nonce", "login_hint", "prompt", "scope", "lang", "x"])
@pytest.mark.parametrize("path", ["login", "signup", "confirm", "forgotPassword"])
def test_nothing_reflected_is_markup(hosted: Hosted, path: str, name: str) -> None:
    query = hosted.request(**{name: XSS})
    response = get(hosted, query, path)
    assert "<script" not in response.text
    assert "alert(1)" not in re.sub(r'value="[^"]*"|action="[^"]*"|href="[^"]*"', "", response.text)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "logout_uri"])
@pytest.mark.parametrize("path", ["oauth2/authorize", "logout"])
def test_no_error_page_is_markup(hosted: Hosted, path: str, name: str) -> None:
    response = get(hosted, hosted.request(**{name: XSS}), path)
    assert "alert(1)" not in response.text
