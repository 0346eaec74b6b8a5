"""What is in a new data folder: one pool, one app client, one user, all known beforehand."""

from __future__ import annotations

from typing import Any

from app.local.cognito.signin import Backend

DEMO_USER = "student"
DEMO_PASSWORD = "student"

_POOL: dict[str, Any] = {
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 6,
            "RequireUppercase": False,
            "RequireLowercase": False,
            "RequireNumbers": False,
            "RequireSymbols": False,
            "TemporaryPasswordValidityDays": 7,
        }
    },
    "AutoVerifiedAttributes": ["email"],
    "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
}
_CLIENT: dict[str, Any] = {
    "ClientName": "notegate",
    "PreventUserExistenceErrors": "ENABLED",
    "ExplicitAuthFlows": [
        "ALLOW_USER_PASSWORD_AUTH",
        "ALLOW_USER_SRP_AUTH",
        "ALLOW_ADMIN_USER_PASSWORD_AUTH",
        "ALLOW_REFRESH_TOKEN_AUTH",
    ],
}
_ATTRIBUTES = {"email": "student@example.com", "email_verified": "true", "nickname": "Stu"}


def fill(backend: Backend, pool_id: str, client_id: str) -> None:
    """Make the pool, the app client and the demo user. A user deleted later stays deleted."""
    pool = backend.create_user_pool("notegate", _POOL, pool_id)
    client = backend.create_user_pool_client(pool_id, False, _CLIENT)
    del pool.clients[client.id]
    client.id = client_id
    pool.clients[client.id] = client
    attributes = [{"Name": name, "Value": value} for name, value in _ATTRIBUTES.items()]
    backend.admin_create_user(pool_id, DEMO_USER, "SUPPRESS", DEMO_PASSWORD, attributes)
    backend.admin_set_user_password(pool_id, DEMO_USER, DEMO_PASSWORD, True)
