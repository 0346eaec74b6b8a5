"""All pools as one JSON document, and back. No password and no token is in it.

moto's objects hold plain values but for the links between users and groups, which are kept as
names. What a process forgets when it ends: challenges that wait for an answer, and wrong passwords.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from moto.cognitoidp.models import (
    CognitoIdpGroup,
    CognitoIdpIdentityProvider,
    CognitoIdpUser,
    CognitoIdpUserPoolAttribute,
    CognitoIdpUserPoolClient,
    CognitoIdpUserPoolDomain,
    CognitoResourceServer,
    UserStatus,
)

from app.local.cognito.signin import Backend
from app.local.cognito.srp import Password
from app.local.cognito.userpool import UserPool

VERSION = 1

_POOL = (
    *("id", "arn", "name", "status", "extended_config", "creation_date", "last_modified_date"),
    *("mfa_config", "sms_mfa_config", "token_mfa_config"),
)
_USER_LINKS = ("password", "groups", "attribute_lookup", "confirmation_code")


def dump(backend: Backend) -> dict[str, Any]:
    """Write the pools down."""
    return {
        "version": VERSION,
        "pools": [_dump_pool(backend.pool(pool_id)) for pool_id in backend.user_pools],
        "domains": [_fields(domain) for domain in backend.user_pool_domains.values()],
    }


def load(backend: Backend, document: dict[str, Any]) -> None:
    """Fill an empty backend.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the document is not one that dump wrote.
    """
    for saved in document["pools"]:
        _load_pool(backend, saved)
    for saved in document["domains"]:
        domain = CognitoIdpUserPoolDomain(saved["user_pool_id"], saved["domain"])
        backend.user_pool_domains[domain.domain] = _filled(domain, saved)


def _dump_pool(pool: UserPool) -> dict[str, Any]:
    return {
        **{name: _plain(getattr(pool, name)) for name in _POOL},
        "schema": [_fields(attribute) for attribute in pool.schema_attributes.values()],
        "clients": [_fields(client) for client in pool.clients.values()],
        "providers": [_fields(provider) for provider in pool.identity_providers.values()],
        "servers": [_fields(server) for server in pool.resource_servers.values()],
        "groups": [_fields(group, ("users",)) for group in pool.groups.values()],
        "users": [_dump_user(user) for user in pool.users.values()],
        "grants": pool.grants.dump(),
        "codes": pool.codes.dump(),
    }


def _dump_user(user: CognitoIdpUser) -> dict[str, Any]:
    password = cast(Password, user.password)
    return {
        **_fields(user, _USER_LINKS),
        "groups": sorted(group.group_name for group in user.groups),
        "password": {"salt": f"{password.salt:x}", "verifier": f"{password.verifier:x}"},
    }


def _load_pool(backend: Backend, saved: dict[str, Any]) -> None:
    pool = backend.create_user_pool(saved["name"], {}, saved["id"])
    _filled(pool, {name: saved[name] for name in _POOL})
    pool.schema_attributes = {
        attribute["name"]: _filled(
            CognitoIdpUserPoolAttribute.__new__(CognitoIdpUserPoolAttribute), attribute
        )
        for attribute in saved["schema"]
    }
    for client in saved["clients"]:
        pool.clients[client["id"]] = _filled(CognitoIdpUserPoolClient(pool.id, False, {}), client)
    for provider in saved["providers"]:
        pool.identity_providers[provider["name"]] = _filled(
            CognitoIdpIdentityProvider(provider["name"], {}), provider
        )
    for server in saved["servers"]:
        pool.resource_servers[server["identifier"]] = CognitoResourceServer(**server)
    for group in saved["groups"]:
        pool.groups[group["group_name"]] = _filled(
            CognitoIdpGroup(pool.id, group["group_name"], "", "", 0), group
        )
    for user in saved["users"]:
        _load_user(pool, user)
    pool.grants.load(saved["grants"])
    pool.codes.load(saved["codes"])


def _load_user(pool: UserPool, saved: dict[str, Any]) -> None:
    user = CognitoIdpUser(pool.id, saved["username"], None, "", [])
    _filled(user, {name: value for name, value in saved.items() if name not in _USER_LINKS})
    user.attribute_lookup = {a["Name"]: a["Value"] for a in user.attributes}
    user.status = UserStatus(saved["status"])
    user.password = Password(  # type: ignore[assignment] # moto has text there
        pool.short_name + user.username,
        int(saved["password"]["salt"], 16),
        int(saved["password"]["verifier"], 16),
    )
    pool.users[user.username] = user
    for name in saved["groups"]:
        user.groups.add(pool.groups[name])
        pool.groups[name].users.add(user)


def _fields(moto_object: object, links: Collection[str] = ()) -> dict[str, Any]:
    return {n: _plain(v) for n, v in vars(moto_object).items() if n not in links}


def _plain(value: Any) -> Any:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _filled(moto_object: Any, saved: dict[str, Any]) -> Any:
    for name, value in saved.items():
        is_time = isinstance(value, dict) and value.keys() == {"time"}
        vars(moto_object)[name] = datetime.fromisoformat(value["time"]) if is_time else value
    return moto_object
