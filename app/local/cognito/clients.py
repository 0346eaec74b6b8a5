"""App clients as hosted sign-in sees them: where they live, and what they may ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.local.cognito.grants import API_SCOPE

if TYPE_CHECKING:
    from app.local.cognito.pool import LocalPool
    from app.local.cognito.signin import Backend

SCOPES = ("openid", "email", "profile", API_SCOPE)
"""What the server's own app client may ask for."""


@dataclass(frozen=True)
class Client:
    """An app client. ``secret`` is None if it has none."""

    id: str
    pool_id: str
    secret: str | None
    flows: frozenset[str]
    scopes: tuple[str, ...]
    callbacks: tuple[str, ...]
    logouts: tuple[str, ...]
    refreshes: bool
    revokes: bool
    signs_up: bool
    required: tuple[str, ...]
    """Attributes that a new user must have, besides ``email``."""
    by_address: bool
    """Whether users sign up with an address instead of a name."""
    password_rule: str


def find(backend: Backend, client_id: str) -> Client | None:
    """Find an app client of any pool."""
    from moto.cognitoidp.exceptions import ResourceNotFoundError

    try:
        pool, client = backend.client(client_id)
    except ResourceNotFoundError:
        return None
    config, rules = client.extended_config, pool.extended_config
    hosted = config.get("AllowedOAuthFlowsUserPoolClient")
    flows = config.get("ExplicitAuthFlows") or ["ALLOW_REFRESH_TOKEN_AUTH"]
    required = (a.name for a in pool.schema_attributes.values() if a.required)
    return Client(
        id=client.id,
        pool_id=pool.id,
        secret=client.secret if client.generate_secret else None,
        flows=frozenset(config.get("AllowedOAuthFlows") or () if hosted else ()),
        scopes=tuple(config.get("AllowedOAuthScopes") or ()),
        callbacks=tuple(config.get("CallbackURLs") or ()),
        logouts=tuple(config.get("LogoutURLs") or ()),
        refreshes="ALLOW_REFRESH_TOKEN_AUTH" in flows,
        revokes=config.get("EnableTokenRevocation") is not False,
        signs_up=not rules["AdminCreateUserConfig"].get("AllowAdminCreateUserOnly"),
        required=tuple(name for name in required if name not in ("sub", "email")),
        by_address=bool(rules.get("UsernameAttributes")),
        password_rule=_rule(rules["Policies"].get("PasswordPolicy", {})),
    )


def allow_sign_in(pool: LocalPool, callbacks: Iterable[str], logouts: Iterable[str]) -> None:
    """Let the server's own app client sign in at these addresses, besides those it has.

    Nothing else of it is changed: it may have been set by hand.
    """
    names = {"UserPoolId": pool.pool_id, "ClientId": pool.client_id}
    has: dict[str, Any] = pool.call("DescribeUserPoolClient", names)["UserPoolClient"]
    wanted = {
        "AllowedOAuthFlows": _union(has.get("AllowedOAuthFlows"), ["code"]),
        "AllowedOAuthScopes": has.get("AllowedOAuthScopes") or list(SCOPES),
        "CallbackURLs": _union(has.get("CallbackURLs"), callbacks),
        "LogoutURLs": _union(has.get("LogoutURLs"), logouts),
    }
    pool.call("UpdateUserPoolClient", names | {"AllowedOAuthFlowsUserPoolClient": True} | wanted)


def _union(has: list[str] | None, more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*(has or ()), *more]))


def _rule(policy: dict[str, Any]) -> str:
    classes = {
        "RequireUppercase": "a capital letter",
        "RequireLowercase": "a small letter",
        "RequireNumbers": "a digit",
        "RequireSymbols": "a symbol",
    }
    # moto's defaults, for a pool that was made with half a policy
    parts = [what for name, what in classes.items() if policy.get(name, True)]
    start = f"At least {policy.get('MinimumLength', 5)} characters"
    return f"{start}, with {', '.join(parts)}." if parts else f"{start}."
