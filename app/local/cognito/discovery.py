"""What a pool tells about its endpoints: its OpenID Connect configuration."""

from __future__ import annotations

from typing import Any


def configuration(pool_id: str, base: str) -> dict[str, Any]:
    """Return the document of ``/.well-known/openid-configuration``.

    The issuer is the one in the tokens, so AWS's; the endpoints are this server's.

    Args:
        pool_id: The pool.
        base: Where the pools are, as the caller knows it.
    """
    region = pool_id.partition("_")[0]
    return {
        "authorization_endpoint": f"{base}/oauth2/authorize",
        "code_challenge_methods_supported": ["S256"],
        "end_session_endpoint": f"{base}/logout",
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": f"https://cognito-idp.{region}.amazonaws.com/{pool_id}",
        "jwks_uri": f"{base}/{pool_id}/.well-known/jwks.json",
        "response_types_supported": ["code"],
        "revocation_endpoint": f"{base}/oauth2/revoke",
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": f"{base}/oauth2/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": f"{base}/oauth2/userInfo",
    }
