from __future__ import annotations

import json
from typing import Any

import pytest
from pycognito.aws_srp import AWSSRP

from app.local.cognito import LocalPool, Refused
from app.local.cognito.attempts import Attempts
from tests.local.cognito.support import (
    STUDENT,
    Clock,
    Prover,
    auth,
    confirmed,
    refusal,
    sign_in,
    sign_up,
)

WRONG = ("NotAuthorizedException", "Incorrect username or password.")
INVALID = ("NotAuthorizedException", "Invalid Refresh Token")


def start(pool: LocalPool, flow: str = "USER_PASSWORD_AUTH", **parameters: str) -> dict[str, Any]:
    return {"ClientId": pool.client_id, "AuthFlow": flow, "AuthParameters": parameters}


def make(pool: LocalPool, username: str, **more: Any) -> Any:
    params = {"UserPoolId": pool.pool_id, "Username": username, **more}
    return pool.call("AdminCreateUser", params)["User"]


def client(pool: LocalPool, **config: Any) -> dict[str, Any]:
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    params = {"UserPoolId": pool.pool_id, "ClientName": "other", "ExplicitAuthFlows": flows}
    found: dict[str, Any] = pool.call("CreateUserPoolClient", params | config)["UserPoolClient"]
    return found


def test_the_demo_user_signs_in(pool: LocalPool) -> None:
    answer = auth(pool, "USER_PASSWORD_AUTH", STUDENT)
    assert answer["ChallengeParameters"] == {}
    assert answer["AuthenticationResult"].keys() == {
        *("IdToken", "AccessToken", "RefreshToken", "ExpiresIn", "TokenType"),
    }
    assert answer["AuthenticationResult"]["ExpiresIn"] == 3600


def test_an_administrator_signs_a_user_in(pool: LocalPool) -> None:
    params = {"UserPoolId": pool.pool_id, **start(pool, "ADMIN_USER_PASSWORD_AUTH", **STUDENT)}
    assert "IdToken" in pool.call("AdminInitiateAuth", params)["AuthenticationResult"]
    params["AuthFlow"] = "ADMIN_NO_SRP_AUTH"
    assert "IdToken" in pool.call("AdminInitiateAuth", params)["AuthenticationResult"]
    tokens = sign_in(pool)
    params = {
        "UserPoolId": pool.pool_id,
        **start(pool, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=tokens["RefreshToken"]),
    }
    assert "IdToken" in pool.call("AdminInitiateAuth", params)["AuthenticationResult"]


@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"USERNAME": "student", "PASSWORD": "wrong"}, WRONG),
        ({"USERNAME": "student", "PASSWORD": ""}, WRONG),
        ({"USERNAME": "student"}, WRONG),
        ({"USERNAME": "nobody", "PASSWORD": "student"}, WRONG),
        (
            {"PASSWORD": "student"},
            ("InvalidParameterException", "Missing required parameter USERNAME"),
        ),
        (
            {"USERNAME": "unconfirmed", "PASSWORD": "secret"},
            ("UserNotConfirmedException", "User is not confirmed."),
        ),
        ({"USERNAME": "unconfirmed", "PASSWORD": "wrong"}, WRONG),
        (
            {"USERNAME": "disabled", "PASSWORD": "secret"},
            ("NotAuthorizedException", "User is disabled."),
        ),
        ({"USERNAME": "disabled", "PASSWORD": "wrong"}, WRONG),
        (
            {"USERNAME": "reset", "PASSWORD": "secret"},
            ("PasswordResetRequiredException", "Password reset required for the user"),
        ),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_who_may_not_sign_in(
    pool: LocalPool, flow: str, given: dict[str, str], expected: tuple[str, str]
) -> None:
    sign_up(pool, "unconfirmed")
    confirmed(pool, "disabled")
    confirmed(pool, "reset", "reset@example.com")
    pool.call("AdminDisableUser", {"UserPoolId": pool.pool_id, "Username": "disabled"})
    pool.call("AdminResetUserPassword", {"UserPoolId": pool.pool_id, "Username": "reset"})
    params = start(pool, flow, **given)
    if flow.startswith("ADMIN"):
        params["UserPoolId"] = pool.pool_id
        assert refusal(pool, "AdminInitiateAuth", **params) == expected
    else:
        assert refusal(pool, "InitiateAuth", **params) == expected


