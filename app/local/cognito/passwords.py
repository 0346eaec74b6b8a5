"""Proving to be somebody: by the password, or by SRP without sending it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moto.cognitoidp.exceptions import (
    InvalidParameterException,
    NotAuthorizedError,
    UserNotConfirmedException,
)
from moto.cognitoidp.models import CognitoIdpUser, CognitoIdpUserPoolClient, UserStatus
from moto.core.exceptions import JsonRESTError

from app.local.cognito import srp
from app.local.cognito.attempts import Attempts
from app.local.cognito.pools import unknown_user
from app.local.cognito.userpool import UserPool
from app.local.cognito.users import Users

CHALLENGE_SECONDS = 180
PENDING = 1000
"""Challenges that wait for an answer; the oldest go first."""

_WRONG = "Incorrect username or password."


@dataclass(frozen=True)
class Challenge:
    """A question that waits for its answer. moto remembers neither which nor for how long."""

    name: str
    pool_id: str
    username: str
    expires: float
    exchange: srp.Exchange | None = None


class Passwords(Users):
    """Checks of passwords and of their proofs, with a limit on guessing."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.attempts = Attempts(self.clock)
        self.challenges: dict[str, Challenge] = {}

    def check_password(
        self, pool: UserPool, client: CognitoIdpUserPoolClient, username: str, password: str
    ) -> CognitoIdpUser:
        """Find the user with this name and password, if they may sign in.

        Raises:
            JsonRESTError: the refusal, with Cognito's type and message.
        """
        user = self._candidate(pool, client, username)
        name = username if user is None else user.username
        kept = self._password(pool, user, name)
        if kept != password or user is None:
            self.attempts.failed(pool.id, name)
            raise NotAuthorizedError(_WRONG)
        return self._admitted(pool, user)

    def change_password(
        self, access_token: str, previous_password: str, proposed_password: str
    ) -> None:
        """Change a password; guessing the old one counts as guessing at sign-in does."""
        pool, user = self.by_access_token(access_token)
        self._wait_if_locked(pool, user.username)
        if user.password != previous_password:
            self.attempts.failed(pool.id, user.username)
            raise NotAuthorizedError(_WRONG)
        super().change_password(access_token, previous_password, proposed_password)

    def _candidate(
        self, pool: UserPool, client: CognitoIdpUserPoolClient, username: str
    ) -> CognitoIdpUser | None:
        user = pool.user(username)
        self._wait_if_locked(pool, username if user is None else user.username)
        if user is None:
            refusal = unknown_user(client, NotAuthorizedError(_WRONG))
            if not isinstance(refusal, NotAuthorizedError):
                raise refusal
        return user

    def _wait_if_locked(self, pool: UserPool, username: str) -> None:
        if self.attempts.locked(pool.id, username):
            raise NotAuthorizedError("Password attempts exceeded")

    def _password(self, pool: UserPool, user: CognitoIdpUser | None, name: str) -> srp.Password:
        if user is not None and isinstance(user.password, srp.Password):
            return user.password
        return srp.Password.fake(pool.short_name + name, pool.keys["id"].pem().encode())

    def _admitted(self, pool: UserPool, user: CognitoIdpUser) -> CognitoIdpUser:
        self.attempts.succeeded(pool.id, user.username)
        if not user.enabled:
            raise NotAuthorizedError("User is disabled.")
        if user.status == UserStatus.UNCONFIRMED:
            raise UserNotConfirmedException("User is not confirmed.")
        if user.status == UserStatus.RESET_REQUIRED:
            raise JsonRESTError(
                "PasswordResetRequiredException", "Password reset required for the user"
            )
        return user

    def ask_for_proof(
        self,
        pool: UserPool,
        client: CognitoIdpUserPoolClient,
        username: str,
        parameters: dict[str, str],
    ) -> dict[str, Any]:
        """Start SRP, also for a name that nobody has: who asks can't tell the difference.

        moto answers with random text.
        """
        public = srp.client_public(parameters.get("SRP_A", ""))
        if public is None:
            raise InvalidParameterException("Invalid SRP_A")
        user = self._candidate(pool, client, username)
        name = username if user is None else user.username
        exchange = srp.Exchange(self._password(pool, user, name), public)
        challenge = Challenge("PASSWORD_VERIFIER", pool.id, name, 0, exchange)
        self.remember(exchange.secret_block, challenge)
        return {
            "ChallengeName": "PASSWORD_VERIFIER",
            "ChallengeParameters": {
                "SALT": f"{exchange.password.salt:x}",
                "SRP_B": f"{exchange.server_public:x}",
                "SECRET_BLOCK": exchange.secret_block,
                "USERNAME": name,
                "USER_ID_FOR_SRP": name,
            },
        }

    def check_proof(
        self,
        pool: UserPool,
        client: CognitoIdpUserPoolClient,
        username: str,
        answers: dict[str, str],
    ) -> CognitoIdpUser:
        """Find the user who has just proved to know their password. moto takes any proof."""
        # One try per secret block, whatever comes of it.
        challenge = self.challenges.pop(answers.get("PASSWORD_CLAIM_SECRET_BLOCK", ""), None)
        timestamp = answers.get("TIMESTAMP", "")
        user = self._candidate(pool, client, username)
        name = username if user is None else user.username
        if challenge is None or challenge.exchange is None:
            raise NotAuthorizedError(_WRONG)
        if (challenge.pool_id, challenge.username) != (pool.id, name):
            raise NotAuthorizedError(_WRONG)
        if challenge.expires <= self.clock() or not srp.is_fresh(timestamp, self.clock()):
            raise NotAuthorizedError(_WRONG)
        signature = answers.get("PASSWORD_CLAIM_SIGNATURE", "")
        if user is None or not challenge.exchange.accepts(timestamp, signature):
            self.attempts.failed(pool.id, name)
            raise NotAuthorizedError(_WRONG)
        return self._admitted(pool, user)

    def remember(self, session: str, challenge: Challenge) -> None:
        """Wait for the answer to a challenge, for three minutes from now."""
        self.challenges[session] = Challenge(
            challenge.name,
            challenge.pool_id,
            challenge.username,
            self.clock() + CHALLENGE_SECONDS,
            challenge.exchange,
        )
        if len(self.challenges) > PENDING:
            del self.challenges[next(iter(self.challenges))]
