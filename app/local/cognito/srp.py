"""Secure Remote Password as Cognito speaks it: a sign-in that never sends the password.

Source: RFC 5054 (the 3072-bit group, g = 2) with Cognito's own choices, as AWS's clients make them:
SHA-256, numbers hashed in hex padded to a clear sign bit, the pool's name in front of the user's,
a key of HKDF with the info ``Caldera Derived Key``, and a signature over the server's secret block.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

N = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
G = 2
MAX_CLOCK_SKEW = 300
"""Seconds that a client's timestamp may be away from the server's clock."""

_HEX = re.compile(r"[0-9a-fA-F]{1,800}")
_INFO = b"Caldera Derived Key"


def padded(number: int) -> bytes:
    """Give a number's bytes as AWS's clients hash them: big-endian, the first bit clear."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha256(b"".join(parts)).digest(), "big")


K = _hash(padded(N), padded(G))


@dataclass(frozen=True, eq=False)
class Password:
    """What is kept of a password: a salt and a verifier, from which it can't be read back.

    It equals the string that it was made from, so code that compares passwords compares this one.
    ``identity`` is the pool's name followed by the user's, both part of the verifier.
    """

    identity: str
    salt: int
    verifier: int

    @classmethod
    def of(cls, identity: str, password: str) -> Password:
        """Make the verifier of a password, with a new salt."""
        # The first byte is not 0: AWS's clients differ in what they make of leading zeros.
        salt = int.from_bytes(bytes([1 + secrets.randbelow(255)]) + secrets.token_bytes(15), "big")
        return cls(identity, salt, pow(G, _private_key(identity, salt, password), N))

    @classmethod
    def fake(cls, identity: str, secret: bytes) -> Password:
        """Make a password that nothing matches: what a user who does not exist answers with.

        The same identity gets the same salt each time, as it would if the user existed.
        """
        salt = hmac.digest(secret, identity.encode(), "sha256")[:16]
        number = int.from_bytes(salt, "big") | 1 << 120
        return cls(identity, number, pow(G, secrets.randbits(256), N))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        verifier = pow(G, _private_key(self.identity, self.salt, other), N)
        return hmac.compare_digest(padded(verifier), padded(self.verifier))

    __hash__ = None  # type: ignore[assignment] # Python's own way


def _private_key(identity: str, salt: int, password: str) -> int:
    inner = hashlib.sha256(f"{identity}:{password}".encode()).digest()
    return _hash(padded(salt), inner)


def client_public(text: str) -> int | None:
    """Read a client's ``SRP_A``; None if it is no number that proves anything.

    A multiple of N makes the shared secret 0 whatever the password (RFC 5054, 2.5.4).
    """
    if not _HEX.fullmatch(text):
        return None
    number = int(text, 16)
    return number if 0 < number < N else None


class Exchange:
    """The server's side of one sign-in: made from the client's public number, used once."""

    def __init__(self, password: Password, client_public: int) -> None:
        self.password = password
        self._a = client_public
        self._b = secrets.randbits(512)
        self.server_public = (K * password.verifier + pow(G, self._b, N)) % N
        self.secret_block = base64.b64encode(secrets.token_bytes(64)).decode()

    def accepts(self, timestamp: str, signature: str) -> bool:
        """Whether the signature proves knowledge of the password.

        Args:
            timestamp: The client's, in Cognito's spelling; part of what is signed.
            signature: ``PASSWORD_CLAIM_SIGNATURE``, base64.
        """
        try:
            given = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        message = (
            self.password.identity.encode()
            + base64.b64decode(self.secret_block)
            + timestamp.encode()
        )
        return hmac.compare_digest(hmac.digest(self._key(), message, "sha256"), given)

    def _key(self) -> bytes:
        u = _hash(padded(self._a), padded(self.server_public))
        shared = pow(self._a * pow(self.password.verifier, u, N), self._b, N)
        return HKDF(SHA256(), 16, padded(u), _INFO).derive(padded(shared))


def is_fresh(timestamp: str, now: float) -> bool:
    """Whether a client's timestamp (``Tue Sep 5 12:34:56 UTC 2023``) is close to the clock."""
    try:
        moment = datetime.strptime(timestamp, "%a %b %d %H:%M:%S UTC %Y").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(moment.timestamp() - now) <= MAX_CLOCK_SKEW
