"""What every test stands on: no network but loopback, and a key pair made once a session."""

from __future__ import annotations

import socket
from typing import Any

import pytest

_connect = socket.socket.connect


def _loopback_only(sock: socket.socket, address: Any) -> None:
    if sock.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "::1", "localhost"}:
        raise AssertionError(f"a test tried to reach {address[0]}")
    _connect(sock, address)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", _loopback_only)
    # No test depends on what the machine has set, and boto3 looks no further than these.
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        patch.setenv(name, value)
    yield
    patch.undo()
