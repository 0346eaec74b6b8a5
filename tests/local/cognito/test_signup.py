from __future__ import annotations

from typing import Any

import pytest

from app.local.cognito import LocalPool
from tests.local.cognito.support import Clock, Start, confirmed, refusal, sign_in, sign_up

MISMATCH = ("CodeMismatchException", "Invalid verification code provided, please try again.")
EXPIRED = ("ExpiredCodeException", "Invalid code provided, please request a code again.")


def named(pool: LocalPool, username: str, **more: Any) -> dict[str, Any]:
    return {"ClientId": pool.client_id, "Username": username, **more}


def admin(pool: LocalPool, username: str, **more: Any) -> dict[str, Any]:
    return {"UserPoolId": pool.pool_id, "Username": username, **more}


def attributes(pool: LocalPool, username: str) -> dict[str, str]:
    got = pool.call("AdminGetUser", admin(pool, username))["UserAttributes"]
    return {attribute["Name"]: attribute["Value"] for attribute in got}


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def test_a_code_confirms_once(pool: LocalPool, start: Start) -> None:
    answer = sign_up(pool, "ann", "ann@example.com")
    assert answer["UserConfirmed"] is False
    assert answer["UserSub"] == attributes(pool, "ann")["sub"]
    assert answer["CodeDeliveryDetails"] == {
        "Destination": "a***@e***",
        "DeliveryMedium": "EMAIL",
        "AttributeName": "email",
    }
    code = pool.mails[0].code
    assert start.lines == [f"To ann@example.com: your confirmation code is {code}"]
    assert (
        refusal(pool, "ConfirmSignUp", **named(pool, "ann", ConfirmationCode=wrong(code)))
        == MISMATCH
    )
    assert attributes(pool, "ann")["email_verified"] == "false"
    pool.call("ConfirmSignUp", named(pool, "ann", ConfirmationCode=code))
    assert attributes(pool, "ann")["email_verified"] == "true"
    assert refusal(pool, "ConfirmSignUp", **named(pool, "ann", ConfirmationCode=code)) == (
        "NotAuthorizedException",
        "User cannot be confirmed. Current status is CONFIRMED",
    )


def test_an_address_is_not_needed(pool: LocalPool, start: Start) -> None:
    answer = sign_up(pool, "ann")
    assert answer.keys() == {"UserConfirmed", "UserSub"}
    code = pool.mails[0].code
    assert start.lines == [f"To ann (no address): your confirmation code is {code}"]
    assert pool.call("ResendConfirmationCode", named(pool, "ann")) == {}
    confirmed(pool, "bob")
    assert sign_in(pool, "bob", "secret")


def test_a_name_cannot_steer_the_terminal(pool: LocalPool, start: Start) -> None:
    type, _ = refusal(pool, "SignUp", **named(pool, "ann\x1b[2J", Password="secret"))
    assert type == "InvalidParameterException"
    pool._outbox.send("a\x1b[2J\nb@example.com", "s", "text", "1")
    assert start.lines == ["To a?[2J?b@example.com: text"]


def test_the_last_hundred_mails_are_kept(pool: LocalPool) -> None:
    for number in range(120):
        pool._outbox.send("ann", "s", "text", str(number))
    assert [mail.code for mail in pool.mails] == [str(n) for n in range(119, 19, -1)]


def test_an_administrator_confirms_once(pool: LocalPool) -> None:
    sign_up(pool, "ann")
    pool.call("AdminConfirmSignUp", admin(pool, "ann"))
    assert sign_in(pool, "ann", "secret")
    type, _ = refusal(pool, "AdminConfirmSignUp", **admin(pool, "ann"))
    assert type == "NotAuthorizedException"


def test_a_code_expires_after_a_day(pool: LocalPool, clock: Clock) -> None:
    sign_up(pool, "ann")
    code = pool.mails[0].code
    clock.ahead = 86_401
    assert refusal(pool, "ConfirmSignUp", **named(pool, "ann", ConfirmationCode=code)) == EXPIRED


def test_a_new_code_replaces_the_old_one(pool: LocalPool) -> None:
    sign_up(pool, "ann", "ann@example.com")
    answer = pool.call("ResendConfirmationCode", named(pool, "ann"))
    assert answer["CodeDeliveryDetails"]["Destination"] == "a***@e***"
    new, old = (mail.code for mail in pool.mails)
    if new != old:  # pragma: no branch
        refused = refusal(pool, "ConfirmSignUp", **named(pool, "ann", ConfirmationCode=old))
        assert refused == MISMATCH
    pool.call("ConfirmSignUp", named(pool, "ann", ConfirmationCode=new))
    assert refusal(pool, "ResendConfirmationCode", **named(pool, "ann")) == (
        "InvalidParameterException",
        "User is already confirmed.",
    )


