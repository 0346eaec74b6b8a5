"""The images, without a container engine: each target's steps, and what then runs from there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from app.adapter import Event
from app.local.deploy import RUNTIME
from app.settings import Settings
from tests.deploy.dockerfile import DOCKERFILE, ROOT, Image, ancestry, is_ignored, last, read_stages
from tests.deploy.runtime_api import Environment
from tests.local.running import free_port
from tests.tokens import CLIENT_ID, POOL_ID, Pool

slow = pytest.mark.deploy


# --- the files -------------------------------------------------------------------------------


def test_there_are_the_two_targets_and_both_run_as_nobody() -> None:
    for target in ("lambda", "server"):
        assert last(target, "USER") == "65534:65534"
        assert ancestry(target)[0].base == f"python:{RUNTIME}-slim"
    assert json.loads(last("lambda", "ENTRYPOINT")) == ["python", "-m", "awslambdaric"]
    template = (ROOT / "template.yaml").read_text()
    (handler,) = json.loads(last("lambda", "CMD"))
    assert f"Handler: {handler}\n" in template


def test_the_server_says_whether_it_is_well_and_stops_in_time() -> None:
    assert "/healthz" in last("server", "HEALTHCHECK")
    command = json.loads(last("server", "CMD"))
    assert int(command[command.index("--timeout-graceful-shutdown") + 1]) < 10


def test_everything_is_installed_by_hash_and_nothing_is_compiled() -> None:
    installs = [
        step.words
        for stage in read_stages().values()
        for step in stage.steps
        if "pip install" in step.words
    ]
    assert len(installs) == 2
    for install in installs:
        assert {"--require-hashes", "--no-deps"} <= set(install.split())
        assert "--only-binary :all:" in install
    assert not re.search(r"apt-get|\bapk\b|gcc|curl|--index|://(?!127)", DOCKERFILE.read_text())


@pytest.mark.parametrize("package", ["awslambdaric", "simplejson", "snapshot-restore-py"])
def test_the_images_runtime_is_the_one_that_is_tested(package: str) -> None:
    assert f"'{package}=={version(package)} " in DOCKERFILE.read_text()


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("requirements.txt", False),
        ("app", False),
        ("app/store/dynamodb.py", False),
        ("app/local", True),
        ("app/local/cli.py", True),
        ("app/__pycache__", True),
        ("tests/tokens.py", True),
        (".git/config", True),
        (".env", True),
        (".venv/bin/python", True),
        ("notes.db", True),
    ],
)
def test_the_build_context_holds_the_app_and_its_pins_only(path: str, ignored: bool) -> None:
    assert is_ignored(path) is ignored


@slow
def test_hadolint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# --- the images ------------------------------------------------------------------------------


@contextlib.contextmanager
def built(target: str) -> Iterator[Image]:
    folder = Path(tempfile.mkdtemp(prefix=f"notegate-{target}-"))
    folder.chmod(0o755)  # pytest's own folders are closed to other users
    try:
        yield Image(target, folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server_image() -> Iterator[Image]:
    """The target ``server``, built."""
    with built("server") as image:
        yield image


@pytest.fixture(scope="module")
def lambda_image() -> Iterator[Image]:
    """The target ``lambda``, built."""
    with built("lambda") as image:
        yield image


@pytest.fixture(params=["server", "lambda"])
def image(request: pytest.FixtureRequest) -> Image:
    """Each target, built."""
    made: Image = request.getfixturevalue(f"{request.param}_image")
    return made


NOT_INSIDE = ("a2wsgi", "hatchling", "jsonschema", "moto", "mypy", "pip", "pytest", "typer", "yaml")


@slow
def test_nothing_of_the_laptop_or_of_the_build_is_inside(image: Image) -> None:
    inside = image.root / "app"
    assert (inside / "app/lambda_handler.py").exists()
    assert not (inside / "app/local").exists()
    assert not [name for name in NOT_INSIDE if (inside / name).exists()]
    assert (inside / "awslambdaric").exists() is (image.target == "lambda")


@slow
def test_every_module_has_its_bytecode_and_does_not_look_at_the_source(image: Image) -> None:
    inside = image.root / "app"
    tag = sys.implementation.cache_tag
    sources = [path for path in inside.rglob("*.py") if "/test" not in str(path)]
    assert len(sources) > 300
    for path in sources:
        compiled = path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc"
        assert compiled.exists(), path
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00"  # PEP 552: hash, unchecked


@slow
def test_the_handler_runs_under_awslambdaric_as_nobody(
    lambda_image: Image,
    function_variables: dict[str, str],
    event: Event,
) -> None:
    inside = lambda_image.root / "app"
    if "{}.{}".format(*sys.version_info) != RUNTIME:
        # What is inside is made for another Python; ours is the same release (see above).
        for name in ("awslambdaric", "simplejson"):
            shutil.rmtree(inside / name, ignore_errors=True)
            import_from = Path(sys.executable).parents[1] / "lib"
            (found,) = import_from.glob(f"python*/site-packages/{name}")
            shutil.copytree(found, inside / name)
        (extension,) = import_from.glob("python*/site-packages/runtime_client*.so")
        shutil.copy(extension, inside)
    entry = lambda_image.command("ENTRYPOINT")
    entry[0] = str(lambda_image.root / ".tools/python")
    with Environment(
        {**lambda_image.environ, **function_variables, "AWS_EXECUTION_ENV": ""},
        handler=lambda_image.command("CMD")[0],
        command=entry,
        user=lambda_image.user,
    ) as function:
        assert function.invoke(event)["statusCode"] == 200
        if lambda_image.user is not None:
            assert function.process_user == lambda_image.user
        assert function.terminate() in {0, -15}


@contextlib.contextmanager
def serving(image: Image, pool: Pool) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the image's command on a free port."""
    port = free_port()
    image.environ |= {
        "COGNITO_USER_POOL_ID": POOL_ID,
        "COGNITO_APP_CLIENT_ID": CLIENT_ID,
        "COGNITO_JWKS": json.dumps(pool.jwks),
    }
    command = [word.replace("8000", str(port)) for word in image.command("CMD")]
    process = image.start(command)
    try:
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def healthy(image: Image, port: int) -> bool:
    command = [word.replace("8000", str(port)) for word in image.command("HEALTHCHECK")]
    process = image.start(command)
    process.communicate(timeout=20)
    return process.returncode == 0


