"""From the setting ``NOTES_STORE`` to a store."""

from __future__ import annotations

from app.store.base import NoteStore, StoreUnusable
from app.store.dynamodb import DynamoNotes
from app.store.sqlite import SqliteNotes


def open_store(url: str, *, region: str, endpoint_url: str | None) -> NoteStore:
    """Open ``sqlite:///FILE`` (``sqlite:////FILE`` is absolute) or ``dynamodb://TABLE``.

    ``region`` and ``endpoint_url`` (None or empty: AWS's own) are DynamoDB's. A DynamoDB table is
    first spoken to when it is first used, a SQLite file is opened here.

    Raises:
        StoreUnusable: the message names the file, or the URL, and says what is wrong with it.
    """
    scheme, _, place = url.partition("://")
    if scheme == "sqlite" and place.startswith("/") and place[1:]:
        return SqliteNotes(place[1:])
    if scheme == "dynamodb" and place:
        return DynamoNotes(place, region=region, endpoint_url=endpoint_url)
    raise StoreUnusable(f"{url}: is neither sqlite:///FILE nor dynamodb://TABLE")
