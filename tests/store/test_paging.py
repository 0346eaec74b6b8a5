"""Paging and searching lose nothing and repeat nothing while others write."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.store import MAX_NOTE_ID, Note, NoteStore, new_version, now
from app.store.base import Page, StoreUnavailable
from app.store.paging import take

ids = st.integers(0, 12) | st.integers(MAX_NOTE_ID - 2, MAX_NOTE_ID)


@pytest.mark.parametrize("searching", [False, True], ids=["page", "search"])
@settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    staying=st.sets(ids, max_size=8),
    changes=st.lists(st.lists(st.tuples(ids, st.booleans()), max_size=4), max_size=8),
    limit=st.integers(1, 4),
)
@example(staying={1, 3}, changes=[[(0, True), (2, True)], [(2, False), (3, False)]], limit=1)
def test_a_note_that_stays_is_met_once_whatever_others_do(
    store: NoteStore,
    searching: bool,
    staying: set[int],
    changes: list[list[tuple[int, bool]]],
    limit: int,
) -> None:
    owner = uuid.uuid4().hex

    def write(note_id: int) -> None:
        store.put(Note(owner, note_id, "A note", now(), new_version()))

    def read(after: int | None) -> Page:
        if searching:
            return store.search(owner, "NOTE", after=after, limit=limit)
        return store.page(owner, after=after, limit=limit)

    for note_id in staying:
        write(note_id)
    seen: list[int] = []
    steps = iter(changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.store.paging.SEARCH_ROWS", 3)
        page = read(None)
        seen += [note.id for note in page.notes]
        while page.after is not None:
            assert seen[-1:] <= [page.after]
            for note_id, written in next(steps, []):
                if written:
                    write(note_id)
                elif note_id not in staying:
                    store.delete(owner, note_id)
            page = read(page.after)
            seen += [note.id for note in page.notes]
    assert seen == sorted(set(seen))
    assert staying <= set(seen)


def test_what_was_read_before_the_store_failed_is_a_page() -> None:
    notes = [Note("student", n, "x", now(), "v") for n in range(3)]

    def rows(count: int) -> Iterator[Note]:
        yield from notes[:count]
        raise StoreUnavailable("too slow")

    assert take(rows(2), limit=5) == Page(notes[:2], 1)
    assert take(rows(2), limit=5, text="y") == Page([], 1)
    with pytest.raises(StoreUnavailable):
        take(rows(0), limit=5)