def test_a_code_can_be_guessed_five_times(pool: LocalPool) -> None:
    sign_up(pool, "ann")
    code = pool.mails[0].code
    for _ in range(5):
        refused = refusal(pool, "ConfirmSignUp", **named(pool, "ann", ConfirmationCode=wrong(code)))
        assert refused == MISMATCH
    assert refusal(pool, "ConfirmSignUp", **named(pool, "ann", ConfirmationCode=code)) == (
        "LimitExceededException",
        "Attempt limit exceeded, please try after some time.",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Username": "student"}, ("UsernameExistsException", "User already exists")),
        ({"Password": "short"}, "InvalidPasswordException"),
        ({"Username": ""}, "InvalidParameterException"),
        ({"Username": "two words"}, "InvalidParameterException"),
        ({"Username": 7}, "InvalidParameterException"),
        ({"Username": None}, "InvalidParameterException"),
        ({"Username": "a" * 129}, "InvalidParameterException"),
        ({"Password": "\ud800secret"}, "InvalidParameterException"),
        ({"ClientId": "nobody"}, "ResourceNotFoundException"),
        ({"UserAttributes": [{"Name": "email", "Value": "ann"}]}, "InvalidParameterException"),
        ({"UserAttributes": [{"Name": "cognito:groups", "Value": "x"}]},
         "InvalidParameterException"),
        ({"UserAttributes": [{"Name": "sub", "Value": "x"}]}, "InvalidParameterException"),
        ({"UserAttributes": [{"Name": "email_verified", "Value": "true"}]},
         "NotAuthorizedException"),
        ({"UserAttributes": {}}, "InvalidParameterException"),
        ({"UserAttributes": ["email"]}, "InvalidParameterException"),
        ({"UserContextData": []}, "InvalidParameterException"),
        ({"ClientMetadata": {"a": 1}}, "InvalidParameterException"),
    ],
)  # fmt: skip
def test_a_sign_up_that_is_refused(
    pool: LocalPool, change: dict[str, Any], expected: str | tuple[str, str]
) -> None:
    params = named(pool, "ann", Password="secret") | change
    refused = refusal(pool, "SignUp", **params)
    assert expected in (refused, refused[0])
    assert refusal(pool, "AdminGetUser", **admin(pool, "ann"))[0] == "UserNotFoundException"


def test_all_mistakes_of_a_request_are_named(pool: LocalPool) -> None:
    assert refusal(pool, "SignUp", ClientId=7) == (
        "InvalidParameterException",
        "2 validation errors detected: Value null at 'username' failed to satisfy constraint: "
        "Member must not be null; Value at 'clientId' failed to satisfy constraint: "
        "Member must be a string",
    )


def test_members_that_nobody_knows_are_ignored(pool: LocalPool) -> None:
    pool.call("SignUp", named(pool, "ann", Password="secret", Unknown=1))


