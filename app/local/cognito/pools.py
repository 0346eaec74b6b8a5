"""The pools of one data folder, as a subclass of moto's Cognito.

Nothing of moto is patched, and nothing of it is shared with other code in the process: moto's own
registry of backends is not used. Each replaced method, here and in signup.py, users.py and
signin.py, says what moto lacks; all others are moto's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.cognitoidp.exceptions import (
    InvalidParameterException,
    NotAuthorizedError,
    ResourceNotFoundError,
    UserNotFoundError,
)
from moto.cognitoidp.models import (
    CognitoIdpBackend,
    CognitoIdpUser,
    CognitoIdpUserPool,
    CognitoIdpUserPoolClient,
)
from moto.core.exceptions import JsonRESTError

from app.local.cognito.mail import Outbox
from app.local.cognito.srp import Password
from app.local.cognito.userpool import UserPool

REGION = "us-east-1"
ACCOUNT = "123456789012"


class Pools(CognitoIdpBackend):
    """Pools and app clients."""

    def __init__(self, folder: Path, clock: Callable[[], float], outbox: Outbox) -> None:
        super().__init__(REGION, ACCOUNT)
        self.folder = folder
        self.clock = clock
        self.outbox = outbox
        self.kept: dict[str, str] = {}
        """Pool id → client id of what the server is configured for and may not be deleted."""

    def create_user_pool(
        self, name: str, extended_config: dict[str, Any], pool_id: str | None = None
    ) -> UserPool:
        """Make a pool of our own class, not moto's."""
        pool = UserPool(self, name, extended_config, self.folder, self.clock, pool_id)
        self.user_pools[pool.id] = pool
        return pool

    def delete_user_pool(self, user_pool_id: str) -> None:
        """Delete a pool with its keys, but not the one that the server is there for."""
        pool = self.pool(user_pool_id)
        if user_pool_id in self.kept:
            raise InvalidParameterException("The local server's own pool can't be deleted")
        super().delete_user_pool(user_pool_id)
        pool.keys.forget()

    def delete_user_pool_client(self, user_pool_id: str, client_id: str) -> None:
        """Delete an app client, but not the one that the server is there for."""
        if self.kept.get(user_pool_id) == client_id:
            raise InvalidParameterException("The local server's own app client can't be deleted")
        super().delete_user_pool_client(user_pool_id, client_id)

    def pool(self, pool_id: str) -> UserPool:
        """Find the pool with this id."""
        return _ours(self.describe_user_pool(pool_id))

    def client(self, client_id: str) -> tuple[UserPool, CognitoIdpUserPoolClient]:
        """Find an app client and its pool."""
        for pool in self.user_pools.values():
            if client_id in pool.clients:
                return _ours(pool), pool.clients[client_id]
        raise ResourceNotFoundError(f"User pool client {client_id} does not exist.")

    def by_access_token(self, token: str) -> tuple[UserPool, CognitoIdpUser]:
        """Find a user and their pool. moto repeats a wrong token in its error."""
        for pool in self.user_pools.values():
            if token in pool.access_tokens:
                username = pool.access_tokens[token][1]
                return _ours(pool), self.admin_get_user(pool.id, username)
        raise NotAuthorizedError("Invalid Access Token")

    def settle(self, pool: UserPool) -> None:
        """Replace passwords that moto has set, in clear, by verifiers."""
        for user in pool.users.values():
            if isinstance(user.password, str):
                identity = pool.short_name + user.username
                user.password = Password.of(identity, user.password)  # type: ignore[assignment] # a str to moto


def hides_users(client: CognitoIdpUserPoolClient) -> bool:
    """Whether an app client keeps to itself which names are taken."""
    return client.extended_config.get("PreventUserExistenceErrors") == "ENABLED"


def unknown_user(client: CognitoIdpUserPoolClient, veiled: JsonRESTError) -> JsonRESTError:
    """Choose how to refuse an unknown name: ``veiled`` where the app client hides users."""
    return veiled if hides_users(client) else UserNotFoundError("User does not exist.")


def _ours(pool: CognitoIdpUserPool) -> UserPool:
    assert isinstance(pool, UserPool)  # noqa: S101 - for the types
    return pool
