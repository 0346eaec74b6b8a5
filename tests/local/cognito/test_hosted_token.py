"""The endpoints for apps: tokens for codes, refreshed tokens, revocation, user info."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from app.local.cognito.tickets import Tickets
from tests.local.cognito.browser import CALLBACK, VERIFIER, Browser, Hosted
from tests.local.cognito.support import claims, sign_in

FORM = "application/x-www-form-urlencoded"


def code(hosted: Hosted, browser: Browser, **changes: str) -> str:
    browser.get("oauth2/authorize", **hosted.request(**changes))
    return browser.answer["code"]


def post(hosted: Hosted, endpoint: str, headers: Any = None, **form: str) -> Any:
    form = {"client_id": hosted.pool.client_id, **form}
    data = {name: value for name, value in form.items() if value}
    return hosted.ask("POST", f"{hosted.endpoint}/oauth2/{endpoint}", data=data, headers=headers)


def refused(response: httpx2.Response, error: str) -> None:
    assert response.json() == {"error": error}
    assert response.status_code == 400
    assert response.headers["cache-control"] == "no-store"


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_a_code_is_good_once(hosted: Hosted, signed_in: Browser) -> None:
    ticket = code(hosted, signed_in)
    tokens = hosted.exchange(ticket).json()
    assert tokens.keys() == {
        *("id_token", "access_token", "refresh_token", "expires_in", "token_type"),
    }
    refused(hosted.exchange(ticket), "invalid_grant")
    # As at Cognito, the first tokens stay good.
    again = post(hosted, "token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert again.status_code == 200
    assert "refresh_token" not in again.json()


def test_of_many_at_once_one_gets_the_tokens(hosted: Hosted, signed_in: Browser) -> None:
    ticket = code(hosted, signed_in)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: hosted.exchange(ticket).status_code, range(8)))
    assert sorted(answers) == [200] + 7 * [400]


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK.replace("127.0.0.1", "localhost")},
        {"code_verifier": VERIFIER + "x"},
        {"code_verifier": VERIFIER.upper()},
        {"code_verifier": "é"},
        {"code_verifier": ""},
        {"code": "junk"},
        {"code": "é"},
    ],
    ids=str,
)
def test_a_code_is_bound_and_a_wrong_try_spends_it(
    hosted: Hosted, signed_in: Browser, changes: dict[str, str]
) -> None:
    ticket = code(hosted, signed_in)
    refused(hosted.exchange(ticket, **changes), "invalid_grant")
    if "code" not in changes:
        refused(hosted.exchange(ticket), "invalid_grant")


def test_a_code_is_not_for_another_client(hosted: Hosted, signed_in: Browser) -> None:
    client_id, _ = hosted.client()
    refused(hosted.exchange(code(hosted, signed_in), client_id=client_id), "invalid_grant")


def test_a_code_is_good_for_five_minutes(hosted: Hosted, signed_in: Browser) -> None:
    good, late = code(hosted, signed_in), code(hosted, signed_in)
    try:
        hosted.clock.ahead = 290
        assert hosted.exchange(good).status_code == 200
        hosted.clock.ahead = 310
        refused(hosted.exchange(late), "invalid_grant")
    finally:
        hosted.clock.ahead = 0


def test_a_code_of_a_disabled_user_is_refused(hosted: Hosted) -> None:
    user = {"UserPoolId": hosted.pool.pool_id, "Username": "gone"}
    hosted.pool.call("AdminCreateUser", user | {"MessageAction": "SUPPRESS"})
    hosted.pool.call("AdminSetUserPassword", user | {"Password": "secret", "Permanent": True})
    browser = hosted.browser()
    hosted.sign_in(browser, "gone", "secret")
    hosted.pool.call("AdminDisableUser", user)
    refused(hosted.exchange(browser.answer["code"]), "invalid_grant")


def test_a_client_that_lost_the_code_flow_gets_nothing(hosted: Hosted, signed_in: Browser) -> None:
    client_id, _ = hosted.client()
    ticket = code(hosted, signed_in, client_id=client_id)
    names = {"UserPoolId": hosted.pool.pool_id, "ClientId": client_id}
    hosted.pool.call("UpdateUserPoolClient", {**names, "AllowedOAuthFlows": ["implicit"]})
    refused(hosted.exchange(ticket, client_id=client_id), "unauthorized_client")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"code": ""}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"client_id": ""}, "invalid_request"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_secret": "made-up"}, "invalid_client"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "junk"}, "invalid_grant"),
    ],
    ids=str,
)
def test_a_request_for_tokens_has_to_be_whole(
    hosted: Hosted, changes: dict[str, str], error: str
) -> None:
    refused(hosted.exchange("junk", **changes), error)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"grant_type":"refresh_token"}', "application/json"),
        (b"grant_type=refresh_token", ""),
        (b"grant_type=refresh_token&grant_type=refresh_token", FORM),
        (b"grant_type=refresh_token&refresh_token=x&token=x&x=1&x=2", FORM),
        (b"grant_type=%ff", FORM),
        (b"\xff", FORM),
        (b"", FORM),
    ],
    ids=["json", "no type", "twice", "something twice", "no UTF-8", "no ASCII", "empty"],
)
@pytest.mark.parametrize("endpoint", ["token", "revoke"])
def test_only_forms_are_read(hosted: Hosted, endpoint: str, content: bytes, kind: str) -> None:
    url = f"{hosted.endpoint}/oauth2/{endpoint}"
    headers = {"content-type": kind} | basic(hosted.pool.client_id, "")
    refused(hosted.ask("POST", url, content=content, headers=headers), "invalid_request")


def test_the_type_of_a_form_is_written_as_one_likes(hosted: Hosted, signed_in: Browser) -> None:
    content = urlencode(hosted.form(code(hosted, signed_in)))
    headers = {"content-type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
    url = f"{hosted.endpoint}/oauth2/token"
    assert hosted.ask("POST", url, content=content, headers=headers).status_code == 200


def test_a_query_is_not_a_form(hosted: Hosted, signed_in: Browser) -> None:
    form = hosted.form(code(hosted, signed_in))
    kind = {"content-type": FORM}
    url = f"{hosted.endpoint}/oauth2/token"
    refused(hosted.ask("POST", url, params=form, headers=kind), "invalid_request")


@pytest.mark.parametrize(
    ("endpoint", "allowed"), [("token", "POST"), ("revoke", "POST"), ("userInfo", "GET, POST")]
)
def test_other_methods_are_refused(hosted: Hosted, endpoint: str, allowed: str) -> None:
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE"} - set(allowed.split(", ")):
        response = hosted.ask(method, f"{hosted.endpoint}/oauth2/{endpoint}")
        assert response.status_code == 405
        assert response.headers["allow"] == allowed


def test_a_client_with_a_secret_has_to_show_it(hosted: Hosted, signed_in: Browser) -> None:
    client_id, secret = hosted.client(GenerateSecret=True)
    for headers, form, error in [
        ({}, {}, "invalid_client"),
        ({}, {"client_secret": secret + "x"}, "invalid_client"),
        (basic(client_id, "wrong"), {}, "invalid_client"),
        (basic(hosted.pool.client_id, secret), {"client_id": ""}, "invalid_client"),
        (basic("other", secret), {}, "invalid_request"),
        (basic(client_id, secret), {"client_secret": secret}, "invalid_request"),
        ({"authorization": "Basic !"}, {}, "invalid_client"),
        ({"authorization": "Basic " + base64.b64encode(b"\xff:").decode()}, {}, "invalid_client"),
        ({"authorization": "Basic " + base64.b64encode(b"none").decode()}, {}, "invalid_client"),
        ({"authorization": "Bearer x"}, {}, "invalid_client"),
    ]:
        ticket = code(hosted, signed_in, client_id=client_id)
        form = {"client_id": client_id, **form}
        refused(hosted.exchange(ticket, headers=headers, **form), error)
        # Who does not know the secret does not spend a code either.
        right = hosted.exchange(ticket, headers=basic(client_id, secret), client_id=client_id)
        assert right.status_code == 200


def test_a_client_with_a_secret_may_leave_pkce_out(hosted: Hosted, signed_in: Browser) -> None:
    client_id, secret = hosted.client(GenerateSecret=True)
    without = {"code_challenge": "", "code_challenge_method": "", "client_id": client_id}
    form = {"client_id": client_id, "client_secret": secret}
    ticket = code(hosted, signed_in, **without)
    assert hosted.exchange(ticket, code_verifier="", **form).status_code == 200
    # A verifier that nobody has asked for: the challenge was taken out on the way.
    refused(hosted.exchange(code(hosted, signed_in, **without), **form), "invalid_grant")


def test_without_openid_there_is_no_id_token(hosted: Hosted, signed_in: Browser) -> None:
    ticket = code(hosted, signed_in, scope="aws.cognito.signin.user.admin")
    tokens = hosted.exchange(ticket).json()
    assert "id_token" not in tokens
    assert info(hosted, tokens["access_token"]).status_code == 401


def test_a_nonce_is_in_the_first_id_token(hosted: Hosted, signed_in: Browser) -> None:
    tokens = hosted.exchange(code(hosted, signed_in, nonce="n€")).json()
    assert claims(tokens["id_token"])["nonce"] == "n€"
    assert "nonce" not in claims(hosted.exchange(code(hosted, signed_in)).json()["id_token"])


def test_tokens_tell_when_the_password_was_typed(hosted: Hosted) -> None:
    browser = hosted.browser()
    hosted.sign_in(browser)
    try:
        hosted.clock.ahead = 1000
        found = claims(hosted.exchange(code(hosted, browser)).json()["id_token"])
    finally:
        hosted.clock.ahead = 0
    assert 990 < found["iat"] - found["auth_time"] < 1100


def test_a_sign_in_by_the_api_is_refreshed_too(hosted: Hosted) -> None:
    token = sign_in(hosted.pool)["RefreshToken"]
    answer = post(hosted, "token", grant_type="refresh_token", refresh_token=token)
    assert answer.json().keys() == {"id_token", "access_token", "expires_in", "token_type"}


def test_refresh_tokens_are_for_their_client_if_it_may_refresh(hosted: Hosted) -> None:
    token = sign_in(hosted.pool)["RefreshToken"]
    other, _ = hosted.client()
    form = {"grant_type": "refresh_token", "refresh_token": token}
    refused(post(hosted, "token", client_id=other, **form), "invalid_grant")
    other, _ = hosted.client(ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH"])
    refused(post(hosted, "token", client_id=other, **form), "unauthorized_client")


def test_what_can_not_be_revoked(hosted: Hosted) -> None:
    tokens = sign_in(hosted.pool)
    refused(post(hosted, "revoke"), "invalid_request")
    refused(post(hosted, "revoke", token=tokens["AccessToken"]), "unsupported_token_type")
    other, _ = hosted.client(EnableTokenRevocation=False)
    refused(post(hosted, "revoke", token="x", client_id=other), "invalid_request")
    other, _ = hosted.client()
    token = tokens["RefreshToken"]
    refused(post(hosted, "revoke", token=token, client_id=other), "invalid_client")
    other, _ = hosted.client(GenerateSecret=True)
    refused(post(hosted, "revoke", token=token, client_id=other), "invalid_client")
    assert post(hosted, "token", grant_type="refresh_token", refresh_token=token).status_code == 200
    # RFC 7009, 2.2: who wants an unknown token gone has what they want.
    assert post(hosted, "revoke", token="unknown").status_code == 200


def info(hosted: Hosted, token: str, method: str = "GET", scheme: str = "Bearer") -> Any:
    headers = {"authorization": f"{scheme} {token}"} if scheme else {}
    return hosted.ask(method, f"{hosted.endpoint}/oauth2/userInfo", headers=headers)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("scopes", "names"),
    [
        ("openid", {"email", "email_verified", "nickname"}),
        ("openid profile", {"nickname"}),
        ("openid email", {"email", "email_verified"}),
        ("openid email profile", {"email", "email_verified", "nickname"}),
    ],
)
def test_scopes_say_what_is_told(hosted: Hosted, method: str, scopes: str, names: set[str]) -> None:
    tokens = hosted.pool.issue("student", scopes.split())
    told = info(hosted, tokens.access_token, method, "bearer").json()
    assert told.keys() == {"sub", "username"} | names
    assert all(isinstance(value, str) for value in told.values())
    assert claims(tokens.id_token).keys() >= names


def test_another_pools_users_are_told_of_as_well(hosted: Hosted) -> None:
    pool_id = hosted.pool.call("CreateUserPool", {"PoolName": "second"})["UserPool"]["Id"]
    client_id, _ = hosted.client(UserPoolId=pool_id)
    user = {"UserPoolId": pool_id, "Username": "bob"}
    hosted.pool.call("AdminCreateUser", user | {"MessageAction": "SUPPRESS"})
    tokens = hosted.pool.issue("bob", ["openid"], client_id=client_id)
    assert info(hosted, tokens.access_token).json()["username"] == "bob"
    hosted.pool.call("DeleteUserPool", {"UserPoolId": pool_id})


@pytest.mark.parametrize("kind", ["none", "junk", "id", "api", "other scheme", "revoked", "late"])
def test_user_info_is_for_good_access_tokens(hosted: Hosted, kind: str) -> None:
    tokens = hosted.pool.issue("student", ["openid"])
    token, scheme = tokens.access_token, "Bearer"
    if kind == "none":
        scheme = ""
    elif kind == "junk":
        token = "a.b.c"
    elif kind == "id":
        token = tokens.id_token
    elif kind == "api":
        token = sign_in(hosted.pool)["AccessToken"]
    elif kind == "other scheme":
        scheme = "Basic"
    elif kind == "revoked":
        hosted.pool.revoke(tokens.refresh_token or "")
    try:
        hosted.clock.ahead = 3700 if kind == "late" else 0
        response = info(hosted, token, scheme=scheme)
    finally:
        hosted.clock.ahead = 0
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_token"
    assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_')


@pytest.mark.parametrize("endpoint", ["token", "revoke", "userInfo"])
def test_front_ends_of_this_machine_may_ask(hosted: Hosted, endpoint: str) -> None:
    url = f"{hosted.endpoint}/oauth2/{endpoint}"
    for origin, allowed in [("http://localhost:3000", True), ("https://evil.test", False)]:
        for method in ("OPTIONS", "POST"):
            response = hosted.ask(method, url, headers={"origin": origin})
            assert (response.status_code == 403) is not allowed
            expected = origin if allowed else None
            assert response.headers.get("access-control-allow-origin") == expected
            assert "access-control-allow-credentials" not in response.headers


def test_tickets_are_bounded_and_the_oldest_go(hosted: Hosted) -> None:
    tickets: Tickets[int] = Tickets(hosted.clock, 60, limit=2)
    first, second, third = (tickets.new(number) for number in range(3))
    assert [tickets.get(ticket) for ticket in (first, second, third)] == [None, 1, 2]
    assert [tickets.take(second), tickets.take(second)] == [1, None]