@slow
def test_the_server_runs_as_nobody_and_its_health_check_tells(
    server_image: Image, pool: Pool
) -> None:
    with serving(server_image, pool) as (process, port):
        assert healthy(server_image, port)
        if server_image.user is not None:
            assert os.stat(f"/proc/{process.pid}").st_uid == server_image.user
        # SQLite's file is where the image lets it be, and nothing else is written anywhere.
        assert (server_image.root / "data/notes.db").exists()
    assert not healthy(server_image, port)


@slow
def test_sigterm_lets_what_is_under_way_end_and_takes_nothing_new(
    server_image: Image, pool: Pool
) -> None:
    body = json.dumps({"Note": "written while the server stops"}).encode()
    head = (
        f"POST /notes HTTP/1.1\r\nHost: localhost\r\nAuthorization: {pool.id_token()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with serving(server_image, pool) as (process, port):
        with socket.create_connection(("127.0.0.1", port), 10) as under_way:
            under_way.sendall(head + body[:5])
            time.sleep(0.3)
            began = time.monotonic()
            process.terminate()
            time.sleep(0.7)
            with pytest.raises(OSError):  # noqa: PT011 - refused, or reset
                socket.create_connection(("127.0.0.1", port), 1).close()
            under_way.sendall(body[5:])
            answer = under_way.recv(65536)
        output, _ = process.communicate(timeout=10)
        assert time.monotonic() - began < 10
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert process.returncode in {0, -15}  # uvicorn hands the signal on when it is done
    assert "Traceback" not in output


@slow
def test_who_never_ends_a_request_does_not_keep_the_server(server_image: Image, pool: Pool) -> None:
    head = (
        f"POST /notes HTTP/1.1\r\nHost: localhost\r\nAuthorization: {pool.id_token()}\r\n"
        "Content-Length: 1000\r\n\r\n"
    ).encode()
    with (
        serving(server_image, pool) as (process, port),
        socket.create_connection(("127.0.0.1", port), 10) as under_way,
    ):
        under_way.sendall(head + b"{")
        time.sleep(0.3)
        began = time.monotonic()
        process.terminate()
        process.communicate(timeout=15)
        assert time.monotonic() - began < 10


@slow
def test_a_server_without_settings_says_what_is_missing(server_image: Image) -> None:
    for name in Settings.model_fields:
        server_image.environ.pop(name.upper(), None)
    process = server_image.start(server_image.command("CMD"))
    output, _ = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "COGNITO_USER_POOL_ID: is not set" in output
    assert "Traceback" not in output
