"""Forged and misdirected tokens: each with its name, how it is made, and what refuses it."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.auth.refusals import (
    AlgorithmRefused,
    BadSignature,
    CriticalHeader,
    InvalidClaim,
    MalformedToken,
    MissingClaim,
    NotYetValid,
    TokenExpired,
    TokenRefused,
    UnknownKey,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from app.auth.tokens import CLOCK_SKEW, MAX_DEPTH, MAX_TOKEN
from tests.tokens import (
    ABSENT,
    OTHER_CLIENT_ID,
    OTHER_POOL_ID,
    Pool,
    Signer,
    as_json,
    b64,
    compact,
    public_jwk,
    rs256,
    rsa_key,
)

Forgery = tuple[Callable[[Pool], str], type[TokenRefused]]

FORGERIES: dict[str, Forgery] = {}


def _add(name: str, refusal: type[TokenRefused], make: Callable[[Pool], str]) -> None:
    assert name not in FORGERIES
    FORGERIES[name] = make, refusal


def _now(pool: Pool) -> int:
    return int(pool.clock())


# Its shape
def _second_last_bit(token: str) -> str:
    """Return the token with a bit set that decoding drops: other text, same signature."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def _edit_part(index: int, edit: Callable[[str], str]) -> Callable[[Pool], str]:
    def make(pool: Pool) -> str:
        parts = pool.id_token().split(".")
        parts[index] = edit(parts[index])
        return ".".join(parts)

    return make


def _with_standard_alphabet(pool: Pool) -> str:
    tokens = (pool.id_token(jti=str(n)) for n in range(1000))
    token = next(token for token in tokens if "-" in token.rpartition(".")[2])
    return token.replace("-", "+").replace("_", "/")


for _name, _make in {
    "one dot": lambda p: ".",
    "two dots": lambda p: "..",
    "one part": lambda p: p.id_token().replace(".", ""),
    "two parts": lambda p: p.id_token().rpartition(".")[0],
    "four parts": lambda p: p.id_token() + ".AAAA",
    "five parts, as an encrypted token": lambda p: p.id_token() + ".AAAA.AAAA",
    "trailing dot": lambda p: p.id_token() + ".",
    "leading dot": lambda p: "." + p.id_token(),
    "empty header": _edit_part(0, lambda part: ""),
    "trailing bits in the signature": lambda p: _second_last_bit(p.id_token()),
    "padding on the signature": lambda p: p.id_token() + "==",
    "padding on the header": _edit_part(0, lambda part: part + "="),
    "one character too many in the signature": lambda p: p.id_token() + "AAA",
    "newline inside": _edit_part(1, lambda part: part[:20] + "\n" + part[20:]),
    "newline at the end": lambda p: p.id_token() + "\n",
    "space inside": _edit_part(2, lambda part: part[:20] + " " + part[20:]),
    "standard base64 alphabet": _with_standard_alphabet,
    "foreign characters inside": _edit_part(1, lambda part: part[:8] + "!*" + part[8:]),
    "fullwidth dots": lambda p: p.id_token().replace(".", "．"),
    "letters beyond ASCII": _edit_part(1, lambda part: "é" + part[1:]),
    "half a surrogate pair": _edit_part(1, lambda part: "\ud800" + part[1:]),
    "null byte inside": _edit_part(2, lambda part: part[:20] + "\0" + part[20:]),
    "a megabyte": lambda p: p.id_token(junk="x" * 1_000_000),
    "a megabyte of dots": lambda p: "." * 1_000_000,
    "one character over the bound": lambda p: p.id_token() + "A" * MAX_TOKEN,
    "JSON serialization": lambda p: json.dumps({"payload": p.id_token()}),
}.items():
    _add(f"shape: {_name}", MalformedToken, _make)


# Header and payload as JSON
def _raw_header(edit: Callable[[bytes], bytes]) -> Callable[[Pool], str]:
    return lambda pool: pool.forge(header=edit(as_json(pool.id_header())))


def _raw_payload(edit: Callable[[bytes], bytes]) -> Callable[[Pool], str]:
    return lambda pool: pool.forge(payload=edit(as_json(pool.id_claims())))


def _member(text: bytes) -> Callable[[bytes], bytes]:
    return lambda document: document[:-1] + b"," + text + b"}"


