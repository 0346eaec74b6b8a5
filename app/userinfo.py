"""/userinfo: who the caller is, as the user pool knows them."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fastapi import Request
from pydantic import BaseModel

from app.auth import ClaimRefused, SignedIn, UserRoute, unauthorized
from app.aws import make_client
from app.blocking import call
from app.errors import REFUSALS, unavailable
from app.routing import make_router
from app.settings import is_loopback

log = logging.getLogger("notegate")

CACHE_SECONDS = 60
CACHE_USERS = 1024
READ_SECONDS = 2
"""How long one of at most two attempts may take; with connecting, all ends within 5 s."""

_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})


class DirectoryUnavailable(Exception):
    """The user pool cannot be asked now."""


class UserGone(ClaimRefused):
    """The token is good, but its user was deleted or disabled since."""

    description = "The user no longer exists"


class Directory(Protocol):
    """Where users can be looked up."""

    def attributes(self, username: str) -> Mapping[str, str] | None:
        """Return the user's attributes, None if there is no such user who may sign in.

        Raises:
            DirectoryUnavailable: the pool did not answer, or not now.
        """


class CognitoDirectory:
    """The user pool, asked by AdminGetUser; answers are kept for ``CACHE_SECONDS``.

    The function's role needs ``cognito-idp:AdminGetUser`` on this pool and nothing else.
    """

    def __init__(
        self,
        pool_id: str,
        *,
        region: str,
        endpoint_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool_id = pool_id
        self._region = region
        self._endpoint_url = endpoint_url
        # A pool on this machine asks for none, but a request must be signed with some.
        local = endpoint_url is not None and is_loopback(endpoint_url)
        names = ("aws_access_key_id", "aws_secret_access_key") if local else ()
        self._credentials = dict.fromkeys(names, "local")
        self._clock = clock
        self._client: Any = None
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Mapping[str, str]]] = OrderedDict()

    def attributes(self, username: str) -> Mapping[str, str] | None:
        """Look the user up, here first and then in the pool."""
        with self._lock:
            expires, kept = self._kept.get(username, (0.0, {}))
            if self._clock() < expires:
                self._kept.move_to_end(username)
                return kept
        found = self._ask(username)
        with self._lock:
            self._kept.pop(username, None)
            if found is not None:
                self._kept[username] = (self._clock() + CACHE_SECONDS, found)
                if len(self._kept) > CACHE_USERS:
                    self._kept.popitem(last=False)
        return found

    def _ask(self, username: str) -> Mapping[str, str] | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            user = self._connected().admin_get_user(UserPoolId=self._pool_id, Username=username)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "UserNotFoundException":
                return None
            if code not in _THROTTLED:
                # Not the caller's fault: a missing permission, another pool's id.
                log.error("AdminGetUser on %s is refused: %s", self._pool_id, code)
            raise DirectoryUnavailable(code) from None
        except BotoCoreError as error:
            log.error("AdminGetUser on %s failed: %s", self._pool_id, type(error).__name__)
            raise DirectoryUnavailable(type(error).__name__) from None
        if not user["Enabled"]:
            return None
        return {each["Name"]: each.get("Value", "") for each in user["UserAttributes"]}

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = make_client(
                    "cognito-idp",
                    region=self._region,
                    endpoint_url=self._endpoint_url,
                    connect_timeout=1,
                    read_timeout=READ_SECONDS,
                    attempts=2,
                    connections=40,
                    **self._credentials,
                )
            return self._client


class UserInfo(BaseModel):
    """What is known of the caller; null where unknown."""

    name: str
    email: str | None
    nickname: str | None


router = make_router(tags=["userinfo"], responses=REFUSALS, route_class=UserRoute)


@router.get("/userinfo")
async def userinfo(request: Request, user: SignedIn) -> UserInfo:
    """Tell who you are."""
    directory: Directory = request.app.state.directory
    try:
        known = await call(request, directory.attributes, user.name)
    except DirectoryUnavailable:
        raise unavailable() from None
    # A name can be given anew after its user was deleted; the subject cannot.
    if known is None or known.get("sub") != user.claims["sub"]:
        raise unauthorized(UserGone())
    return UserInfo(
        name=user.name,
        email=user.email or known.get("email"),
        nickname=known.get("nickname"),
    )
