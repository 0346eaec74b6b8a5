"""Which attributes may be written, by whom, and what follows: rules that moto does not have."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from moto.cognitoidp.exceptions import InvalidParameterException, NotAuthorizedError

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_STATED_BY_THE_POOL = frozenset({"email_verified", "phone_number_verified"})


def check(
    attributes: Sequence[dict[str, str]], schema: Collection[str], *, admin: bool
) -> list[dict[str, str]]:
    """Refuse attributes that must not be written so.

    Args:
        attributes: ``{"Name", "Value"}`` each, as in the API.
        schema: The names that the pool knows.
        admin: Whether an administrator writes them, or the user.

    Returns:
        The attributes to write: a new address is an unverified one, unless an administrator says
        that it is verified.

    Raises:
        InvalidParameterException: a name that is not in the schema, ``sub``, or no address.
        NotAuthorizedError: a user says that their own address is verified.
    """
    written = {attribute["Name"]: attribute.get("Value", "") for attribute in attributes}
    for name, value in written.items():
        if name not in schema:
            raise InvalidParameterException(f"user.{name}: Attribute does not exist in the schema.")
        if name == "sub":
            raise InvalidParameterException("Cannot modify the non-mutable attribute sub")
        if name in _STATED_BY_THE_POOL and not admin:
            raise NotAuthorizedError("A client attempted to write unauthorized attribute")
        if name in _STATED_BY_THE_POOL and value not in {"true", "false"}:
            raise InvalidParameterException(f"user.{name}: Must be true or false")
        if name == "email" and not _EMAIL.fullmatch(value):
            raise InvalidParameterException("Invalid email address format.")
    for address in ("email", "phone_number"):
        if address in written:
            written.setdefault(f"{address}_verified", "false")
    return [{"Name": name, "Value": value} for name, value in written.items()]


def masked(address: str) -> str:
    """Mask an address as Cognito does: ``s***@e***``."""
    return "@".join(f"{part[:1]}***" for part in address.split("@", 1))
