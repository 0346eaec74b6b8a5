from __future__ import annotations

from typing import Any

import pytest

from app.local.cognito import LocalPool
from tests.local.cognito.support import confirmed, refusal, sign_in


def attributes(pool: LocalPool, username: str = "student") -> dict[str, str]:
    params = {"UserPoolId": pool.pool_id, "Username": username}
    got = pool.call("AdminGetUser", params)["UserAttributes"]
    return {attribute["Name"]: attribute["Value"] for attribute in got}


def pairs(**values: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def test_a_new_address_is_verified_by_code(pool: LocalPool) -> None:
    token = {"AccessToken": sign_in(pool)["AccessToken"]}
    pool.call("UpdateUserAttributes", {**token, "UserAttributes": pairs(email="new@example.com")})
    assert attributes(pool)["email_verified"] == "false"
    email = {**token, "AttributeName": "email"}
    assert pool.mails[0].to == "new@example.com"
    details = pool.call("GetUserAttributeVerificationCode", email)["CodeDeliveryDetails"]
    assert details["Destination"] == "n***@e***"
    code = pool.mails[0].code
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert refusal(pool, "VerifyUserAttribute", **email, Code=wrong)[0] == "CodeMismatchException"
    pool.call("VerifyUserAttribute", {**email, "Code": code})
    assert attributes(pool)["email_verified"] == "true"
    pool.call("UpdateUserAttributes", {**token, "UserAttributes": pairs(nickname="Stuart")})
    assert len(pool.mails) == 2


def test_only_an_address_that_is_there_can_be_verified(pool: LocalPool) -> None:
    confirmed(pool, "ann")
    token = {"AccessToken": sign_in(pool, "ann", "secret")["AccessToken"]}
    for name in ("email", "phone_number"):
        type, _ = refusal(pool, "GetUserAttributeVerificationCode", **token, AttributeName=name)
        assert type == "InvalidParameterException"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"sub": "other"}, "InvalidParameterException"),
        ({"email_verified": "true"}, "NotAuthorizedException"),
        ({"cognito:username": "other"}, "InvalidParameterException"),
        ({"custom:unknown": "x"}, "InvalidParameterException"),
    ],
)
def test_what_users_may_not_write(pool: LocalPool, written: dict[str, str], expected: str) -> None:
    token = sign_in(pool)["AccessToken"]
    type, _ = refusal(
        pool, "UpdateUserAttributes", AccessToken=token, UserAttributes=pairs(**written)
    )
    assert type == expected


def test_what_administrators_write(pool: LocalPool) -> None:
    params: dict[str, Any] = {"UserPoolId": pool.pool_id}
    custom = {"Name": "year", "AttributeDataType": "String"}
    pool.call("AddCustomAttributes", {**params, "CustomAttributes": [custom]})
    params["Username"] = "student"
    written = pairs(email="x@example.com", email_verified="true", **{"custom:year": "1"})
    pool.call("AdminUpdateUserAttributes", {**params, "UserAttributes": written})
    assert attributes(pool)["email_verified"] == "true"
    assert attributes(pool)["custom:year"] == "1"
    type, _ = refusal(
        pool, "AdminUpdateUserAttributes", **params, UserAttributes=pairs(sub="other")
    )
    assert type == "InvalidParameterException"
    type, _ = refusal(pool, "AdminDeleteUserAttributes", **params, UserAttributeNames=["sub"])
    assert type == "InvalidParameterException"
    pool.call("AdminDeleteUserAttributes", {**params, "UserAttributeNames": ["custom:year"]})
    assert "custom:year" not in attributes(pool)


def test_users_delete_attributes(pool: LocalPool) -> None:
    token = sign_in(pool)["AccessToken"]
    params = {"AccessToken": token, "UserAttributeNames": ["nickname"]}
    pool.call("DeleteUserAttributes", params)
    assert "nickname" not in attributes(pool)


