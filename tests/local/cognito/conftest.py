"""A user pool, in this process and behind a real server on loopback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.local.cognito import PREFIX, LocalPool, allow_sign_in
from tests.local.cognito.browser import CALLBACK, LOGGED_OUT, Browser, Hosted, listening
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


@pytest.fixture(scope="session")
def served(first_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = shutil.copytree(first_start, tmp_path_factory.mktemp("served") / "data")
    lines: list[str] = []
    pool = LocalPool(Path(folder), announce=lines.append)
    with listening(pool) as origin:
        yield Served(pool, origin, lines, client_of(origin + PREFIX))


@pytest.fixture(scope="session")
def hosted(first_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    folder = shutil.copytree(first_start, tmp_path_factory.mktemp("hosted") / "data")
    clock = Clock()
    pool = LocalPool(Path(folder), announce=lambda line: None, clock=clock)
    allow_sign_in(pool, [CALLBACK], [LOGGED_OUT])
    with listening(pool) as origin:
        hosted = Hosted(pool, origin + PREFIX, clock)
        yield hosted
        hosted.transport.close()


@pytest.fixture(scope="module")
def signed_in(hosted: Hosted) -> Browser:
    """A browser that the student has signed in with."""
    browser = hosted.browser()
    hosted.sign_in(browser)
    assert "code" in browser.answer
    return browser