def test_an_app_client_may_tell_who_exists(pool: LocalPool) -> None:
    params = start(pool, USERNAME="nobody", PASSWORD="secret") | {
        "ClientId": client(pool)["ClientId"]
    }
    unknown = ("UserNotFoundException", "User does not exist.")
    assert refusal(pool, "InitiateAuth", **params) == unknown
    params["AuthFlow"] = "USER_SRP_AUTH"
    params["AuthParameters"] = {"USERNAME": "nobody", "SRP_A": "2"}
    assert refusal(pool, "InitiateAuth", **params) == unknown


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ("ADMIN_USER_PASSWORD_AUTH", "Initiate Auth method not supported."),
        ("USER_AUTH", "USER_AUTH flow not enabled for this client"),
        ("CUSTOM_AUTH", "CUSTOM_AUTH flow not enabled for this client"),
        ("NONSENSE", None),
    ],
)
def test_flows_that_are_not_allowed(pool: LocalPool, flow: str, expected: str | None) -> None:
    type, message = refusal(pool, "InitiateAuth", **start(pool, flow, **STUDENT))
    assert type == "InvalidParameterException"
    assert expected is None or message == expected


def test_an_app_client_that_names_no_flows_has_no_password_flow(pool: LocalPool) -> None:
    params = {"UserPoolId": pool.pool_id, "ClientName": "plain"}
    plain = pool.call("CreateUserPoolClient", params)["UserPoolClient"]["ClientId"]
    params = start(pool, **STUDENT) | {"ClientId": plain}
    assert refusal(pool, "InitiateAuth", **params)[1].startswith("USER_PASSWORD_AUTH flow not")
    params["AuthFlow"] = "CUSTOM_AUTH"
    assert refusal(pool, "InitiateAuth", **params)[1].startswith("Custom auth lambda")


def test_a_client_that_nobody_made(pool: LocalPool) -> None:
    params = start(pool, **STUDENT) | {"ClientId": "nobody"}
    assert refusal(pool, "InitiateAuth", **params)[0] == "ResourceNotFoundException"


def test_an_app_client_with_a_secret_needs_its_hash(pool: LocalPool) -> None:
    made = client(pool, GenerateSecret=True)
    params = start(pool, **STUDENT) | {"ClientId": made["ClientId"]}
    expected = f"Unable to verify secret hash for client {made['ClientId']}"
    assert refusal(pool, "InitiateAuth", **params)[1] == expected
    right = AWSSRP.get_secret_hash("student", made["ClientId"], made["ClientSecret"])
    params["AuthParameters"] = STUDENT | {"SECRET_HASH": right}
    token = pool.call("InitiateAuth", params)["AuthenticationResult"]["RefreshToken"]

    params = start(pool, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token) | {"ClientId": made["ClientId"]}
    assert refusal(pool, "InitiateAuth", **params)[1] == expected
    params["AuthParameters"] = {"REFRESH_TOKEN": token, "SECRET_HASH": right}
    assert "IdToken" in pool.call("InitiateAuth", params)["AuthenticationResult"]

    revoke = {"ClientId": made["ClientId"], "Token": token}
    assert refusal(pool, "RevokeToken", **revoke)[0] == "NotAuthorizedException"
    pool.call("RevokeToken", revoke | {"ClientSecret": made["ClientSecret"]})
    assert refusal(pool, "InitiateAuth", **params) == INVALID


def test_the_hash_of_a_name_in_any_script(pool: LocalPool) -> None:
    made = client(pool, GenerateSecret=True)
    confirmed(pool, "Ωmega")
    right = AWSSRP.get_secret_hash("Ωmega", made["ClientId"], made["ClientSecret"])
    params = start(pool, USERNAME="Ωmega", PASSWORD="secret", SECRET_HASH=right)
    assert pool.call("InitiateAuth", params | {"ClientId": made["ClientId"]})


