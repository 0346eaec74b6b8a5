"""What the tests of the pool have in common."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from jose import jwt
from pycognito.aws_srp import AWSSRP

from app.local.cognito import PREFIX, LocalPool, Refused

STUDENT = {"USERNAME": "student", "PASSWORD": "student"}


class Clock:
    """A clock that tests can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Start:
    """Makes pools, closes them after the test, and collects what they print."""

    clock: Clock
    lines: list[str] = field(default_factory=list)
    pools: list[LocalPool] = field(default_factory=list)

    def __call__(self, folder: Path, **options: Any) -> LocalPool:
        options = {"patience": 0.0, "clock": self.clock, "announce": self.lines.append, **options}
        pool = LocalPool(folder, **options)
        self.pools.append(pool)
        return pool


@dataclass
class Served:
    """A pool behind a server."""

    pool: LocalPool
    origin: str
    lines: list[str]
    client: Any

    @property
    def endpoint(self) -> str:
        return self.origin + PREFIX

    @property
    def code(self) -> str:
        """The code printed last."""
        return self.lines[-1].rpartition(" ")[2]


def client_of(endpoint: str) -> Any:
    """A boto3 client that tries once."""
    return boto3.client(
        "cognito-idp",
        endpoint_url=endpoint,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


def refusal(pool: LocalPool, operation: str, **params: Any) -> tuple[str, str]:
    """Run an operation that is refused: the refusal's type and message."""
    with pytest.raises(Refused) as caught:
        pool.call(operation, params)
    return caught.value.type, caught.value.message


def sign_in(pool: LocalPool, username: str = "student", password: str = "student") -> Any:
    """Sign in with a password: the tokens."""
    parameters = {"USERNAME": username, "PASSWORD": password}
    return auth(pool, "USER_PASSWORD_AUTH", parameters)["AuthenticationResult"]


def auth(pool: LocalPool, flow: str, parameters: dict[str, str]) -> Any:
    """Start a sign-in: the answer."""
    return pool.call(
        "InitiateAuth",
        {"ClientId": pool.client_id, "AuthFlow": flow, "AuthParameters": parameters},
    )


def sign_up(pool: LocalPool, username: str, email: str | None = None) -> Any:
    """Sign a user up, with the password "secret": the answer."""
    attributes = [{"Name": "email", "Value": email}] if email else []
    return pool.call(
        "SignUp",
        {
            "ClientId": pool.client_id,
            "Username": username,
            "Password": "secret",
            "UserAttributes": attributes,
        },
    )


def confirmed(pool: LocalPool, username: str, email: str | None = None) -> None:
    """Sign a user up and confirm them."""
    sign_up(pool, username, email)
    pool.call(
        "ConfirmSignUp",
        {"ClientId": pool.client_id, "Username": username, "ConfirmationCode": pool.mails[0].code},
    )


def claims(token: str) -> dict[str, Any]:
    """A token's claims, unverified."""
    found: dict[str, Any] = jwt.get_unverified_claims(token)
    return found


class Prover:
    """AWS's side of SRP as pycognito plays it, on a pool in this process."""

    def __init__(self, pool: LocalPool, username: str, password: str) -> None:
        self.pool = pool
        self.srp = AWSSRP(username, password, pool.pool_id, pool.client_id, client=object())
        self.parameters = self.srp.get_auth_params()

    def start(self) -> dict[str, str]:
        """Start a sign-in: the challenge's parameters."""
        challenge = auth(self.pool, "USER_SRP_AUTH", self.parameters)
        assert challenge["ChallengeName"] == "PASSWORD_VERIFIER"
        found: dict[str, str] = challenge["ChallengeParameters"]
        return found

    def proof(self, challenge: dict[str, str]) -> dict[str, str]:
        """What answers a challenge."""
        found: dict[str, str] = self.srp.process_challenge(challenge, self.parameters)
        return found

    def finish(self, answers: dict[str, str]) -> Any:
        """Answer a challenge."""
        return self.pool.call("RespondToAuthChallenge", self.request(answers))

    def request(self, answers: dict[str, str]) -> dict[str, Any]:
        """The request that answers a challenge."""
        return {
            "ClientId": self.pool.client_id,
            "ChallengeName": "PASSWORD_VERIFIER",
            "ChallengeResponses": answers,
        }
