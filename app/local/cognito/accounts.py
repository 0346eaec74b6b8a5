"""Users at hosted sign-in: who has signed in, whether they still may, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.local.cognito import claims
from app.local.cognito.answers import Refused

if TYPE_CHECKING:
    from moto.cognitoidp.models import CognitoIdpUser

    from app.local.cognito.signin import Backend
    from app.local.cognito.srp import Password


@dataclass(frozen=True)
class SignedIn:
    """Somebody whose password was checked. Over when it is changed or the user is disabled."""

    pool_id: str
    sub: str
    username: str
    password: Password
    auth_time: int


def remember(backend: Backend, client_id: str, username: str) -> SignedIn:
    """Remember a user whose password, perhaps a temporary one, was just checked.

    Raises:
        Refused: the user has a second factor, which the pages do not ask for.
    """
    pool, _ = backend.client(client_id)
    user = backend.admin_get_user(pool.id, username)
    if pool.mfa_config == "ON" or user.software_token_mfa_enabled or user.sms_mfa_enabled:
        raise Refused(
            "SecondFactor",
            "This account needs a second factor, which these local pages can't ask for. "
            "Sign in through the API.",
        )
    return SignedIn(pool.id, user.id, user.username, _password(user), int(backend.clock()))


def may_stay(backend: Backend, who: SignedIn) -> bool:
    """Whether somebody who signed in a while ago could still do so."""
    from moto.cognitoidp.models import UserStatus

    return _is_still(backend, who, UserStatus.CONFIRMED)


def replace_temporary(backend: Backend, who: SignedIn, password: str) -> None:
    """Give a user the first password of their own.

    Raises:
        Refused: the temporary one was replaced in the meantime, or the user is gone.
        JsonRESTError: the password is against the pool's rules.
    """
    from moto.cognitoidp.models import UserStatus

    if not _is_still(backend, who, UserStatus.FORCE_CHANGE_PASSWORD):
        raise Refused("NotAuthorizedException", "Invalid session for the user.")
    backend.admin_set_user_password(who.pool_id, who.username, password, True)


def info(backend: Backend, access_token: str) -> dict[str, str]:
    """Return what ``/oauth2/userInfo`` tells the bearer of an access token: all of it strings.

    Raises:
        JsonRESTError: the token is not good, or lacks the scope ``openid``.
        Refused: it is not an access token of any pool.
    """
    for pool_id in backend.user_pools:
        pool = backend.pool(pool_id)
        token = pool.access_claims(access_token, "openid")
        user = None if token is None else pool.by_sub(token["sub"])
        if token is not None and user is not None:
            _, client = backend.client(token["client_id"])
            own = claims.readable(client.extended_config, user.attribute_lookup, pool.schema)
            told = claims.in_scope(own, token["scope"].split())
            return {**told, "sub": user.id, "username": user.username}
    raise Refused("NotAuthorizedException", "Invalid Access Token")


def _is_still(backend: Backend, who: SignedIn, status: str) -> bool:
    user = backend.pool(who.pool_id).by_sub(who.sub)
    return (
        user is not None
        and user.enabled
        and user.status == status
        and _password(user) is who.password
    )


def _password(user: CognitoIdpUser) -> Password:
    # Backend.settle has made it one.
    return user.password  # type: ignore[return-value] # moto has text there
