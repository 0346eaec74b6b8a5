"""A running ``notegate``: the real command, in a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from app.settings import Settings

BIN = Path(sys.executable).parent
POOL_ID = "us-east-1_Notegate1"
CLIENT_ID = "notegatelocalclient0000001"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without the app's settings, and with ``variables``."""
    clean = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
    return clean | variables


class Running:
    """A running ``notegate`` and what it printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    @property
    def log(self) -> str:
        """All that stands on its terminal."""
        return self._log.read_text()

    def said(self, text: str) -> str:
        """Return that once ``text`` stands there: a line is written after its answer is sent."""
        deadline = time.monotonic() + 10
        while text not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)
        return self.log

    def client(self, token: str = "") -> httpx2.Client:
        """Return an HTTP client; with a token, a signed-in one."""
        headers = {"Authorization": token} if token else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=20)

    def aws(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the real AWS CLI against the pool; only ``--endpoint-url`` is added."""
        return subprocess.run(
            [BIN / "aws", *arguments, "--endpoint-url", f"{self.url}/_cognito"],
            env=environment(AWS_DEFAULT_REGION="us-east-1", AWS_PAGER=""),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def sign_in(self, username: str = "student", password: str = "student") -> Any:
        """Return what initiate-auth answers."""
        done = self.aws(
            *("cognito-idp", "initiate-auth", "--client-id", CLIENT_ID),
            *("--auth-flow", "USER_PASSWORD_AUTH"),
            *("--auth-parameters", f"USERNAME={username},PASSWORD={password}"),
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["AuthenticationResult"]


def refused(folder: Path, *arguments: str, **variables: str) -> str:
    """Run ``notegate`` where it must not start; return the one thing that it says."""
    done = subprocess.run(
        [BIN / "notegate", *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@contextlib.contextmanager
def notegate(folder: Path, *arguments: str, port: int = 0, **variables: str) -> Iterator[Running]:
    """Run ``notegate`` with a folder as its current one; stop it in the end."""
    port = port or free_port()
    log = folder / "terminal.log"
    with log.open("ab") as terminal:
        process = subprocess.Popen(
            [BIN / "notegate", *arguments, "--port", str(port)],
            cwd=folder,
            env=environment(**variables),
            stdout=terminal,
            stderr=terminal,
        )
    running = Running(process, f"http://127.0.0.1:{port}", log)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, running.log
            assert time.monotonic() < deadline, running.log
            time.sleep(0.05)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
