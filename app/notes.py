"""/notes: the PollyNotes API, with versions, pages and conditional writes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, NoReturn
from urllib.parse import urlencode

from fastapi import Header, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import to_json

from app.auth import SignedIn, UserRoute
from app.blocking import call
from app.errors import REFUSALS, ApiError, Problem, bad_parameter
from app.routing import make_router
from app.store import (
    MAX_NOTE_ID,
    Condition,
    Note,
    NoteStore,
    Page,
    from_cursor,
    new_version,
    now,
    to_cursor,
)

MAX_NOTE = 256 * 1024
"""Bytes of UTF-8 in one note; with its JSON it stays under DynamoDB's 400 KB an item."""

QUICK_PAGE = 100
"""Most notes of a page that a server's event loop waits for, if the store reads at once: 0.4 ms.
A thread for it costs as much again."""

_DIGITS = re.compile(r"[0-9]{1,64}")
_ETAGS = re.compile(r'\s*(?:W/)?"[!#-~\x80-\xff]*"\s*(?:,\s*(?:W/)?"[!#-~\x80-\xff]*"\s*)*')
_ETAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')


def _note_id(value: object) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_NOTE_ID:
        raise ValueError(f"must be an integer from 0 to {MAX_NOTE_ID}, as a number or in digits")
    return value


def _note_text(value: str) -> str:
    if len(value.encode()) > MAX_NOTE:
        raise ValueError(f"must be at most {MAX_NOTE} bytes of UTF-8")
    return value


