"""What every store promises, shown by each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from app.store import (
    ALWAYS,
    MAX_NOTE_ID,
    PAGE_BYTES,
    SEARCH_ROWS,
    Condition,
    ConditionFailed,
    Note,
    NoteStore,
    StoreError,
    new_version,
    now,
)

WHEN = datetime(2026, 11, 21, 20, 12, tzinfo=UTC)
KIB = 1024


def a_note(note_id: int = 1, text: str = "text", owner: str = "student") -> Note:
    return Note(owner, note_id, text, WHEN, new_version())


def put(store: NoteStore, *ids: int, text: str = "text", owner: str = "student") -> None:
    for note_id in ids:
        store.put(a_note(note_id, text, owner))


def add(store: NoteStore, text: str = "text", owner: str = "student") -> Note:
    return store.add(owner, text, updated_at=now(), version=new_version())


def ids(store: NoteStore, owner: str = "student", limit: int = 100) -> list[int]:
    return [note.id for note in store.page(owner, after=None, limit=limit).notes]


def in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    """Make all calls at the same time; return the results, or the exceptions, in their order."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except StoreError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "",
        "a\x00b",
        "Ünï© ∑ 漢字 👩‍👩‍👧",
        "\r\n\t\u2028",
        '{"S": "x"}',
        "x" * 256 * KIB,
        "€" * 80 * KIB,
    ],
    ids=["ascii", "empty", "nul", "unicode", "lines", "json", "256 KiB", "240 KiB of euros"],
)
def test_a_note_comes_back_as_it_was_put(store: NoteStore, text: str) -> None:
    note = a_note(7, text)
    assert store.put(note) is True
    assert store.get("student", 7) == note
    assert store.page("student", after=None, limit=1).notes == [note]


def test_putting_again_replaces_the_whole_note(store: NoteStore) -> None:
    put(store, 1, text="before")
    after = a_note(1, "after")._replace(updated_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert store.put(after) is False
    assert store.get("student", 1) == after


def test_what_is_not_there_is_none(store: NoteStore) -> None:
    assert store.get("student", 1) is None
    assert store.delete("student", 1) is False
    assert store.page("student", after=None, limit=10).notes == []
    assert store.page("student", after=None, limit=10).after is None
    assert store.search("student", "x", after=5, limit=10).notes == []


def test_a_deleted_note_is_gone(store: NoteStore) -> None:
    put(store, 1, 2)
    assert store.delete("student", 1) is True
    assert store.delete("student", 1) is False
    assert store.get("student", 1) is None
    assert ids(store) == [2]


def test_notes_are_ordered_by_number_up_to_the_largest_id(store: NoteStore) -> None:
    put(store, 10, 9, MAX_NOTE_ID, 0, 2, MAX_NOTE_ID - 1, 100)
    assert ids(store) == [0, 2, 9, 10, 100, MAX_NOTE_ID - 1, MAX_NOTE_ID]
    found = store.get("student", MAX_NOTE_ID)
    assert found is not None
    assert found.id == MAX_NOTE_ID
    assert store.page("student", after=MAX_NOTE_ID, limit=1).notes == []


ODD_OWNERS = [
    "student",
    "student\x00",
    "a\x00b",
    "a",
    "Student",
    "студент",
    "e\u0301",
    "é",
    "%",
    "x" * 128,
    "x" * 127,
    "𝔘" * 128,
]


def test_a_note_belongs_to_its_owner_alone_whatever_the_name(store: NoteStore) -> None:
    for owner in ODD_OWNERS:
        store.put(a_note(1, f"of {owner}", owner))
    for owner in ODD_OWNERS:
        found = store.get(owner, 1)
        assert found is not None
        assert (found.owner, found.text) == (owner, f"of {owner}")
        assert store.page(owner, after=None, limit=10).notes == [found]
        assert store.search(owner, "of", after=None, limit=10).notes == [found]
    store.delete("a", 1)
    assert store.get("a", 1) is None
    assert store.get("a\x00b", 1) is not None
    assert add(store, owner="a").id == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 1000])
