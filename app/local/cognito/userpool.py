"""moto's user pool with keys of its own, Cognito's claims, and grants that can be revoked.

Replaced methods of moto's, each with its reason:

* ``create_id_token``, ``create_access_token``: moto signs with one key known to everybody, and
  leaves out most claims.
* ``create_refresh_token``, ``create_tokens_from_refresh_token``, ``sign_out``: moto's refresh
  tokens never expire and know neither when the user signed in nor for which scopes.
* ``access_tokens``: moto lists the tokens it made since it started; here the token's signature
  and its grant decide, after a restart as well.
* ``backend``: moto looks it up in a registry of the whole process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jose import JWTError, jwt
from moto.cognitoidp.exceptions import NotAuthorizedError, UserNotFoundError
from moto.cognitoidp.models import (
    CognitoIdpUser,
    CognitoIdpUserPool,
    CognitoIdpUserPoolAttribute,
    CognitoIdpUserPoolClient,
)

from app.local.cognito import claims
from app.local.cognito.codes import Codes
from app.local.cognito.grants import API_SCOPE, Grant, Grants
from app.local.cognito.keys import PoolKeys

if TYPE_CHECKING:
    from app.local.cognito.pools import Pools


class AccessTokens(dict[str, tuple[str, str]]):
    """moto's map from access tokens to (client id, user name), answered from the token itself."""

    def __init__(self, pool: UserPool) -> None:
        self._pool = pool

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and self._pool.access_claims(token, API_SCOPE) is not None

    def __getitem__(self, token: str) -> tuple[str, str]:
        found = self._pool.access_claims(token, API_SCOPE)
        if found is None:
            raise KeyError("access token")
        return found["client_id"], found["username"]