def test_a_refresh_token_works_until_it_is_revoked(pool: LocalPool) -> None:
    tokens = sign_in(pool)
    params = start(pool, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=tokens["RefreshToken"])
    again = pool.call("InitiateAuth", params)["AuthenticationResult"]
    assert again.keys() == {"IdToken", "AccessToken", "ExpiresIn", "TokenType"}
    assert pool.call("GetUser", {"AccessToken": again["AccessToken"]})["Username"] == "student"
    pool.call("RevokeToken", {"ClientId": pool.client_id, "Token": tokens["RefreshToken"]})
    assert refusal(pool, "InitiateAuth", **params) == INVALID
    for token in (tokens["AccessToken"], again["AccessToken"]):
        assert refusal(pool, "GetUser", AccessToken=token) == (
            "NotAuthorizedException",
            "Access Token has been revoked",
        )


@pytest.mark.parametrize("token", ["", "nonsense", None])
def test_a_refresh_token_that_was_never_given_out(pool: LocalPool, token: str | None) -> None:
    params = start(pool, "REFRESH_TOKEN", **({} if token is None else {"REFRESH_TOKEN": token}))
    assert refusal(pool, "InitiateAuth", **params) == INVALID


def test_a_refresh_token_of_another_app_client(pool: LocalPool) -> None:
    token = sign_in(pool)["RefreshToken"]
    other = client(pool)["ClientId"]
    params = start(pool, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token) | {"ClientId": other}
    assert refusal(pool, "InitiateAuth", **params) == INVALID
    type, _ = refusal(pool, "RevokeToken", ClientId=other, Token=token)
    assert type == "UnauthorizedException"


def test_revoking_what_is_no_refresh_token(pool: LocalPool) -> None:
    pool.call("RevokeToken", {"ClientId": pool.client_id, "Token": "nonsense"})
    token = sign_in(pool)["AccessToken"]
    type, _ = refusal(pool, "RevokeToken", ClientId=pool.client_id, Token=token)
    assert type == "UnsupportedTokenTypeException"


def test_a_refresh_token_lives_thirty_days(pool: LocalPool, clock: Clock) -> None:
    token = sign_in(pool)["RefreshToken"]
    params = start(pool, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=token)
    clock.ahead = 30 * 86_400 - 60
    assert "IdToken" in pool.call("InitiateAuth", params)["AuthenticationResult"]
    clock.ahead = 30 * 86_400 + 60
    assert refusal(pool, "InitiateAuth", **params) == INVALID


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("AdminDeleteUser", "UserNotFoundException"),
        ("AdminDisableUser", "NotAuthorizedException"),
        ("AdminUserGlobalSignOut", "NotAuthorizedException"),
    ],
)
def test_what_ends_every_sign_in_of_a_user(pool: LocalPool, operation: str, expected: str) -> None:
    first, second = sign_in(pool), sign_in(pool)
    confirmed(pool, "other")
    other = sign_in(pool, "other", "secret")
    pool.call(operation, {"UserPoolId": pool.pool_id, "Username": "student"})
    for tokens in (first, second):
        params = start(pool, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=tokens["RefreshToken"])
        assert refusal(pool, "InitiateAuth", **params) == INVALID
        assert refusal(pool, "GetUser", AccessToken=tokens["AccessToken"])[0] == expected
    assert pool.call("GetUser", {"AccessToken": other["AccessToken"]})["Username"] == "other"


def test_a_user_signs_out_everywhere(pool: LocalPool) -> None:
    tokens = sign_in(pool)
    pool.call("GlobalSignOut", {"AccessToken": tokens["AccessToken"]})
    params = start(pool, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=tokens["RefreshToken"])
    assert refusal(pool, "InitiateAuth", **params) == INVALID


def test_a_user_made_anew_under_an_old_name_is_somebody_else(pool: LocalPool) -> None:
    tokens = sign_in(pool)
    pool.call("DeleteUser", {"AccessToken": tokens["AccessToken"]})
    confirmed(pool, "student")
    assert refusal(pool, "GetUser", AccessToken=tokens["AccessToken"])[0] == "UserNotFoundException"


def test_the_oldest_of_very_many_sign_ins_ends(
    pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.local.cognito.grants.PER_USER", 2)
    tokens = [sign_in(pool)["RefreshToken"] for _ in range(3)]
    params = start(pool, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=tokens[0])
    assert refusal(pool, "InitiateAuth", **params) == INVALID
    assert (
        "IdToken"
        in auth(pool, "REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": tokens[1]})["AuthenticationResult"]
    )


