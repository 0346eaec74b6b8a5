"""Where a page ends: one rule for listing and searching, in every store."""

from __future__ import annotations

from collections.abc import Iterable

from app.store.base import (
    PAGE_BYTES,
    SEARCH_BYTES,
    SEARCH_ROWS,
    Note,
    Page,
    StoreUnavailable,
    contains,
)


def take(rows: Iterable[Note], *, limit: int, text: str = "") -> Page:
    """Return the first notes of ``rows`` that contain ``text``, as one page.

    The page ends at ``limit`` notes, at PAGE_BYTES of their text, or when SEARCH_ROWS notes or
    SEARCH_BYTES were read, but only if a further row shows that something remains. If the rows
    end in StoreUnavailable, what was read until then is the page.

    Raises:
        StoreUnavailable: before the first row.
    """
    folded = text.casefold()
    found: list[Note] = []
    found_bytes = read = read_bytes = 0
    last: int | None = None
    try:
        for note in rows:
            size = len(note.text.encode())
            wanted = not folded or contains(note.text, folded)
            if last is not None and (
                len(found) == limit
                or (wanted and found and found_bytes + size > PAGE_BYTES)
                or read == SEARCH_ROWS
                or read_bytes >= SEARCH_BYTES
            ):
                return Page(found, last)
            if wanted:
                found.append(note)
                found_bytes += size
            read += 1
            read_bytes += size
            last = note.id
    except StoreUnavailable:
        if last is None:
            raise
        return Page(found, last)
    return Page(found, None)
