"""The promise kept by DynamoDB: one request for most calls, never a Scan, four seconds at most."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import datetime
from typing import Any

from app.aws import make_client
from app.store.base import (
    ALWAYS,
    MAX_NOTE_ID,
    SEARCH_ROWS,
    Condition,
    ConditionFailed,
    Note,
    Page,
    StoreUnavailable,
)
from app.store.complaints import Complaints
from app.store.dynamodb_rows import (
    Row,
    expression,
    from_note,
    id_of,
    key,
    needs_row,
    to_note,
)
from app.store.paging import take

_SECONDS = 4.0  # for one call of the store, all its requests and retries together
_CONNECT_SECONDS, _READ_SECONDS = 1.0, 1.4
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)


class DynamoNotes:
    """The notes in one DynamoDB table, which must exist (see ``dynamodb_rows`` for its form).

    botocore is imported, and its client made, at the first call or by ``connect``. A request whose
    answer was lost is sent again, and a write that had been carried out all the same is known by
    its version. Two things stay unknowable then: whether an unconditional ``put`` created the note
    (it says: replaced), and who deleted a note that is gone (``delete`` says: we did).
    """

    reads_at_once = False  # each is a request over the network

    def __init__(self, table: str, *, region: str, endpoint_url: str | None) -> None:
        self._table = table
        self._region = region
        self._endpoint_url = endpoint_url or None
        self._complaints = Complaints(f"DynamoDB table {table}")
        self._connecting = threading.Lock()
        self._connected: Any = None

    def get(self, owner: str, note_id: int) -> Note | None:
        """Return the owner's note, or None."""
        row = _get(self._call(), owner, note_id)
        return to_note(row) if row else None

    def page(self, owner: str, *, after: int | None, limit: int) -> Page:
        """Return the notes behind ``after``; fewer when time is short."""
        with closing(_notes(self._call(), owner, after, limit + 1)) as notes:
            return take(notes, limit=limit)

    def search(self, owner: str, text: str, *, after: int | None, limit: int) -> Page:
        """Return the notes behind ``after`` that contain ``text``; fewer when time is short."""
        with closing(_notes(self._call(), owner, after, SEARCH_ROWS + 1)) as notes:
            return take(notes, limit=limit, text=text)

    def put(self, note: Note, *, condition: Condition = ALWAYS) -> bool:
        """Write a note whole; return whether it is new."""
        return _put(self._call(), note, condition)

    def add(self, owner: str, text: str, *, updated_at: datetime, version: str) -> Note:
        """Write a note under the next free id."""
        call = self._call()
        note_id = _next_id(call, owner)
        while True:
            note = Note(owner, note_id, text, updated_at, version)
            try:
                _put(call, note, Condition(absent=True))
            except ConditionFailed:
                # Somebody else took that id just now; so the one above is the next to try, until
                # the call's time is over.
                note_id = note_id + 1 if note_id < MAX_NOTE_ID else _next_id(call, owner)
            else:
                return note

    def delete(self, owner: str, note_id: int, *, condition: Condition = ALWAYS) -> bool:
        """Delete a note; return whether there was one."""
        call = self._call()
        row = _get(call, owner, note_id) if needs_row(condition) else None
        parameters = expression(condition, row) | {"Key": key(owner, note_id)}
        try:
            answer = call.send("delete_item", ReturnValues="ALL_OLD", **parameters)
        except _Refused as refused:
            if call.unsure and not refused.row:
                return True
            raise
        return "Attributes" in answer or (call.unsure and not condition.absent)

    def connect(self) -> None:
        """Do what the first call would have to do first, all but the network's part of it."""
        self._client()

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if self._connected is not None:
            self._connected.close()

    def _call(self) -> _Call:
        return _Call(self._client, self._table, self._complaints)

    def _client(self) -> Any:
        with self._connecting:
            if self._connected is None:
                self._connected = make_client(
                    "dynamodb",
                    region=self._region or None,
                    endpoint_url=self._endpoint_url,
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    attempts=1,  # see _Call
                    connections=50,
                )
            return self._connected


