"""Signing in: passwords, SRP, challenges and refresh tokens, before moto hands out tokens."""

from __future__ import annotations

import base64
import hmac
import json
import uuid
from typing import Any

from moto.cognitoidp.exceptions import InvalidParameterException, NotAuthorizedError
from moto.cognitoidp.models import CognitoIdpUser, CognitoIdpUserPoolClient
from moto.core.exceptions import JsonRESTError

from app.local.cognito import attributes as rules
from app.local.cognito.passwords import Challenge, Passwords
from app.local.cognito.userpool import UserPool

_NO_SESSION = "Invalid session for the user."
_REFRESH = ("REFRESH_TOKEN", "REFRESH_TOKEN_AUTH")
_DEFAULT_FLOWS = ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_CUSTOM_AUTH"]


class Backend(Passwords):
    """The whole of the local Cognito."""

    def initiate_auth(
        self, client_id: str, auth_flow: str, auth_parameters: dict[str, str]
    ) -> dict[str, Any]:
        """Start a sign-in. moto lets app clients use flows that are not allowed to them."""
        auth_parameters = auth_parameters or {}
        pool, client = self.client(client_id)
        self._check_flow(client, auth_flow)
        if auth_flow in _REFRESH:
            token = auth_parameters.get("REFRESH_TOKEN", "")
            grant = pool.grants.by_token(token)
            user = None if grant is None else pool.by_sub(grant.user_id)
            if user is not None:
                self._check_hash(client, auth_parameters, user.username, user.id)
            return self.refresh(pool, client, token)
        username = self._username(client, auth_parameters)
        if auth_flow == "USER_SRP_AUTH":
            return self.ask_for_proof(pool, client, username, auth_parameters)
        if auth_flow == "CUSTOM_AUTH":
            raise InvalidParameterException("Custom auth lambda trigger is not configured.")
        if auth_flow != "USER_PASSWORD_AUTH":
            raise InvalidParameterException("Initiate Auth method not supported.")
        user = self.check_password(pool, client, username, auth_parameters.get("PASSWORD", ""))
        return self._continue(
            pool,
            user,
            super().initiate_auth(
                client_id, auth_flow, {**auth_parameters, "USERNAME": user.username}
            ),
        )

    def admin_initiate_auth(
        self, user_pool_id: str, client_id: str, auth_flow: str, auth_parameters: dict[str, str]
    ) -> dict[str, Any]:
        """Start a sign-in as an administrator. moto signs unconfirmed users in."""
        auth_parameters = auth_parameters or {}
        client = self.describe_user_pool_client(user_pool_id, client_id)
        if auth_flow not in ("ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"):
            return self.initiate_auth(client_id, auth_flow, auth_parameters)
        self._check_flow(client, auth_flow)
        username = self._username(client, auth_parameters)
        pool = self.pool(user_pool_id)
        user = self.check_password(pool, client, username, auth_parameters.get("PASSWORD", ""))
        parameters = {**auth_parameters, "USERNAME": user.username}
        return self._continue(
            pool,
            user,
            super().admin_initiate_auth(user_pool_id, client_id, auth_flow, parameters),
        )

    def respond_to_auth_challenge(
        self,
        session: str,
        client_id: str,
        challenge_name: str,
        challenge_responses: dict[str, str],
    ) -> dict[str, Any]:
        """Go on with a sign-in.

        moto takes any SRP signature, and the session of one user for the challenge of another.
        """
        pool, client = self.client(client_id)
        answers = challenge_responses or {}
        username = self._username(client, answers)
        if challenge_name == "PASSWORD_VERIFIER":
            user = self.check_proof(pool, client, username, answers)
            session = str(uuid.uuid4())
            self.sessions[session] = (user.username, pool)
            # To moto the session is the secret block; whether the proof is right was judged above.
            answers = {**answers, "PASSWORD_CLAIM_SECRET_BLOCK": session}
        else:
            user = self._check_session(pool, session, challenge_name, username)
        if challenge_name == "NEW_PASSWORD_REQUIRED":
            prefix = "userAttributes."
            written = [
                {"Name": name.removeprefix(prefix), "Value": value}
                for name, value in answers.items()
                if name.startswith(prefix)
            ]
            self._validate_password(pool.id, answers.get("NEW_PASSWORD", ""))
            user.update_attributes(rules.check(written, pool.schema, admin=False))
        result = super().respond_to_auth_challenge(
            session, client_id, challenge_name, {**answers, "USERNAME": user.username}
        )
        self.challenges.pop(session, None)
        return self._continue(pool, user, result)

    def verify_software_token(
        self, access_token: str, session: str, user_code: str, friendly_device_name: str
    ) -> dict[str, str]:
        """Set a second factor up; moto's own, whose new session is remembered here."""
        challenge = self.challenges.pop(session, None) if session else None
        if session and (challenge is None or challenge.name != "MFA_SETUP"):
            raise NotAuthorizedError(_NO_SESSION)
        result = super().verify_software_token(
            access_token, session, user_code, friendly_device_name
        )
        if challenge is not None:
            self.remember(result["Session"], challenge)
        return result

    def refresh(
        self, pool: UserPool, client: CognitoIdpUserPoolClient, token: str
    ) -> dict[str, Any]:
        """Make new tokens for a refresh token. moto takes one that another app client was given."""
        grant = pool.grants.by_token(token)
        if grant is None or grant.client_id != client.id:
            raise NotAuthorizedError("Invalid Refresh Token")
        access_token, id_token, seconds = pool.create_tokens_from_refresh_token(token)
        return {
            "ChallengeParameters": {},
            "AuthenticationResult": {
                "AccessToken": access_token,
                "ExpiresIn": seconds,
                "TokenType": "Bearer",
                "IdToken": id_token,
            },
        }

    def revoke(self, client_id: str, token: str) -> None:
        """End the sign-in of a refresh token. moto does not have it."""
        pool, _ = self.client(client_id)
        grant = pool.grants.by_token(token)
        if grant is None:
            if token.count(".") == 2:
                raise JsonRESTError("UnsupportedTokenTypeException", "Wrong token type")
            return  # as RFC 7009, 2.2, wants it
        if grant.client_id != client_id:
            raise JsonRESTError("UnauthorizedException", "The token belongs to another client")
        pool.grants.revoke(grant)

    def _check_flow(self, client: CognitoIdpUserPoolClient, flow: str) -> None:
        allowed = client.extended_config.get("ExplicitAuthFlows") or _DEFAULT_FLOWS
        wanted = "REFRESH_TOKEN_AUTH" if flow in _REFRESH else flow
        names = {wanted, f"ALLOW_{wanted}"}
        if wanted == "ADMIN_NO_SRP_AUTH":
            names.add("ALLOW_ADMIN_USER_PASSWORD_AUTH")
        if wanted == "CUSTOM_AUTH":
            names.add("CUSTOM_AUTH_FLOW_ONLY")
        if not names & set(allowed):
            raise InvalidParameterException(f"{flow} flow not enabled for this client")

    def _username(self, client: CognitoIdpUserPoolClient, parameters: dict[str, str]) -> str:
        username = parameters.get("USERNAME")
        if not username:
            raise InvalidParameterException("Missing required parameter USERNAME")
        self._check_hash(client, parameters, username)
        return username

    def _check_hash(
        self, client: CognitoIdpUserPoolClient, parameters: dict[str, str], *names: str
    ) -> None:
        # Source: "Computing secret hash values" in the developer guide. moto's takes Latin-1 only.
        if not client.generate_secret:
            return
        given = parameters.get("SECRET_HASH", "").encode()
        for name in names:
            message = f"{name}{client.id}".encode()
            right = hmac.digest(client.secret.encode(), message, "sha256")
            if hmac.compare_digest(base64.b64encode(right), given):
                return
        raise NotAuthorizedError(f"Unable to verify secret hash for client {client.id}")

    def _check_session(
        self, pool: UserPool, session: str, name: str, username: str
    ) -> CognitoIdpUser:
        challenge = self.challenges.get(session or "")
        user = pool.user(username)
        if (
            challenge is None
            or user is None
            or challenge.expires <= self.clock()
            or (challenge.name, challenge.pool_id, challenge.username)
            != (name, pool.id, user.username)
        ):
            raise NotAuthorizedError(_NO_SESSION)
        return self._admitted(pool, user)

    def _continue(
        self, pool: UserPool, user: CognitoIdpUser, result: dict[str, Any]
    ) -> dict[str, Any]:
        result.setdefault("ChallengeParameters", {})
        name = result.get("ChallengeName")
        if name is not None:
            self.remember(result["Session"], Challenge(name, pool.id, user.username, 0))
        if name == "NEW_PASSWORD_REQUIRED":
            # Browser clients parse these two.
            attributes = {n: v for n, v in user.attribute_lookup.items() if n != "sub"}
            result["ChallengeParameters"] = {
                "USER_ID_FOR_SRP": user.username,
                "requiredAttributes": "[]",
                "userAttributes": json.dumps(attributes),
            }
        # moto makes a session for every sign-in, also for one that is complete.
        self.sessions = {s: v for s, v in self.sessions.items() if s in self.challenges}
        return result
