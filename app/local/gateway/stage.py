"""Where the API begins in a URL: behind an invoke URL under its stage, behind a domain at once."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_VARIABLE = re.compile(r"[A-Za-z0-9_]{1,64}")
_VALUE = re.compile(r"[A-Za-z0-9\-._~:/?#&=,]{0,512}")
_INVOKE_HOST = re.compile(
    r"[a-z0-9]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com(\.cn)?", re.IGNORECASE
)


class Stage:
    """One stage.

    Args:
        name: letters, digits, ``_`` and ``-``.
        variables: by name, within the quotas that AWS documents.
        shadowed: the API has a literal resource of the stage's name under its root. Then, on any
            host but an invoke URL's, the first segment means the resource and never the stage.

    Raises:
        ValueError: when AWS would not have such a stage.
    """

    def __init__(
        self, name: str, variables: Mapping[str, str] | None = None, *, shadowed: bool = False
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a stage's name is 1 to 128 of A-Z a-z 0-9 _ -, not {name!r}")
        for key, value in (variables or {}).items():
            if not (_VARIABLE.fullmatch(key) and _VALUE.fullmatch(value)):
                raise ValueError(f"the stage variable {key} has a name or value that AWS refuses")
        if len(variables or {}) > 100:
            raise ValueError("a stage has at most 100 variables")
        self.name = name
        self.variables = dict(variables) if variables else None
        self._shadowed = shadowed
        self._prefix = f"/{name}"

    def locate(self, raw_path: str, domain: str) -> tuple[str, str] | None:
        """Return ``path`` and ``requestContext.path``; None when no stage is meant.

        Slashes follow the table of recordings: those before the stage and right behind it are not
        part of ``path``, and only those before it are missing from ``requestContext.path``.
        """
        path = "/" + raw_path.lstrip("/")
        prefix = self._prefix
        staged = path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in {"", "/"}
        invoked = _INVOKE_HOST.fullmatch(domain) is not None
        if staged and (invoked or not self._shadowed):
            return "/" + path[len(prefix) :].lstrip("/"), path
        return None if invoked else (path, path)