class UserPool(CognitoIdpUserPool):
    """A pool. ``pool_id`` fixes the id, which moto would choose."""

    def __init__(
        self,
        backend: Pools,
        name: str,
        config: dict[str, Any],
        folder: Path,
        clock: Callable[[], float],
        pool_id: str | None = None,
    ) -> None:
        super().__init__(backend.account_id, backend.region_name, name, config)
        if pool_id is not None:
            self.arn = self.arn.replace(self.id, pool_id)
            self.id = pool_id
        self._backend = backend
        self._clock = clock
        self.keys = PoolKeys(folder, self.id)
        self.grants = Grants(clock)
        self.codes = Codes(clock)
        self.access_tokens = AccessTokens(self)

    @property
    def backend(self) -> Pools:
        """The backend that this pool belongs to."""
        return self._backend

    @property
    def short_name(self) -> str:
        """The pool's name in SRP: its id without the region."""
        return self.id.partition("_")[2]

    @property
    def issuer(self) -> str:
        """The ``iss`` of the pool's tokens."""
        return f"https://cognito-idp.{self.id.partition('_')[0]}.amazonaws.com/{self.id}"

    @property
    def schema(self) -> set[str]:
        """The names of the attributes that a user can have."""
        return {*CognitoIdpUserPoolAttribute.STANDARD_SCHEMA, *self.schema_attributes}

    def user(self, username: str) -> CognitoIdpUser | None:
        """Find the user with this name, or this address where addresses are names."""
        return self._get_user(username)

    def create_refresh_token(
        self,
        client_id: str,
        username: str,
        scopes: Sequence[str] = (API_SCOPE,),
        auth_time: int | None = None,
    ) -> tuple[str, str]:
        """Sign a user in, now or at ``auth_time``: (refresh token, origin_jti)."""
        token, grant = self.grants.new(
            client_id,
            self._known(username).id,
            int(self._clock()) if auth_time is None else auth_time,
            claims.lifetime(self._client(client_id).extended_config, "RefreshToken"),
            scopes,
        )
        return token, grant.origin_jti

    def create_access_token(
        self, client_id: str, username: str, origin_jti: str
    ) -> tuple[str, int]:
        """Make an access token of a grant, and the seconds it is valid."""
        grant = self._grant(origin_jti)
        seconds = claims.lifetime(self._client(client_id).extended_config, "AccessToken")
        subject = self._subject(grant, self._known(username))
        return self.keys["access"].sign(
            claims.access_claims(subject, grant, int(self._clock()), seconds)
        ), seconds

    def create_id_token(
        self,
        client_id: str,
        username: str,
        origin_jti: str,
        *,
        nonce: str | None = None,
        access_token: str | None = None,
    ) -> tuple[str, int]:
        """Make an ID token of a grant, and the seconds it is valid."""
        grant = self._grant(origin_jti)
        seconds = claims.lifetime(self._client(client_id).extended_config, "IdToken")
        subject = self._subject(grant, self._known(username))
        now = int(self._clock())
        return self.keys["id"].sign(
            claims.id_claims(subject, grant, now, seconds, nonce=nonce, access_token=access_token)
        ), seconds

    def create_tokens_from_refresh_token(self, refresh_token: str) -> tuple[str, str, int]:
        """Make (access token, ID token, seconds).

        Raises:
            NotAuthorizedError: the token was never given out, was revoked or has expired.
        """
        grant = self.grants.by_token(refresh_token)
        user = None if grant is None else self.by_sub(grant.user_id)
        if grant is None or user is None:
            raise NotAuthorizedError("Invalid Refresh Token")
        if not user.enabled:
            raise NotAuthorizedError("User is disabled.")
        names = (grant.client_id, user.username, grant.origin_jti)
        access_token, seconds = self.create_access_token(*names)
        return access_token, self.create_id_token(*names)[0], seconds

    def sign_out(self, username: str) -> None:
        """End all of a user's sign-ins."""
        self.grants.sign_out(self._known(username).id)

    def by_sub(self, sub: str) -> CognitoIdpUser | None:
        """Find the user with this ``sub``; one made anew under an old name has another."""
        return next((user for user in self.users.values() if user.id == sub), None)

    def access_claims(self, token: str, scope: str | None = None) -> dict[str, Any] | None:
        """Read an access token of this pool: its claims, or None if it is not one.

        Args:
            token: The token.
            scope: A scope that it needs.

        Raises:
            NotAuthorizedError: it has expired or was revoked, or lacks the scope.
            UserNotFoundError: its user is gone.
        """
        try:
            found: dict[str, Any] = jwt.decode(
                token,
                self.keys["access"].jwk,
                algorithms=["RS256"],
                options={"verify_aud": False, "verify_exp": False},
            )
        except JWTError:
            return None
        if found["exp"] <= self._clock():
            raise NotAuthorizedError("Access Token has expired")
        user = self.by_sub(found["sub"])
        if user is None:
            raise UserNotFoundError("User does not exist.")
        if not user.enabled:
            raise NotAuthorizedError("User is disabled.")
        if self.grants.by_origin(found["origin_jti"]) is None:
            raise NotAuthorizedError("Access Token has been revoked")
        if scope is not None and scope not in found["scope"].split():
            raise NotAuthorizedError("Access Token does not have required scopes")
        return found

    def _known(self, username: str) -> CognitoIdpUser:
        return self.backend.admin_get_user(self.id, username)

    def _client(self, client_id: str) -> CognitoIdpUserPoolClient:
        return self.backend.describe_user_pool_client(self.id, client_id)

    def _grant(self, origin_jti: str) -> Grant:
        grant = self.grants.by_origin(origin_jti)
        if grant is None:
            raise NotAuthorizedError("Invalid Refresh Token")
        return grant

    def _subject(self, grant: Grant, user: CognitoIdpUser) -> claims.Subject:
        groups = sorted(
            user.groups,
            key=lambda g: (g.precedence is None, g.precedence or 0, g.group_name),
        )
        config = self._client(grant.client_id).extended_config
        attributes = claims.readable(config, user.attribute_lookup, self.schema)
        return claims.Subject(
            self.issuer,
            user.id,
            user.username,
            [group.group_name for group in groups],
            claims.in_scope(attributes, grant.scopes),
        )
