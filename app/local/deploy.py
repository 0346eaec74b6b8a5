"""What is deployed: the definition inside ``template.yaml``, and the contents of the zip."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.application import create_app
from app.definition import api_definition
from app.settings import load_settings

BEGIN, END = "# definition: begin\n", "# definition: end\n"

PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
"""Lambda's architectures as uv names them; its Amazon Linux 2023 has glibc 2.34."""

CODE = Path("build/function")
"""What ``template.yaml`` names as the function's code, beside it in the checkout."""

UPLOAD_SECONDS = 300
"""How long the AWS CLI may take to upload the zip."""

RUNTIME = "3.13"
"""The function's version of Python, as ``template.yaml`` and ``Dockerfile`` have it."""

SERVICES = frozenset({"dynamodb", "cognito-idp"})
"""Of the services that botocore describes, 25 MB of them, those that the app speaks to."""

NOT_SHIPPED = ("bin", "uvicorn", "uvicorn-*")
"""A server is what Lambda is instead of."""


class PackageError(Exception):
    """The package cannot be made; the message says why."""


def template_definition() -> dict[str, Any]:
    """Return the definition for ``template.yaml``: where it names resources, an ``Fn::Sub`` does.

    It depends on the code alone, and not on anybody's environment.
    """
    settings = load_settings(
        env_file=None,
        cognito_user_pool_id="us-east-1_Template1",
        cognito_app_client_id=("template",),
        cognito_token_use="id",
        cognito_scopes=(),
        cognito_jwks="",
        notes_store="dynamodb://Notes",
    )
    nowhere: Any = object()  # the routes are looked at, and never called
    made = api_definition(
        create_app(settings, store=nowhere),
        user_pool_arn="${UserPool.Arn}",
        # By its name, and not by Function.Arn: the function knows the app client, and that knows
        # the API's address, so an API that waited for the function would be a circle.
        function_arn="arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"
        "${AWS::StackName}:live",
        region="${AWS::Region}",
        cors_allow_origins=("${CorsAllowOrigin}",),
    )
    substituted: dict[str, Any] = _substituted(made)
    return substituted


def with_definition(template: str) -> str:
    """Return the template with the definition of this code between its two marks.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = template.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there are no lines {BEGIN.strip()!r} and {END.strip()!r}")
    indent = " " * (len(before) - len(before.rstrip(" ")))
    # JSON is YAML, and one line for each method is what a reader of a difference wants to see.
    body = _lines(template_definition(), indent, levels=3)
    return f"{before}{begin}{indent}DefinitionBody: {body}\n{indent}{end}{after}"


def make_package(folder: Path, *, project: Path, architecture: str) -> None:
    """Put what the zip holds into ``folder``, which is made anew.

    The hash-pinned requirements and the app, compiled: in Lambda nothing can keep bytecode, so a
    start without it would compile everything. Not checked against the source's time, for a zip
    keeps times to two seconds only. All is for the version of Python that runs this.

    Args:
        folder: where; whatever is there is removed.
        project: the folder with ``pyproject.toml`` and ``requirements.txt``.
        architecture: ``x86_64`` or ``arm64``.

    Raises:
        PackageError: uv cannot do it; the message is uv's own.
    """
    shutil.rmtree(folder, ignore_errors=True)
    uv = ("uv", "--quiet", "--no-config")
    pins = str(project / "requirements.txt")
    source = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--requirement", pins)
    place = ("--target", str(folder), "--link-mode", "copy", "--python", sys.executable)
    platform = PLATFORMS[architecture]
    _run(*uv, "pip", "install", *source, *place, "--python-platform", platform)
    # The laptop's half of the app stays there.
    left_out = shutil.ignore_patterns("local", "__pycache__")
    shutil.copytree(project / "app", folder / "app", ignore=left_out)
    for pattern in NOT_SHIPPED:
        for path in folder.glob(pattern):
            shutil.rmtree(path)
    for path in (folder / "botocore/data").iterdir():
        if path.is_dir() and path.name not in SERVICES:
            shutil.rmtree(path)
    compiled = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    # The paths that tracebacks show are the function's.
    _run(sys.executable, *compiled, "-s", str(folder), "-p", "/var/task", str(folder))


def find_aws() -> str:
    """Return the AWS CLI's path: the one beside this interpreter, or else the one on the path.

    Raises:
        PackageError: there is none.
    """
    aws = shutil.which("aws", path=Path(sys.executable).parent) or shutil.which("aws")
    if aws is None:
        raise PackageError("there is no aws on the path: the upload needs the AWS CLI")
    return aws


def upload_package(bucket: str, *, project: Path, aws: str) -> Path:
    """Upload the package in ``CODE``; return the template that names it in the bucket.

    The AWS CLI does it, with its own settings: profile, region, endpoints.

    Args:
        bucket: the bucket's name.
        project: the folder with ``template.yaml``; the other one is written into its ``build``.
        aws: the AWS CLI.

    Raises:
        PackageError: it cannot do it, and the message is its own; or it takes too long.
    """
    template = project / "build/template.yaml"
    template.unlink(missing_ok=True)  # after a failure, an older one would deploy older code
    package = (aws, "cloudformation", "package", "--s3-bucket", bucket)
    files = ("--template-file", str(project / "template.yaml"))
    _run(*package, *files, "--output-template-file", str(template), seconds=UPLOAD_SECONDS)
    return template


def _run(*command: str, seconds: float | None = None) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - uv, the AWS CLI, and this interpreter
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            # A process of pytest's would otherwise leave its measurements in the package.
            env={k: v for k, v in os.environ.items() if not k.startswith("COV")},
        )
    except subprocess.TimeoutExpired:
        raise PackageError(f"{' '.join(command)}:\nstopped after {seconds} seconds") from None
    if done.returncode != 0:
        raise PackageError(f"{' '.join(command)}:\n{done.stderr.strip()}")


def _substituted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _substituted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_substituted(each) for each in value]
    if isinstance(value, str) and "${" in value:
        return {"Fn::Sub": value}
    return value


def _lines(value: Any, indent: str, *, levels: int) -> str:
    if not (levels and isinstance(value, dict) and value):
        return json.dumps(value)
    deeper = indent + "  "
    members = (
        f"{deeper}{json.dumps(key)}: {_lines(each, deeper, levels=levels - 1)}"
        for key, each in value.items()
    )
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"
