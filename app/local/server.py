"""The gateway, the user pool and the app as one ASGI app: what ``notegate`` serves."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from app import logs
from app.adapter import make_handler
from app.application import create_app
from app.auth import KeySet
from app.definition import api_definition
from app.local import events
from app.local.cognito import PREFIX, DataError, LocalPool, allow_sign_in, mount
from app.local.gateway import Gateway, Recorder
from app.settings import SettingsError, is_loopback, load_settings
from app.store import StoreUnusable

ACCOUNT = "123456789012"
FUNCTION = "notegate"

_OPTION = "NOTEGATE_LOCAL_"


@dataclass(frozen=True, slots=True)
class Options:
    """How the local server runs.

    They travel by the environment, because uvicorn's reloader starts a process of its own.
    """

    data: str
    host: str
    port: int
    stage: str
    store: str

    @property
    def url(self) -> str:
        """Where this machine reaches the server."""
        return f"http://127.0.0.1:{self.port}"

    def to_environment(self) -> None:
        """Leave them to ``create``."""
        for name, value in asdict(self).items():
            os.environ[_OPTION + name.upper()] = str(value)

    @classmethod
    def from_environment(cls) -> Options:
        """Find what ``to_environment`` left."""
        left = {name: os.environ[_OPTION + name.upper()] for name in cls.__dataclass_fields__}
        return cls(left["data"], left["host"], int(left["port"]), left["stage"], left["store"])


class LocalServer:
    """An ASGI app around a gateway: also answers ``notegate events``, and closes what it is given.

    Args:
        app: what answers everything else.
        recorder: keeps the gateway's events.
        greeting: lines for the terminal when it is up.
        closing: called in this order when it goes down.
    """

    def __init__(
        self,
        app: ASGIApp,
        recorder: Recorder,
        *,
        greeting: Sequence[str],
        closing: Sequence[Callable[[], None]],
    ) -> None:
        self._app = mount(events.PREFIX, events.Endpoint(recorder), app)
        self._greeting = greeting
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        sys.stderr.write("".join(f"{line}\n" for line in self._greeting))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """Release what the parts hold."""
        for close in self._closing:
            close()


def create() -> LocalServer:
    """Build the app behind its own gateway and pool; a factory for uvicorn.

    Raises:
        SystemExit: it cannot start; the message says why.
    """
    set_up_logs()
    try:
        return build(Options.from_environment())
    except (DataError, SettingsError, StoreUnusable) as error:
        raise SystemExit(f"Notegate cannot start.\n{error}") from None


def set_up_logs() -> None:
    """Let the terminal show one line per request, the stage's, and why the gateway refused."""
    logs.set_up_server("WARNING")
    logging.getLogger("notegate.gateway").setLevel(logging.INFO)


def access_log(line: str) -> None:
    """Write a line of the stage's access log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def build(options: Options) -> LocalServer:
    """Build the app behind its own gateway and pool.

    Raises:
        DataError: the data folder is in use, or cannot be read.
        SettingsError: a variable in the environment is wrong.
        StoreUnusable: the notes cannot be opened.
    """
    data = Path(options.data)
    exposed = not is_loopback(f"http://{options.host}")
    pool = LocalPool(data, allowed_hosts=("*",) if exposed else ())
    closing = [pool.close]
    try:
        allow_sign_in(pool, *sign_in_urls(options))
        settings = load_settings(
            cognito_user_pool_id=pool.pool_id,
            cognito_app_client_id=pool.client_id,
            aws_endpoint_url_cognito_identity_provider=options.url + PREFIX,
            cognito_domain=options.url + PREFIX,
            notes_store=options.store or f"sqlite:///{data / 'notes.db'}",
        )

        async def fetch_keys() -> bytes:
            return json.dumps(pool.jwks).encode()

        app = create_app(settings, fetch_keys=fetch_keys)
        closing.insert(0, app.state.store.close)
        recorder = Recorder()
        gateway = Gateway(
            api_definition(
                app,
                user_pool_arn=user_pool_arn(pool.pool_id),
                function_arn=function_arn(settings.pool_region),
                region=settings.pool_region,
                scopes=settings.cognito_scopes,
                cors_allow_origins=settings.cors_allow_origins,
            ),
            make_handler(app),
            stage=options.stage,
            region=settings.pool_region,
            account_id=ACCOUNT,
            function_name=FUNCTION,
            key_sets={pool.pool_id: KeySet(fetch_keys)},
            # Not AWS's constant: nothing here speaks https, and the app makes addresses from this
            # to which a browser must find back.
            forwarded=("http", str(options.port)),
            on_exchange=recorder.record,
            access_log=access_log,
        )
        closing.insert(0, gateway.close)
    except BaseException:
        for close in closing:
            close()
        raise
    cognito = options.url + PREFIX
    greeting = [
        "",
        f"  API      {options.url}  and  {options.url}/{options.stage}",
        f"  docs     {options.url}/docs",
        f"  Cognito  {cognito}",
        f"  mails    {cognito}/inbox",
        f"  pool     {pool.pool_id}    app client  {pool.client_id}",
        "  user     student    password  student",
        "",
        "Sign in, list your notes, add one:",
        "",
        f"  IdToken=$(aws --region {settings.pool_region} --endpoint-url {cognito}"
        " --no-sign-request cognito-idp initiate-auth --auth-flow USER_PASSWORD_AUTH"
        " --auth-parameters"
        f" USERNAME=student,PASSWORD=student --client-id {pool.client_id}"
        " --query AuthenticationResult.IdToken --output text)",
        f'  curl -H "Authorization: $IdToken" {options.url}/notes',
        f'  curl -H "Authorization: $IdToken" {options.url}/notes -d \'{{"Note": "hello"}}\'',
        "",
    ]
    return LocalServer(
        mount(PREFIX, pool.asgi, gateway), recorder, greeting=greeting, closing=closing
    )


def sign_in_urls(options: Options) -> tuple[list[str], list[str]]:
    """Return where hosted sign-in may lead back to: callback URLs and sign-out URLs."""
    roots = [
        f"http://{host}:{options.port}{stage}/"
        for host in ("127.0.0.1", "localhost")
        for stage in ("", f"/{options.stage}")
    ]
    pages = ("auth/callback", "docs/oauth2-redirect")
    return [root + page for root in roots for page in pages], roots


def user_pool_arn(pool_id: str) -> str:
    """Return the ARN of a pool of the account that the mirror plays."""
    return f"arn:aws:cognito-idp:{pool_id.partition('_')[0]}:{ACCOUNT}:userpool/{pool_id}"


def function_arn(region: str) -> str:
    """Return the ARN of the function that the mirror plays."""
    return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{FUNCTION}"