class _Refused(ConditionFailed):
    """A condition failed; ``row`` is what is there, {} if nothing is."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row


class _Call:
    """One call of the store: requests that share a deadline.

    Retries happen here and not in botocore, whose back-off knows no deadline, and which doesn't
    tell a request that was refused from one whose answer was lost. ``unsure``: the last request
    took several attempts, and one before the last may have been carried out.
    """

    def __init__(self, client: Callable[[], Any], table: str, complaints: Complaints) -> None:
        self.unsure = False
        self._client = client
        self._table = table
        self._complaints = complaints
        self._until = time.monotonic() + _SECONDS - _CONNECT_SECONDS - _READ_SECONDS
        self._begun = False
        self._pauses = 0

    def send(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Send one request until it is answered or time is up."""
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

        if self._begun and time.monotonic() > self._until:
            raise StoreUnavailable("no time is left for a further request")
        self._begun = True
        self.unsure = False
        while True:
            try:
                request = getattr(self._client(), operation)
                return request(TableName=self._table, **parameters)  # type: ignore[no-any-return] # untyped
            except ClientError as error:
                kind = error.response["Error"]["Code"]
                if kind == "ConditionalCheckFailedException":
                    raise _Refused(error.response.get("Item", {})) from None
                broke_there = error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
                self.unsure |= broke_there
                again = broke_there or kind in _THROTTLED
                reason = str(error)
                if kind == "ValidationException":  # all we send is valid for a table of ours
                    reason += " (is its key UserId, a string, and NoteId, a number?)"
            except BotoCoreError as error:
                kind = type(error).__name__
                self.unsure |= isinstance(error, HTTPClientError)  # not so ConnectionError
                again = isinstance(error, (HTTPClientError, ConnectionError))
                reason = str(error)
            if not (again and self.pause()):
                raise self._complaints.unavailable(kind, reason)

    def pause(self) -> bool:
        """Wait a little, longer each time; return False if no time is left for another attempt."""
        self._pauses += 1
        jitter = 0.5 + secrets.randbelow(512) / 1024
        seconds = min(0.025 * 2**self._pauses, 0.8) * jitter
        if time.monotonic() + seconds > self._until:
            return False
        time.sleep(seconds)
        return True


def _get(call: _Call, owner: str, note_id: int) -> Row:
    answer = call.send("get_item", Key=key(owner, note_id), ConsistentRead=True)
    return answer.get("Item", {})  # type: ignore[no-any-return] # untyped


def _notes(call: _Call, owner: str, after: int | None, limit: int) -> Generator[Note, None, None]:
    first = 0 if after is None else after + 1
    if first <= MAX_NOTE_ID:  # BETWEEN refuses bounds in the wrong order
        yield from map(to_note, _query(call, owner, first, Limit=limit))


def _put(call: _Call, note: Note, condition: Condition) -> bool:
    row = _get(call, note.owner, note.id) if needs_row(condition) else None
    parameters = expression(condition, row) | {"Item": from_note(note)}
    try:
        answer = call.send("put_item", ReturnValues="ALL_OLD", **parameters)
    except _Refused as refused:
        if refused.row.get("Version") == {"S": note.version}:  # our own, its answer was lost
            return condition.absent
        raise
    return "Attributes" not in answer


def _next_id(call: _Call, owner: str) -> int:
    downwards: dict[str, Any] = {"ScanIndexForward": False, "ProjectionExpression": "NoteId"}
    highest = next(_query(call, owner, 0, Limit=1, **downwards), None)
    if highest is None:
        return 1
    free = id_of(highest) + 1
    if free > MAX_NOTE_ID:
        free = MAX_NOTE_ID
        with closing(_query(call, owner, 0, **downwards)) as rows:
            for row in rows:
                if id_of(row) != free:
                    break
                free -= 1
    return free


def _query(call: _Call, owner: str, first: int, **parameters: Any) -> Generator[Row, None, None]:
    while True:
        answer = call.send(
            "query",
            KeyConditionExpression="UserId = :owner AND NoteId BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":owner": {"S": owner},
                ":first": {"N": str(first)},
                ":last": {"N": str(MAX_NOTE_ID)},
            },
            ConsistentRead=True,
            **parameters,
        )
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
