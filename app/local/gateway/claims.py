"""Claims as a Cognito authorizer hands them to a Lambda: every value a string (facts, 2.6)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATES = frozenset(("exp", "iat"))


def java_date(seconds: float) -> str:
    """Return ``Tue Apr 04 18:39:39 UTC 2023``: Java's ``Date.toString()``, in English [R]."""
    t = time.gmtime(seconds)
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{_DAYS[t.tm_wday]} {_MONTHS[t.tm_mon - 1]} {t.tm_mday:02} {clock} UTC {t.tm_year}"


def claims_as_strings(claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims in the token's order; null ones are left out [I]."""
    return {
        name: java_date(value) if name in _DATES and type(value) is int else _string(value)
        for name, value in claims.items()
        if value is not None
    }


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ",".join(_string(item) for item in value if item is not None)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
