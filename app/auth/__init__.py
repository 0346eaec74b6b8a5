"""Who is calling? Keys (jwks) ← token rules (tokens) ← FastAPI (current_user)."""

from app.auth.current_user import (
    SignedIn,
    User,
    UserRoute,
    authenticate,
    only_value,
    unauthorized,
)
from app.auth.fetch import Fetch, http_fetch
from app.auth.jwks import Key, KeySet, KeysUnavailable
from app.auth.refusals import ClaimRefused, TokenRefused
from app.auth.tokens import MAX_TOKEN, Claims, TokenVerifier, unverified_issuer, user_name

__all__ = [
    "MAX_TOKEN",
    "ClaimRefused",
    "Claims",
    "Fetch",
    "Key",
    "KeySet",
    "KeysUnavailable",
    "SignedIn",
    "TokenRefused",
    "TokenVerifier",
    "User",
    "UserRoute",
    "authenticate",
    "http_fetch",
    "only_value",
    "unauthorized",
    "unverified_issuer",
    "user_name",
]
