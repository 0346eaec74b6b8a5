"""The SQLite file: its schema, and what it takes to open it safely."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from app.store.base import StoreUnusable

BUSY_SECONDS = 2.0
"""How long a statement waits for another process's lock."""

COLUMNS = "SELECT user_id, note_id, note, updated_at, version FROM notes"

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE notes (
    user_id    TEXT    NOT NULL,
    note_id    INTEGER NOT NULL,
    note       TEXT    NOT NULL,
    updated_at INTEGER NOT NULL, -- seconds since 1970, UTC
    version    TEXT    NOT NULL,
    PRIMARY KEY (user_id, note_id)
) WITHOUT ROWID
"""


def connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """Return a connection that any one thread at a time may use.

    With the mode "rw" a file that was removed meanwhile is an error and not an empty store.
    """
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def create_or_open(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits are durable; create the file, but no folder.

    Raises:
        StoreUnusable: the message names the file and what is wrong with it.
    """
    try:
        if path.is_dir():
            raise StoreUnusable(f"{path}: is a folder, not a file")
        if not path.parent.is_dir():
            raise StoreUnusable(f"{path}: there is no folder {path.parent}")
        db = connect(path, "rwc")
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(f"{path}: {error}") from error
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN")
    _is_new(db, path)  # refuses a file that is not ours before anything in it is changed
    db.execute("COMMIT")
    _use_wal(db, path)
    db.execute("BEGIN IMMEDIATE")
    if _is_new(db, path):
        db.execute(_SCHEMA)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    db.execute("COMMIT")


def _is_new(db: sqlite3.Connection, path: Path) -> bool:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > _SCHEMA_VERSION:
        raise StoreUnusable(
            f"{path}: has schema {version}, made by a newer version of this program"
            f" (this one knows {_SCHEMA_VERSION})"
        )
    if version == _SCHEMA_VERSION:
        db.execute(f"{COLUMNS} LIMIT 0")
        return False
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version or tables:
        raise StoreUnusable(f"{path}: is another program's database")
    return True


def _use_wal(db: sqlite3.Connection, path: Path) -> None:
    # SQLite's own busy time-out does not apply to this statement: of several processes that open
    # a new file at the same time, all but one would fail at once.
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            if mode != "wal":
                raise StoreUnusable(f"{path}: cannot be a write-ahead log here (got {mode})")
            return