def test_a_temporary_password_must_be_replaced(pool: LocalPool) -> None:
    user = make(pool, "new", UserAttributes=[{"Name": "email", "Value": "new@example.com"}])
    assert user["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    temporary = pool.mails[0].code
    assert pool.mails[0].text == f"Your username is new and temporary password is {temporary}"
    challenge = auth(pool, "USER_PASSWORD_AUTH", {"USERNAME": "new", "PASSWORD": temporary})
    assert challenge["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    parameters = challenge["ChallengeParameters"]
    assert json.loads(parameters["requiredAttributes"]) == []
    assert json.loads(parameters["userAttributes"]) == {
        "email": "new@example.com",
        "email_verified": "false",
    }

    def answer(**answers: str) -> dict[str, Any]:
        return {
            "ClientId": pool.client_id,
            "ChallengeName": "NEW_PASSWORD_REQUIRED",
            "Session": challenge["Session"],
            "ChallengeResponses": {"USERNAME": "new", **answers},
        }

    type, _ = refusal(pool, "RespondToAuthChallenge", **answer(NEW_PASSWORD="short"))
    assert type == "InvalidPasswordException"
    type, _ = refusal(pool, "RespondToAuthChallenge", **answer())
    assert type == "InvalidPasswordException"
    params = answer(NEW_PASSWORD="secret", **{"userAttributes.nickname": "Newt"})
    assert "IdToken" in pool.call("RespondToAuthChallenge", params)["AuthenticationResult"]
    got = pool.call("AdminGetUser", {"UserPoolId": pool.pool_id, "Username": "new"})
    assert got["UserStatus"] == "CONFIRMED"
    assert {"Name": "nickname", "Value": "Newt"} in got["UserAttributes"]
    assert refusal(pool, "RespondToAuthChallenge", **params) == (
        "NotAuthorizedException",
        "Invalid session for the user.",
    )
    assert sign_in(pool, "new", "secret")


def test_a_temporary_password_by_srp(pool: LocalPool) -> None:
    make(pool, "new", TemporaryPassword="temporary", MessageAction="SUPPRESS")
    prover = Prover(pool, "new", "temporary")
    challenge = prover.finish(prover.proof(prover.start()))
    assert challenge["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    answers = {"USERNAME": "new", "NEW_PASSWORD": "secret"}
    params = {
        "ClientId": pool.client_id,
        "ChallengeName": "NEW_PASSWORD_REQUIRED",
        "Session": challenge["Session"],
        "ChallengeResponses": answers,
    }
    assert "IdToken" in pool.call("RespondToAuthChallenge", params)["AuthenticationResult"]


@pytest.mark.parametrize(
    ("change", "ahead"),
    [
        ({"ChallengeResponses": {"USERNAME": "student", "NEW_PASSWORD": "stolen"}}, 0),
        ({"ChallengeResponses": {"USERNAME": "nobody", "NEW_PASSWORD": "stolen"}}, 0),
        ({"ChallengeName": "SOFTWARE_TOKEN_MFA"}, 0),
        ({"ChallengeName": "MFA_SETUP"}, 0),
        ({"Session": "0" * 36}, 0),
        ({"Session": None}, 0),
        ({}, 181),
    ],
    ids=["other-user", "unknown-user", "other-challenge", "setup", "made-up", "none", "late"],
)
def test_a_session_is_for_its_own_user_and_challenge(
    pool: LocalPool, clock: Clock, change: dict[str, Any], ahead: int
) -> None:
    make(pool, "new", TemporaryPassword="temporary")
    challenge = auth(pool, "USER_PASSWORD_AUTH", {"USERNAME": "new", "PASSWORD": "temporary"})
    params = {
        "ClientId": pool.client_id,
        "ChallengeName": challenge["ChallengeName"],
        "Session": challenge["Session"],
        "ChallengeResponses": {"USERNAME": "new", "NEW_PASSWORD": "stolen"},
    }
    clock.ahead = ahead
    assert refusal(pool, "RespondToAuthChallenge", **params | change) == (
        "NotAuthorizedException",
        "Invalid session for the user.",
    )


def test_a_second_factor_is_motos(pool: LocalPool) -> None:
    """Codes of second factors are not checked; but the steps can't be taken out of order."""
    made = pool.call("CreateUserPool", {"PoolName": "mfa"})["UserPool"]["Id"]
    pool.call(
        "SetUserPoolMfaConfig",
        {
            "UserPoolId": made,
            "MfaConfiguration": "ON",
            "SoftwareTokenMfaConfiguration": {"Enabled": True},
        },
    )
    params: dict[str, Any] = {"UserPoolId": made, "ClientName": "mfa"}
    mfa = pool.call("CreateUserPoolClient", params)["UserPoolClient"]["ClientId"]
    pool.call("AdminCreateUser", {"UserPoolId": made, "Username": "ann"})
    params = {"UserPoolId": made, "Username": "ann", "Password": "Sec-ret1", "Permanent": True}
    pool.call("AdminSetUserPassword", params)

    prover = Prover(pool, "ann", "Sec-ret1")
    prover.srp.pool_id = made

    def proved() -> Any:
        start_ = {"ClientId": mfa, "AuthFlow": "USER_SRP_AUTH", "AuthParameters": prover.parameters}
        challenge = pool.call("InitiateAuth", start_)["ChallengeParameters"]
        answers = prover.proof(challenge)
        return pool.call("RespondToAuthChallenge", prover.request(answers) | {"ClientId": mfa})

    setup = proved()
    assert setup["ChallengeName"] == "MFA_SETUP"
    type, _ = refusal(pool, "VerifySoftwareToken", Session="0" * 36, UserCode="123456")
    assert type == "NotAuthorizedException"
    pool.call("AssociateSoftwareToken", {"Session": setup["Session"]})
    session = pool.call("VerifySoftwareToken", {"Session": setup["Session"], "UserCode": "123456"})[
        "Session"
    ]
    params = {
        "ClientId": mfa,
        "ChallengeName": "MFA_SETUP",
        "Session": session,
        "ChallengeResponses": {"USERNAME": "ann"},
    }
    tokens = pool.call("RespondToAuthChallenge", params)["AuthenticationResult"]
    pool.call("VerifySoftwareToken", {"AccessToken": tokens["AccessToken"], "UserCode": "123456"})
    challenge = proved()
    assert challenge["ChallengeName"] == "SOFTWARE_TOKEN_MFA"


def test_guessing_passwords_takes_longer_and_longer(pool: LocalPool, clock: Clock) -> None:
    wrong = start(pool, USERNAME="student", PASSWORD="wrong")
    for _ in range(5):
        assert refusal(pool, "InitiateAuth", **wrong) == WRONG
    locked = ("NotAuthorizedException", "Password attempts exceeded")
    assert refusal(pool, "InitiateAuth", **start(pool, **STUDENT)) == locked
    clock.ahead = 1.5
    assert refusal(pool, "InitiateAuth", **wrong) == WRONG
    clock.ahead = 3
    assert refusal(pool, "InitiateAuth", **start(pool, **STUDENT)) == locked
    clock.ahead = 5
    assert sign_in(pool)
    assert refusal(pool, "InitiateAuth", **wrong) == WRONG
    assert sign_in(pool)


def test_the_wait_ends_after_a_quarter_of_an_hour() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(2000):
        attempts.failed("pool", "student")
    clock.ahead = 14 * 60
    assert attempts.locked("pool", "student")
    clock.ahead = 16 * 60
    assert not attempts.locked("pool", "student")


def test_not_every_name_ever_tried_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.local.cognito.attempts.REMEMBERED", 1)
    attempts = Attempts(Clock())
    for name in ("ann", "bob"):
        for _ in range(6):
            attempts.failed("pool", name)
    assert not attempts.locked("pool", "ann")
    assert attempts.locked("pool", "bob")


def test_the_hosted_sign_in_checks_passwords_too(pool: LocalPool) -> None:
    user = pool.check_password("student", "student")
    assert (user.username, user.attributes["nickname"]) == ("student", "Stu")
    with pytest.raises(Refused, match="Incorrect username or password"):
        pool.check_password("student", "wrong")
    make(pool, "new", TemporaryPassword="temporary")
    with pytest.raises(Refused, match="NewPasswordRequired"):
        pool.check_password("new", "temporary")