_deep = b'"x":' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
_very_deep = b'"x":' + b"[" * 3000 + b"]" * 3000
_EDITS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda document: b"",
    "list": lambda document: b"[" + document + b"]",
    "string": lambda document: b'"x"',
    "number": lambda document: b"1",
    "null": lambda document: b"null",
    "cut off": lambda document: document[:-1],
    "text after it": lambda document: document + b"{}",
    "byte order mark": lambda document: b"\xef\xbb\xbf" + document,
    "UTF-16": lambda document: document.decode().encode("utf-16"),
    "invalid UTF-8": _member(b'"x":"\xff"'),
    "overlong UTF-8": _member(b'"x":"\xc0\x80"'),
    "raw null byte": _member(b'"x":"\0"'),
    "half a surrogate pair": _member(b'"x":"\\ud800"'),
    "NaN": _member(b'"x":NaN'),
    "Infinity": _member(b'"x":-Infinity'),
    "number beyond floats": _member(b'"x":1e999'),
    "number of 5000 digits": _member(b'"x":' + b"9" * 5000),
    "single quotes": lambda document: document.replace(b'"', b"'"),
    "comment": _member(b'/**/"x":1'),
    "too deep": _member(_deep),
    "very deep": _member(_very_deep),
}
for _name, _edit in _EDITS.items():
    _add(f"header: {_name}", MalformedToken, _raw_header(_edit))
    _add(f"payload: {_name}", MalformedToken, _raw_payload(_edit))
for _text in (b'"alg":"RS256"', b'"kid":"x"', b'"\\u0061lg":"none"'):
    _add(f"header: twice {_text.decode()}", MalformedToken, _raw_header(_member(_text)))
for _text in (b'"exp":99999999999', b'"sub":"x"', b'"x":{"y":1,"y":2}'):
    _add(f"payload: twice {_text.decode()}", MalformedToken, _raw_payload(_member(_text)))


# The algorithm
def _alg(alg: object, sign: Callable[[Pool], Signer] | None = None) -> Callable[[Pool], str]:
    return lambda pool: pool.forge(
        header=pool.id_header(alg=alg), sign=sign(pool) if sign else None
    )


def _hs256(encoding: Encoding, format_: PublicFormat) -> Callable[[Pool], Signer]:
    def sign(pool: Pool) -> Signer:
        secret = pool.id_key.public_key().public_bytes(encoding, format_)
        return lambda signing_input: hmac.digest(secret, signing_input, hashlib.sha256)

    return sign


def _pss(pool: Pool) -> Signer:
    padding = PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH)
    return lambda signing_input: pool.id_key.sign(signing_input, padding, SHA256())


def _ecdsa(pool: Pool) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    return lambda signing_input: key.sign(signing_input, ec.ECDSA(SHA256()))


for _spelling in ("none", "None", "NONE", "nOnE", "none "):
    _add(f"alg: {_spelling!r} unsigned", AlgorithmRefused, _alg(_spelling, lambda p: lambda _: b""))
for _value in ("", "rs256", "RS256 ", "RS256\0", None, 256, True, ["RS256"], {"RS256": 1}, ABSENT):
    _label = "absent" if _value is ABSENT else repr(_value)
    _add(f"alg: {_label}", AlgorithmRefused, _alg(_value))
_pem, _der = Encoding.PEM, Encoding.DER
_spki, _pkcs1 = PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1
for _name, _sign in {
    "HS256 with the public key, PEM": _hs256(_pem, _spki),
    "HS256 with the public key, PEM of PKCS 1": _hs256(_pem, _pkcs1),
    "HS256 with the public key, DER": _hs256(_der, _spki),
    "HS256 with the public key, DER of PKCS 1": _hs256(_der, _pkcs1),
    "RS384": lambda p: rs256(p.id_key, SHA384()),
    "RS512": lambda p: rs256(p.id_key, SHA512()),
    "PS256": _pss,
    "ES256": _ecdsa,
}.items():
    _add(f"alg: {_name}", AlgorithmRefused, _alg(_name[:5], _sign))
    _add(f"signature: {_name}, called RS256", BadSignature, _alg("RS256", _sign))


# Other members of the header
for _name, _members in {
    "crit": {"crit": ["exp"]},
    "crit, empty": {"crit": []},
    "crit of the unknown": {"crit": ["http://example.com/x"], "http://example.com/x": True},
    "b64 false": {"b64": False},
    "b64 false, crit": {"b64": False, "crit": ["b64"]},
    "b64 true": {"b64": True},
}.items():
    _add(
        f"header: {_name}",
        CriticalHeader,
        lambda pool, members=_members: pool.forge(header=pool.id_header(**members)),  # type: ignore[misc] # mypy infers no lambda with a default
    )
