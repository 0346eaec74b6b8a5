"""Where the notes are: what every store promises, and the two that keep it."""

from app.store.base import (
    ALWAYS,
    MAX_NOTE_ID,
    PAGE_BYTES,
    SEARCH_BYTES,
    SEARCH_ROWS,
    Condition,
    ConditionFailed,
    Note,
    NoteStore,
    Page,
    StoreError,
    StoreUnavailable,
    StoreUnusable,
    from_cursor,
    new_version,
    now,
    to_cursor,
)
from app.store.dynamodb import DynamoNotes
from app.store.opening import open_store
from app.store.sqlite import SqliteNotes

__all__ = [
    "ALWAYS",
    "MAX_NOTE_ID",
    "PAGE_BYTES",
    "SEARCH_BYTES",
    "SEARCH_ROWS",
    "Condition",
    "ConditionFailed",
    "DynamoNotes",
    "Note",
    "NoteStore",
    "Page",
    "SqliteNotes",
    "StoreError",
    "StoreUnavailable",
    "StoreUnusable",
    "from_cursor",
    "new_version",
    "now",
    "open_store",
    "to_cursor",
]
