"""The promise kept by SQLite: one file, and a write is on the disk when its call returns."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from app.store.base import (
    ALWAYS,
    MAX_NOTE_ID,
    SEARCH_ROWS,
    Condition,
    ConditionFailed,
    Note,
    Page,
)
from app.store.complaints import Complaints
from app.store.paging import take
from app.store.sqlite_file import COLUMNS, connect, create_or_open

T = TypeVar("T")

_READERS = 4  # connections of a kind; more would only take turns on the interpreter's lock

_ONE = f"{COLUMNS} WHERE user_id = ? AND note_id = ?"
_MANY = f"{COLUMNS} WHERE user_id = ? AND note_id > ? ORDER BY note_id LIMIT ?"
_VERSION = "SELECT version FROM notes WHERE user_id = ? AND note_id = ?"
_PUT = "REPLACE INTO notes (user_id, note_id, note, updated_at, version) VALUES (?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM notes WHERE user_id = ? AND note_id = ?"
_HIGHEST = "SELECT max(note_id) FROM notes WHERE user_id = ?"
_HIGHEST_FREE = """
SELECT note_id - 1 FROM notes AS taken WHERE user_id = ?1 AND NOT EXISTS
    (SELECT 1 FROM notes WHERE user_id = ?1 AND note_id = taken.note_id - 1)
ORDER BY note_id DESC LIMIT 1
"""


class SqliteNotes:
    """The notes in one SQLite file, which is created when missing (its folder is not).

    Any number of threads and processes may use the same file. Reads never wait for writes.

    Raises:
        StoreUnusable: the file is not ours or cannot be used; the message names it.
    """

    reads_at_once = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # Absolute, so that no later chdir and no special name (":memory:") leads elsewhere.
        self._path = Path(os.path.abspath(path))
        self._complaints = Complaints(str(self._path))
        self._writer = create_or_open(self._path)
        self._writing = threading.Lock()
        self._waiting: deque[_Write[Any]] = deque()
        self._readers = _slots()
        self._searchers = _slots()  # their own, so that a quick read never waits for a search

    def get(self, owner: str, note_id: int) -> Note | None:
        """Return the owner's note, or None."""
        with self._reader(self._readers) as db:
            row = db.execute(_ONE, (owner, note_id)).fetchone()
        return row and _note(row)

    def page(self, owner: str, *, after: int | None, limit: int) -> Page:
        """Return the notes behind ``after``."""
        with self._notes(self._readers, owner, after, limit + 1) as notes:
            return take(notes, limit=limit)

    def search(self, owner: str, text: str, *, after: int | None, limit: int) -> Page:
        """Return the notes behind ``after`` that contain ``text``."""
        with self._notes(self._searchers, owner, after, SEARCH_ROWS + 1) as notes:
            return take(notes, limit=limit, text=text)

    def put(self, note: Note, *, condition: Condition = ALWAYS) -> bool:
        """Write a note whole; return whether it is new."""

        def work(db: sqlite3.Connection) -> bool:
            is_new = not _meets(db, condition, note.owner, note.id)
            db.execute(_PUT, _values(note))
            return is_new

        return self._write(work)

    def add(self, owner: str, text: str, *, updated_at: datetime, version: str) -> Note:
        """Write a note under the next free id."""

        def work(db: sqlite3.Connection) -> Note:
            (highest,) = db.execute(_HIGHEST, (owner,)).fetchone()
            if highest == MAX_NOTE_ID:
                (note_id,) = db.execute(_HIGHEST_FREE, (owner,)).fetchone()
            else:
                note_id = (highest or 0) + 1
            note = Note(owner, note_id, text, updated_at, version)
            db.execute(_PUT, _values(note))
            return note

        return self._write(work)

    def delete(self, owner: str, note_id: int, *, condition: Condition = ALWAYS) -> bool:
        """Delete a note; return whether there was one."""

        def work(db: sqlite3.Connection) -> bool:
            existed = _meets(db, condition, owner, note_id)
            db.execute(_DELETE, (owner, note_id))
            return existed

        return self._write(work)

    def close(self) -> None:
        """Close every connection; calls that come later raise StoreUnavailable."""
        with self._writing:
            self._writer.close()
            for slots in (self._readers, self._searchers):
                for slot in [slots.get() for _ in range(_READERS)]:
                    if slot is not None:
                        slot.close()
                    slots.put(self._writer)  # closed: refuses whoever comes later

    @contextmanager
    def _notes(
        self, slots: _Slots, owner: str, after: int | None, limit: int
    ) -> Iterator[Iterator[Note]]:
        values = (owner, -1 if after is None else after, limit)
        with self._reader(slots) as db, closing(db.execute(_MANY, values)) as rows:
            yield map(_note, rows)

    @contextmanager
    def _reader(self, slots: _Slots) -> Iterator[sqlite3.Connection]:
        slot = slots.get()
        try:
            if slot is None:
                slot = connect(self._path)
            yield slot
        except sqlite3.Error as error:
            raise self._complaints.unavailable(str(error), str(error)) from error
        finally:
            slots.put(slot)

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a transaction that is on the disk when this returns.

        Group commit: whoever gets the lock writes for everybody who waits for it, so that many
        writers share the one slow step, the fsync. ``work`` changes the file by its last
        statement only: one that raises before it leaves nothing behind for the others.
        """
        job = _Write(work)
        self._waiting.append(job)
        with self._writing:
            if not job.taken:
                self._commit([self._waiting.popleft() for _ in range(len(self._waiting))])
        if job.failure is not None:
            raise job.failure
        return job.result

    def _commit(self, jobs: list[_Write[Any]]) -> None:
        for job in jobs:
            job.taken = True
        reason: str | None = "interrupted"
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job in jobs:
                job.run(self._writer)
            self._writer.execute("COMMIT")
            reason = None
        except sqlite3.Error as error:
            reason = str(error)
        finally:
            if reason is not None:
                with suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                for job in jobs:
                    job.failure = self._complaints.unavailable(reason, reason)


_from_seconds = datetime.fromtimestamp  # looked up once and not for each note
_Slots = queue.LifoQueue[sqlite3.Connection | None]


def _slots() -> _Slots:
    slots: _Slots = queue.LifoQueue()
    for _ in range(_READERS):
        slots.put(None)  # connected at its first use
    return slots


class _Write(Generic[T]):
    """One caller's part of a group commit."""

    result: T

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        self.work = work
        self.taken = False
        self.failure: Exception | None = None

    def run(self, db: sqlite3.Connection) -> None:
        try:
            self.result = self.work(db)
        except sqlite3.Error:
            raise  # the transaction is in doubt, for everybody
        except Exception as error:
            self.failure = error


def _meets(db: sqlite3.Connection, condition: Condition, owner: str, note_id: int) -> bool:
    """Return whether the note exists, or raise ConditionFailed."""
    row = db.execute(_VERSION, (owner, note_id)).fetchone()
    if not condition.holds(row and row[0]):
        raise ConditionFailed
    return row is not None


def _values(note: Note) -> tuple[str, int, str, int, str]:
    return note.owner, note.id, note.text, int(note.updated_at.timestamp()), note.version


def _note(row: tuple[str, int, str, int, str]) -> Note:
    owner, note_id, text, updated_at, version = row
    return Note(owner, note_id, text, _from_seconds(updated_at, UTC), version)
