"""The ``notegate`` command."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from app.settings import SettingsError, is_loopback, load_settings

cli = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Notes and user info behind Amazon Cognito, on this machine.",
)

Host = Annotated[str, typer.Option(help="Address to listen on; loopback unless you say otherwise")]
Port = Annotated[int, typer.Option(help="Port to listen on", min=1, max=65535)]
Stage = Annotated[str, typer.Option(help="The stage's name")]
DefinitionFile = Annotated[
    Path, typer.Option(help="API Gateway's OpenAPI 3.0 export, JSON or YAML")
]
SERVER: dict[str, Any] = {
    # The gateway writes its own headers, in API Gateway's casing; httptools, which uvicorn would
    # take where it is installed, makes them lower-case.
    "http": "h11",
    "server_header": False,
    "date_header": False,
    "log_level": "warning",
}


def main() -> None:
    """Run the command."""
    cli()


Data = Annotated[Path, typer.Option(help="Where users, keys and notes are kept")]
Store = Annotated[
    str, typer.Option(help="Where notes are, if not in the data folder", envvar="NOTES_STORE")
]
Reload = Annotated[bool, typer.Option(help="Start anew when the code changes")]


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data: Data = Path(".notegate"),
    stage: Stage = "Prod",
    store: Store = "",
    reload: Reload = False,
) -> None:
    """Serve the app behind a mirror of API Gateway, with a user pool of its own."""
    if context.invoked_subcommand is None:
        local(host, port, data, stage, store, reload)


@cli.command()
def local(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data: Data = Path(".notegate"),
    stage: Stage = "Prod",
    store: Store = "",
    reload: Reload = False,
) -> None:
    """Do what ``notegate`` alone does."""
    import uvicorn

    from app.local.server import Options

    _check_port(host, port)
    Options(str(data), host, port, stage, store).to_environment()
    uvicorn.run(
        "app.local.server:create", factory=True, host=host, port=port, reload=reload, **SERVER
    )


@cli.command()
def gateway(
    definition: Annotated[
        Path | None, typer.Option(help="API Gateway's OpenAPI 3.0 export, JSON or YAML")
    ] = None,
    handler: Annotated[str, typer.Option(help="The Lambda handler, MODULE:ATTR")] = "",
    stage: Stage = "Prod",
    stage_variable: Annotated[list[str] | None, typer.Option(help="K=V, repeatable")] = None,
    throttle: Annotated[str, typer.Option(help="RATE:BURST, requests a second")] = "",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    ignore_unsupported: Annotated[
        bool, typer.Option(help="Warn of what cannot be mirrored, and answer 501 there")
    ] = False,
    access_log_format: Annotated[
        str, typer.Option(help="With $context variables; default: JSON")
    ] = "",
    ledger: Annotated[
        bool, typer.Option(help="Print what is mirrored, and how certain that is")
    ] = False,
) -> None:
    """Serve anybody's REST API: its definition and its Lambda proxy handler.

    Keys of a user pool come from its real address, or from COGNITO_JWKS_URL (with {userPoolId} in
    it when there are several pools).
    """
    from app.local.gateway import (
        DefinitionError,
        Gateway,
        HandlerError,
        Recorder,
        ledger_table,
        load_definition,
        load_handler,
    )

    if ledger:
        typer.echo(ledger_table())
        return
    if definition is None or not handler:
        _stop("--definition and --handler are needed")
    import uvicorn

    from app.local.server import LocalServer, access_log, set_up_logs

    set_up_logs()
    recorder = Recorder()
    try:
        _key_url("us-east-1_any")  # a wrong address should stop the start, not the first request
        mirror = Gateway(
            load_definition(definition),
            load_handler(handler),
            stage=stage,
            stage_variables=_variables(stage_variable or []),
            throttle=_throttle(throttle),
            key_url=_key_url,
            ignore_unsupported=ignore_unsupported,
            on_exchange=recorder.record,
            access_log=access_log,
            access_log_format=access_log_format or None,
        )
    except (DefinitionError, HandlerError, OSError, ValueError) as error:
        _stop(str(error))
    _check_port(host, port)
    greeting = [f"API Gateway: http://{host}:{port} and http://{host}:{port}/{stage}"]
    server = LocalServer(mirror, recorder, greeting=greeting, closing=[mirror.close])
    uvicorn.run(server, host=host, port=port, **SERVER)


@cli.command("test-authorizer")
def why_refused(
    definition: DefinitionFile,
    token: Annotated[str, typer.Option(help="The token, with or without Bearer", envvar="TOKEN")],
    method: Annotated[str, typer.Option(help="The method's verb")] = "GET",
    path: Annotated[str, typer.Option(help="The method's path")] = "/notes",
) -> None:
    """Say why a token is accepted or refused, as API Gateway's TestInvokeAuthorizer does."""
    from app.local.gateway import DefinitionError, NoAuthorizer, load_definition, test_authorizer

    try:
        answer = asyncio.run(
            test_authorizer(
                load_definition(definition), token, method=method, path=path, key_url=_key_url
            )
        )
    except (DefinitionError, NoAuthorizer, OSError, ValueError) as error:
        _stop(str(error))
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    if answer["clientStatus"] != 0:
        raise typer.Exit(1)