@pytest.mark.parametrize("text", ["", "note"], ids=["page", "search"])
def test_pages_end_exactly_where_the_notes_do(store: NoteStore, limit: int, text: str) -> None:
    expected = [0, 1, 2, 5, 7, 30, 31]
    put(store, *expected, text="note")
    put(store, 3, owner="somebody else")
    seen: list[int] = []
    after: int | None = None
    for _ in range(-(-len(expected) // limit)):
        if text:
            page = store.search("student", text, after=after, limit=limit)
        else:
            page = store.page("student", after=after, limit=limit)
        assert len(page.notes) == min(limit, len(expected) - len(seen))
        seen += [note.id for note in page.notes]
        after = page.after
    assert after is None
    assert seen == expected


def test_a_page_ends_before_its_text_outgrows_an_answer(store: NoteStore) -> None:
    put(store, *range(5), text="x" * 256 * KIB)
    page = store.page("student", after=None, limit=100)
    assert [note.id for note in page.notes] == [0, 1, 2]
    assert sum(len(note.text) for note in page.notes) == PAGE_BYTES
    assert page.after == 2
    assert store.page("student", after=2, limit=100).after is None


def test_bytes_are_counted_and_not_characters(store: NoteStore) -> None:
    put(store, *range(5), text="€" * 80 * KIB)  # 240 KiB each
    assert store.page("student", after=None, limit=100).after == 2
    assert store.search("student", "€", after=None, limit=100).after == 2


def test_a_note_larger_than_a_page_is_a_page(
    store: NoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.paging.PAGE_BYTES", 10)
    put(store, 1, 2, text="x" * 11)
    page = store.page("student", after=None, limit=100)
    assert [note.id for note in page.notes] == [1]
    assert page.after == 1


def test_what_does_not_match_does_not_count_as_text_of_the_page(
    store: NoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.paging.PAGE_BYTES", 10)
    put(store, 1, 5, text="wanted")
    put(store, 2, 3, 4, text="something else")
    page = store.search("student", "wanted", after=None, limit=100)
    assert ([note.id for note in page.notes], page.after) == ([1], 4)
    page = store.search("student", "wanted", after=page.after, limit=100)
    assert ([note.id for note in page.notes], page.after) == ([5], None)


CONDITIONS: dict[str, tuple[Callable[[str], Condition], bool, bool]] = {
    # name: the condition (given the note's version), holds without a note, holds with one
    "always": (lambda _: ALWAYS, True, True),
    "absent": (lambda _: Condition(absent=True), True, False),
    "present": (lambda _: Condition(present=True), False, True),
    "its version": (lambda version: Condition(versions=frozenset({version})), False, True),
    "one of its": (lambda v: Condition(versions=frozenset({v, "0"})), False, True),
    "one of 200": (
        lambda v: Condition(versions=frozenset({v, *map(str, range(200))})),
        False,
        True,
    ),
    "one of 200 others": (
        lambda _: Condition(versions=frozenset(map(str, range(200)))),
        False,
        False,
    ),
    "another version": (lambda _: Condition(versions=frozenset({"0"})), False, False),
    "a legacy version": (lambda _: Condition(versions=frozenset({"p0"})), False, False),
    "no version": (lambda _: Condition(versions=frozenset()), False, False),
}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("exists", [False, True], ids=["nothing there", "exists"])
def test_a_write_happens_only_under_its_condition(
    store: NoteStore, condition: str, exists: bool
) -> None:
    make, *holds = CONDITIONS[condition]
    before = a_note(1, "before")
    if exists:
        store.put(before)
    required = make(before.version)
    after = a_note(1, "after")
    if holds[exists]:
        assert store.put(after, condition=required) is not exists
        assert store.get("student", 1) == after
    else:
        with pytest.raises(ConditionFailed):
            store.put(after, condition=required)
        assert store.get("student", 1) == (before if exists else None)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("exists", [False, True], ids=["nothing there", "exists"])
def test_a_deletion_happens_only_under_its_condition(
    store: NoteStore, condition: str, exists: bool
) -> None:
    make, *holds = CONDITIONS[condition]
    before = a_note(1, "before")
    if exists:
        store.put(before)
    required = make(before.version)
    if holds[exists]:
        assert store.delete("student", 1, condition=required) is exists
        assert store.get("student", 1) is None
    else:
        with pytest.raises(ConditionFailed):
            store.delete("student", 1, condition=required)
        assert store.get("student", 1) == (before if exists else None)


def test_a_version_is_not_used_again_after_a_deletion(store: NoteStore) -> None:
    versions = set()
    for _ in range(5):
        note = add(store)
        versions.add(note.version)
        store.delete("student", note.id, condition=Condition(versions=frozenset({note.version})))
        with pytest.raises(ConditionFailed):
            store.put(a_note(note.id), condition=Condition(versions=frozenset(versions)))
    assert len(versions) == 5


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ([], 1),
        ([0], 1),
        ([1], 2),
        ([5, 2], 6),
        ([9, 10], 11),
        ([MAX_NOTE_ID - 1], MAX_NOTE_ID),
        ([MAX_NOTE_ID], MAX_NOTE_ID - 1),
        ([3, MAX_NOTE_ID - 3, MAX_NOTE_ID - 1, MAX_NOTE_ID], MAX_NOTE_ID - 2),
    ],
)
def test_a_note_is_added_under_the_next_free_id(
    store: NoteStore, taken: list[int], free: int
) -> None:
    put(store, *taken)
    put(store, 77, owner="somebody else")
    note = add(store, "new")
    assert note.id == free
    assert store.get("student", free) == note
    assert ids(store) == sorted([*taken, free])


def test_adding_passes_over_large_notes_at_the_end_of_the_numbers(store: NoteStore) -> None:
    put(store, *(MAX_NOTE_ID - n for n in range(6)), text="x" * 256 * KIB)
    assert add(store).id == MAX_NOTE_ID - 6


def test_notes_added_at_the_same_time_get_an_id_each(store: NoteStore) -> None:
    notes = in_threads([partial(add, store, f"by {n}") for n in range(8)])
    assert sorted(note.id for note in notes) == list(range(1, 9))
    for note in notes:
        assert store.get("student", note.id) == note


def test_of_writers_with_the_same_etag_one_succeeds(store: NoteStore) -> None:
    current = a_note()
    store.put(current)
    for _ in range(5):
        condition = Condition(versions=frozenset({current.version}))
        attempts = [a_note(text=f"by {n}") for n in range(8)]
        results = in_threads([partial(store.put, note, condition=condition) for note in attempts])
        assert sum(isinstance(result, ConditionFailed) for result in results) == 7
        current = attempts[results.index(False)]
        assert store.get("student", 1) == current


def test_of_creators_of_one_note_one_succeeds(store: NoteStore) -> None:
    for note_id in range(5):
        attempts = [a_note(note_id, text=f"by {n}") for n in range(8)]
        results = in_threads(
            [partial(store.put, note, condition=Condition(absent=True)) for note in attempts]
        )
        assert sum(isinstance(result, ConditionFailed) for result in results) == 7
        assert store.get("student", note_id) == attempts[results.index(True)]


@pytest.mark.parametrize(
    ("text", "sought"),
    [
        ("Straße", "STRASSE"),
        ("STRASSE", "ße"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("σοφός", "ΣΟΦΌΣ"),
        ("İstanbul", "i\u0307stanbul"),
        ("İSTANBUL", "İstanbul"),
        ("ﬁne", "FINE"),
        ("DynamoDB is NoSQL", "nosql"),
        ("a\x00b", "A\x00B"),
        ("100%_\\", "%_\\"),
        ("anything", ""),
    ],
)
def test_search_disregards_case_by_unicode(store: NoteStore, text: str, sought: str) -> None:
    put(store, 1, text="–")
    put(store, 2, text=text)
    page = store.search("student", sought, after=1, limit=10)
    assert ([note.id for note in page.notes], page.after) == ([2], None)


@pytest.mark.parametrize(("text", "sought"), [("straße", "strase"), ("a%b", "a_b"), ("axb", "a.b")])
def test_search_finds_nothing_else(store: NoteStore, text: str, sought: str) -> None:
    put(store, 1, text=text)
    assert store.search("student", sought, after=None, limit=10).notes == []


def test_a_search_that_reads_its_fill_says_where_to_go_on(
    store: NoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.paging.SEARCH_ROWS", 4)
    put(store, *range(1, 11), text="hay")
    put(store, 11, text="needle")
    stops = []
    page = store.search("student", "needle", after=None, limit=5)
    while page.after is not None:
        assert page.notes == []
        stops.append(page.after)
        page = store.search("student", "needle", after=page.after, limit=5)
    assert stops == [4, 8]
    assert [note.id for note in page.notes] == [11]


def test_a_search_reads_so_many_bytes_and_goes_on(
    store: NoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.paging.SEARCH_BYTES", 512 * KIB)
    put(store, *range(1, 8), text="x" * 256 * KIB)
    page = store.search("student", "y", after=None, limit=5)
    assert (page.notes, page.after) == ([], 2)
    page = store.search("student", "y", after=6, limit=5)
    assert (page.notes, page.after) == ([], None)


def test_a_search_goes_past_a_megabyte_on_its_own(store: NoteStore) -> None:
    put(store, *range(1, 8), text="x" * 256 * KIB)
    put(store, 8, text="needle")
    page = store.search("student", "needle", after=None, limit=5)
    assert ([note.id for note in page.notes], page.after) == ([8], None)


def test_more_rows_than_a_search_reads(sqlite_store: NoteStore) -> None:
    in_threads([partial(put, sqlite_store, *range(n, SEARCH_ROWS + 1, 8)) for n in range(8)])
    assert sqlite_store.search("student", "?", after=None, limit=5).after == SEARCH_ROWS - 1
    assert sqlite_store.search("student", "?", after=0, limit=5).after is None
