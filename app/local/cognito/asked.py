"""A request to the hosted endpoints, read once: parameters, cookies, where it came from."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 100


class Unreadable(Exception):
    """A query or form that is not what its standard wants."""


class Params(dict[str, str]):
    """A query or form: each parameter once. Those without a value count as left out.

    Source: RFC 6749, 3.1 and 3.2.
    """

    def __init__(self, text: bytes = b"") -> None:
        super().__init__()
        self.repeated: set[str] = set()
        try:
            pairs = parse_qsl(text.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError:
            raise Unreadable("The parameters are not URL-encoded UTF-8") from None
        for name, value in pairs:
            if name in self:
                self.repeated.add(name)
            self[name] = value

    def once(self, name: str) -> str:
        """Return a parameter; nothing if it is left out, or given more than once."""
        return "" if name in self.repeated else self.get(name, "")


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        origin: The server's, as the caller knows it.
        prefix: Where the pool is at it.
        near: Whether the caller is this machine.
    """

    method: str
    path: str
    origin: str
    prefix: str
    query: Params
    form: Params
    headers: Headers
    cookies: Mapping[str, str]
    near: bool

    @property
    def secure(self) -> bool:
        """Whether the caller came by https."""
        return self.origin.startswith("https:")

    @property
    def from_own_page(self) -> bool:
        """Whether the browser, if it tells, tells that one of our own pages sent this.

        The server's rule lets any page of this machine call; a form must be our own.
        """
        origin = self.headers.get("origin")
        own = origin is None or urlsplit(origin).netloc == urlsplit(self.origin).netloc
        return own and self.headers.get("sec-fetch-site", "same-origin") == "same-origin"

    @property
    def bearer(self) -> str:
        """The bearer token of the request, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def basic(self) -> tuple[str, str] | None:
        """Name and password of the ``Authorization`` header.

        Raises:
            Unreadable: there is such a header, and it holds no name and password.
        """
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if not scheme:
            return None
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            decoded = ""
        name, colon, password = decoded.partition(":")
        if scheme.lower() != "basic" or not colon:
            raise Unreadable("The Authorization header is not Basic")
        return name, password
