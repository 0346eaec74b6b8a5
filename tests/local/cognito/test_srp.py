from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from pycognito import Cognito
from pycognito.aws_srp import AWSSRP, N_HEX, pad_hex

from app.local.cognito import LocalPool, srp
from tests.local.cognito.support import (
    Clock,
    Prover,
    Served,
    auth,
    claims,
    confirmed,
    refusal,
    sign_up,
)

WRONG = ("NotAuthorizedException", "Incorrect username or password.")

pytestmark = pytest.mark.filterwarnings(
    "ignore:datetime.datetime.utcnow:DeprecationWarning:pycognito"
)


def test_the_group_is_the_one_of_awss_clients() -> None:
    assert int(N_HEX, 16) == srp.N
    assert all(pad_hex(n).lower() == srp.padded(n).hex() for n in (1, 127, 128, 255, 256, srp.N))


def test_pycognito_signs_in(served: Served) -> None:
    pool = served.pool
    user = Cognito(
        pool.pool_id,
        pool.client_id,
        username="student",
        boto3_client_kwargs={"endpoint_url": served.endpoint},
    )
    user.client = served.client
    login = AWSSRP("student", "student", pool.pool_id, pool.client_id, client=served.client)
    tokens = login.authenticate_user()["AuthenticationResult"]
    assert claims(tokens["IdToken"])["cognito:username"] == "student"
    assert served.client.get_user(AccessToken=tokens["AccessToken"])["Username"] == "student"


@pytest.mark.parametrize(("username", "password"), [("student", "Student"), ("nobody", "student")])
def test_pycognito_is_refused(served: Served, username: str, password: str) -> None:
    login = AWSSRP(
        username, password, served.pool.pool_id, served.pool.client_id, client=served.client
    )
    with pytest.raises(ClientError) as caught:
        login.authenticate_user()
    assert caught.value.response["Error"]["Code"] == "NotAuthorizedException"
    assert caught.value.response["Error"]["Message"] == "Incorrect username or password."


def test_every_salt_and_every_number_works(pool: LocalPool) -> None:
    # Numbers differ in length and first bit, and so in their padding.
    for _ in range(6):
        prover = Prover(pool, "student", "student")
        assert "AuthenticationResult" in prover.finish(prover.proof(prover.start()))


@pytest.mark.parametrize(
    "public",
    ["0", "00", f"{srp.N:x}", f"{2 * srp.N:x}", f"{srp.N + 1:x}", "", "-1", "0x2", "g", "1_0"],
)
def test_a_public_number_that_proves_nothing_is_refused(pool: LocalPool, public: str) -> None:
    parameters = {"USERNAME": "student", "SRP_A": public}
    assert refusal(
        pool,
        "InitiateAuth",
        ClientId=pool.client_id,
        AuthFlow="USER_SRP_AUTH",
        AuthParameters=parameters,
    ) == ("InvalidParameterException", "Invalid SRP_A")


@pytest.mark.parametrize(
    "signature",
    ["", "AAAA", "no base64", "é", base64.b64encode(secrets.token_bytes(32)).decode()],
    ids=["empty", "short", "no-base64", "no-ascii", "random"],
)
def test_a_wrong_signature_is_refused(pool: LocalPool, signature: str) -> None:
    prover = Prover(pool, "student", "student")
    answers = {**prover.proof(prover.start()), "PASSWORD_CLAIM_SIGNATURE": signature}
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == WRONG


@pytest.mark.parametrize(
    "left_out", ["PASSWORD_CLAIM_SIGNATURE", "PASSWORD_CLAIM_SECRET_BLOCK", "TIMESTAMP"]
)
def test_an_answer_with_something_left_out_is_refused(pool: LocalPool, left_out: str) -> None:
    prover = Prover(pool, "student", "student")
    answers = prover.proof(prover.start())
    del answers[left_out]
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == WRONG


def test_a_secret_block_is_for_one_use(pool: LocalPool) -> None:
    prover = Prover(pool, "student", "student")
    answers = prover.proof(prover.start())
    prover.finish(answers)
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == WRONG


def test_a_secret_block_is_for_one_try(pool: LocalPool) -> None:
    prover = Prover(pool, "student", "student")
    answers = prover.proof(prover.start())
    wrong = {**answers, "PASSWORD_CLAIM_SIGNATURE": "AAAA"}
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(wrong)) == WRONG
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == WRONG


def test_a_proof_is_good_for_its_own_user_only(pool: LocalPool) -> None:
    confirmed(pool, "mallory")
    prover = Prover(pool, "mallory", "secret")
    answers = {**prover.proof(prover.start()), "USERNAME": "student"}
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == WRONG


def test_a_session_from_elsewhere_is_no_secret_block(pool: LocalPool) -> None:
    pool.call(
        "AdminCreateUser",
        {"UserPoolId": pool.pool_id, "Username": "new", "TemporaryPassword": "temporary"},
    )
    session = auth(pool, "USER_PASSWORD_AUTH", {"USERNAME": "new", "PASSWORD": "temporary"})[
        "Session"
    ]
    prover = Prover(pool, "new", "x")
    answers = {**prover.proof(prover.start()), "PASSWORD_CLAIM_SECRET_BLOCK": session}
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == WRONG


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_stale_timestamp_is_refused(pool: LocalPool, clock: Clock, seconds: int) -> None:
    clock.ahead = seconds
    prover = Prover(pool, "student", "student")
    answers = prover.proof(prover.start())
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == WRONG


def test_a_timestamp_in_another_spelling_is_refused() -> None:
    now = datetime(2026, 11, 21, 20, 12, tzinfo=UTC).timestamp()
    assert srp.is_fresh("Sat Nov 21 20:12:00 UTC 2026", now)
    assert not srp.is_fresh("2026-11-21T20:12:00Z", now)


def test_a_challenge_waits_three_minutes(pool: LocalPool, clock: Clock) -> None:
    prover = Prover(pool, "student", "student")
    answers = prover.proof(prover.start())
    clock.ahead = 181
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == WRONG


def test_a_thousand_challenges_wait_at_most(
    pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.local.cognito.passwords.PENDING", 1)
    first = Prover(pool, "student", "student")
    answers = first.proof(first.start())
    Prover(pool, "student", "student").start()
    assert refusal(pool, "RespondToAuthChallenge", **first.request(answers)) == WRONG


def test_nobody_learns_from_a_challenge_who_exists(pool: LocalPool) -> None:
    known, unknown = Prover(pool, "student", "x"), Prover(pool, "nobody", "x")
    assert known.start().keys() == unknown.start().keys()
    assert known.start()["SALT"] == known.start()["SALT"]
    assert unknown.start()["SALT"] == unknown.start()["SALT"]
    assert len(unknown.start()["SALT"]) in (31, 32)
    answers = unknown.proof(unknown.start())
    assert refusal(pool, "RespondToAuthChallenge", **unknown.request(answers)) == WRONG


def test_an_unconfirmed_user_learns_it_after_the_proof(pool: LocalPool) -> None:
    sign_up(pool, "ann")
    prover = Prover(pool, "ann", "secret")
    answers = prover.proof(prover.start())
    assert refusal(pool, "RespondToAuthChallenge", **prover.request(answers)) == (
        "UserNotConfirmedException",
        "User is not confirmed.",
    )


def test_a_password_equals_its_string_only() -> None:
    password = srp.Password.of("Notegate1student", "student")
    assert password == "student"
    assert password != "Student"
    assert password != object()
    assert srp.Password.of("Notegate1other", "student").verifier != password.verifier
