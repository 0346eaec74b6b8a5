"""A user pool, in this process and behind a real server on loopback."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from app.local.cognito import PREFIX, LocalPool, mount
from tests.local.cognito.support import Clock, Served, Start, client_of


@pytest.fixture(scope="session", autouse=True)
def _moto_reads_its_key_once() -> Iterator[None]:
    """moto reads its own signing key, which is not used here, for each pool: 0.2 s a test."""
    from moto.cognitoidp import models

    patch = pytest.MonkeyPatch()
    patch.setattr(models, "jwk", SimpleNamespace(RSAKey=SimpleNamespace(import_key=lambda _: None)))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after the first start; its keys took a while to make."""
    folder = tmp_path_factory.mktemp("pool") / "data"
    LocalPool(folder).close()
    return folder


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(clock: Clock) -> Iterator[Start]:
    start = Start(clock)
    yield start
    for pool in start.pools:
        pool.close()


@pytest.fixture
def folder(first_start: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first_start, tmp_path / "data"))


@pytest.fixture
def pool(start: Start, folder: Path) -> LocalPool:
    return start(folder)


async def _elsewhere(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"elsewhere"})


@pytest.fixture(scope="session")
def served(first_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = shutil.copytree(first_start, tmp_path_factory.mktemp("served") / "data")
    lines: list[str] = []
    pool = LocalPool(Path(folder), announce=lines.append)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = mount(PREFIX, pool.asgi, _elsewhere)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Served(pool, origin, lines, client_of(origin + PREFIX))
        server.should_exit = True
        thread.join()
    pool.close()