def test_a_pool_may_be_closed_to_sign_ups(pool: LocalPool) -> None:
    config = {"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}}
    pool.call("UpdateUserPool", {"UserPoolId": pool.pool_id, **config})
    refused = refusal(pool, "SignUp", **named(pool, "ann", Password="Sec-ret1"))
    assert refused == ("NotAuthorizedException", "SignUp is not permitted for this user pool")


def test_a_password_is_taken_as_it_is(pool: LocalPool) -> None:
    """moto also reads a body as a query string."""
    password = "secret&Username=mallory&Action=AdminDeleteUser&x="
    pool.call("SignUp", named(pool, "ann", Password=password))
    pool.call("AdminConfirmSignUp", admin(pool, "ann"))
    assert sign_in(pool, "ann", password)


def test_a_forgotten_password(pool: LocalPool, clock: Clock) -> None:
    answer = pool.call("ForgotPassword", named(pool, "student"))
    assert answer == {
        "CodeDeliveryDetails": {
            "Destination": "s***@e***",
            "DeliveryMedium": "EMAIL",
            "AttributeName": "email",
        }
    }
    code = pool.mails[0].code

    def confirm(code: str, password: str = "renewed") -> dict[str, Any]:
        return named(pool, "student", ConfirmationCode=code, Password=password)

    assert refusal(pool, "ConfirmForgotPassword", **confirm(wrong(code))) == MISMATCH
    type, _ = refusal(pool, "ConfirmForgotPassword", **confirm(code, "short"))
    assert type == "InvalidPasswordException"
    pool.call("ConfirmForgotPassword", confirm(code))
    assert sign_in(pool, "student", "renewed")
    assert refusal(pool, "ConfirmForgotPassword", **confirm(code)) == EXPIRED
    pool.call("ForgotPassword", named(pool, "student"))
    clock.ahead = 3601
    assert refusal(pool, "ConfirmForgotPassword", **confirm(pool.mails[0].code)) == EXPIRED


def test_an_administrator_resets_a_password(pool: LocalPool) -> None:
    pool.call("AdminResetUserPassword", admin(pool, "student"))
    params = named(pool, "student", ConfirmationCode=pool.mails[0].code, Password="renewed")
    pool.call("ConfirmForgotPassword", params)
    assert sign_in(pool, "student", "renewed")


def test_a_password_that_cannot_be_reset(pool: LocalPool) -> None:
    confirmed(pool, "ann")
    type, _ = refusal(pool, "ForgotPassword", **named(pool, "ann"))
    assert type == "InvalidParameterException"
    pool.call("AdminCreateUser", admin(pool, "new"))
    type, _ = refusal(pool, "ForgotPassword", **named(pool, "new"))
    assert type == "NotAuthorizedException"
    pool.call("AdminDisableUser", admin(pool, "student"))
    assert refusal(pool, "ForgotPassword", **named(pool, "student")) == (
        "NotAuthorizedException",
        "User is disabled.",
    )


@pytest.mark.parametrize("hidden", [True, False], ids=["hidden", "told"])
def test_what_a_name_that_nobody_has_is_answered(pool: LocalPool, hidden: bool) -> None:
    client = pool.client_id
    if not hidden:
        params = {"UserPoolId": pool.pool_id, "ClientName": "legacy"}
        client = pool.call("CreateUserPoolClient", params)["UserPoolClient"]["ClientId"]
    params = {"ClientId": client, "Username": "nobody"}
    code = {"ConfirmationCode": "123456", "Password": "secret"}
    unknown = ("UserNotFoundException", "User does not exist.")
    if hidden:
        for operation in ("ForgotPassword", "ResendConfirmationCode"):
            details = pool.call(operation, params)["CodeDeliveryDetails"]
            assert details["Destination"] == "n***@g***"
        assert pool.mails == []
    else:
        for operation in ("ForgotPassword", "ResendConfirmationCode"):
            assert refusal(pool, operation, **params) == unknown
    for operation in ("ConfirmSignUp", "ConfirmForgotPassword"):
        assert refusal(pool, operation, **params, **code) == (EXPIRED if hidden else unknown)


def test_an_administrator_makes_users(pool: LocalPool) -> None:
    pool.call("AdminCreateUser", admin(pool, "new"))
    first = pool.mails[0].code
    assert refusal(pool, "AdminCreateUser", **admin(pool, "new")) == (
        "UsernameExistsException",
        "User account already exists",
    )
    pool.call("AdminCreateUser", admin(pool, "new", MessageAction="RESEND"))
    second = pool.mails[0].code
    assert first != second
    assert len(pool.mails) == 2
    wrong = {"USERNAME": "new", "PASSWORD": first}
    params = {"ClientId": pool.client_id, "AuthFlow": "USER_PASSWORD_AUTH"}
    assert refusal(pool, "InitiateAuth", **params, AuthParameters=wrong)[1].startswith("Incorrect")
    right = {"USERNAME": "new", "PASSWORD": second}
    assert "Session" in pool.call("InitiateAuth", {**params, "AuthParameters": right})
    type, _ = refusal(pool, "AdminCreateUser", **admin(pool, "student", MessageAction="RESEND"))
    assert type == "UnsupportedUserStateException"
    type, _ = refusal(pool, "AdminCreateUser", **admin(pool, "ann", TemporaryPassword="short"))
    assert type == "InvalidPasswordException"
    bad = [{"Name": "email_verified", "Value": "maybe"}]
    type, _ = refusal(pool, "AdminCreateUser", **admin(pool, "ann", UserAttributes=bad))
    assert type == "InvalidParameterException"
