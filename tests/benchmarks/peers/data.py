"""The notes as every peer reads and writes them: the file that our own store made.

One connection for all threads, which costs the least, and one thread at a time: SQLite itself would
allow more, but Python keeps a statement for each text, and two threads would share its rows.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from datetime import UTC, datetime

_db = sqlite3.connect(os.environ["NOTES_DB"], isolation_level=None, check_same_thread=False)
_db.execute("PRAGMA synchronous = FULL")
_one_at_a_time = threading.Lock()

_LIST = "SELECT note_id, note, updated_at FROM notes WHERE user_id = ? ORDER BY note_id LIMIT 100"
_ADD = """
INSERT INTO notes (user_id, note_id, note, updated_at, version)
SELECT ?1, coalesce(max(note_id), 0) + 1, ?2, ?3, ?4 FROM notes WHERE user_id = ?1
RETURNING note_id
"""


def list_notes(user: str) -> list[dict[str, str]]:
    """Return the user's first hundred notes."""
    with _one_at_a_time:
        rows = _db.execute(_LIST, (user,)).fetchall()
    return [_on_wire(user, *row) for row in rows]


def add_note(user: str, text: str) -> dict[str, str]:
    """Write a note under the next free id."""
    now = int(time.time())
    with _one_at_a_time:
        row = _db.execute(_ADD, (user, text, now, secrets.token_hex(8))).fetchall()[0]
    return _on_wire(user, row[0], text, now)


def _on_wire(user: str, note_id: int, text: str, updated_at: int) -> dict[str, str]:
    when = datetime.fromtimestamp(updated_at, UTC).isoformat()[:19] + "Z"
    return {"UserId": user, "NoteId": str(note_id), "Note": text, "UpdatedAt": when}
