"""What Cognito writes into its tokens: pure functions from a user and a sign-in to claims.

Source: "Understanding user pool JSON web tokens" in the Cognito developer guide.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.local.cognito.grants import Grant

BOOLEANS = frozenset({"email_verified", "phone_number_verified"})

_GROUPS = {
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
}
_UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
_DEFAULTS: dict[str, tuple[int, str]] = {
    "AccessToken": (1, "hours"),
    "IdToken": (1, "hours"),
    "RefreshToken": (30, "days"),
}


@dataclass(frozen=True)
class Subject:
    """Whom a token is about. ``attributes`` are those that the app client may read."""

    issuer: str
    sub: str
    username: str
    groups: list[str]
    attributes: Mapping[str, str]


def lifetime(
    config: Mapping[str, Any], token: Literal["AccessToken", "IdToken", "RefreshToken"]
) -> int:
    """Seconds that a token of an app client is valid; AWS's defaults where it does not say."""
    number, unit = _DEFAULTS[token]
    unit = (config.get("TokenValidityUnits") or {}).get(token) or unit
    given = config.get(f"{token}Validity")
    if not given:
        return number * _UNIT_SECONDS[_DEFAULTS[token][1]]
    return int(given) * _UNIT_SECONDS[unit]


def readable(
    config: Mapping[str, Any], attributes: Mapping[str, str], schema: Iterable[str]
) -> dict[str, str]:
    """Keep the attributes that an app client may read: all of the schema unless it names some."""
    allowed = set(config.get("ReadAttributes") or schema)
    return {n: v for n, v in attributes.items() if n in allowed and n != "sub"}


def in_scope(attributes: Mapping[str, str], scopes: Collection[str]) -> dict[str, str]:
    """Keep the attributes that scopes ask for: all of them unless one names a group.

    Source: "The user attributes endpoint" in the developer guide, scopes and their effects.
    """
    asked = {scope for scope in scopes if scope in ("profile", *_GROUPS)}
    group_of = {name: group for group, names in _GROUPS.items() for name in names}
    return {n: v for n, v in attributes.items() if not asked or group_of.get(n, "profile") in asked}


def id_claims(
    subject: Subject,
    grant: Grant,
    now: int,
    seconds: int,
    *,
    nonce: str | None = None,
    access_token: str | None = None,
) -> dict[str, Any]:
    """Build the claims of an ID token.

    Args:
        subject: The user.
        grant: The sign-in.
        now: Unix time.
        seconds: How long the token is valid.
        nonce: From the authorization request, hosted sign-in only.
        access_token: To be named by ``at_hash``, hosted sign-in only.
    """
    claims: dict[str, Any] = {
        name: value == "true" if name in BOOLEANS else value
        for name, value in subject.attributes.items()
    }
    if access_token is not None:
        # OpenID Connect Core, 3.1.3.6
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims["at_hash"] = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    if nonce is not None:
        claims["nonce"] = nonce
    # What the pool states comes last: no attribute can take its place.
    return claims | {
        **_common(subject, grant, now, seconds),
        "cognito:username": subject.username,
        "aud": grant.client_id,
        "token_use": "id",
    }


def access_claims(subject: Subject, grant: Grant, now: int, seconds: int) -> dict[str, Any]:
    """Build the claims of an access token. Arguments as for id_claims."""
    return {
        **_common(subject, grant, now, seconds),
        "client_id": grant.client_id,
        "token_use": "access",
        "scope": " ".join(grant.scopes),
        "username": subject.username,
        "version": 2,
    }


def _common(subject: Subject, grant: Grant, now: int, seconds: int) -> dict[str, Any]:
    return {
        "sub": subject.sub,
        **({"cognito:groups": subject.groups} if subject.groups else {}),
        "iss": subject.issuer,
        "origin_jti": grant.origin_jti,
        "event_id": grant.event_id,
        "auth_time": grant.auth_time,
        "exp": now + seconds,
        "iat": now,
        "jti": str(uuid.uuid4()),
    }
