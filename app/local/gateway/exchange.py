"""One request on its way: what the steps have found out, and ``$context`` made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.local.gateway.definition import Method
from app.local.gateway.request import Request

_NAME = r"[A-Za-z_][\w-]*"
_BRACKETS = r"""\[\s*['"]([^'"\]]+)['"]\s*\]"""
_VARIABLE = re.compile(
    rf"\$(?:(context|stageVariables)((?:\.{_NAME}|{_BRACKETS})+)"
    rf"|\{{(context|stageVariables)((?:\.{_NAME}|{_BRACKETS})+)\}})"
)
_STEP = re.compile(rf"\.({_NAME})|{_BRACKETS}")


class Exchange:
    """A request and what is known of its answer so far; written by ``gateway.py`` only."""

    __slots__ = (
        "authorizer",
        "claims",
        "integration_latency",
        "integration_status",
        "method",
        "path",
        "path_parameters",
        "request",
        "stage_path",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.path = request.raw_path
        self.stage_path = request.raw_path
        self.method: Method | None = None
        self.path_parameters: dict[str, str] | None = None
        self.claims: Mapping[str, str] | None = None
        self.authorizer: str | None = None
        self.integration_status: int | None = None
        self.integration_latency: float | None = None


def substitute(template: str, variables: Mapping[str, Any], *, missing: str = "") -> str:
    """Replace ``$context.…`` and ``$stageVariables.…``, also in ``${…}``; this is not VTL [D].

    Args:
        template: the text.
        variables: the values of ``context`` and ``stageVariables``.
        missing: what stands for an unknown or null value.
    """

    def value(match: re.Match[str]) -> str:
        root, steps = (match[1], match[2]) if match[1] else (match[4], match[5])
        found: Any = variables.get(root)
        for step in _STEP.finditer(steps):
            found = found.get(step[1] or step[2]) if isinstance(found, Mapping) else None
        return missing if found is None or isinstance(found, Mapping) else str(found)

    return _VARIABLE.sub(value, template)