for _name, _member_of in {
    "jwk": lambda key: {"jwk": public_jwk(key, "x")},
    "jku": lambda key: {"jku": "http://127.0.0.1:9/jwks.json"},
    "x5u": lambda key: {"x5u": "http://127.0.0.1:9/cert.pem"},
    "x5c": lambda key: {"x5c": ["MIIB"]},
    "nothing": lambda key: {},
}.items():
    _add(
        f"signature: of the forger's key, {_name} in the header",
        BadSignature,
        lambda pool, member=_member_of: pool.forge(  # type: ignore[misc] # mypy infers no lambda with a default
            header=pool.id_header(**member(rsa_key("forger"))), sign=rs256(rsa_key("forger"))
        ),
    )
_add(
    "kid: unknown, with the forger's jwk",
    UnknownKey,
    lambda pool: pool.forge(
        header=pool.id_header(kid="mine", jwk=public_jwk(rsa_key("forger"), "mine")),
        sign=rs256(rsa_key("forger")),
    ),
)


# Which key
def _kid(kid: object) -> Callable[[Pool], str]:
    return lambda pool: pool.forge(header=pool.id_header(kid=kid))


for _kid_value in (
    "nobody",
    "../../../../dev/null",
    "/proc/sys/kernel/randomize_va_space",
    "x' UNION SELECT 'key' --",
    "http://127.0.0.1:9/key",
    "__class__",
    "\0",
    "x" * 256,
    "notegate-local-1",
):
    _add(f"kid: {_kid_value[:24]!r}", UnknownKey, _kid(_kid_value))
for _name, _change in {
    "with a space": lambda kid: kid + " ",
    "upper case": lambda kid: kid.upper(),
    "lookalike letter": lambda kid: kid.replace("e", "е"),  # Cyrillic, on purpose
    "fullwidth letter": lambda kid: kid.replace("i", "ｉ"),  # on purpose
    "with a null byte": lambda kid: kid + "\0",
    "beginning only": lambda kid: kid[:-1],
}.items():
    _add(
        f"kid: {_name}",
        UnknownKey,
        lambda pool, change=_change: pool.forge(header=pool.id_header(kid=change(pool.id_kid))),  # type: ignore[misc] # mypy infers no lambda with a default
    )
for _bad_kid in ("", 1, None, True, ["x"], {}, "x" * 257, ABSENT):
    _label = "absent" if _bad_kid is ABSENT else repr(_bad_kid)[:12]
    _add(f"kid: {_label}", MalformedToken, _kid(_bad_kid))


# Its signature
def _signature(change: Callable[[Pool, bytes], bytes]) -> Callable[[Pool], str]:
    return lambda pool: pool.forge(sign=lambda text: change(pool, rs256(pool.id_key)(text)))


for _name, _signed in {
    "empty": _signature(lambda p, s: b""),
    "cut by a byte": _signature(lambda p, s: s[:-1]),
    "longer by a byte": _signature(lambda p, s: s + b"\0"),
    "led by a zero": _signature(lambda p, s: b"\0" + s),
    "half": _signature(lambda p, s: s[:128]),
    "all zeros": _signature(lambda p, s: bytes(256)),
    "one": _signature(lambda p, s: bytes(255) + b"\1"),
    "all ones": _signature(lambda p, s: b"\xff" * 256),
    "reversed": _signature(lambda p, s: s[::-1]),
    "first bit flipped": _signature(lambda p, s: bytes([s[0] ^ 0x80]) + s[1:]),
    "last bit flipped": _signature(lambda p, s: s[:-1] + bytes([s[-1] ^ 1])),
    "the bare hash": _signature(lambda p, s: hashlib.sha256(s).digest()),
    "SHA-1": lambda p: p.forge(sign=rs256(p.id_key, SHA1())),  # noqa: S303 # that is the forgery
    "of another token": lambda p: (
        p.id_token(jti="a").rpartition(".")[0] + "." + p.id_token(jti="b").rpartition(".")[2]
    ),
    "payload of another token": lambda p: ".".join(
        part.split(".")[i]
        for i, part in enumerate([p.id_token(), p.id_token(sub="x"), p.id_token()])
    ),
    "of the pool's other key": lambda p: p.forge(sign=rs256(p.access_key)),
    "kid of the pool's other key": lambda p: p.forge(header=p.id_header(kid=p.access_kid)),
    "header changed after signing": _edit_part(
        0, lambda part: b64(json.dumps(json.loads(_unb64(part)), indent=1).encode())
    ),
    "other pool, same kid": lambda p: p.forge(sign=rs256(Pool(OTHER_POOL_ID).id_key)),
    "other pool, our issuer, same kid": lambda p: Pool(OTHER_POOL_ID).forge(
        header=p.id_header(), payload=p.id_claims()
    ),
    # A forger must not learn whether the claims would do.
    "forged and expired": lambda p: p.forge(
        payload=p.id_claims(exp=1), sign=rs256(rsa_key("forger"))
    ),
    "forged and no JSON": lambda p: p.forge(payload=b"{", sign=rs256(rsa_key("forger"))),
    "empty payload after signing": _edit_part(1, lambda part: ""),
}.items():
    _add(f"signature: {_name}", BadSignature, _signed)
