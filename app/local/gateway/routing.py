"""Which method answers? Literal before {parameter} before {proxy+}, by path and method."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.local.gateway.definition import HTTP_METHODS, Method

_SEGMENT = re.compile(r"[^/]+")

Match = tuple[Method, dict[str, str] | None]


class _Node:
    __slots__ = ("literals", "methods", "variable", "variable_name")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.methods: dict[str, Method] = {}
        self.variable: _Node | None = None
        self.variable_name = ""

    @property
    def greedy(self) -> bool:
        return self.variable_name.endswith("+")


class Routes:
    """The resources of an API as a tree, which is what they are in API Gateway."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self._root = _Node()
        for method in methods:
            node = self._root
            for part in _SEGMENT.findall(method.resource):
                if part.startswith("{"):
                    # A second variable beside the first is refused when the definition is read.
                    node.variable = node.variable or _Node()
                    node.variable_name = part[1:-1]
                    node = node.variable
                else:
                    node = node.literals.setdefault(part, _Node())
            node.methods[method.http_method] = method

    def has_literal(self, segment: str) -> bool:
        """Whether the API has this literal resource right under its root."""
        return segment in self._root.literals

    def match(self, http_method: str, path: str) -> Match | None:
        """Return the method and the raw path parameters (None when there are none).

        Repeated and trailing slashes do not matter, but a greedy parameter keeps those inside it.
        """
        spans = [(found.start(), found.group()) for found in _SEGMENT.finditer(path)]
        return self._walk(self._root, http_method, path, spans, 0, ())

    def _walk(
        self,
        node: _Node,
        http_method: str,
        path: str,
        spans: list[tuple[int, str]],
        depth: int,
        found: tuple[tuple[str, str], ...],
    ) -> Match | None:
        if depth == len(spans):
            method = _method(node, http_method)
            return None if method is None else (method, dict(found) or None)
        start, segment = spans[depth]
        literal = node.literals.get(segment)
        if literal is not None:
            match = self._walk(literal, http_method, path, spans, depth + 1, found)
            if match is not None:
                return match
        if node.variable is None:
            return None
        # The literal resource lacks the method, so the search goes on beside it [R].
        if not node.greedy:
            found = (*found, (node.variable_name, segment))
            return self._walk(node.variable, http_method, path, spans, depth + 1, found)
        method = _method(node.variable, http_method)
        if method is None:
            return None
        return method, {**dict(found), node.variable_name[:-1]: path[start:].rstrip("/")}


def _method(node: _Node, http_method: str) -> Method | None:
    if http_method not in HTTP_METHODS:
        return None
    return node.methods.get(http_method) or node.methods.get("ANY")
