from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import Any

import pytest
from jose import jwt
from moto.cognitoidp.exceptions import NotAuthorizedError

from app.local.cognito import LocalPool, Refused, Tokens
from app.settings import LOCAL_KID_PREFIX
from tests.local.cognito.support import STUDENT, Clock, auth, claims, refusal, sign_in

ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Notegate1"
COMMON = {"sub", "iss", "origin_jti", "event_id", "token_use", "auth_time", "exp", "iat", "jti"}


def group(pool: LocalPool, name: str, precedence: int | None = None) -> None:
    params: dict[str, Any] = {"UserPoolId": pool.pool_id, "GroupName": name}
    extra = {} if precedence is None else {"Precedence": precedence}
    pool.call("CreateGroup", params | extra)
    pool.call("AdminAddUserToGroup", {**params, "Username": "student"})


def user_id(pool: LocalPool) -> str:
    return pool.check_password("student", "student").sub


def test_the_ids_are_known(pool: LocalPool) -> None:
    assert pool.pool_id == "us-east-1_Notegate1"
    assert pool.client_id == "notegatelocalclient0000001"


def test_the_claims_of_an_id_token(pool: LocalPool) -> None:
    found = claims(sign_in(pool)["IdToken"])
    assert found.keys() == COMMON | {
        *("aud", "cognito:username", "email", "email_verified", "nickname"),
    }
    expected = {
        "sub": user_id(pool),
        "iss": ISSUER,
        "aud": pool.client_id,
        "token_use": "id",
        "cognito:username": "student",
        "email": "student@example.com",
        "email_verified": True,
        "nickname": "Stu",
        "exp": found["iat"] + 3600,
        "auth_time": found["iat"],
    }
    assert {name: found[name] for name in expected} == expected
    for name in ("sub", "jti", "origin_jti", "event_id"):
        uuid.UUID(found[name])


def test_the_claims_of_an_access_token(pool: LocalPool) -> None:
    found = claims(sign_in(pool)["AccessToken"])
    assert found.keys() == COMMON | {"client_id", "scope", "username", "version"}
    expected = {
        "sub": user_id(pool),
        "iss": ISSUER,
        "client_id": pool.client_id,
        "token_use": "access",
        "scope": "aws.cognito.signin.user.admin",
        "username": "student",
        "version": 2,
        "exp": found["iat"] + 3600,
        "auth_time": found["iat"],
    }
    assert {name: found[name] for name in expected} == expected


def test_groups_come_in_the_order_of_their_precedence(pool: LocalPool) -> None:
    group(pool, "all")
    group(pool, "second", 2)
    group(pool, "first", 0)
    tokens = sign_in(pool)
    for token in (tokens["IdToken"], tokens["AccessToken"]):
        assert claims(token)["cognito:groups"] == ["first", "second", "all"]


def test_two_keys_sign_and_are_published(pool: LocalPool) -> None:
    tokens = sign_in(pool)
    kids = []
    for token, claim in ((tokens["IdToken"], "id"), (tokens["AccessToken"], "access")):
        header = token.partition(".")[0]
        decoded = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)).decode()
        kids.append(json.loads(decoded)["kid"])
        assert decoded == json.dumps({"kid": kids[-1], "alg": "RS256"}, separators=(",", ":"))
        found = jwt.decode(
            token, pool.jwks, algorithms=["RS256"], issuer=ISSUER, options={"verify_aud": False}
        )
        assert found["token_use"] == claim
    assert len(set(kids)) == 2
    assert [key["kid"] for key in pool.jwks["keys"]] == kids
    for key in pool.jwks["keys"]:
        assert list(key) == ["alg", "e", "kid", "kty", "n", "use"]
        assert (key["alg"], key["e"], key["kty"], key["use"]) == ("RS256", "AQAB", "RSA", "sig")
        thumbprint = key["kid"].removeprefix(LOCAL_KID_PREFIX)
        assert (len(thumbprint), key["kid"][: len(LOCAL_KID_PREFIX)]) == (43, LOCAL_KID_PREFIX)
        assert len(base64.urlsafe_b64decode(key["n"] + "==")) == 256


def test_a_refresh_tells_when_the_user_signed_in(pool: LocalPool, clock: Clock) -> None:
    first = sign_in(pool)
    clock.ahead = 600
    answer = auth(pool, "REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": first["RefreshToken"]})
    for name in ("IdToken", "AccessToken"):
        old, new = claims(first[name]), claims(answer["AuthenticationResult"][name])
        for same in ("auth_time", "origin_jti", "event_id", "sub"):
            assert new[same] == old[same]
        assert new["iat"] >= old["iat"] + 600
        assert new["jti"] != old["jti"]


def client(pool: LocalPool, **config: Any) -> str:
    params = {
        "UserPoolId": pool.pool_id,
        "ClientName": "other",
        "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        **config,
    }
    made: str = pool.call("CreateUserPoolClient", params)["UserPoolClient"]["ClientId"]
    return made


