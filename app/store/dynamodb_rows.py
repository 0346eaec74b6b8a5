"""Rows of the DynamoDB table: a note as a row, a condition as an expression over it.

The table is as PollyNotes made it: key ``UserId`` (S, HASH) and ``NoteId`` (N, RANGE), text in
``Note`` (S). Ours adds ``Version`` (S) and ``UpdatedAt`` (N, seconds since 1970). Rows that
PollyNotes wrote have neither: their version is made from their text, their time is 1970, and the
first write through here gives them both.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from app.store.base import Condition, ConditionFailed, Note

Row = dict[str, Any]
"""Attributes as DynamoDB's own JSON has them: name → {type: value}."""

_LEGACY = "p"  # begins the version of a row without one; ``new_version`` is hexadecimal
_MANY_VERSIONS = 100  # what IN takes at most


def key(owner: str, note_id: int) -> Row:
    """Return the key of a note."""
    return {"UserId": {"S": owner}, "NoteId": {"N": str(note_id)}}


def from_note(note: Note) -> Row:
    """Return a note as a row."""
    return key(note.owner, note.id) | {
        "Note": {"S": note.text},
        "UpdatedAt": {"N": str(int(note.updated_at.timestamp()))},
        "Version": {"S": note.version},
    }


def to_note(row: Row) -> Note:
    """Return a row as a note."""
    updated_at = datetime.fromtimestamp(int(row.get("UpdatedAt", {}).get("N", 0)), UTC)
    return Note(row["UserId"]["S"], id_of(row), _text(row), updated_at, version_of(row))


def id_of(row: Row) -> int:
    """Return a row's note id."""
    return int(row["NoteId"]["N"])


def version_of(row: Row) -> str:
    """Return a row's version."""
    if "Version" in row:
        return row["Version"]["S"]  # type: ignore[no-any-return] # botocore has no types
    return _LEGACY + hashlib.sha256(_text(row).encode()).hexdigest()[:16]


def needs_row(condition: Condition) -> bool:
    """Whether ``expression`` has to know the row: its version may be made from its text."""
    versions = condition.versions or frozenset()
    return len(versions) > _MANY_VERSIONS or any(v.startswith(_LEGACY) for v in versions)


def expression(condition: Condition, row: Row | None = None) -> dict[str, Any]:
    """Return the parameters that make PutItem or DeleteItem depend on the condition.

    ``row`` is what was just read ({}: nothing there), None if it was not.

    Raises:
        ConditionFailed: the condition cannot hold.
    """
    values: dict[str, Any] = {}
    if condition.absent:
        text = "attribute_not_exists(UserId)"
    elif condition.versions is not None:
        text, values = _one_of(condition, row)
    elif condition.present:
        text = "attribute_exists(UserId)"
    else:
        return {}
    parameters = {"ConditionExpression": text, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    return parameters | ({"ExpressionAttributeValues": values} if values else {})


def _one_of(condition: Condition, row: Row | None) -> tuple[str, dict[str, Any]]:
    versions = condition.versions or frozenset()
    if row is not None:
        if not row or not condition.holds(version_of(row)):
            raise ConditionFailed
        if "Version" not in row:
            # The version was made from the text, so the text must still be the one it had.
            return "attribute_not_exists(Version) AND Note = :text", {":text": {"S": _text(row)}}
        versions = frozenset({version_of(row)})
    if not versions:
        raise ConditionFailed
    values = {f":{n}": {"S": version} for n, version in enumerate(sorted(versions))}
    return f"Version IN ({', '.join(values)})", values


def _text(row: Row) -> str:
    return row.get("Note", {}).get("S", "")  # type: ignore[no-any-return] # likewise
