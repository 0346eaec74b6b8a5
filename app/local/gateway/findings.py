"""What is wrong with a definition: collected while reading goes on, so that one run names all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.local.gateway.definition import Problem


def pointer(*parts: object) -> str:
    """Return a JSON pointer (RFC 6901) as a fragment, with ``/`` inside a part escaped."""
    return "#" + "".join("/" + escaped(part) for part in parts)


def escaped(part: object) -> str:
    """Return one part of a JSON pointer."""
    return str(part).replace("~", "~0").replace("/", "~1")


class Findings:
    """The problems and warnings of one definition.

    Args:
        ignore_unsupported: what the mirror cannot do is a warning.
    """

    def __init__(self, ignore_unsupported: bool) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self._ignore = ignore_unsupported

    def wrong(self, place: str, what: str) -> None:
        """Note what API Gateway would not import."""
        self.problems.append(Problem(place, what))

    def unsupported(self, place: str, what: str) -> None:
        """Note what API Gateway does and the mirror does not."""
        self.report([Problem(place, what, unsupported=True)])

    def report(self, problems: list[Problem]) -> None:
        """Note problems found elsewhere."""
        for problem in problems:
            if problem.unsupported and self._ignore:
                self.warnings.append(str(problem))
            else:
                self.problems.append(problem)

    def mapping(self, value: Any, place: str) -> Mapping[str, Any]:
        """Return an object; nothing is an empty one, and anything else is wrong."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.wrong(place, "is not an object")
            return {}
        return value
