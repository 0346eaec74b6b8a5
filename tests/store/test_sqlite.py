"""What only a file can do to us: killed writers, locks, full disks, files of others."""

from __future__ import annotations

import queue
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from app.store import (
    Condition,
    ConditionFailed,
    Note,
    SqliteNotes,
    StoreUnavailable,
    StoreUnusable,
    new_version,
    now,
    sqlite_file,
)
from app.store import sqlite as module


def a_note(note_id: int = 1, text: str = "text") -> Note:
    return Note("student", note_id, text, now(), new_version())


def add(store: SqliteNotes) -> Note:
    return store.add("student", "text", updated_at=now(), version=new_version())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def bare(path: Path, sqlite_store: SqliteNotes) -> Iterator[sqlite3.Connection]:
    """Another connection to the store's file, as another process has it."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as bare:
        yield bare


WRITER = """
import os, sys, threading
from app.store import SqliteNotes, new_version, now
store = SqliteNotes(sys.argv[1])
def write(owner):
    for _ in range(int(sys.argv[2])):
        note = store.add(owner, "text", updated_at=now(), version=new_version())
        os.write(1, f"{owner} {note.id}\\n".encode())
threads = [threading.Thread(target=write, args=(owner,)) for owner in sys.argv[3:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
"""


def writer(path: Path, count: int, *owners: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(path), str(count), *owners]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_every_acknowledged_note_survives_a_kill(path: Path) -> None:
    chance = random.Random(5)  # noqa: S311 -- delays, no secrets
    for kill in range(20):
        owners = (f"{kill} a", f"{kill} b")
        with writer(path, 10_000, *owners) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(chance.random() / 20)
            process.kill()
            lines = (first + process.stdout.read()).split("\n")[:-1]  # the last may be torn
        acknowledged = {tuple(line.rsplit(" ", 1)) for line in lines}
        with closing(SqliteNotes(path)) as store:
            kept = {
                (owner, str(note.id))
                for owner in owners
                for note in store.page(owner, after=None, limit=100_000).notes
            }
            assert acknowledged
            assert acknowledged <= kept
            assert len(kept) <= len(acknowledged) + len(owners)
    with closing(sqlite3.connect(path)) as bare:
        assert bare.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_processes_open_a_new_file_together_and_share_it(path: Path) -> None:
    processes = [writer(path, 20, "student") for _ in range(4)]
    lines = [process.communicate()[0].split("\n")[:-1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(sum(lines, [])) == sorted(f"student {n}" for n in range(1, 81))


def test_threads_open_a_new_file_together(tmp_path: Path) -> None:
    for n in range(10):
        barrier = threading.Barrier(8)

        def opened(path: Path, barrier: threading.Barrier = barrier) -> int:
            barrier.wait()
            with closing(SqliteNotes(path)) as store:
                return add(store).id

        with ThreadPoolExecutor(8) as threads:
            ids = list(threads.map(opened, [tmp_path / f"{n}.db"] * 8))
        assert sorted(ids) == list(range(1, 9))


# Files that are not a store.


def a_newer_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as bare:
        bare.execute("PRAGMA user_version = 2")


def anothers_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as bare:
        bare.execute("CREATE TABLE other (x)")


def anothers_file_with_our_number(path: Path) -> None:
    with closing(sqlite3.connect(path)) as bare:
        bare.execute("CREATE TABLE notes (x)")
        bare.execute("PRAGMA user_version = 1")


def a_corrupt_file(path: Path) -> None:
    SqliteNotes(path).close()
    content = bytearray(path.read_bytes())
    content[100:] = b"\xa5" * (len(content) - 100)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (a_newer_file, "newer version"),
        (anothers_file, "another program"),
        (anothers_file_with_our_number, "no such column"),
        (a_corrupt_file, "malformed"),
        (lambda path: path.write_text("Dear diary, " * 99), "not a database"),
        (lambda path: path.symlink_to(path), "Too many levels|unable to open"),
    ],
    ids=["folder", "newer", "another's", "another's one", "corrupt", "text", "symlink loop"],
)
def test_what_is_not_a_store_is_refused_and_left_alone(
    path: Path, make: object, reason: str
) -> None:
    assert callable(make)
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreUnusable, match=reason) as caught:
        SqliteNotes(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("missing/notes.db", "there is no folder .*missing"),
        ("file/notes.db", "there is no folder .*file"),
        ("/proc/notes.db", "unable to open"),
    ],
)
def test_a_place_that_cannot_hold_a_store_is_named(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusable, match=reason):
        SqliteNotes(tmp_path / place)
    assert not (tmp_path / "missing").exists()


def test_a_file_system_without_shared_memory_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file system that cannot hold a write-ahead log answers with another journal mode.
    elsewhere = sqlite3.connect(":memory:", isolation_level=None)
    monkeypatch.setattr(sqlite_file, "connect", lambda *_: elsewhere)
    with pytest.raises(StoreUnusable, match=r"cannot be a write-ahead log here \(got memory\)"):
        SqliteNotes(path)


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    SqliteNotes(path).close()
    with closing(sqlite3.connect(path)) as bare:
        assert bare.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert bare.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_file_that_another_holds_is_not_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.sqlite_file.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as bare:
        bare.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnusable, match="locked"):
            SqliteNotes(path)
        bare.execute("ROLLBACK")
    SqliteNotes(path).close()


def test_a_new_file_that_another_reads_is_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as bare:
        bare.execute("BEGIN")
        bare.execute("SELECT * FROM sqlite_master").fetchall()
        release = threading.Timer(0.2, bare.execute, ["ROLLBACK"])
        release.start()
        SqliteNotes(path).close()
        release.join()


def test_a_lost_race_for_the_journal_is_run_again(path: Path) -> None:
    # Of processes that open a new file together, about one in a thousand loses it.
    lost = sqlite3.OperationalError("database is locked")
    lost.sqlite_errorcode = sqlite3.SQLITE_BUSY
    db = Mock()
    db.execute.side_effect = [lost, Mock(fetchone=lambda: ("wal",))]
    sqlite_file._use_wal(db, path)
    assert db.execute.call_count == 2


def test_a_commit_reaches_the_disk_before_its_call_returns(sqlite_store: SqliteNotes) -> None:
    # Killing a process does not show this, only a power cut would: 2 is FULL.
    assert sqlite_store._writer.execute("PRAGMA synchronous").fetchone() == (2,)


# Trouble while running.


def test_reads_do_not_wait_for_a_writer_and_writes_not_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.sqlite_file.BUSY_SECONDS", 0.1)
    with closing(SqliteNotes(path)) as store, closing(sqlite3.connect(path)) as bare:
        note = add(store)
        bare.execute("BEGIN IMMEDIATE")
        assert store.get("student", 1) == note
        assert store.page("student", after=None, limit=5).notes == [note]
        with pytest.raises(StoreUnavailable, match="locked"):
            add(store)
        with pytest.raises(StoreUnavailable, match="locked"):
            store.delete("student", 1)
        bare.rollback()
        assert add(store).id == 2


def test_a_full_disk_leaves_nothing_half_written(sqlite_store: SqliteNotes) -> None:
    kept = add(sqlite_store)
    sqlite_store._writer.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StoreUnavailable, match="full"):
        sqlite_store.put(a_note(1, "x" * 200_000))
    assert sqlite_store.get("student", 1) == kept
    sqlite_store._writer.execute("PRAGMA max_page_count = 2000")
    assert sqlite_store.put(a_note(1, "x" * 200_000)) is False


def test_a_file_that_was_removed_is_not_an_empty_store(
    sqlite_store: SqliteNotes, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(sqlite_store)
    for file in path.parent.iterdir():
        file.unlink()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="unable to open"):
            sqlite_store.get("student", 1)
    assert [record.message for record in caplog.records] == [
        f"{path}: unable to open database file"
    ]


def test_a_closed_store_answers_nothing(path: Path) -> None:
    store = SqliteNotes(path)
    add(store)
    store.get("student", 1)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        add(store)
    for _ in range(5):
        with pytest.raises(StoreUnavailable, match="closed"):
            store.get("student", 1)
    assert [file.name for file in path.parent.iterdir()] == ["notes.db"]  # no -wal, no -shm


def test_readers_are_few(sqlite_store: SqliteNotes, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(path: Path) -> sqlite3.Connection:
        made.append(path)
        return sqlite_file.connect(path)

    monkeypatch.setattr(module, "connect", counted)
    with ThreadPoolExecutor(32) as threads:
        wait([threads.submit(sqlite_store.get, "student", n) for n in range(500)])
    assert 1 <= len(made) <= 4


def test_a_page_is_found_by_its_key(bare: sqlite3.Connection) -> None:
    plan = bare.execute(f"EXPLAIN QUERY PLAN {module._MANY}", ("student", 5, 10)).fetchall()
    assert [step[3] for step in plan] == [
        "SEARCH notes USING PRIMARY KEY (user_id=? AND note_id>?)"
    ]


# Group commit.


def test_writers_that_wait_share_a_commit(
    sqlite_store: SqliteNotes, bare: sqlite3.Connection
) -> None:
    statements: queue.SimpleQueue[str] = queue.SimpleQueue()
    sqlite_store._writer.set_trace_callback(statements.put)
    queued = threading.Semaphore(0)

    class Watched(deque[Any]):
        def append(self, job: object) -> None:
            super().append(job)
            queued.release()

    sqlite_store._waiting = Watched()
    never = Condition(versions=frozenset({"0"}))
    bare.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(sqlite_store.put, a_note(0))
        queued.acquire()
        assert statements.get(timeout=5) == "BEGIN IMMEDIATE"
        others = [threads.submit(sqlite_store.put, a_note(n)) for n in range(1, 8)]
        refused = threads.submit(sqlite_store.put, a_note(8), condition=never)
        for _ in range(8):
            queued.acquire()
        bare.execute("ROLLBACK")
        assert first.result() is True
        assert [other.result() for other in others] == [True] * 7
        with pytest.raises(ConditionFailed):
            refused.result()
    assert [statements.get() for _ in range(statements.qsize())].count("COMMIT") == 2
    page = sqlite_store.page("student", after=None, limit=10)
    assert [note.id for note in page.notes] == list(range(8))


def test_nobody_is_told_of_a_write_whose_commit_failed(sqlite_store: SqliteNotes) -> None:
    sqlite_store._writer.execute("PRAGMA max_page_count = 20")
    jobs: list[module._Write[Any]] = [
        module._Write(lambda db: db.execute(module._PUT, module._values(a_note(1)))),
        module._Write(lambda db: db.execute(module._PUT, module._values(a_note(2, "x" * 10**6)))),
    ]
    sqlite_store._commit(jobs)
    assert [type(job.failure) for job in jobs] == [StoreUnavailable] * 2
    assert sqlite_store.get("student", 1) is None


def test_an_interrupt_leaves_nothing_behind(
    sqlite_store: SqliteNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    jobs: list[module._Write[Any]] = [
        module._Write(lambda db: db.execute(module._PUT, module._values(a_note()))),
        module._Write(interrupted),
    ]
    with pytest.raises(KeyboardInterrupt):
        sqlite_store._commit(jobs)
    assert [type(job.failure) for job in jobs] == [StoreUnavailable] * 2
    assert sqlite_store.get("student", 1) is None
    assert sqlite_store.put(a_note()) is True


def test_a_text_that_cannot_be_stored_harms_nobody_else(sqlite_store: SqliteNotes) -> None:
    with pytest.raises(UnicodeEncodeError):
        sqlite_store.put(a_note(text="\ud800"))
    assert sqlite_store.put(a_note()) is True


def test_a_page_never_waits_for_searches(sqlite_store: SqliteNotes) -> None:
    busy = [sqlite_store._searchers.get() for _ in range(sqlite_store._searchers.qsize())]
    try:
        assert sqlite_store.page("ada", after=None, limit=1).notes == []
    finally:
        for slot in busy:
            sqlite_store._searchers.put(slot)
