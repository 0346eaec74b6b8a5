"""What a note is, and what every store of notes promises."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

MAX_NOTE_ID = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8259, section 6)."""

PAGE_BYTES = 768 * 1024
"""Text on one page, in bytes of UTF-8. Lambda answers at most 6 MB, and JSON inside JSON can make
seven bytes of one, so a page that keeps to this always fits."""

SEARCH_ROWS = 2_000
SEARCH_BYTES = 4 * 1024 * 1024
"""The most that one search call reads; what is beyond is for the next call."""


class StoreError(Exception):
    """The root of what a store raises.

    StoreError
    ├── StoreUnusable     cannot be opened: the message says why, for the operator
    ├── StoreUnavailable  cannot be reached or is throttled: try again in ``retry_after`` seconds
    └── ConditionFailed   If-Match or If-None-Match did not hold; nothing was written
    """


class StoreUnusable(StoreError):
    """The store cannot be opened as configured."""


class StoreUnavailable(StoreError):
    """The store did not answer in time, or refused for load. Nothing is half written."""

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class ConditionFailed(StoreError):
    """The note is not in the state that the caller required."""


class Note(NamedTuple):
    """One note of one owner. ``version`` is opaque and never used twice, even after a deletion.

    A tuple, because a page has hundreds and a frozen dataclass takes twice as long to make.
    """

    owner: str
    id: int
    text: str
    updated_at: datetime
    version: str


@dataclass(frozen=True, slots=True)
class Page:
    """Notes by ascending id. ``after`` is where the next page goes on; None: there is no more."""

    notes: list[Note]
    after: int | None


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold for a write (RFC 9110, section 13.1).

    ``absent``: the note must not exist (``If-None-Match: *``).
    ``present``: it must exist (``If-Match: *``).
    ``versions``: it must exist in one of these versions (``If-Match: "…"``); None: any.
    """

    absent: bool = False
    present: bool = False
    versions: frozenset[str] | None = None

    def holds(self, version: str | None) -> bool:
        """Whether a note with this version (None: there is none) may be written."""
        if self.absent:
            return version is None
        if self.versions is not None:
            return version in self.versions
        return version is not None or not self.present


ALWAYS = Condition()


class NoteStore(Protocol):
    """Where the notes are. Methods block, and may be called from many threads at once.

    Every method raises StoreUnavailable when the store cannot answer.
    """

    reads_at_once: bool
    """Whether ``get`` and a short ``page`` are so quick that a server's event loop loses less by
    waiting for them than by handing them to a thread."""

    def get(self, owner: str, note_id: int) -> Note | None:
        """Return the owner's note, or None."""

    def page(self, owner: str, *, after: int | None, limit: int) -> Page:
        """Return the first ``limit`` notes with an id above ``after``, fewer at ``PAGE_BYTES``."""

    def search(self, owner: str, text: str, *, after: int | None, limit: int) -> Page:
        """Return notes whose text contains ``text`` under Unicode case folding.

        Reads at most SEARCH_ROWS notes and about SEARCH_BYTES: the page may hold fewer than
        ``limit`` notes, even none, and still say where to go on.
        """

    def put(self, note: Note, *, condition: Condition = ALWAYS) -> bool:
        """Write a note whole; return True if it is new, False if it replaced one.

        Raises:
            ConditionFailed: nothing was written.
        """

    def add(self, owner: str, text: str, *, updated_at: datetime, version: str) -> Note:
        """Write a note under the next free id; never overwrites.

        That id is one above the highest (1 for the first), or, when the highest is MAX_NOTE_ID,
        the highest free one.
        """

    def delete(self, owner: str, note_id: int, *, condition: Condition = ALWAYS) -> bool:
        """Delete a note; return False if there was none and the condition allows that.

        Raises:
            ConditionFailed: nothing was deleted.
        """

    def close(self) -> None:
        """Release what the store holds open."""


def new_version() -> str:
    """Return a version that no other write has."""
    return secrets.token_hex(8)


def now() -> datetime:
    """Return the time, in UTC and whole seconds as it appears on the wire."""
    return datetime.now(UTC).replace(microsecond=0)


def contains(text: str, folded: str) -> bool:
    """Whether ``text`` contains ``folded`` (already case-folded), compared by case folding."""
    return folded in text.casefold()


def to_cursor(after: int) -> str:
    """Return the opaque cursor that continues behind this id."""
    return base64.urlsafe_b64encode(f"after:{after}".encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> int:
    """Return the id in a cursor made by ``to_cursor``.

    Raises:
        ValueError: it was not made there.
    """
    try:
        digits = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        after = int(digits.decode("ascii").removeprefix("after:"))
    except (binascii.Error, UnicodeError):
        raise ValueError("not a cursor") from None
    if not 0 <= after <= MAX_NOTE_ID or to_cursor(after) != cursor:
        raise ValueError("not a cursor")
    return after
