"""Tokens for tests: a pool's keys, honest tokens, and the parts from which forgeries are made."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm

POOL_ID: Final = "eu-central-1_Testing01"
OTHER_POOL_ID: Final = "eu-central-1_Testing02"
CLIENT_ID: Final = "1testclient0000000000000001"
OTHER_CLIENT_ID: Final = "2testclient0000000000000002"
SUB: Final = "11111111-2222-4333-8444-555555555555"
USER_NAME: Final = "student"

ABSENT: Final = object()
"""As a claim's or header's value: leave it out."""

Signer = Callable[[bytes], bytes]


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the private key of that name; made once a session, for making one is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def b64(raw: bytes) -> str:
    """Encode as base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def as_json(value: object) -> bytes:
    """Encode as compact JSON; bytes stay as they are, so that forgeries can be anything."""
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def rs256(key: rsa.RSAPrivateKey, hash_: HashAlgorithm | None = None) -> Signer:
    """Return what signs as RS256 does, or with another hash."""
    return lambda signing_input: key.sign(signing_input, PKCS1v15(), hash_ or SHA256())


def compact(header: object, payload: object, sign: Signer) -> str:
    """Put a token together from whatever is given."""
    signing_input = f"{b64(as_json(header))}.{b64(as_json(payload))}"
    return f"{signing_input}.{b64(sign(signing_input.encode()))}"


def public_jwk(key: rsa.RSAPrivateKey, kid: str, **members: Any) -> dict[str, Any]:
    """Return the public half as a user pool publishes it; ``members`` replace or add."""
    numbers = key.public_key().public_numbers()
    n, e = (
        b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        for number in (numbers.n, numbers.e)
    )
    jwk = {"alg": "RS256", "e": e, "kid": kid, "kty": "RSA", "n": n, "use": "sig"}
    return _without_absent(jwk | members)


class Pool:
    """A user pool: two keys, one for ID tokens and one for access tokens, as at Cognito."""

    def __init__(
        self,
        pool_id: str = POOL_ID,
        client_id: str = CLIENT_ID,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.pool_id = pool_id
        self.client_id = client_id
        self.clock = clock
        self.issuer = f"https://cognito-idp.{pool_id.partition('_')[0]}.amazonaws.com/{pool_id}"
        self.id_key = rsa_key(f"{pool_id} id")
        self.access_key = rsa_key(f"{pool_id} access")
        self.id_kid = f"{pool_id}-id-key="
        self.access_kid = f"{pool_id}-access-key="

    @property
    def jwks(self) -> dict[str, Any]:
        """The published key set."""
        return {
            "keys": [
                public_jwk(self.id_key, self.id_kid),
                public_jwk(self.access_key, self.access_kid),
            ]
        }

    def id_header(self, **members: Any) -> dict[str, Any]:
        """Return an ID token's header."""
        return _without_absent({"kid": self.id_kid, "alg": "RS256"} | members)

    def id_claims(self, **claims: Any) -> dict[str, Any]:
        """Return an ID token's claims; ``claims`` replace, add, or (ABSENT) leave out."""
        now = int(self.clock())
        return _without_absent(
            {
                "sub": SUB,
                "email_verified": True,
                "iss": self.issuer,
                "cognito:username": USER_NAME,
                "origin_jti": "aaaaaaaa-0000-4000-8000-000000000001",
                "aud": self.client_id,
                "event_id": "aaaaaaaa-0000-4000-8000-000000000002",
                "token_use": "id",
                "auth_time": now,
                "exp": now + 3600,
                "iat": now,
                "jti": "aaaaaaaa-0000-4000-8000-000000000003",
                "email": "student@example.com",
            }
            | claims
        )

    def access_claims(self, **claims: Any) -> dict[str, Any]:
        """Return an access token's claims; ``claims`` as in ``id_claims``."""
        now = int(self.clock())
        return _without_absent(
            {
                "sub": SUB,
                "iss": self.issuer,
                "version": 2,
                "client_id": self.client_id,
                "origin_jti": "aaaaaaaa-0000-4000-8000-000000000001",
                "event_id": "aaaaaaaa-0000-4000-8000-000000000002",
                "token_use": "access",
                "scope": "aws.cognito.signin.user.admin",
                "auth_time": now,
                "exp": now + 3600,
                "iat": now,
                "jti": "aaaaaaaa-0000-4000-8000-000000000004",
                "username": USER_NAME,
            }
            | claims
        )

    def id_token(self, **claims: Any) -> str:
        """Return an honest ID token, with ``claims`` as in ``id_claims``."""
        return compact(self.id_header(), self.id_claims(**claims), rs256(self.id_key))

    def access_token(self, **claims: Any) -> str:
        """Return an honest access token, with ``claims`` as in ``access_claims``."""
        header = {"kid": self.access_kid, "alg": "RS256"}
        return compact(header, self.access_claims(**claims), rs256(self.access_key))

    def forge(
        self, *, header: object = None, payload: object = None, sign: Signer | None = None
    ) -> str:
        """Return an ID token of which any part is replaced; bytes are taken as they are.

        Signed with the pool's own ID key unless ``sign`` is given, so that what is wrong with it
        is only what was asked for.
        """
        return compact(
            self.id_header() if header is None else header,
            self.id_claims() if payload is None else payload,
            sign or rs256(self.id_key),
        )


def _without_absent(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ABSENT}
