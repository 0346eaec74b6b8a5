"""What only DynamoDB can do to us: rows of another program, lost answers, throttling."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from app.store import (
    ALWAYS,
    MAX_NOTE_ID,
    Condition,
    ConditionFailed,
    DynamoNotes,
    Note,
    StoreUnavailable,
    new_version,
    now,
)
from app.store import dynamodb as module
from app.store.dynamodb_rows import key
from tests.store.endpoints import Act, Endpoint, Refuse, endpoint
from tests.store_fixtures import REGION, SharedSession

ABSENT = Condition(absent=True)
THROTTLED = Refuse("ProvisionedThroughputExceededException")
BROKEN = Refuse("InternalServerError", 500)


def a_note(note_id: int = 1, text: str = "text") -> Note:
    return Note("student", note_id, text, now(), new_version())


def add(store: DynamoNotes) -> Note:
    return store.add("student", "text", updated_at=now(), version=new_version())


def versions(*wanted: str) -> Condition:
    return Condition(versions=frozenset(wanted))


@pytest.fixture
def front(dynamodb_endpoint: str) -> Iterator[Endpoint]:
    with endpoint(dynamodb_endpoint) as front:
        yield front


@pytest.fixture
def store(front: Endpoint, dynamodb_table: str) -> Iterator[DynamoNotes]:
    store = DynamoNotes(dynamodb_table, region=REGION, endpoint_url=front.url)
    yield store
    store.close()


CALLS: dict[str, Callable[[DynamoNotes], object]] = {
    "get": lambda store: store.get("student", 1),
    "page": lambda store: store.page("student", after=None, limit=100),
    "search": lambda store: store.search("student", "x", after=None, limit=100),
    "put": lambda store: store.put(a_note()),
    "add": add,
    "delete": lambda store: store.delete("student", 1),
}


@pytest.mark.parametrize(
    ("call", "requests"),
    [
        ("get", ["GetItem"]),
        ("page", ["Query"]),
        ("search", ["Query"]),
        ("put", ["PutItem"]),
        ("add", ["Query", "PutItem"]),
        ("delete", ["DeleteItem"]),
    ],
)
def test_a_call_is_a_request(
    store: DynamoNotes, front: Endpoint, call: str, requests: list[str]
) -> None:
    for n in range(3):
        store.put(a_note(n))
    front.calls.clear()
    CALLS[call](store)
    assert front.calls == requests


@pytest.mark.parametrize("condition", [ABSENT, versions("0"), Condition(present=True)])
def test_a_condition_costs_no_request(
    store: DynamoNotes, front: Endpoint, condition: Condition
) -> None:
    if condition == ABSENT:
        store.put(a_note())
        front.calls.clear()
    with pytest.raises(ConditionFailed):
        store.put(a_note(), condition=condition)
    assert front.calls == ["PutItem"]


def test_a_full_page_is_one_query(store: DynamoNotes, front: Endpoint) -> None:
    for n in range(9):
        store.put(a_note(n, "x" * 100 * 1024))
    front.calls.clear()
    assert store.page("student", after=None, limit=1000).after == 6
    assert front.calls == ["Query"]


# What PollyNotes left in the table.


def legacy(dynamodb: Any, table: str, note_id: int | str = 1, text: str = "old") -> str:
    """Write a row as PollyNotes does; return the version it is read with."""
    dynamodb.put_item(
        TableName=table,
        Item={"UserId": {"S": "student"}, "NoteId": {"N": str(note_id)}, "Note": {"S": text}},
    )
    return "p" + hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_row_of_pollynotes_is_a_note(
    store: DynamoNotes, dynamodb: Any, dynamodb_table: str
) -> None:
    version = legacy(dynamodb, dynamodb_table)
    note = Note("student", 1, "old", datetime(1970, 1, 1, tzinfo=UTC), version)
    assert store.get("student", 1) == note
    assert store.page("student", after=None, limit=9).notes == [note]
    assert store.search("student", "OLD", after=None, limit=9).notes == [note]
    assert add(store).id == 2


@pytest.mark.parametrize(
    ("make", "holds"),
    [
        (lambda _: ALWAYS, True),
        (lambda _: ABSENT, False),
        (lambda _: Condition(present=True), True),
        (lambda version: versions(version), True),
        (lambda version: versions(version, "0"), True),
        (lambda _: versions("p0"), False),
        (lambda _: versions("0"), False),
    ],
    ids=["always", "absent", "present", "its version", "one of", "another", "none of a row's"],
)
@pytest.mark.parametrize("deleting", [False, True], ids=["put", "delete"])
def test_a_row_of_pollynotes_is_written_under_its_condition(
    store: DynamoNotes,
    dynamodb: Any,
    dynamodb_table: str,
    make: Callable[[str], Condition],
    holds: bool,
    deleting: bool,
) -> None:
    condition = make(legacy(dynamodb, dynamodb_table))
    old, new = store.get("student", 1), a_note(text="new")

    def write() -> bool:
        if deleting:
            return store.delete("student", 1, condition=condition)
        return store.put(new, condition=condition)

    if holds:
        assert write() is deleting
        assert store.get("student", 1) == (None if deleting else new)
    else:
        with pytest.raises(ConditionFailed):
            write()
        assert store.get("student", 1) == old


def test_a_row_of_pollynotes_that_changes_meanwhile_is_not_overwritten(
    store: DynamoNotes, dynamodb: Any, dynamodb_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = legacy(dynamodb, dynamodb_table)
    read = module._get

    def read_then_change(*arguments: Any) -> Any:
        row = read(*arguments)
        legacy(dynamodb, dynamodb_table, text="changed")
        return row

    monkeypatch.setattr(module, "_get", read_then_change)
    with pytest.raises(ConditionFailed):
        store.put(a_note(), condition=versions(version))
    legacy(dynamodb, dynamodb_table)
    with pytest.raises(ConditionFailed):
        store.delete("student", 1, condition=versions(version))


def test_ids_that_no_route_accepts_are_passed_over(
    store: DynamoNotes, dynamodb: Any, dynamodb_table: str
) -> None:
    for note_id in (-5, 3, MAX_NOTE_ID + 1, 10**30):
        legacy(dynamodb, dynamodb_table, note_id)
    page = store.page("student", after=None, limit=10)
    assert ([note.id for note in page.notes], page.after) == ([3], None)
    assert add(store).id == 4


def test_a_row_without_text_is_an_empty_note(
    store: DynamoNotes, dynamodb: Any, dynamodb_table: str
) -> None:
    dynamodb.put_item(
        TableName=dynamodb_table, Item={"UserId": {"S": "student"}, "NoteId": {"N": "1"}}
    )
    found = store.get("student", 1)
    assert found is not None
    assert found.text == ""
    with pytest.raises(ConditionFailed):
        store.put(a_note(), condition=versions(found.version))
    assert store.put(a_note()) is False


# Trouble that passes.


@pytest.mark.parametrize(
    "trouble",
    [Act.LOSE, BROKEN, THROTTLED, Refuse("ThrottlingException"), Refuse("RequestLimitExceeded")],
    ids=str,
)
@pytest.mark.parametrize("call", CALLS)
def test_passing_trouble_is_not_seen(
    store: DynamoNotes, front: Endpoint, call: str, trouble: Act | Refuse
) -> None:
    front.script = [trouble]
    CALLS[call](store)
    assert front.script == []


@pytest.mark.parametrize("trouble", [Act.LOSE, BROKEN, THROTTLED], ids=str)
def test_a_write_whose_answer_was_lost_is_known_to_be_ours(
    store: DynamoNotes, front: Endpoint, trouble: Act | Refuse
) -> None:
    first, second = a_note(text="first"), a_note(text="second")
    front.script = [trouble]
    assert store.put(first, condition=ABSENT) is True
    front.script = [trouble]
    assert store.put(second, condition=versions(first.version)) is False
    assert store.get("student", 1) == second
    front.script = [Act.FORWARD, trouble]
    assert add(store).id == 2
    assert len(store.page("student", after=None, limit=10).notes) == 2
    front.script = [trouble]
    assert store.delete("student", 1, condition=versions(second.version)) is True
    front.script = [trouble]
    assert store.delete("student", 2) is True


def test_a_lost_answer_does_not_make_another_write_ours(
    store: DynamoNotes, front: Endpoint
) -> None:
    existing = a_note()
    store.put(existing)
    for condition in (ABSENT, versions("0")):
        front.script = [Act.LOSE]
        with pytest.raises(ConditionFailed):
            store.put(a_note(), condition=condition)
    front.script = [Act.LOSE]
    with pytest.raises(ConditionFailed):
        store.delete("student", 1, condition=versions("0"))
    assert store.get("student", 1) == existing


def test_only_a_lost_answer_makes_a_missing_note_deleted(
    store: DynamoNotes, front: Endpoint
) -> None:
    front.script = [THROTTLED]
    assert store.delete("student", 1) is False
    front.script = [Act.LOSE]
    assert store.delete("student", 1, condition=ABSENT) is False


def test_a_lost_read_does_not_make_a_missing_note_deleted(
    store: DynamoNotes,
    front: Endpoint,
    dynamodb: Any,
    dynamodb_table: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = legacy(dynamodb, dynamodb_table)
    read = module._get

    def read_then_delete(*arguments: Any) -> Any:
        row = read(*arguments)
        dynamodb.delete_item(TableName=dynamodb_table, Key=key("student", 1))
        return row

    monkeypatch.setattr(module, "_get", read_then_delete)
    front.script = [Act.LOSE]
    with pytest.raises(ConditionFailed):
        store.delete("student", 1, condition=versions(version))


def test_a_search_that_runs_out_of_time_says_where_to_go_on(
    store: DynamoNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(8):
        store.put(a_note(n, "x" * 256 * 1024))
    store.put(a_note(8, "needle"))
    monkeypatch.setattr("app.store.dynamodb._SECONDS", 2.4)  # no time for a second request
    stops, after = [], None
    while True:
        page = store.search("student", "needle", after=after, limit=5)
        if page.after is None:
            break
        after = page.after
        stops.append(after)
    assert [note.id for note in page.notes] == [8]
    assert stops
    assert stops == sorted(set(stops))


def test_adding_gives_up_when_others_are_always_faster(
    store: DynamoNotes, front: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = module._put
    taken = []

    def faster(call: Any, note: Note, condition: Condition) -> bool:
        with monkeypatch.context() as undone:
            undone.setattr(module, "_put", write)
            store.put(a_note(note.id, "theirs"))
        taken.append(note.id)
        return write(call, note, condition)

    monkeypatch.setattr(module, "_SECONDS", 2.6)
    monkeypatch.setattr(module, "_put", faster)
    with pytest.raises(StoreUnavailable):
        add(store)
    assert taken == list(range(1, len(taken) + 1))
    page = store.page("student", after=None, limit=1000)
    assert {note.text for note in page.notes} == {"theirs"}


# Trouble that stays: 503 within seconds, and one line for the operator.


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def refusal(store: DynamoNotes, call: str) -> tuple[str, float]:
    """Return what the call says when it fails, and after how many seconds."""
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        CALLS[call](store)
    store.close()
    return str(caught.value), time.monotonic() - begin


@pytest.mark.usefixtures("one_session")
@pytest.mark.parametrize("call", ["put", "page"])
def test_an_unreachable_endpoint_is_given_up(
    closed_port: str, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    reason, seconds = refusal(DynamoNotes("Notes", region=REGION, endpoint_url=closed_port), call)
    assert seconds < 4
    assert "DynamoDB table Notes: Could not connect" in reason
    assert [record.message for record in caplog.records if record.name == "app.store"] == [reason]


@pytest.mark.usefixtures("one_session")
@pytest.mark.parametrize("call", ["add", "search"])
def test_a_silent_endpoint_is_given_up(call: str) -> None:
    with endpoint(default=Act.STALL) as silent:
        store = DynamoNotes("Notes", region=REGION, endpoint_url=silent.url)
        reason, seconds = refusal(store, call)
        assert seconds < 4
        assert len(silent.calls) == 2
    assert "Read timeout" in reason


@pytest.mark.usefixtures("one_session")
@pytest.mark.parametrize("trouble", [THROTTLED, BROKEN], ids=str)
def test_an_overloaded_endpoint_is_given_up(trouble: Refuse) -> None:
    with endpoint(default=trouble) as overloaded:
        store = DynamoNotes("Notes", region=REGION, endpoint_url=overloaded.url)
        reason, seconds = refusal(store, "put")
        assert seconds < 4
        assert len(overloaded.calls) > 2
    assert trouble.code in reason


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "UnrecognizedClientException", "ResourceNotFoundException"]
)
def test_what_no_retry_mends_is_given_up_at_once(
    store: DynamoNotes, front: Endpoint, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    front.default = Refuse(code)
    for call in CALLS:
        front.calls.clear()
        with pytest.raises(StoreUnavailable, match=code):
            CALLS[call](store)
        assert len(front.calls) == 1
    lines = [record for record in caplog.records if record.name == "app.store"]
    assert len(lines) == 1
    assert lines[0].exc_info is None


@pytest.mark.usefixtures("one_session")
@pytest.mark.parametrize("call", CALLS)
def test_a_missing_table_is_named(
    dynamodb_endpoint: str, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = DynamoNotes("Nowhere", region=REGION, endpoint_url=dynamodb_endpoint)
    reason, _ = refusal(store, call)
    assert "DynamoDB table Nowhere" in reason
    assert "ResourceNotFoundException" in reason


@pytest.mark.usefixtures("one_session")
@pytest.mark.parametrize("call", CALLS)
def test_a_table_with_another_key_is_refused(
    dynamodb: Any, dynamodb_endpoint: str, call: str
) -> None:
    dynamodb.create_table(
        TableName="Other",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    try:
        store = DynamoNotes("Other", region=REGION, endpoint_url=dynamodb_endpoint)
        reason, _ = refusal(store, call)
        assert "ValidationException" in reason
    finally:
        dynamodb.delete_table(TableName="Other")


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch, closed_port: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    store = DynamoNotes("Notes", region=REGION, endpoint_url=closed_port)
    assert "Unable to locate credentials" in refusal(store, "get")[0]


def test_threads_share_one_client(
    store: DynamoNotes, aws_session: boto3.session.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = []

    def session() -> Any:
        sessions.append(1)
        time.sleep(0.05)
        return SharedSession(aws_session)

    monkeypatch.setattr("botocore.session.get_session", session)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda n: store.get("student", n), range(8))) == [None] * 8
    assert len(sessions) == 1
