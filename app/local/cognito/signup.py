"""Signing up, and what Cognito sends codes for."""

from __future__ import annotations

import secrets
import string
from typing import Any

from moto.cognitoidp.exceptions import (
    CodeMismatchException,
    ExpiredCodeException,
    InvalidParameterException,
    NotAuthorizedError,
    UsernameExistsException,
    UserNotFoundError,
)
from moto.cognitoidp.models import CognitoIdpUser, UserStatus
from moto.core.exceptions import JsonRESTError

from app.local.cognito import attributes as rules
from app.local.cognito.codes import Purpose
from app.local.cognito.pools import Pools, hides_users, unknown_user
from app.local.cognito.userpool import UserPool

_EXPIRED = "Invalid code provided, please request a code again."


class SignUps(Pools):
    """Sign-up, confirmation, forgotten passwords."""

    def sign_up(
        self, client_id: str, username: str, password: str, attributes: list[dict[str, str]]
    ) -> tuple[CognitoIdpUser, Any]:
        """Sign a user up, check the attributes, send a real code."""
        pool, _ = self.client(client_id)
        if pool.extended_config["AdminCreateUserConfig"].get("AllowAdminCreateUserOnly"):
            raise NotAuthorizedError("SignUp is not permitted for this user pool")
        checked = rules.check(attributes, pool.schema, admin=False)
        try:
            user, _ = super().sign_up(client_id, username, password, checked)
        except UsernameExistsException:
            raise UsernameExistsException("User already exists") from None
        self.settle(pool)
        self.send_code(pool, user, "confirm")
        return user, self.delivery(user)

    def confirm_with_code(self, client_id: str, username: str, digits: str) -> None:
        """Confirm a sign-up. moto takes any code."""
        pool, client = self.client(client_id)
        user = pool.user(username)
        if user is None:
            raise unknown_user(client, ExpiredCodeException(_EXPIRED))
        self._refuse_unless_unconfirmed(user)
        self._check_code(pool, user, "confirm", digits)
        user.status = UserStatus.CONFIRMED
        if "email" in user.attribute_lookup:
            user.update_attributes([{"Name": "email_verified", "Value": "true"}])

    def admin_confirm_sign_up(self, user_pool_id: str, username: str) -> str:
        """Confirm without a code. moto confirms again and again."""
        user = self.admin_get_user(user_pool_id, username)
        self._refuse_unless_unconfirmed(user)
        self.pool(user_pool_id).codes.used(user.id, "confirm")
        return super().admin_confirm_sign_up(user_pool_id, username)

    def _refuse_unless_unconfirmed(self, user: CognitoIdpUser) -> None:
        if user.status != UserStatus.UNCONFIRMED:
            status = UserStatus(user.status).value
            raise NotAuthorizedError(f"User cannot be confirmed. Current status is {status}")

    def resend_code(self, client_id: str, username: str) -> dict[str, Any]:
        """Send a new code for a sign-up. moto does not have it."""
        pool, client = self.client(client_id)
        user = pool.user(username)
        if user is None:
            if not hides_users(client):
                raise UserNotFoundError("User does not exist.")
            return _simulated(username)
        if user.status != UserStatus.UNCONFIRMED:
            raise InvalidParameterException("User is already confirmed.")
        self.send_code(pool, user, "confirm")
        return {"CodeDeliveryDetails": self.delivery(user)} if self.delivery(user) else {}

    def admin_create_user(
        self,
        user_pool_id: str,
        username: str,
        message_action: str,
        temporary_password: str,
        attributes: list[dict[str, str]],
    ) -> CognitoIdpUser:
        """Make a user. moto makes no password, checks none, and replaces a user on RESEND."""
        pool = self.pool(user_pool_id)
        password = temporary_password or _random_password()
        if temporary_password:
            self._validate_password(user_pool_id, password)
        if message_action == "RESEND":
            user = self.admin_get_user(user_pool_id, username)
            if user.status != UserStatus.FORCE_CHANGE_PASSWORD:
                raise JsonRESTError("UnsupportedUserStateException", "User is already confirmed.")
            user.password = password
        else:
            checked = rules.check(attributes, pool.schema, admin=True)
            try:
                user = super().admin_create_user(
                    user_pool_id, username, message_action, password, checked
                )
            except UsernameExistsException:
                raise UsernameExistsException("User account already exists") from None
        self.settle(pool)
        if message_action != "SUPPRESS":
            text = f"Your username is {user.username} and temporary password is {password}"
            self.outbox.send(_address(user), "Your temporary password", text, password)
        return user

    def forgot_password(self, client_id: str, username: str) -> tuple[None, dict[str, Any]]:
        """Send a real code. moto answers it in a header."""
        pool, client = self.client(client_id)
        user = pool.user(username)
        if user is None:
            if not hides_users(client):
                raise UserNotFoundError("User does not exist.")
            return None, _simulated(username)
        if not user.enabled:
            raise NotAuthorizedError("User is disabled.")
        if user.status == UserStatus.FORCE_CHANGE_PASSWORD:
            raise NotAuthorizedError("User password cannot be reset in the current state.")
        if user.attribute_lookup.get("email_verified") != "true":
            raise InvalidParameterException(
                "Cannot reset password for the user as there is no registered/verified email or "
                "phone_number"
            )
        self.send_code(pool, user, "password")
        return None, {"CodeDeliveryDetails": self.delivery(user)}

    def confirm_forgot_password(
        self, client_id: str, username: str, password: str, confirmation_code: str
    ) -> None:
        """Set a password by code. moto takes any code and any password."""
        pool, client = self.client(client_id)
        user = pool.user(username)
        if user is None:
            raise unknown_user(client, ExpiredCodeException(_EXPIRED))
        self._validate_password(pool.id, password)
        self._check_code(pool, user, "password", confirmation_code)
        user.password = password
        user.status = UserStatus.CONFIRMED

    def admin_reset_user_password(self, user_pool_id: str, username: str) -> None:
        """Make a user choose a new password. moto sends no code."""
        super().admin_reset_user_password(user_pool_id, username)
        pool, user = self.pool(user_pool_id), self.admin_get_user(user_pool_id, username)
        self.send_code(pool, user, "password")

    def send_code(self, pool: UserPool, user: CognitoIdpUser, purpose: Purpose) -> None:
        """Make a code and send it, also to a user without address: there is a terminal."""
        digits = pool.codes.new(user.id, purpose)
        what = {"confirm": "confirmation", "password": "password reset", "email": "verification"}
        subject = f"Your {what[purpose]} code"
        self.outbox.send(_address(user), subject, f"{subject.lower()} is {digits}", digits)

    def _check_code(
        self, pool: UserPool, user: CognitoIdpUser, purpose: Purpose, digits: str
    ) -> None:
        verdict = pool.codes.check(user.id, purpose, digits)
        if verdict == "expired":
            raise ExpiredCodeException(_EXPIRED)
        if verdict == "wrong":
            raise CodeMismatchException("Invalid verification code provided, please try again.")
        if verdict == "exhausted":
            raise JsonRESTError(
                "LimitExceededException", "Attempt limit exceeded, please try after some time."
            )
        pool.codes.used(user.id, purpose)

    def delivery(self, user: CognitoIdpUser) -> dict[str, str] | None:
        """Where a code went, as the API tells it. moto says SMS unless a pool is set otherwise."""
        address = user.attribute_lookup.get("email")
        return address and {
            "Destination": rules.masked(address),
            "DeliveryMedium": "EMAIL",
            "AttributeName": "email",
        }


def _random_password() -> str:
    classes = (string.ascii_uppercase, string.ascii_lowercase, string.digits, "!#%+-=")
    return "".join(secrets.choice(letters) for _ in range(4) for letters in classes)


def _simulated(username: str) -> dict[str, Any]:
    # Cognito answers a name that nobody has as if a mail had been sent.
    return {
        "CodeDeliveryDetails": {
            "Destination": f"{username[:1]}***@g***",
            "DeliveryMedium": "EMAIL",
            "AttributeName": "email",
        }
    }


def _address(user: CognitoIdpUser) -> str:
    return user.attribute_lookup.get("email") or f"{user.username} (no address)"
