"""The last events and their results, so that a real event can become a test."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import deque
from typing import Any

REDACTED = "[redacted]"

_SECRET_HEADERS = frozenset(("authorization", "cookie", "set-cookie", "proxy-authorization"))
_SECRET_NAME = re.compile(r"token|password|secret|^code$|code_verifier|^session$", re.IGNORECASE)
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*(?:\.[\w-]*){0,2}")
_MEMBER = re.compile(r'("[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*"')
_FIELD = re.compile(r"(^|&)([^=&]+)=[^&]*")


class Recorder:
    """A ring of the last ``size`` exchanges; its ``record`` is a gateway's ``on_exchange``."""

    def __init__(self, size: int = 100) -> None:
        self._ring: deque[tuple[int, str, str]] = deque(maxlen=size)
        self._count = 0

    def record(self, event: str, result: str) -> None:
        """Keep an event and its result, both JSON text."""
        self._count += 1
        self._ring.append((self._count, event, result))

    def events(self, *, after: int = 0, show_tokens: bool = False) -> list[dict[str, Any]]:
        """Return ``{"number", "event", "result"}``, oldest first, those numbered beyond ``after``.

        Tokens, cookies and passwords are redacted unless ``show_tokens``.
        """
        found = []
        for number, event, result in list(self._ring):
            if number > after:
                pair = {"event": json.loads(event), "result": json.loads(result)}
                shown = pair if show_tokens else redacted(pair)
                found.append({"number": number, **shown})
        return found


def redacted(value: Any, name: str = "") -> Any:
    """Return a copy without what would let a reader act as the caller."""
    if isinstance(value, dict):
        copy = {key: redacted(child, str(key)) for key, child in value.items()}
        if copy.get("isBase64Encoded") is True and isinstance(copy.get("body"), str):
            copy["body"] = _redacted_base64(copy["body"])
        return copy
    if isinstance(value, list):
        return [redacted(child, name) for child in value]
    if not isinstance(value, str):
        return value
    if name.lower() in _SECRET_HEADERS or (_SECRET_NAME.search(name) and name != "token_use"):
        return REDACTED
    return _redacted_text(value, is_body=name == "body")


def _redacted_text(text: str, *, is_body: bool) -> str:
    text = _JWT.sub(REDACTED, text)
    if is_body and _SECRET_NAME.search(text):
        text = _MEMBER.sub(_redacted_member, text)
        if not text.lstrip().startswith(("{", "[")):
            text = _FIELD.sub(_redacted_field, text)
    return text


def _redacted_member(match: re.Match[str]) -> str:
    return f'{match[1]}"{REDACTED}"' if _SECRET_NAME.search(match[1].split('"')[1]) else match[0]


def _redacted_field(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}={REDACTED}" if _SECRET_NAME.search(match[2]) else match[0]


def _redacted_base64(body: str) -> str:
    try:
        text = b64decode(body, validate=True).decode()
    except ValueError:
        return body
    return body if _redacted_text(text, is_body=True) == text else REDACTED
