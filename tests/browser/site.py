"""The running sites that a browser is sent to, and the user pool behind them."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from tests.local.running import CLIENT_ID, POOL_ID, Running, environment, free_port

PASSWORD = "correct horse"


class Cognito:
    """The local user pool, spoken to as any client does."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/_cognito"

    def __call__(self, operation: str, **parameters: Any) -> Any:
        """Call an operation of Cognito's API."""
        target = f"AWSCognitoIdentityProviderService.{operation}"
        answer = httpx2.post(
            f"{self.url}/",
            headers={"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"},
            content=json.dumps(parameters),
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def add_user(self, name: str) -> str:
        """Make a user who can sign in with ``PASSWORD``."""
        pool = {"UserPoolId": POOL_ID, "Username": name}
        address = [
            {"Name": "email", "Value": f"{name}@example.com"},
            {"Name": "email_verified", "Value": "true"},
        ]
        self("AdminCreateUser", **pool, MessageAction="SUPPRESS", UserAttributes=address)
        self("AdminSetUserPassword", **pool, Password=PASSWORD, Permanent=True)
        return name

    def id_token(self, name: str) -> str:
        """Sign the user in without a browser."""
        answer = self(
            "InitiateAuth",
            ClientId=CLIENT_ID,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )
        return str(answer["AuthenticationResult"]["IdToken"])

    def end_sessions(self, name: str) -> None:
        """End all of the user's sessions, as an administrator does."""
        self("AdminUserGlobalSignOut", UserPoolId=POOL_ID, Username=name)

    def change_client(self, **settings: Any) -> None:
        """Change the app client, and nothing else of it."""
        names = {"UserPoolId": POOL_ID, "ClientId": CLIENT_ID}
        now = self("DescribeUserPoolClient", **names)["UserPoolClient"]
        for read_only in ("CreationDate", "LastModifiedDate", "ClientSecret"):
            now.pop(read_only, None)
        self("UpdateUserPoolClient", **now | settings | names)

    def let_tokens_end_after(self, seconds: int) -> None:
        """Make the app client's tokens short-lived."""
        self.change_client(
            IdTokenValidity=seconds,
            AccessTokenValidity=seconds,
            TokenValidityUnits={"IdToken": "seconds", "AccessToken": "seconds"},
        )


class Site:
    """The page at one address, and the pool that its users are in."""

    def __init__(self, url: str, running: Running) -> None:
        self.url = f"{url}/"
        self.running = running
        self.cognito = Cognito(running.url)

    def api(self, name: str) -> httpx2.Client:
        """Return an API client with the user's token."""
        token = {"Authorization": self.cognito.id_token(name)}
        return httpx2.Client(base_url=self.url, headers=token, timeout=20)


@contextlib.contextmanager
def direct(running: Running, folder: Path) -> Iterator[Site]:
    """Serve the app by uvicorn alone, with the pool of a running ``notegate``."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    cognito = Cognito(running.url)
    cognito.change_client(
        CallbackURLs=[f"{url}/auth/callback", f"{url}/docs/oauth2-redirect"],
        LogoutURLs=[f"{url}/"],
    )
    log = (folder / "direct.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port)],
        cwd=folder,
        env=environment(
            COGNITO_USER_POOL_ID=POOL_ID,
            COGNITO_APP_CLIENT_ID=CLIENT_ID,
            COGNITO_DOMAIN=cognito.url,
            COGNITO_JWKS_URL=f"{cognito.url}/{POOL_ID}/.well-known/jwks.json",
            AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER=cognito.url,
            AWS_ACCESS_KEY_ID="local",
            AWS_SECRET_ACCESS_KEY="local",
            NOTES_STORE=f"sqlite:///{folder / 'direct.db'}",
        ),
        stdout=log,
        stderr=log,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (folder / "direct.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Site(url, running)
    finally:
        process.terminate()
        process.wait(15)
        log.close()
