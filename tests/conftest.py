"""What every test stands on: no network but loopback, and a key pair made once a session."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app import adapter
from app.application import create_app
from app.auth import Fetch
from app.settings import load_settings
from app.store import Note, NoteStore
from app.userinfo import Directory
from tests.api import FakeDirectory, MakeApp, MakeDoor, SignIn, Stage
from tests.doors import DOORS, Door, open_door
from tests.tokens import CLIENT_ID, POOL_ID, SUB, Pool

pytest_plugins = ["tests.store_fixtures"]

BROWSER = Path(__file__).parent / "browser"


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the tests that need a browser on this machine."""
    config.addinivalue_line("markers", "browser: needs Chromium; only with -m browser")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out, and what they import, unless they are asked for."""
    return True if collection_path == BROWSER and "browser" not in config.option.markexpr else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    if "browser" not in terminalreporter.config.option.markexpr:
        terminalreporter.write_line("The browser's tests are left out: pytest -m browser runs them")


_connect = socket.socket.connect


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots", metavar="DIR", help="where the browser's tests write the README's pictures"
    )
    parser.addoption(
        "--soak", type=float, metavar="SECONDS", help="length of the gateway's soak (default: 2)"
    )


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


@pytest.fixture(scope="session", autouse=True)
def _main_loop() -> Iterator[None]:
    """Own and close the loop on which the lambda door's events run."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    for each in (loop, getattr(adapter._thread, "loop", loop)):
        each.close()


@pytest.fixture(scope="session")
def pool() -> Pool:
    """Return a user pool's keys."""
    return Pool()


@pytest.fixture(scope="session")
def fetch_keys(pool: Pool) -> Fetch:
    """Return what fetches the pool's key set."""

    async def fetch() -> bytes:
        return json.dumps(pool.jwks).encode()

    return fetch


@pytest.fixture(scope="session")
def make_app(fetch_keys: Fetch) -> MakeApp:
    """Return what builds the app around parts of the test's own."""

    def make_app(
        store: NoteStore | None = None, directory: Directory | None = None, **variables: str
    ) -> FastAPI:
        given = {"cognito_user_pool_id": POOL_ID, "cognito_app_client_id": CLIENT_ID} | variables
        return create_app(
            load_settings(env_file=None, **given),
            store=store,
            directory=directory or FakeDirectory(),
            fetch_keys=fetch_keys,
        )

    return make_app


@pytest.fixture
def make_door(fetch_keys: Fetch) -> Iterator[MakeDoor]:
    """Return what opens doors to an app of the test's own."""
    with ExitStack() as stack:

        def make_door(name: str, app: FastAPI) -> Door:
            door = open_door(name, app, fetch_keys)
            stack.callback(door.shut)
            return door

        yield make_door


written: dict[int, set[str]] = {}
"""Whose notes each shared store may hold since somebody last looked; asking it takes longer."""


def noting(store: Any) -> NoteStore:
    """Let a store note in ``written`` for whom it writes."""
    put, add = store.put, store.add
    owners = written[id(store)] = set()

    def noting_put(note: Note, **options: Any) -> bool:
        owners.add(note.owner)
        created: bool = put(note, **options)
        return created

    def noting_add(owner: str, text: str, **options: Any) -> Note:
        owners.add(owner)
        note: Note = add(owner, text, **options)
        return note

    store.put, store.add = noting_put, noting_add
    noted: NoteStore = store
    return noted


@pytest.fixture(scope="session")
def stages(
    make_app: MakeApp, fetch_keys: Fetch, session_store: Callable[[str], NoteStore]
) -> Iterator[Callable[[str], Stage]]:
    """Return the stage of each kind of store."""
    made: dict[str, Stage] = {}

    def stage(kind: str) -> Stage:
        if kind not in made:
            store, directory = noting(session_store(kind)), FakeDirectory()
            app = make_app(store, directory)
            doors = {name: open_door(name, app, fetch_keys) for name in DOORS}
            made[kind] = Stage(app, store, directory, doors)
        return made[kind]

    yield stage
    for each in made.values():
        for door in each.doors.values():
            door.shut()


@pytest.fixture(params=["sqlite", "dynamodb"])
def stage(request: pytest.FixtureRequest, stages: Callable[[str], Stage]) -> Stage:
    """Return the app on each store in turn, without notes of ``student``."""
    stage = stages(request.param)
    owners = written.get(id(stage.store), {"student"})  # a store that is not noted: nobody knows
    if "student" in owners:
        owners.discard("student")
        while notes := stage.store.page("student", after=None, limit=1000).notes:
            for note in notes:
                stage.store.delete("student", note.id)
    stage.directory.down = False
    stage.directory.users = {
        "student": {"sub": SUB, "email": "s@example.com", "nickname": "Stu"},
    }
    return stage


@pytest.fixture
def app(stage: Stage) -> FastAPI:
    """Return the app, on each store in turn. Others use it too: leave it as it is."""
    return stage.app


@pytest.fixture
def directory(stage: Stage) -> FakeDirectory:
    """Return the users whom /userinfo knows."""
    return stage.directory


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> str:
    """Return the name of the door under test."""
    return str(request.param)


@pytest.fixture
def client(door: str, stage: Stage) -> Iterator[httpx2.Client]:
    """Return a client without a token, at each door in turn."""
    with stage.doors[door].client() as client:
        yield client


@pytest.fixture(scope="session")
def students_token(pool: Pool) -> str:
    """Return an ID token that all tests share: signing one takes as long as a request."""
    return pool.id_token()


@pytest.fixture
def sign_in(door: str, stage: Stage, pool: Pool, students_token: str) -> Iterator[SignIn]:
    """Return what signs a user in at the door under test."""
    with ExitStack() as stack:

        def sign_in(name: str = "") -> httpx2.Client:
            name = name or f"user-{uuid.uuid4()}"
            token = students_token
            if name != "student":
                token = pool.id_token(**{"cognito:username": name})
            return stack.enter_context(stage.doors[door].client(token))

        yield sign_in


@pytest.fixture
def student(sign_in: SignIn) -> httpx2.Client:
    """Return a client with the token of ``student``."""
    return sign_in("student")
