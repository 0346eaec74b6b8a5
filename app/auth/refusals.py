"""Why a token is not accepted: one class for each reason.

TokenRefused                        signature not verified: one text for all, nothing to learn
├── MalformedToken                  not three canonical base64url parts of JSON objects
├── AlgorithmRefused                ``alg`` is not RS256
├── CriticalHeader                  asks for an extension (``crit``, ``b64``)
├── UnknownKey                      the pool has no key with this ``kid``
├── BadSignature
└── ClaimRefused                    signature verified: the text names the mistake
    ├── MissingClaim
    ├── InvalidClaim                a claim has the wrong type, or no possible value
    ├── TokenExpired
    ├── NotYetValid
    ├── WrongIssuer
    ├── WrongTokenUse
    ├── WrongClient
    └── MissingScope
"""

from __future__ import annotations

from typing import ClassVar


class TokenRefused(Exception):
    """The token is not accepted. ``description`` may be shown to whoever sent it.

    ``helpful`` says whether the description names the mistake.
    """

    description: ClassVar[str] = "The token is not valid"
    helpful: ClassVar[bool] = False


class MalformedToken(TokenRefused):
    """It is not three canonical base64url parts of which two are JSON objects."""


class AlgorithmRefused(TokenRefused):
    """It is not signed with RS256."""


class CriticalHeader(TokenRefused):
    """It asks for an extension of the format (RFC 7515, section 4.1.11; RFC 7797)."""


class UnknownKey(TokenRefused):
    """The pool has no key with its ``kid``."""


class BadSignature(TokenRefused):
    """The signature is not one of the key named by ``kid``."""


class ClaimRefused(TokenRefused):
    """The pool signed it, but it is not for us, or not now."""

    helpful = True


class MissingClaim(ClaimRefused):
    """A claim that every Cognito token has is absent."""

    description = "The token lacks a claim"


class InvalidClaim(ClaimRefused):
    """A claim has the wrong type or a value that cannot be."""

    description = "The token has a claim of the wrong kind"


class TokenExpired(ClaimRefused):
    """``exp`` is past."""

    description = "The token has expired"


class NotYetValid(ClaimRefused):
    """``nbf`` or ``iat`` is in the future."""

    description = "The token is not valid yet"


class WrongIssuer(ClaimRefused):
    """``iss`` is not our pool."""

    description = "The token is from another issuer"


class WrongTokenUse(ClaimRefused):
    """An access token where an ID token is needed, or the reverse."""

    description = "The token has the wrong token_use"


class WrongClient(ClaimRefused):
    """It was issued to another app client."""

    description = "The token is for another app client"


class MissingScope(ClaimRefused):
    """It grants none of the scopes of which one is needed."""

    description = "The token lacks a scope"
