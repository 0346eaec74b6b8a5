"""The zip: what ``notegate package`` makes and uploads, and the function that starts from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.adapter import Event
from app.local.cli import cli
from app.local.deploy import CODE, PLATFORMS, RUNTIME, SERVICES, PackageError, make_package
from tests.deploy.dockerfile import ROOT
from tests.deploy.runtime_api import Environment
from tests.test_packaging import pins

slow = pytest.mark.deploy
MEGABYTE = 1_000_000


def test_bytecode_is_made_by_the_runtimes_own_version(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["package", str(tmp_path / "x"), "--runtime", "3.99"])
    assert done.exit_code == 1
    assert "uv run --isolated --python 3.99 notegate package" in done.output
    assert not (tmp_path / "x").exists()


def test_the_runtime_is_the_same_everywhere() -> None:
    assert f"Runtime: python{RUNTIME}\n" in (ROOT / "template.yaml").read_text()
    assert set(re.findall(r"FROM python:(\S+)", (ROOT / "Dockerfile").read_text())) == {
        f"{RUNTIME}-slim"
    }
    architecture = re.search(r"Architectures: \[(\w+)\]", (ROOT / "template.yaml").read_text())
    assert architecture
    assert architecture[1] in PLATFORMS


def test_what_cannot_be_packaged_is_said_with_uvs_own_words(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("idna==3.20\n")
    done = CliRunner().invoke(
        cli,
        [
            *("package", str(tmp_path / "x"), "--project", str(tmp_path)),
            *("--runtime", "{}.{}".format(*sys.version_info)),
        ],
    )
    assert done.exit_code == 1
    assert "--require-hashes" in done.output
    with pytest.raises(PackageError):
        make_package(tmp_path / "x", project=tmp_path, architecture="x86_64")


# --- its upload ------------------------------------------------------------------------------

Aws = Callable[..., None]
"""``aws(script, folder)``: put a stand-in for the AWS CLI into that folder of the checkout."""


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A checkout to be in: its package is made at once, and there is no AWS CLI but stand-ins."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build/template.yaml").write_text("an older one\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("app.local.deploy.make_package", lambda folder, **_: folder.mkdir())
    monkeypatch.setattr(sys, "executable", str(tmp_path / "environment/python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))

    def put(script: str, folder: str = "environment") -> None:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "aws").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / folder / "aws").chmod(0o755)

    return put


def upload(*arguments: str, bucket: str = "code") -> Result:
    runtime = "{}.{}".format(*sys.version_info)
    return CliRunner().invoke(
        cli, ["package", *arguments, "--runtime", runtime, "--bucket", bucket]
    )


SAYS_ALL = 'echo "$AWS_PROFILE: $*" >build/template.yaml'


@pytest.mark.parametrize("folder", ["environment", "path"])
def test_the_aws_cli_uploads_it_with_its_own_settings(
    aws: Aws, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    aws(SAYS_ALL, folder)
    done = upload()
    assert (done.exit_code, done.stderr) == (0, "")
    assert "build/template.yaml is ready to be deployed; its code is in code" in done.stdout
    assert Path("build/template.yaml").read_text() == (
        "work: cloudformation package --s3-bucket code --template-file template.yaml"
        " --output-template-file build/template.yaml\n"
    )
    assert CODE.is_dir()


def test_the_aws_cli_beside_the_interpreter_comes_first(aws: Aws) -> None:
    aws("exit 1", "path")
    aws(SAYS_ALL, "environment")
    assert upload().exit_code == 0


def test_without_a_bucket_nothing_is_uploaded(aws: Aws) -> None:
    aws("exit 1")
    done = CliRunner().invoke(cli, ["package", "--runtime", "{}.{}".format(*sys.version_info)])
    assert (done.exit_code, done.output) == (0, "")
    assert Path("build/template.yaml").read_text() == "an older one\n"


def test_without_an_aws_cli_it_says_so_before_the_slow_part(aws: Aws) -> None:
    done = upload()
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "the upload needs the AWS CLI" in done.stderr
    assert not CODE.exists()


def test_what_cannot_be_uploaded_is_said_with_the_aws_clis_own_words(aws: Aws) -> None:
    aws("echo 'S3 Bucket does not exist.' >&2; exit 255")
    done = upload()
    assert done.exit_code == 1
    assert "cloudformation package" in done.stderr
    assert done.stderr.endswith("\nS3 Bucket does not exist.\n")
    assert "Traceback" not in done.output
    # And nobody deploys what an earlier one has uploaded.
    assert not Path("build/template.yaml").exists()


def test_an_upload_without_end_is_stopped(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.local.deploy.UPLOAD_SECONDS", 0.2)
    aws("exec /bin/sleep 60")
    done = upload()
    assert done.exit_code == 1
    assert done.stderr.endswith("\nstopped after 0.2 seconds\n")


def test_only_what_the_template_names_is_uploaded(aws: Aws) -> None:
    aws(SAYS_ALL)
    elsewhere = upload("elsewhere")
    assert elsewhere.exit_code == 1
    assert "build/function, not elsewhere" in elsewhere.stderr
    nowhere = upload(bucket="")
    assert (nowhere.exit_code, nowhere.stderr) == (1, "--bucket: the name is empty\n")
    assert not CODE.exists()


# --- what is in it ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of the zip, for the Python that runs the tests."""
    folder = tmp_path_factory.mktemp("package") / "function"
    make_package(folder, project=ROOT, architecture="x86_64")
    return folder


