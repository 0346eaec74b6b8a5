"""Does a request fit its operation? The answer comes from AWS's own model of the operation.

moto trusts its callers; a number where a name belongs would be its KeyError, not the caller's 400.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

_NAME = r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+"
"""The pattern of user and group names, which Python's re can't read."""

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "long": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "structure": lambda v: isinstance(v, dict),
    "map": lambda v: isinstance(v, dict),
    "list": lambda v: isinstance(v, list),
}


def faults(shape: Any, value: Any, name: str = "") -> Iterator[str]:
    """Say what of a request's parameters does not fit.

    Args:
        shape: The operation's input, as botocore models it.
        value: The parameters.
        name: Where the value stands, for messages; nothing of the value itself is repeated.
    """
    if not _TYPES.get(shape.type_name, lambda _: True)(value):
        yield f"Value at '{name}' failed to satisfy constraint: Member must be a {shape.type_name}"
        return
    if shape.type_name == "structure":
        for member in shape.required_members:
            if value.get(member) is None:
                at = _below(name, member)
                yield f"Value null at '{at}' failed to satisfy constraint: Member must not be null"
        for member, inner in value.items():
            if member in shape.members and inner is not None:
                yield from faults(shape.members[member], inner, _below(name, member))
    elif shape.type_name == "list":
        for number, inner in enumerate(value, 1):
            yield from faults(shape.member, inner, f"{name}.{number}.member")
    elif shape.type_name == "map":
        for key, inner in value.items():
            yield from faults(shape.key, key, name)
            yield from faults(shape.value, inner, f"{name}.{key}")
    elif shape.type_name == "string":
        yield from _string_faults(shape, value, name)


def _below(name: str, member: str) -> str:
    member = member[0].lower() + member[1:]
    return f"{name}.{member}" if name else member


def _string_faults(shape: Any, value: str, name: str) -> Iterator[str]:
    limits = shape.metadata
    failed = f"Value at '{name}' failed to satisfy constraint: Member must"
    if not limits.get("min", 0) <= len(value) <= limits.get("max", len(value)):
        yield f"{failed} have length between {limits.get('min', 0)} and {limits.get('max')}"
    if shape.enum and value not in shape.enum:
        yield f"{failed} satisfy enum value set: [{', '.join(shape.enum)}]"
    if limits.get("pattern") == _NAME:
        if not all(unicodedata.category(c)[0] in "LMSNP" for c in value):
            yield f"{failed} satisfy regular expression pattern: {_NAME}"
    elif any("\ud800" <= c <= "\udfff" for c in value):
        yield f"{failed} be text"