def test_users_change_their_password(pool: LocalPool) -> None:
    token = sign_in(pool)["AccessToken"]
    wrong = {"PreviousPassword": "wrong1", "ProposedPassword": "renewed"}
    assert refusal(pool, "ChangePassword", AccessToken=token, **wrong) == (
        "NotAuthorizedException",
        "Incorrect username or password.",
    )
    right = {"PreviousPassword": "student", "ProposedPassword": "renewed"}
    pool.call("ChangePassword", {"AccessToken": token, **right})
    assert sign_in(pool, "student", "renewed")


def test_guessing_the_old_password_is_limited(pool: LocalPool) -> None:
    token = sign_in(pool)["AccessToken"]
    wrong = {"PreviousPassword": "wrong1", "ProposedPassword": "renewed"}
    for _ in range(5):
        refusal(pool, "ChangePassword", AccessToken=token, **wrong)
    refused = refusal(pool, "ChangePassword", AccessToken=token, **wrong)
    assert refused[1] == "Password attempts exceeded"


@pytest.mark.parametrize("operation", ["GetUser", "GlobalSignOut", "DeleteUser"])
def test_a_token_that_is_none_is_not_repeated(pool: LocalPool, operation: str) -> None:
    assert refusal(pool, operation, AccessToken="nonsense") == (
        "NotAuthorizedException",
        "Invalid Access Token",
    )
    token = sign_in(pool)["IdToken"]
    assert refusal(pool, operation, AccessToken=token)[1] == "Invalid Access Token"


def test_the_pool_that_the_server_is_for_stays(pool: LocalPool) -> None:
    type, _ = refusal(pool, "DeleteUserPool", UserPoolId=pool.pool_id)
    assert type == "InvalidParameterException"
    params = {"UserPoolId": pool.pool_id, "ClientId": pool.client_id}
    assert refusal(pool, "DeleteUserPoolClient", **params)[0] == "InvalidParameterException"


def test_other_pools_and_clients_come_and_go(pool: LocalPool) -> None:
    made = pool.call("CreateUserPool", {"PoolName": "other"})["UserPool"]["Id"]
    keys = pool.jwks_of(made)
    assert keys is not None
    assert keys != pool.jwks
    params = {"UserPoolId": made, "ClientName": "other"}
    client = pool.call("CreateUserPoolClient", params)["UserPoolClient"]["ClientId"]
    pool.call("DeleteUserPoolClient", {"UserPoolId": made, "ClientId": client})
    pool.call("DeleteUserPool", {"UserPoolId": made})
    assert pool.jwks_of(made) is None
    assert refusal(pool, "DescribeUserPool", UserPoolId=made)[0] == "ResourceNotFoundException"


def test_addresses_as_names(pool: LocalPool) -> None:
    params: dict[str, Any] = {"PoolName": "mail", "UsernameAttributes": ["email"]}
    made = pool.call("CreateUserPool", params)["UserPool"]["Id"]
    params = {
        "UserPoolId": made,
        "ClientName": "mail",
        "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"],
    }
    client = pool.call("CreateUserPoolClient", params)["UserPoolClient"]["ClientId"]
    params = {"ClientId": client, "Username": "ann@example.com", "Password": "Sec-ret1"}
    sub = pool.call("SignUp", params)["UserSub"]
    params = {"ClientId": client, "Username": "ann@example.com"}
    pool.call("ConfirmSignUp", {**params, "ConfirmationCode": pool.mails[0].code})
    params = {
        "ClientId": client,
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": {"USERNAME": "ann@example.com", "PASSWORD": "Sec-ret1"},
    }
    tokens = pool.call("InitiateAuth", params)["AuthenticationResult"]
    assert pool.call("GetUser", {"AccessToken": tokens["AccessToken"]})["Username"] == sub


@pytest.mark.parametrize("operation", ["Nonsense", "parameters", "GetDevice", "", "_dispatch"])
def test_an_operation_that_is_not_there(pool: LocalPool, operation: str) -> None:
    assert refusal(pool, operation)[0] == "UnknownOperationException"
