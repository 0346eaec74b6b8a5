"""From the Authorization header to a user, or to a 401 that says what it may."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, FastAPI
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

import app.auth
from app import errors
from app.auth import KeySet, SignedIn, TokenVerifier, User, UserRoute, authenticate
from app.auth.refusals import ClaimRefused, MissingScope, TokenExpired
from tests.auth.forgeries import FORGERIES
from tests.tokens import ABSENT, CLIENT_ID, OTHER_CLIENT_ID, Pool

NOW = 1_795_000_000
POOL = Pool(clock=lambda: NOW)
TOKEN = POOL.id_token()


async def published() -> bytes:
    return json.dumps(POOL.jwks).encode()


async def unreachable() -> bytes:
    raise OSError


def verifier(keys: KeySet | None = None, **options: Any) -> TokenVerifier:
    defaults: dict[str, Any] = {"token_use": "id", "client_ids": {CLIENT_ID}}
    return TokenVerifier(
        keys or KeySet(published, preloaded=POOL.jwks),
        issuer=POOL.issuer,
        clock=lambda: NOW,
        **(defaults | options),
    )


router = APIRouter(prefix="/v1", route_class=UserRoute)


@router.get("/me")
async def me(user: SignedIn) -> dict[str, str | None]:
    return {"name": user.name, "email": user.email, "token_use": user.token_use}


@router.post("/number")
async def number(user: SignedIn, value: Annotated[int, Body(embed=True)]) -> int:
    return value


def build(by: TokenVerifier) -> FastAPI:
    api = FastAPI()
    errors.install(api)
    api.include_router(router)
    api.state.verifier = by
    return api


CLIENT = TestClient(build(verifier()))


def get(value: str | None, client: TestClient = CLIENT) -> Any:
    headers = {} if value is None else {"Authorization": value}
    return client.get("/v1/me", headers=headers)


def assert_401(response: Any, challenge: str, message: str = "Unauthorized") -> None:
    assert response.status_code == 401
    assert response.json() == {"message": message}
    assert response.headers["www-authenticate"] == challenge


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR  ", ""])
def test_a_good_token_names_the_user(scheme: str) -> None:
    response = get(scheme + TOKEN)

    assert response.status_code == 200
    assert response.json() == {
        "name": "student",
        "email": "student@example.com",
        "token_use": "id",
    }


def test_an_access_token_names_the_user() -> None:
    client = TestClient(build(verifier(token_use="access")))

    response = get(f"Bearer {POOL.access_token()}", client)

    assert response.json() == {"name": "student", "email": None, "token_use": "access"}


@pytest.mark.parametrize("email", [ABSENT, None, 1, ["a@example.com"]])
def test_an_email_that_is_no_string_is_none(email: object) -> None:
    assert get(POOL.id_token(email=email)).json()["email"] is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "Bearer a b",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        f"Bearer\t{TOKEN}",
        f"Bearer Bearer {TOKEN}",
        f"Bearer {TOKEN} ",
        f"{TOKEN} Bearer",
        f"Bearer token={TOKEN} x",
    ],
)
def test_without_one_credential_it_is_401(value: str | None) -> None:
    with pytest.raises(HTTPException) as caught:
        asyncio.run(authenticate(value, verifier()))

    assert caught.value.status_code == 401
    assert caught.value.detail == "Unauthorized"
    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}


def test_no_header_is_401_in_the_one_shape() -> None:
    assert_401(get(None), "Bearer")


def test_several_headers_are_401() -> None:
    headers = [("Authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")]

    assert_401(CLIENT.get("/v1/me", headers=headers), "Bearer")


@pytest.mark.parametrize("value", ["Bearer", "Bearer.", f"Bearer:{TOKEN}", "Bearer\xa0x", "x"])
def test_one_word_is_taken_for_a_token(value: str) -> None:
    with pytest.raises(HTTPException) as caught:
        asyncio.run(authenticate(value, verifier()))

    assert caught.value.headers == {
        "WWW-Authenticate": 'Bearer error="invalid_token", '
        'error_description="The token is not valid"'
    }


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_401_and_only_signed_ones_learn_why(name: str) -> None:
    make: Callable[[Pool], str]
    make, refusal = FORGERIES[name]
    value = make(POOL).encode("utf-8", "surrogatepass")

    response = CLIENT.get("/v1/me", headers={b"Authorization": b"Bearer " + value})

    assert response.status_code == 401
    challenge = response.headers["www-authenticate"]
    if challenge == "Bearer":  # it has a space: two words are no credentials
        assert response.json() == {"message": "Unauthorized"}
        return
    helpful = issubclass(refusal, ClaimRefused)
    assert ('"The token is not valid"' in challenge) == (not helpful)
    assert_401(
        response,
        f'Bearer error="invalid_token", error_description="{refusal.description}"',
        "The incoming token has expired" if refusal is TokenExpired else "Unauthorized",
    )


def test_an_expired_token_is_told_so_in_the_words_of_api_gateway() -> None:
    assert_401(
        get(f"Bearer {POOL.id_token(exp=NOW)}"),
        'Bearer error="invalid_token", error_description="The token has expired"',
        "The incoming token has expired",
    )


def test_a_missing_scope_is_401_as_at_the_rest_gateway() -> None:
    client = TestClient(build(verifier(token_use="access", scopes=["notes/read"])))

    assert_401(
        get(f"Bearer {POOL.access_token()}", client),
        f'Bearer error="insufficient_scope", error_description="{MissingScope.description}"',
    )


def test_unreachable_keys_are_503_with_retry_after() -> None:
    client = TestClient(build(verifier(KeySet(unreachable, clock=lambda: 0.0))))

    response = get(f"Bearer {TOKEN}", client)

    assert response.status_code == 503
    assert response.json() == {"message": "Service Unavailable"}
    assert response.headers["retry-after"] == "10"


@pytest.mark.parametrize("body", ["{", '{"value": "x"}', "", "[" * 5000])
def test_a_stranger_with_a_bad_body_is_401_not_400(body: str) -> None:
    assert_401(CLIENT.post("/v1/number", content=body), "Bearer")


def test_a_user_with_a_bad_body_is_400() -> None:
    headers = {"Authorization": TOKEN}

    assert CLIENT.post("/v1/number", content="{", headers=headers).status_code == 400
    assert CLIENT.post("/v1/number", json={"value": 3}, headers=headers).json() == 3


def test_a_refusal_is_logged_by_its_class_and_never_with_the_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    token = POOL.id_token(aud=OTHER_CLIENT_ID)

    get(f"Bearer {token}")

    assert ("notegate.auth", logging.INFO, "Refused a token: WrongClient") in caplog.record_tuples
    assert not any(part in caplog.text for part in token.split("."))


def test_a_route_that_forgot_to_authenticate_lets_nobody_in() -> None:
    api = FastAPI()
    api.get("/me")(me)

    with pytest.raises(RuntimeError, match="UserRoute"):
        TestClient(api).get("/me", headers={"Authorization": TOKEN})


def test_openapi_shows_that_a_token_is_needed() -> None:
    document = CLIENT.get("/openapi.json").json()

    assert document["paths"]["/v1/me"]["get"]["security"] == [{"Cognito": []}]
    scheme = document["components"]["securitySchemes"]["Cognito"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")


def test_a_user_cannot_be_changed() -> None:
    user = User("student", {"token_use": "id"})

    with pytest.raises(AttributeError):
        user.name = "teacher"  # type: ignore[misc] # the point


def test_the_menu_offers_what_it_says_and_nothing_twice() -> None:
    assert len(set(app.auth.__all__)) == len(app.auth.__all__)
    for name in app.auth.__all__:
        assert hasattr(app.auth, name)