@cli.command()
def events(
    url: Annotated[str, typer.Option(help="Where the gateway runs")] = "http://127.0.0.1:8000",
    save: Annotated[Path | None, typer.Option(help="Write each into a file in this folder")] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more")] = False,
    tokens: Annotated[bool, typer.Option(help="Do not redact tokens and passwords")] = False,
) -> None:
    """Show the events that the running gateway sent to the handler, and what came back."""
    from app.local import events as running

    try:
        for event in running.read(url, tokens=tokens, follow=follow):
            shown = running.save(event, save) if save else json.dumps(event, ensure_ascii=False)
            typer.echo(shown)
    except running.Unreachable as error:
        _stop(str(error))


@cli.command()
def definition(
    user_pool_arn: Annotated[str, typer.Option(help="The pool whose tokens are accepted")] = "",
    function_arn: Annotated[str, typer.Option(help="The function that is called")] = "",
    region: Annotated[str, typer.Option(help="Where the API is")] = "us-east-1",
    into: Annotated[
        Path | None, typer.Option(help="Write it into this SAM template instead", exists=True)
    ] = None,
) -> None:
    """Print the app's API Gateway definition (OpenAPI 3.0 with AWS's extensions)."""
    if into is not None:
        from app.local.deploy import with_definition

        into.write_text(with_definition(into.read_text("utf-8")), "utf-8")
        return
    from app.application import create_app
    from app.definition import api_definition
    from app.local import server

    pool_id = f"{region}_Notegate1"
    try:
        settings = load_settings(cognito_user_pool_id=pool_id, cognito_app_client_id="any")
    except SettingsError as error:
        _stop(str(error))
    nowhere: Any = object()  # the routes are looked at, and never called
    made = api_definition(
        create_app(settings, store=nowhere),
        user_pool_arn=user_pool_arn or server.user_pool_arn(pool_id),
        function_arn=function_arn or server.function_arn(region),
        region=region,
        scopes=settings.cognito_scopes,
        cors_allow_origins=settings.cors_allow_origins,
    )
    typer.echo(json.dumps(made, indent=2))


@cli.command()
def package(
    folder: Annotated[Path, typer.Argument(help="Where; made anew")] = Path("build/function"),
    runtime: Annotated[str, typer.Option(help="Lambda's Python, on which this must run")] = "",
    architecture: Annotated[str, typer.Option(help="x86_64 or arm64")] = "x86_64",
    project: Annotated[Path, typer.Option(help="The checkout", exists=True)] = Path(),
    bucket: Annotated[
        str | None, typer.Option(help="Upload it there too, and write build/template.yaml")
    ] = None,
) -> None:
    """Make what the function's zip holds, from the hash-pinned requirements and the app."""
    from app.local.deploy import (
        CODE,
        RUNTIME,
        PackageError,
        find_aws,
        make_package,
        upload_package,
    )

    if bucket == "":  # a variable of the shell's that is not set
        _stop("--bucket: the name is empty")
    if bucket and folder.resolve() != (project / CODE).resolve():
        _stop(f"--bucket uploads what template.yaml names: {project / CODE}, not {folder}")
    runtime = runtime or RUNTIME
    if runtime != "{}.{}".format(*sys.version_info):
        _stop(f"For its bytecode: uv run --isolated --python {runtime} notegate package")
    try:
        aws = find_aws() if bucket else ""  # before the slow part
        make_package(folder, project=project, architecture=architecture)
        if bucket:
            template = upload_package(bucket, project=project, aws=aws)
            typer.echo(f"{template} is ready to be deployed; its code is in {bucket}")
    except PackageError as error:
        _stop(str(error))


def _stop(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _check_port(host: str, port: int) -> None:
    """Stop with a line when nobody could listen there; uvicorn would say so after its start."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        _stop(f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port")


def _variables(given: list[str]) -> dict[str, str]:
    variables = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise ValueError(f"a stage variable is K=V, not {each}")
        variables[name] = value
    return variables


def _throttle(given: str) -> tuple[float, int] | None:
    if not given:
        return None
    rate, _, burst = given.partition(":")
    try:
        return float(rate), int(burst)
    except ValueError:
        raise ValueError(f"a throttle is RATE:BURST, not {given}") from None


def _key_url(pool_id: str) -> str:
    given = os.environ.get("COGNITO_JWKS_URL")
    if not given:
        region = pool_id.partition("_")[0]
        given = f"https://cognito-idp.{region}.amazonaws.com/{{userPoolId}}/.well-known/jwks.json"
    url = given.replace("{userPoolId}", pool_id)
    if not (url.startswith("https://") or is_loopback(url)):
        raise ValueError("COGNITO_JWKS_URL must be https, or http on loopback")
    return url