_add("kid: other pool's", UnknownKey, lambda pool: Pool(OTHER_POOL_ID).id_token())


def _unb64(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")


# Its claims, honestly signed
def _claims(**claims: Any) -> Callable[[Pool], str]:
    return lambda pool: pool.id_token(**claims)


_wrong: Any
for _claim in ("exp", "iss", "token_use", "aud", "sub", "cognito:username"):
    _add(f"claim: no {_claim}", MissingClaim, _claims(**{_claim: ABSENT}))
for _claim in ("iss", "token_use", "aud", "sub", "cognito:username"):
    for _wrong in (None, True, 1, "", [], {}):
        _add(f"claim: {_claim} {_wrong!r}", InvalidClaim, _claims(**{_claim: _wrong}))
for _wrong in (-1, 10**12, 10**300, 2e9, 1.5, "2000000000", "", True, False, None, [], {}):
    _label = str(_wrong)[:16] if isinstance(_wrong, int) else repr(_wrong)
    _add(f"claim: exp {_label}", InvalidClaim, _claims(exp=_wrong))
for _claim in ("nbf", "iat"):
    for _wrong in (-1, 1.5, "1", True, None, 10**12):
        _add(f"claim: {_claim} {_wrong!r}", InvalidClaim, _claims(**{_claim: _wrong}))
    _add(
        f"claim: {_claim} in the future",
        NotYetValid,
        lambda pool, claim=_claim: pool.id_token(**{claim: _now(pool) + CLOCK_SKEW + 1}),  # type: ignore[misc] # mypy infers no lambda with a default
    )
_add("claim: exp 0", TokenExpired, _claims(exp=0))
_add("claim: exp now", TokenExpired, lambda pool: pool.id_token(exp=_now(pool)))
_add("claim: exp a second ago", TokenExpired, lambda pool: pool.id_token(exp=_now(pool) - 1))
for _name, _issuer in {
    "trailing slash": lambda iss: iss + "/",
    "no scheme": lambda iss: iss.removeprefix("https://"),
    "http": lambda iss: iss.replace("https", "http"),
    "other region": lambda iss: iss.replace("eu-central-1", "us-east-1"),
    "other pool": lambda iss: iss[:-1] + "2",
    "upper case": lambda iss: iss.upper(),
    "longer": lambda iss: iss + ".example.com",
    "as a user": lambda iss: iss + "@example.com",
    "with a null byte": lambda iss: iss + "\0",
}.items():
    _add(
        f"claim: iss, {_name}",
        WrongIssuer,
        lambda pool, change=_issuer: pool.id_token(iss=change(pool.issuer)),  # type: ignore[misc] # mypy infers no lambda with a default
    )
for _use in ("access", "ID", "id ", "refresh", "id access"):
    _add(f"claim: token_use {_use!r}", WrongTokenUse, _claims(token_use=_use))
_add("claim: an access token for an ID token", WrongTokenUse, lambda pool: pool.access_token())
for _name, _audience in {
    "other client": lambda client: OTHER_CLIENT_ID,
    "beginning only": lambda client: client[:-1],
    "longer": lambda client: client + "0",
    "upper case": lambda client: client.upper(),
    "two in one string": lambda client: f"{client} {OTHER_CLIENT_ID}",
    "with a space": lambda client: client + " ",
}.items():
    _add(
        f"claim: aud, {_name}",
        WrongClient,
        lambda pool, change=_audience: pool.id_token(aud=change(pool.client_id)),  # type: ignore[misc] # mypy infers no lambda with a default
    )
_add("claim: aud a list", InvalidClaim, lambda pool: pool.id_token(aud=[pool.client_id]))
_add(
    "claim: client_id in place of aud",
    MissingClaim,
    lambda pool: pool.id_token(aud=ABSENT, client_id=pool.client_id),
)
_add("claim: user name too long", InvalidClaim, _claims(**{"cognito:username": "x" * 129}))
for _character in ("\0", "\n", "\x7f", "\x85"):
    _add(
        f"claim: user name with {_character!r}",
        InvalidClaim,
        _claims(**{"cognito:username": f"stu{_character}dent"}),
    )
_add(
    "claim: username in place of cognito:username",
    MissingClaim,
    _claims(**{"cognito:username": ABSENT, "username": "student"}),
)
_add(
    "claim: all of them absent",
    MissingClaim,
    lambda pool: compact(pool.id_header(), {}, rs256(pool.id_key)),
)
