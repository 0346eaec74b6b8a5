"""A pool's two signing keys: made once, kept in the data folder, their public halves published.

Every ``kid`` begins with LOCAL_KID_PREFIX, so that a verifier in AWS can tell and refuse them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from app.local.cognito.files import DataError, write_atomically
from app.settings import LOCAL_KID_PREFIX

TokenUse = Literal["id", "access"]


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _compact(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


class SigningKey:
    """An RSA-2048 key and its public half as a JWK.

    The key's id is the prefix of local keys and the key's thumbprint (RFC 7638).
    """

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self._private = private
        numbers = private.public_key().public_numbers()
        e, n = (
            _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            for number in (numbers.e, numbers.n)
        )
        thumbprint = hashlib.sha256(_compact({"e": e, "kty": "RSA", "n": n})).digest()
        self.kid = LOCAL_KID_PREFIX + _base64url(thumbprint)
        self.jwk = {"alg": "RS256", "e": e, "kid": self.kid, "kty": "RSA", "n": n, "use": "sig"}

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Make a token. The header has Cognito's two members, in Cognito's order."""
        header = {"kid": self.kid, "alg": "RS256"}
        signed = f"{_base64url(_compact(header))}.{_base64url(_compact(claims))}"
        signature = self._private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"

    def pem(self) -> str:
        """Return the private key, as it is kept."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()


class PoolKeys:
    """The two keys of a pool: one signs ID tokens, the other access tokens.

    Args:
        folder: Where they are kept; made there if they do not exist yet.
        pool_id: Whose keys.

    Raises:
        DataError: the file is there and holds no two keys.
    """

    def __init__(self, folder: Path, pool_id: str) -> None:
        self.path = folder / f"keys-{pool_id}.json"
        self._keys: dict[TokenUse, SigningKey] = {}
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            for use in ("id", "access"):
                self._keys[use] = SigningKey(rsa.generate_private_key(65537, 2048))
            write_atomically(
                self.path, json.dumps({use: key.pem() for use, key in self._keys.items()}, indent=1)
            )
        else:
            self._keys = _read(self.path, text)

    def __getitem__(self, use: TokenUse) -> SigningKey:
        return self._keys[use]

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key set, as the pool publishes it."""
        return {"keys": [key.jwk for key in self._keys.values()]}

    def forget(self) -> None:
        """Delete the keys, because their pool is deleted."""
        self.path.unlink(missing_ok=True)


def _read(path: Path, text: str) -> dict[TokenUse, SigningKey]:
    keys: dict[TokenUse, SigningKey] = {}
    try:
        document = json.loads(text)
        for use in ("id", "access"):
            # Our own file: checking anew that the primes are primes would slow each start down.
            private = serialization.load_pem_private_key(
                document[use].encode(), None, unsafe_skip_rsa_key_validation=True
            )
            if not isinstance(private, rsa.RSAPrivateKey):
                raise TypeError("not an RSA key")
            keys[use] = SigningKey(private)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: does not hold the pool's two keys ({error}). Nothing was changed; "
            "put the file back, or move it away to get new keys"
        ) from None
    return keys
