"""Both stores, ready to use by any test: ``store``, ``store_place`` and their single halves.

``--dynamodb-endpoint URL`` runs the DynamoDB half against another implementation than moto.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from moto.dynamodb.models import DynamoDBBackend
from moto.server import ThreadedMotoServer

from app.store import DynamoNotes, NoteStore, SqliteNotes, open_store

REGION = "eu-central-1"


class StorePlace(NamedTuple):
    """What settings need to know: NOTES_STORE, AWS_ENDPOINT_URL_DYNAMODB and AWS_REGION."""

    url: str
    endpoint_url: str
    region: str = REGION


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--dynamodb-endpoint",
        metavar="URL",
        help="run the DynamoDB tests against this endpoint (default: moto, started here)",
    )


@pytest.fixture(scope="session")
def dynamodb_endpoint(request: pytest.FixtureRequest, _no_network: None) -> Iterator[str]:
    """The URL of a DynamoDB: one server for the whole session."""
    given = request.config.getoption("--dynamodb-endpoint")
    if given:
        yield str(given)
        return
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line per request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    with one_write_at_a_time():
        yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@contextmanager
def one_write_at_a_time() -> Iterator[None]:
    """Make moto's writes atomic, as DynamoDB's are.

    moto looks at the condition, and then writes; another of its server's threads may come between,
    and two writers that both require that there is no such item both succeed.
    """
    lock = threading.RLock()

    def atomic(write: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(write)
        def locked(*args: Any, **kwargs: Any) -> Any:
            with lock:
                return write(*args, **kwargs)

        return locked

    with pytest.MonkeyPatch.context() as patch:
        for name in ("put_item", "update_item", "delete_item", "transact_write_items"):
            patch.setattr(DynamoDBBackend, name, atomic(getattr(DynamoDBBackend, name)))
        yield


class SharedSession:
    """That session to the app, which may do with its own as it likes."""

    def __init__(self, session: boto3.session.Session) -> None:
        self._session = session._session

    def get_component(self, name: str) -> Any:
        return copy(self._session.get_component(name))

    def create_client(self, *args: Any, **kwargs: Any) -> Any:
        return self._session.create_client(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)  # moto, in this process, uses it too


@pytest.fixture(scope="session")
def aws_session(_no_network: None) -> boto3.session.Session:
    """One session for all tests: each new one reads its data files for a tenth of a second."""
    return boto3.session.Session()


@pytest.fixture
def one_session(aws_session: boto3.session.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stores use that session instead of making their own."""
    monkeypatch.setattr("botocore.session.get_session", lambda: SharedSession(aws_session))


@pytest.fixture(scope="session")
def dynamodb(aws_session: boto3.session.Session, dynamodb_endpoint: str) -> Iterator[Any]:
    """A client that looks behind the store's back."""
    client = aws_session.client("dynamodb", region_name=REGION, endpoint_url=dynamodb_endpoint)
    yield client
    client.close()


@pytest.fixture
def dynamodb_table(
    request: pytest.FixtureRequest, dynamodb: Any, one_session: None
) -> Iterator[str]:
    """The name of an empty table, for one test."""
    name = create_table(dynamodb)
    yield name
    if request.config.getoption("--dynamodb-endpoint"):  # moto's tables end with the session
        dynamodb.delete_table(TableName=name)


def create_table(dynamodb: Any) -> str:
    """Make an empty table as PollyNotes made its own; return its name."""
    name = f"Notes-{uuid.uuid4()}"
    made = dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[
            {"AttributeName": "UserId", "AttributeType": "S"},
            {"AttributeName": "NoteId", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "UserId", "KeyType": "HASH"},
            {"AttributeName": "NoteId", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    if made["TableDescription"]["TableStatus"] != "ACTIVE":  # as it is at once in moto
        dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return name


@pytest.fixture(scope="session")
def session_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], NoteStore]]:
    """What opens the one store of a kind that tests of the API share, each with its own owners."""
    opened: list[NoteStore] = []

    def open_one(kind: str) -> NoteStore:
        if kind == "sqlite":
            opened.append(SqliteNotes(tmp_path_factory.mktemp("store") / "notes.db"))
        else:
            table = create_table(request.getfixturevalue("dynamodb"))
            endpoint_url = request.getfixturevalue("dynamodb_endpoint")
            opened.append(DynamoNotes(table, region=REGION, endpoint_url=endpoint_url))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture(params=["sqlite", "dynamodb"])
def store_place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """Where an empty store is: an own file, an own table. Runs the test twice."""
    if request.param == "sqlite":
        return StorePlace(f"sqlite:///{tmp_path / 'notes.db'}", "")
    endpoint_url = request.getfixturevalue("dynamodb_endpoint")
    return StorePlace(f"dynamodb://{request.getfixturevalue('dynamodb_table')}", endpoint_url)


@pytest.fixture
def store(store_place: StorePlace) -> Iterator[NoteStore]:
    """An empty store, once of each kind."""
    opened = open_store(
        store_place.url, region=store_place.region, endpoint_url=store_place.endpoint_url
    )
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteNotes]:
    """An empty SQLite store."""
    opened = SqliteNotes(tmp_path / "notes.db")
    yield opened
    opened.close()


@pytest.fixture
def dynamodb_store(dynamodb_endpoint: str, dynamodb_table: str) -> Iterator[DynamoNotes]:
    """An empty DynamoDB store."""
    opened = DynamoNotes(dynamodb_table, region=REGION, endpoint_url=dynamodb_endpoint)
    yield opened
    opened.close()
