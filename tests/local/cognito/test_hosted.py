"""Hosted sign-in as an app lives it, with a standard OAuth client that nobody here wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from app.local.cognito import PREFIX, LocalPool, allow_sign_in
from tests.local.cognito.browser import CALLBACK, LOGGED_OUT, Browser, Hosted, listening
from tests.local.cognito.support import Start, claims

ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Notegate1"


@pytest.fixture
def metadata(hosted: Hosted) -> dict[str, str]:
    url = f"{hosted.endpoint}/{hosted.pool.pool_id}/.well-known/openid-configuration"
    found: dict[str, str] = hosted.ask("GET", url).json()
    return found


def app_of(hosted: Hosted, **options: Any) -> Any:
    return OAuth2Client(
        **{
            "client_id": hosted.pool.client_id,
            "scope": "openid email",
            "redirect_uri": CALLBACK,
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": "none",
            **options,
        }
    )


def verified(token: str, metadata: dict[str, str], **expected: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(httpx2.get(metadata["jwks_uri"]).json())
    decoded = jwt.decode(token, keys, algorithms=["RS256"])
    options = {name: {"essential": True, "value": value} for name, value in expected.items()}
    return {"claims": decoded.claims, "header": decoded.header, "options": options}


@pytest.mark.parametrize(
    "method", ["none", "client_secret_basic", "client_secret_post"], ids=lambda m: str(m)
)
def test_a_standard_client_signs_in_refreshes_and_revokes(
    hosted: Hosted, metadata: dict[str, str], method: str
) -> None:
    client_id, secret = hosted.pool.client_id, None
    if method != "none":
        client_id, secret = hosted.client(GenerateSecret=True)
    options = {"client_id": client_id, "client_secret": secret}
    with app_of(hosted, **options, token_endpoint_auth_method=method) as app:
        verifier, nonce = generate_token(48), generate_token(20)
        url, state = app.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        browser = hosted.browser()
        browser.submit(browser.get(url), "Sign in", Username="student", Password="student")
        assert browser.at.startswith(CALLBACK + "?")
        assert browser.answer["state"] == state
        tokens = app.fetch_token(
            metadata["token_endpoint"], authorization_response=browser.at, code_verifier=verifier
        )
        assert tokens["token_type"] == "Bearer"
        assert tokens["expires_in"] == 3600
        found = verified(tokens["id_token"], metadata, iss=ISSUER, aud=client_id, nonce=nonce)
        params = {"access_token": tokens["access_token"], "nonce": nonce, "client_id": client_id}
        CodeIDToken(found["claims"], found["header"], found["options"], params).validate()
        assert found["claims"]["email"] == "student@example.com"
        assert "nickname" not in found["claims"]  # belongs to the scope "profile"
        info = app.get(metadata["userinfo_endpoint"])
        assert info.headers["cache-control"] == "no-store"
        assert info.json() == {
            "sub": found["claims"]["sub"],
            "username": "student",
            "email": "student@example.com",
            "email_verified": "true",
        }
        old = tokens["refresh_token"]
        new = app.refresh_token(metadata["token_endpoint"])
        assert claims(new["access_token"])["auth_time"] == found["claims"]["auth_time"]
        assert claims(new["access_token"])["scope"] == "openid email"
        assert "id_token" in new
        revoked = app.revoke_token(metadata["revocation_endpoint"], old)
        assert (revoked.status_code, revoked.content) == (200, b"")
        with pytest.raises(OAuthError, match="invalid_grant"):
            app.refresh_token(metadata["token_endpoint"], old)
        assert app.get(metadata["userinfo_endpoint"]).status_code == 401


def test_a_new_user_signs_up_confirms_forgets_and_signs_in(hosted: Hosted) -> None:
    browser = hosted.browser()
    page = browser.get("oauth2/authorize", **hosted.request())
    page = browser.get(page.links["Sign up"])
    typed = {"Username": "nina", "Email": "nina@example.com", "Password": "secret"}
    page = browser.submit(page, "Sign up", **typed)
    assert page.title == "Confirm your account"
    first = inbox_code(browser)
    page = browser.submit(page, "Send a new code")
    code = inbox_code(browser)
    page = browser.submit(page, "Confirm", Confirmation_code=first if first != code else "x")
    assert page.status == 400
    assert page.problem == "Invalid verification code provided, please try again."
    page = browser.submit(page, "Confirm", Confirmation_code=f" {code[:3]} {code[3:]} ")
    assert page.title == "Sign in"
    assert page.notice == "Your account is confirmed. Sign in."
    assert page.forms[0].fields["username"] == "nina"
    browser.submit(page, "Sign in", Password="secret")
    assert browser.answer.keys() == {"code", "state"}

    page = browser.get("oauth2/authorize", **hosted.request(prompt="login"))
    page = browser.get(page.links["Forgot your password?"])
    page = browser.submit(page, "Send a code", Username="nina")
    assert page.title == "Choose a new password"
    code = inbox_code(browser)
    page = browser.submit(page, "Change password", Confirmation_code=code, New_password="short")
    assert page.problem.startswith("This password is not allowed.")
    assert "At least 6 characters." in page.texts["p"]
    page = browser.submit(page, "Change password", Confirmation_code=code, New_password="better")
    assert page.notice == "Your password was changed. Sign in with it."
    page = browser.submit(page, "Sign in", Password="secret")
    assert (page.status, page.problem) == (400, "Incorrect username or password.")
    browser.submit(page, "Sign in", Password="better")
    assert "code" in browser.answer


def inbox_code(browser: Browser) -> str:
    return browser.get("inbox").texts["code"][0]


def test_refresh_tokens_outlive_a_restart_and_sessions_do_not(start: Start, folder: Path) -> None:
    with httpx2.HTTPTransport() as transport:
        with listening(pool := start(folder)) as origin:
            allow_sign_in(pool, [CALLBACK], [LOGGED_OUT])
            hosted = Hosted(pool, origin + PREFIX, start.clock, transport)
            browser = hosted.browser()
            hosted.sign_in(browser)
            tokens = hosted.exchange(browser.answer["code"]).json()
        with listening(pool := start(folder)) as origin:
            hosted = Hosted(pool, origin + PREFIX, start.clock, transport)
            form = {"grant_type": "refresh_token", "client_id": pool.client_id}
            form["refresh_token"] = tokens["refresh_token"]
            again = hosted.ask("POST", f"{origin}{PREFIX}/oauth2/token", data=form).json()
            assert claims(again["id_token"])["sub"] == claims(tokens["id_token"])["sub"]
            browser.endpoint = hosted.endpoint
            browser.get("oauth2/authorize", **hosted.request(prompt="none"))
            assert browser.answer["error"] == "login_required"


def test_allowing_sign_in_loses_no_settings(pool: LocalPool) -> None:
    names = {"UserPoolId": pool.pool_id, "ClientId": pool.client_id}
    own = {
        "RefreshTokenValidity": 7,
        "AccessTokenValidity": 5,
        "TokenValidityUnits": {"AccessToken": "minutes", "RefreshToken": "days"},
        "AllowedOAuthScopes": ["openid"],
        "AllowedOAuthFlows": ["implicit"],
        "CallbackURLs": ["http://localhost:3000/"],
        "LogoutURLs": ["http://localhost:3000/bye"],
    }
    pool.call("UpdateUserPoolClient", {**names, **own})
    for _ in range(2):
        allow_sign_in(pool, [CALLBACK, CALLBACK], [LOGGED_OUT])
    found = pool.call("DescribeUserPoolClient", names)["UserPoolClient"]
    assert {name: found[name] for name in own} == own | {
        "AllowedOAuthFlows": ["implicit", "code"],
        "CallbackURLs": ["http://localhost:3000/", CALLBACK],
        "LogoutURLs": ["http://localhost:3000/bye", LOGGED_OUT],
    }
    assert found["AllowedOAuthFlowsUserPoolClient"] is True
    assert "ALLOW_USER_PASSWORD_AUTH" in found["ExplicitAuthFlows"]


def test_the_configuration_names_these_endpoints(hosted: Hosted) -> None:
    path = f"/{hosted.pool.pool_id}/.well-known/openid-configuration"
    port = hosted.endpoint.rsplit(":", 1)[1]
    response = hosted.ask("GET", hosted.endpoint + path, headers={"host": f"localhost:{port}"})
    found = response.json()
    assert found["issuer"] == ISSUER
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"):
        assert found[name].startswith(f"http://localhost:{port}/")
    other = hosted.ask("GET", f"{hosted.endpoint}/us-east-1_Other/.well-known/openid-configuration")
    assert other.status_code == 404