@pytest.fixture(scope="module")
def unzipped(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda unpacks of it: the AWS CLI's own way to zip a folder, and back again."""
    folder = tmp_path_factory.mktemp("unzipped")
    program = (
        "import sys; from awscli.customizations.cloudformation.artifact_exporter import zip_folder"
        "\nwith zip_folder(sys.argv[1]) as path: sys.stdout.write(path); import shutil;"
        " shutil.copy(path, sys.argv[2])"
    )
    archive = folder / "function.zip"
    subprocess.run([sys.executable, "-c", program, package, archive], check=True)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder / "task")
    return folder


@slow
def test_it_has_less_than_60_mb_unzipped(package: Path) -> None:
    size = sum(path.stat().st_size for path in package.rglob("*") if path.is_file())
    assert 10 * MEGABYTE < size < 60 * MEGABYTE


@slow
def test_it_holds_the_pins_the_app_and_nothing_else(package: Path) -> None:
    installed = {
        re.sub(r"[-_.]+", "-", path.name.partition("-")[0]).lower()
        for path in package.glob("*.dist-info")
    }
    # What is for other platforms or Pythons only is pinned too.
    assert installed <= set(pins()) - {"uvicorn"}
    assert {"fastapi", "botocore", "mangum", "cryptography", "httpx"} <= installed
    assert not (package / "app/local").exists()
    assert {path.name for path in (package / "botocore/data").iterdir() if path.is_dir()} == (
        SERVICES
    )
    text = "".join(path.read_text() for path in package.glob("*.dist-info/RECORD"))
    assert str(ROOT) not in text


@slow
def test_every_module_has_bytecode_that_survives_the_zip(unzipped: Path) -> None:
    tag = sys.implementation.cache_tag
    for source in (unzipped / "task").rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", source  # PEP 552: unchecked


@slow
def test_the_function_starts_from_the_zip_alone(
    unzipped: Path, function_variables: dict[str, str], event: Event, tmp_path: Path
) -> None:
    # The runtime's own client stands beside the function's folder, as in the managed runtime.
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    packages = next((Path(sys.executable).parents[1] / "lib").glob("python*/site-packages"))
    for pattern in ("awslambdaric", "simplejson", "snapshot_restore_py.py", "runtime_client*.so"):
        (found,) = packages.glob(pattern)
        (runtime / found.name).symlink_to(found)
    base = getattr(sys, "_base_executable", sys.executable)
    path = f"{unzipped / 'task'}:{runtime}"
    with Environment(
        {**function_variables, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        command=(base, "-S", "-m", "awslambdaric"),
        folder=unzipped / "task",
        snap_start=True,
    ) as function:
        assert function.invoke(event)["statusCode"] == 200
        levels = {line["level"] for line in function.log_records}
        assert levels <= {"INFO"}


@slow
def test_another_machines_package_is_made_here_too(tmp_path: Path) -> None:
    make_package(tmp_path / "arm", project=ROOT, architecture="arm64")
    assert list((tmp_path / "arm").rglob("*aarch64*.so"))
    assert not list((tmp_path / "arm").rglob("*x86_64*.so"))


# --- the wheel -------------------------------------------------------------------------------


@slow
def test_the_wheel_holds_the_app_and_starts_where_only_the_pins_are(
    package: Path, tmp_path: Path
) -> None:
    subprocess.run(
        ["uv", "--quiet", "build", "--wheel", "--out-dir", tmp_path, ROOT],  # noqa: S607 uv, from the path
        check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("COV")},
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        inside = set(opened.namelist())
        opened.extractall(tmp_path / "wheel")
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "app").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= inside
    base = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [base, "-S", "-c", "import app.lambda_handler as m; print(m.__file__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path / 'wheel'}:{package}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path))
    assert "COGNITO_USER_POOL_ID: is not set" in done.stderr