def test_an_app_client_says_how_long_tokens_live(pool: LocalPool) -> None:
    units = {"AccessToken": "minutes", "IdToken": "seconds"}
    made = client(pool, AccessTokenValidity=10, IdTokenValidity=300, TokenValidityUnits=units)
    params = {
        "ClientId": made,
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": STUDENT,
    }
    tokens = pool.call("InitiateAuth", params)["AuthenticationResult"]
    assert tokens["ExpiresIn"] == 600
    for name, seconds in (("AccessToken", 600), ("IdToken", 300)):
        found = claims(tokens[name])
        assert found["exp"] - found["iat"] == seconds


def test_units_count_only_with_a_number(pool: LocalPool, clock: Clock) -> None:
    made = client(pool, TokenValidityUnits={"AccessToken": "days"})
    tokens = pool.issue("student", ["openid"], client_id=made)
    assert tokens.expires_in == 3600
    clock.ahead = 29 * 86_400
    assert tokens.refresh_token is not None
    assert pool.refresh(tokens.refresh_token, client_id=made)


def test_an_app_client_reads_what_it_may(pool: LocalPool) -> None:
    made = client(pool, ReadAttributes=["nickname"])
    found = claims(pool.issue("student", ["openid"], client_id=made).id_token)
    assert found["nickname"] == "Stu"
    assert not found.keys() & {"email", "email_verified"}


def test_custom_attributes_are_in_the_id_token(pool: LocalPool) -> None:
    custom = {"Name": "year", "AttributeDataType": "String"}
    pool.call("AddCustomAttributes", {"UserPoolId": pool.pool_id, "CustomAttributes": [custom]})
    attribute = {"Name": "custom:year", "Value": "1"}
    params = {"UserPoolId": pool.pool_id, "Username": "student", "UserAttributes": [attribute]}
    pool.call("AdminUpdateUserAttributes", params)
    assert claims(sign_in(pool)["IdToken"])["custom:year"] == "1"


def test_no_attribute_takes_the_place_of_a_claim(pool: LocalPool) -> None:
    for name in ("token_use", "year"):
        custom = {"Name": name, "AttributeDataType": "String"}
        params = {"UserPoolId": pool.pool_id, "CustomAttributes": [custom]}
        pool.call("AddCustomAttributes", params)
    user = pool._backend.pool(pool.pool_id).user("student")
    assert user is not None
    user.attribute_lookup["cognito:username"] = "other"
    user.attribute_lookup["sub"] = "other"
    made = client(pool, ReadAttributes=["cognito:username", "sub"])
    found = claims(pool.issue("student", ["openid"], client_id=made).id_token)
    assert found["cognito:username"] == "student"
    assert found["sub"] == user.id


def test_the_tokens_of_hosted_sign_in(pool: LocalPool) -> None:
    tokens = pool.issue("student", ["openid", "email"], nonce="n-0S6", auth_time=1_700_000_000)
    identity, access = claims(tokens.id_token), claims(tokens.access_token)
    assert (identity["nonce"], identity["auth_time"]) == ("n-0S6", 1_700_000_000)
    half = hashlib.sha256(tokens.access_token.encode()).digest()[:16]
    assert identity["at_hash"] == base64.urlsafe_b64encode(half).decode().rstrip("=")
    jwt.decode(
        tokens.id_token,
        pool.jwks,
        algorithms=["RS256"],
        audience=pool.client_id,
        access_token=tokens.access_token,
    )
    assert (access["scope"], access["auth_time"]) == ("openid email", 1_700_000_000)
    assert tokens.refresh_token is not None
    again = pool.refresh(tokens.refresh_token)
    assert again == Tokens(again.id_token, again.access_token, None, 3600)
    assert claims(again.access_token)["scope"] == "openid email"
    assert claims(again.id_token)["auth_time"] == 1_700_000_000
    assert "nonce" not in claims(again.id_token)
    pool.revoke(tokens.refresh_token)
    with pytest.raises(Refused, match="Invalid Refresh Token"):
        pool.refresh(tokens.refresh_token)


def test_an_access_token_is_judged(pool: LocalPool, clock: Clock) -> None:
    tokens = pool.issue("student", ["openid"])
    assert pool.access_claims(tokens.access_token, "openid")["username"] == "student"
    assert refusal(pool, "GetUser", AccessToken=tokens.access_token) == (
        "NotAuthorizedException",
        "Access Token does not have required scopes",
    )
    with pytest.raises(Refused, match="Invalid Access Token"):
        pool.access_claims(tokens.id_token)
    clock.ahead = 3601
    with pytest.raises(Refused, match="Access Token has expired"):
        pool.access_claims(tokens.access_token)


def test_a_disabled_user_gets_no_tokens(pool: LocalPool) -> None:
    tokens = pool.issue("student", ["openid"])
    pool._backend.admin_get_user(pool.pool_id, "student").enabled = False
    assert tokens.refresh_token is not None
    with pytest.raises(Refused, match="User is disabled"):
        pool.refresh(tokens.refresh_token)
    with pytest.raises(Refused, match="User is disabled"):
        pool.access_claims(tokens.access_token)


def test_a_grant_that_is_gone_makes_no_tokens(pool: LocalPool) -> None:
    made = pool._backend.pool(pool.pool_id)
    with pytest.raises(NotAuthorizedError):
        made.create_access_token(pool.client_id, "student", "gone")
    with pytest.raises(NotAuthorizedError):
        made.create_tokens_from_refresh_token("gone")
    with pytest.raises(KeyError):
        made.access_tokens["nonsense"]
