"""Users after their sign-up: attributes, disabling, deletion."""

from __future__ import annotations

from moto.cognitoidp.exceptions import InvalidParameterException

from app.local.cognito import attributes as rules
from app.local.cognito.signup import SignUps


class Users(SignUps):
    """What administrators and users change about a user."""

    def admin_disable_user(self, user_pool_id: str, username: str) -> None:
        """Disable a user and end their sign-ins. moto lets their tokens live."""
        super().admin_disable_user(user_pool_id, username)
        self.pool(user_pool_id).sign_out(username)

    def admin_delete_user(self, user_pool_id: str, username: str) -> None:
        """Delete a user with sign-ins and codes. moto's refresh tokens survive their user."""
        pool, user = self.pool(user_pool_id), self.admin_get_user(user_pool_id, username)
        pool.grants.sign_out(user.id)
        pool.codes.forget(user.id)
        super().admin_delete_user(user_pool_id, username)

    def admin_update_user_attributes(
        self, user_pool_id: str, username: str, attributes: list[dict[str, str]]
    ) -> None:
        """Write attributes of the schema. moto writes any, ``sub`` included."""
        checked = rules.check(attributes, self.pool(user_pool_id).schema, admin=True)
        super().admin_update_user_attributes(user_pool_id, username, checked)

    def update_user_attributes(self, access_token: str, attributes: list[dict[str, str]]) -> None:
        """Write a user's own attributes. moto lets them verify their own address."""
        pool, user = self.by_access_token(access_token)
        checked = rules.check(attributes, pool.schema, admin=False)
        super().update_user_attributes(access_token, checked)
        if any(attribute["Name"] == "email" for attribute in checked):
            self.send_code(pool, user, "email")

    def admin_delete_user_attributes(
        self, user_pool_id: str, username: str, attributes: list[str]
    ) -> None:
        """Delete attributes. moto deletes ``sub`` as well."""
        if "sub" in attributes:
            raise InvalidParameterException("Cannot modify the non-mutable attribute sub")
        super().admin_delete_user_attributes(user_pool_id, username, attributes)

    def verify_email(self, access_token: str, digits: str) -> None:
        """Verify a changed address by code. moto does not have it."""
        pool, user = self.by_access_token(access_token)
        self._check_code(pool, user, "email", digits)
        user.update_attributes([{"Name": "email_verified", "Value": "true"}])
