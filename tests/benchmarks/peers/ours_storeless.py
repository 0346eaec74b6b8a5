"""Ours under a server, but a POST stores nothing: what is left is HTTP, the token and the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app import notes
from app.main import app
from app.store import Note

__all__ = ["app"]


def _add(owner: str, text: str, *, updated_at: Any, version: str) -> Note:
    return Note(owner, 1, text, updated_at, version)


async def _call(request: object, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return function(*args, **options)


app.state.store.add = _add
notes.call = _call  # type: ignore[attr-defined] # imported there, and not to be had from it
