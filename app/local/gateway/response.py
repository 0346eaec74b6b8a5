"""What a Lambda returned becomes status, headers and body, or is malformed (facts, section 3)."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

Headers = list[tuple[bytes, bytes]]

_KEYS = frozenset(("statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"))
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_REMAPPED = frozenset(
    ("connection", "content-length", "date", "server", "www-authenticate", "authorization")
)
# The gateway writes these itself (or has no use for the first), so a Lambda's are left out.
_LEFT_OUT = frozenset(
    ("transfer-encoding", "x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id")
)


class Malformed(Exception):
    """The gateway cannot use the result: ``502``, or ``500`` when only its base64 is at fault."""

    def __init__(self, reason: str, *, undecodable: bool = False) -> None:
        super().__init__(reason)
        self.undecodable = undecodable


@dataclass(slots=True)
class Response:
    """An answer before the gateway adds date, length and ids; ``proxied``: it has a trace id."""

    status: int
    content_type: bytes
    body: bytes
    headers: Headers = field(default_factory=list)
    proxied: bool = False
    content_type_name: bytes = b"Content-Type"


def read_result(result: Any, *, accept: str, binary_media_types: Collection[str]) -> Response:
    """Turn a Lambda's result into a response.

    Args:
        result: what the Lambda returned, parsed from its JSON.
        accept: the request's Accept header, for the binary rule.
        binary_media_types: the API's, in lower case.

    Raises:
        Malformed: the reason is for the log.
    """
    if not isinstance(result, dict):
        raise Malformed(f"the result is {_kind(result)}, not an object")
    if not result.keys() <= _KEYS:
        unknown = sorted(result.keys() - _KEYS)
        if "errorMessage" in result:
            raise Malformed("the result is an error")
        raise Malformed(f"unknown keys {unknown}")
    status = _status(result.get("statusCode"))
    merged = _merged(result.get("headers"), result.get("multiValueHeaders"))
    response = Response(status, b"", b"", proxied=True)
    for name, value in merged:
        lower = name.lower()
        if lower == "content-type" and not response.content_type:
            response.content_type_name, response.content_type = name.encode(), _encoded(name, value)
        elif lower in _REMAPPED:
            response.headers.append((f"x-amzn-Remapped-{name}".encode(), _encoded(name, value)))
        elif lower not in _LEFT_OUT:
            response.headers.append((name.encode(), _encoded(name, value)))
    response.content_type = response.content_type or b"application/json"
    response.body = _body(result, accept, binary_media_types)
    return response


def matches_binary(media_type: str, binary_media_types: Collection[str]) -> bool:
    """Whether one media type is among the API's binary ones [R].

    ``image/*`` takes every image and ``*/*`` everything, even nothing; ``*/png`` takes nothing.
    """
    if not binary_media_types:
        return False
    if "*/*" in binary_media_types:
        return True
    if not media_type or media_type.startswith("*/"):
        return False
    kind, slash, _ = media_type.partition("/")
    return media_type in binary_media_types or f"{kind}{slash or '?'}*" in binary_media_types


def _status(value: Any) -> int:
    if value is None:
        return 200
    if isinstance(value, str) and value.isascii() and value.strip().isdigit() and len(value) < 9:
        value = int(value)
    if type(value) is not int or not 200 <= value <= 599:
        raise Malformed(f"statusCode is {value!r}"[:100])
    return value


def _merged(single: Any, multi: Any) -> list[tuple[str, str]]:
    """Merge both maps: multi values first, then the single one, under the multi key's casing [R].

    An identical pair appears once [D].
    """
    for name, value in (("headers", single), ("multiValueHeaders", multi)):
        if value is not None and not isinstance(value, dict):
            raise Malformed(f"{name} is {_kind(value)}, not an object")
    if not multi:
        return [
            (name, text)
            for name, value in (single or {}).items()
            if (text := _header_text(name, value)) is not None
        ]
    groups: dict[str, tuple[str, list[str]]] = {}
    for name, values in multi.items():
        if values is not None and not isinstance(values, list):
            raise Malformed(f"the multi-value header {name} is {_kind(values)}, not a list")
        texts = [text for v in values or () if (text := _header_text(name, v)) is not None]
        groups.setdefault(name.lower(), (name, []))[1].extend(texts)
    for name, value in (single or {}).items():
        alone = _header_text(name, value)
        texts = groups.setdefault(name.lower(), (name, []))[1]
        if alone is not None and alone not in texts:
            texts.append(alone)
    return [(name, text) for name, texts in groups.values() for text in texts]


def _header_text(name: str, value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return None
    if isinstance(value, int | float):
        return str(value)  # recorded neither way; AWS's JSON reader makes text of scalars [I]
    raise Malformed(f"the header {name} is {_kind(value)}")


def _encoded(name: str, value: str) -> bytes:
    # Whatever AWS does with such a header, it does not let it break the answer in two.
    if not _NAME.fullmatch(name):
        raise Malformed(f"{name!r} is no header name"[:100])
    if _CONTROL.search(value):
        raise Malformed(f"the header {name} has a control character")
    return value.strip(" \t").encode()


def _body(result: dict[str, Any], accept: str, binary_media_types: Collection[str]) -> bytes:
    body = result.get("body")
    encoded = result.get("isBase64Encoded")
    if isinstance(body, dict | list):
        raise Malformed(f"the body is {_kind(body)}, not a string")
    if isinstance(encoded, dict | list):
        raise Malformed(f"isBase64Encoded is {_kind(encoded)}")
    if body is None:
        return b""
    text = body if isinstance(body, str) else str(_header_text("body", body))
    if encoded is True or encoded == "true":
        first = accept.partition(",")[0].partition(";")[0].strip().lower()
        if matches_binary(first, binary_media_types):
            try:
                return b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise Malformed("the body is not base64", undecodable=True) from None
    return text.encode()


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}.get(
        type(value), "a number"
    )
