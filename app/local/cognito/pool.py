"""The local user pool: Cognito on this machine, with real keys, real codes and real passwords."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.local.cognito.answers import Refused, Tokens, User
from app.local.cognito.files import DataError, DataFolder, write_atomically
from app.local.cognito.hosted import Hosted
from app.local.cognito.mail import Mail, Outbox
from app.local.cognito.server import Server

if TYPE_CHECKING:
    from app.local.cognito.signin import Backend

T = TypeVar("T")


def _announce(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class LocalPool:
    """A user pool whose users, groups, passwords and sign-ins outlive the process.

    All methods may be called from any thread; each one runs alone, and what it changed is on the
    disk before it returns.

    Args:
        data_dir: Where everything is kept; one process at a time.
        announce: Called with a line for each mail that Cognito would send.
        clock: Unix time.
        allowed_hosts: Names and addresses, besides this machine's own, under which the server
            may be called; ``*`` for any. For a server that was asked to listen elsewhere.
        patience: Seconds to wait for another process to let go of the folder.

    Raises:
        DataError: the folder is in use, or holds something that this version can't read.
    """

    pool_id = "us-east-1_Notegate1"
    client_id = "notegatelocalclient0000001"

    def __init__(
        self,
        data_dir: Path,
        *,
        announce: Callable[[str], None] = _announce,
        clock: Callable[[], float] = time.time,
        allowed_hosts: Collection[str] = (),
        patience: float = 5.0,
    ) -> None:
        # moto takes seconds to import, so only who makes a pool waits for it.
        from app.local.cognito.signin import Backend

        self._lock = threading.RLock()
        self._outbox = Outbox(announce, clock)
        self._folder = DataFolder(data_dir, patience=patience)
        self._path = data_dir / "pools.json"
        self._saved = ""
        try:
            self._backend = Backend(data_dir, clock, self._outbox)
            self._load()
            self._backend.kept[self.pool_id] = self.client_id
            self._save()
        except BaseException:
            self._folder.close()
            raise
        hosted = Hosted(self, clock, exposed=bool(allowed_hosts))
        self.asgi = Server(self.call, self.jwks_of, allowed_hosts, hosted)
        """The pool over HTTP, to be mounted under ``/_cognito``."""

    def close(self) -> None:
        """Let another process use the folder."""
        self._folder.close()

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys of the pool."""
        return self._backend.pool(self.pool_id).keys.jwks

    @property
    def mails(self) -> list[Mail]:
        """The last mails, newest first."""
        return self._outbox.mails

    def jwks_of(self, pool_id: str) -> dict[str, Any] | None:
        """Return the public keys of a pool, or None if there is no such pool."""
        with self._lock:
            known = pool_id in self._backend.user_pools
            return self._backend.pool(pool_id).keys.jwks if known else None

    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Run an operation of Cognito's API, such as ``SignUp``, and return its answer.

        Raises:
            Refused: with the exception that Cognito would answer.
        """
        from app.local.cognito.operations import Operations

        return self.run(lambda backend: Operations(backend, operation, params).answer())

    def check_password(self, username: str, password: str, *, client_id: str = client_id) -> User:
        """Find the user with this name and password.

        Raises:
            Refused: as InitiateAuth does; and NewPasswordRequired, with a type of our own, for
                a temporary password, which has to be replaced first.
        """

        def check(backend: Backend) -> User:
            from moto.cognitoidp.models import UserStatus

            pool, client = backend.client(client_id)
            user = backend.check_password(pool, client, username, password)
            if user.status == UserStatus.FORCE_CHANGE_PASSWORD:
                raise Refused("NewPasswordRequired", "The temporary password must be replaced")
            return User(user.username, user.id, dict(user.attribute_lookup))

        return self.run(check)

    def issue(
        self,
        username: str,
        scopes: Sequence[str],
        *,
        client_id: str = client_id,
        nonce: str | None = None,
        auth_time: int | None = None,
    ) -> Tokens:
        """Sign a user in, whose password was checked, and make the tokens of hosted sign-in.

        Args:
            username: The user.
            scopes: The access token's.
            client_id: The app client that gets the tokens.
            nonce: For the ID token.
            auth_time: When the password was checked; now, unless given.
        """

        def issue(backend: Backend) -> Tokens:
            pool, _ = backend.client(client_id)
            refresh, origin = pool.create_refresh_token(client_id, username, scopes, auth_time)
            access, seconds = pool.create_access_token(client_id, username, origin)
            identity, _ = pool.create_id_token(
                client_id, username, origin, nonce=nonce, access_token=access
            )
            return Tokens(identity, access, refresh, seconds)

        return self.run(issue)

    def refresh(self, refresh_token: str, *, client_id: str = client_id) -> Tokens:
        """Make new tokens for a refresh token, for an app client that the caller has recognized.

        Raises:
            Refused: it was given to another app client, was revoked, or has expired.
        """

        def refresh(backend: Backend) -> Tokens:
            pool, client = backend.client(client_id)
            result = backend.refresh(pool, client, refresh_token)["AuthenticationResult"]
            return Tokens(result["IdToken"], result["AccessToken"], None, result["ExpiresIn"])

        return self.run(refresh)

    def revoke(self, refresh_token: str, *, client_id: str = client_id) -> None:
        """End the sign-in of a refresh token; one that is not known is no mistake."""
        self.run(lambda backend: backend.revoke(client_id, refresh_token))

    def access_claims(self, access_token: str, scope: str | None = None) -> dict[str, Any]:
        """Read an access token of the pool: its claims.

        Raises:
            Refused: it is not one, has expired, was revoked, or lacks the scope.
        """

        def read(backend: Backend) -> dict[str, Any]:
            found = backend.pool(self.pool_id).access_claims(access_token, scope)
            if found is None:
                raise Refused("NotAuthorizedException", "Invalid Access Token")
            return found

        return self.run(read)

    def run(self, work: Callable[[Backend], T]) -> T:
        """Do something with the pools, alone, and keep what it changes.

        Raises:
            Refused: with the exception that Cognito would answer.
        """
        from moto.core.exceptions import JsonRESTError

        with self._lock:
            try:
                return work(self._backend)
            except JsonRESTError as error:
                raise Refused(error.error_type, error.message) from None
            finally:
                # Also after a refusal: it may have cost a guess.
                self._save()

    def _load(self) -> None:
        from app.local.cognito import firststart, snapshot

        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            firststart.fill(self._backend, self.pool_id, self.client_id)
            return
        try:
            document = json.loads(text)
            version = document["version"]
            if version == snapshot.VERSION:
                snapshot.load(self._backend, document)
                self._backend.pool(self.pool_id).clients[self.client_id]
        except Exception as error:
            raise DataError(
                f"{self._path}: is not what a local pool has written ({error!r}). Nothing was "
                "changed; put the file back, or move it away to start anew"
            ) from error
        if version != snapshot.VERSION:
            raise DataError(
                f"{self._path}: was written by another version of Notegate (format {version!r}, "
                f"this one reads {snapshot.VERSION}). Nothing was changed; use that version, or "
                "move the file away to start anew"
            )
        self._saved = text

    def _save(self) -> None:
        from app.local.cognito import snapshot

        for pool_id in self._backend.user_pools:
            self._backend.settle(self._backend.pool(pool_id))
        text = json.dumps(snapshot.dump(self._backend), indent=1)
        if text != self._saved:
            write_atomically(self._path, text)
            self._saved = text