NoteId = Annotated[
    int,
    BeforeValidator(_note_id),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_NOTE_ID},
                {"type": "string", "pattern": "^[0-9]{1,64}$"},
            ]
        }
    ),
]
NoteText = Annotated[str, Field(min_length=1, max_length=MAX_NOTE), AfterValidator(_note_text)]
PathId = Annotated[str, Path(alias="NoteId", description="The note's number")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most notes in the answer")]
Cursor = Annotated[str | None, Query(description="Where to go on; from a `Link` header")]
IfMatch = Annotated[str | None, Header(description="Write only if the note has this ETag")]
IfNoneMatch = Annotated[str | None, Header(description="`*`: write only if there is no such note")]


class NoteBody(BaseModel):
    """What PUT takes."""

    note: NoteText = Field(alias="Note", description="The text")


class NewNote(NoteBody):
    """What POST takes."""

    note_id: NoteId = Field(
        # A factory, because a plain default would appear in the API's description.
        default_factory=lambda: -1,
        alias="NoteId",
        description="Which note; without it the next free id is assigned",
    )


class NoteOut(BaseModel):
    """A note on the wire."""

    user_id: str = Field(alias="UserId")
    note_id: str = Field(alias="NoteId", pattern="^[0-9]+$")
    note: str = Field(alias="Note")
    updated_at: datetime = Field(alias="UpdatedAt")


def _header(name: str, description: str) -> dict[str, Any]:
    return {name: {"description": description, "schema": {"type": "string"}}}


_ETAGGED: dict[str, Any] = {"headers": _header("ETag", "The note's version")}
_CREATED = {
    "description": "Created",
    "model": NoteOut,
    "headers": _ETAGGED["headers"] | _header("Location", "The note's address"),
}
_CONDITION = {"model": Problem, "description": "The note is in another state than required"}
_ABSENT = {"model": Problem, "description": "You have no such note"}

PAGE: dict[int | str, dict[str, Any]] = {
    200: {"headers": _header("Link", 'Where to go on: `<…>; rel="next"`; absent at the end')}
}
FOUND: dict[int | str, dict[str, Any]] = {
    200: _ETAGGED,
    304: {"description": "You have that version already"},
    404: _ABSENT,
}
SAVED: dict[int | str, dict[str, Any]] = {200: _ETAGGED, 201: _CREATED, 412: _CONDITION}
GONE: dict[int | str, dict[str, Any]] = {404: _ABSENT, 412: _CONDITION}

router = make_router(prefix="/notes", tags=["notes"], responses=REFUSALS, route_class=UserRoute)


@router.get("", response_model=list[NoteOut], responses=PAGE)
async def list_notes(
    request: Request, user: SignedIn, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List your notes, by ascending id."""
    after, store = _after(cursor), _store(request)
    if store.reads_at_once and limit <= QUICK_PAGE:
        page = store.page(user.name, after=after, limit=limit)
    else:
        page = await call(request, store.page, user.name, after=after, limit=limit)
    return _page_answer(request, "/notes", page, {"limit": limit})


@router.get("/search", response_model=list[NoteOut], responses=PAGE)
async def search_notes(
    request: Request,
    user: SignedIn,
    text: Annotated[str, Query(min_length=1, max_length=1000, description="What to look for")],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Find the notes that contain a text, upper or lower case.

    One call reads a bounded number of notes: follow `Link` until there is none.
    """
    search = _store(request).search
    page = await call(request, search, user.name, text, after=_after(cursor), limit=limit)
    return _page_answer(request, "/notes/search", page, {"text": text, "limit": limit})


@router.post("", response_model=NoteOut, responses=SAVED)
async def save_note(
    request: Request,
    user: SignedIn,
    body: NewNote,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Create a note, or update the one with that id."""
    condition = _condition(if_match, if_none_match)
    if "note_id" in body.model_fields_set:
        return await _put(request, user.name, body.note_id, body.note, condition)
    if not condition.holds(None):
        raise ApiError(412, "Precondition Failed")
    add = _store(request).add
    note = await call(request, add, user.name, body.note, updated_at=now(), version=new_version())
    return _note_answer(request, note, created=True)


@router.get("/{NoteId}", response_model=NoteOut, responses=FOUND)
async def get_note(
    request: Request,
    user: SignedIn,
    note_id: PathId,
    if_none_match: Annotated[
        str | None, Header(description="An ETag: answer 304 if it is still that one")
    ] = None,
) -> Response:
    """Get one note."""
    number = _path_id(note_id)
    note = None
    if number is not None:
        store = _store(request)
        if store.reads_at_once:
            note = store.get(user.name, number)
        else:
            note = await call(request, store.get, user.name, number)
    if note is None:
        _not_found()
    if if_none_match is not None:
        tags = _etags("If-None-Match", if_none_match, weak=True)
        if tags is None or note.version in tags:
            return Response(status_code=304, headers={"ETag": f'"{note.version}"'})
    return _note_answer(request, note)


@router.put("/{NoteId}", response_model=NoteOut, responses=SAVED)
async def put_note(
    request: Request,
    user: SignedIn,
    note_id: PathId,
    body: NoteBody,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Create or replace the note with this id."""
    number = _path_id(note_id)
    if number is None:
        raise bad_parameter("NoteId", f"must be digits, at most {MAX_NOTE_ID}")
    condition = _condition(if_match, if_none_match)
    return await _put(request, user.name, number, body.note, condition)


@router.delete("/{NoteId}", status_code=204, responses=GONE)
async def delete_note(
    request: Request,
    user: SignedIn,
    note_id: PathId,
    if_match: IfMatch = None,
) -> Response:
    """Delete a note."""
    number = _path_id(note_id)
    condition = _condition(if_match, None)
    delete = _store(request).delete
    if number is None or not await call(request, delete, user.name, number, condition=condition):
        _not_found()
    return Response(status_code=204)


def _store(request: Request) -> NoteStore:
    store: NoteStore = request.app.state.store
    return store


async def _put(
    request: Request, owner: str, note_id: int, text: str, condition: Condition
) -> Response:
    note = Note(owner, note_id, text, now(), new_version())
    created = await call(request, _store(request).put, note, condition=condition)
    return _note_answer(request, note, created=created)


def _path_id(value: str) -> int | None:
    try:
        return _note_id(value)
    except ValueError:
        return None


def _not_found() -> NoReturn:
    raise ApiError(404, "Not Found")


def _after(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        return from_cursor(cursor)
    except ValueError:
        raise bad_parameter("cursor", "is not one that this API gave") from None


def _condition(if_match: str | None, if_none_match: str | None) -> Condition:
    """Read If-Match and If-None-Match of a write (RFC 9110, sections 13.1.1 and 13.1.2)."""
    if if_none_match is not None and if_none_match.strip() != "*":
        raise bad_parameter("If-None-Match", "takes only * on a write")
    versions = None
    if if_match is not None and if_match.strip() != "*":
        versions = _etags("If-Match", if_match, weak=False)
    return Condition(
        absent=if_none_match is not None, present=if_match is not None, versions=versions
    )


def _etags(header: str, value: str, *, weak: bool) -> frozenset[str] | None:
    """Return the tags in the header, None for ``*``; weak ones only where they may count."""
    if value.strip() == "*":
        return None
    if not _ETAGS.fullmatch(value):
        raise bad_parameter(header, 'takes * or ETags such as "0a1b2c"')
    return frozenset(tag for is_weak, tag in _ETAG.findall(value) if weak or not is_weak)


def _on_wire(note: Note) -> dict[str, Any]:
    owner, note_id, text, updated_at, _ = note
    # The time as Pydantic writes one in UTC, which ends in "Z" (RFC 3339).
    return {"UserId": owner, "NoteId": str(note_id), "Note": text, "UpdatedAt": updated_at}


def _json(value: object, status: int, headers: dict[str, str]) -> Response:
    # Not json.dumps: a third of its time, and times included.
    return Response(to_json(value), status, headers, media_type="application/json")


def _note_answer(request: Request, note: Note, *, created: bool = False) -> Response:
    headers = {"ETag": f'"{note.version}"'}
    if created:
        headers["Location"] = f"{_root(request)}/notes/{note.id}"
    return _json(_on_wire(note), 201 if created else 200, headers)


def _page_answer(request: Request, path: str, page: Page, query: dict[str, Any]) -> Response:
    headers = {}
    if page.after is not None:
        following = urlencode({**query, "cursor": to_cursor(page.after)})
        headers["Link"] = f'<{_root(request)}{path}?{following}>; rel="next"'
    return _json([_on_wire(note) for note in page.notes], 200, headers)


def _root(request: Request) -> str:
    """Return what stands before the API's paths where this request came in: ``/{stage}``, or ""."""
    root: str = request.scope.get("root_path", "")
    return root
