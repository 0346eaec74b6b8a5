"""What a token must be to become claims."""

from __future__ import annotations

import asyncio
import json
import string
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import app.auth.tokens as rules
from app.auth import refusals
from app.auth.jwks import Key, KeySet, KeysUnavailable
from app.auth.refusals import (
    BadSignature,
    InvalidClaim,
    MissingClaim,
    MissingScope,
    NotYetValid,
    TokenExpired,
    TokenRefused,
    UnknownKey,
    WrongClient,
    WrongTokenUse,
)
from app.auth.tokens import (
    CLOCK_SKEW,
    MAX_DEPTH,
    Claims,
    TokenVerifier,
    unverified_issuer,
    user_name,
)
from tests.auth.forgeries import FORGERIES
from tests.tokens import ABSENT, CLIENT_ID, OTHER_CLIENT_ID, OTHER_POOL_ID, Pool, compact

NOW = 1_795_000_000
POOL = Pool(clock=lambda: NOW)


async def published() -> bytes:
    """The key server: it has what was preloaded, so an unknown kid stays unknown."""
    return json.dumps(POOL.jwks).encode()


def verifier(token_use: Literal["id", "access"] = "id", **options: Any) -> TokenVerifier:
    defaults: dict[str, Any] = {
        "keys": KeySet(published, preloaded=POOL.jwks),
        "issuer": POOL.issuer,
        "client_ids": {CLIENT_ID},
        "clock": lambda: NOW,
    }
    return TokenVerifier(token_use=token_use, **(defaults | options))


def verify(token: str, by: TokenVerifier) -> Claims:
    return asyncio.run(by.verify(token))


def test_an_id_token_becomes_its_claims_in_its_order() -> None:
    claims = verify(POOL.id_token(), verifier())

    assert claims == POOL.id_claims()
    assert list(claims) == list(POOL.id_claims())
    assert user_name(claims) == "student"


def test_an_access_token_becomes_its_claims() -> None:
    claims = verify(POOL.access_token(), verifier("access"))

    assert claims == POOL.access_claims()
    assert user_name(claims) == "student"


@pytest.mark.parametrize(
    "claims",
    [
        {"cognito:groups": ["readers", "admins"]},
        {"identities": [{"userId": "1", "providerName": "Google", "primary": "true"}]},
        {"nickname": "Zoë 😀 Ωμέγα", "cognito:username": "Ωμέγα😀"},
        {"custom:prefs": "{[" * 30},
        {"custom:level": 1.5},
        {"x": [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]},  # as deep as allowed
        {"x": [[[[[[[[[[[[[[[]]]]]]]]]]]]]]], "y": "{{{{"},  # brackets in text are no depth
        {"nbf": NOW},
        {"nbf": NOW + CLOCK_SKEW, "iat": NOW + CLOCK_SKEW},
        {"iat": ABSENT},
        {"exp": NOW + 1},
        {"cognito:username": "x" * 128},
    ],
    ids=lambda claims: ", ".join(claims),
)
def test_what_cognito_may_write_is_accepted(claims: dict[str, Any]) -> None:
    assert verify(POOL.id_token(**claims), verifier()) == POOL.id_claims(**claims)


def test_a_resource_bound_access_token_may_name_an_api_in_aud() -> None:
    token = POOL.access_token(aud="https://api.example.com")

    assert verify(token, verifier("access"))["aud"] == "https://api.example.com"


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_for_what_it_is(name: str) -> None:
    make, refusal = FORGERIES[name]
    token = make(POOL)

    with pytest.raises(TokenRefused) as caught:
        verify(token, verifier())

    assert type(caught.value) is refusal


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"client_id": OTHER_CLIENT_ID}, WrongClient),
        ({"client_id": OTHER_CLIENT_ID, "aud": CLIENT_ID}, WrongClient),
        ({"client_id": ABSENT, "aud": CLIENT_ID}, MissingClaim),
        ({"client_id": [CLIENT_ID]}, InvalidClaim),
        ({"token_use": "id"}, WrongTokenUse),
        ({"username": ABSENT}, MissingClaim),
        ({"username": ABSENT, "cognito:username": "student"}, MissingClaim),
        ({"exp": NOW}, TokenExpired),
    ],
)
def test_an_access_token_has_its_own_claims(
    claims: dict[str, Any], refusal: type[TokenRefused]
) -> None:
    with pytest.raises(refusal):
        verify(POOL.access_token(**claims), verifier("access"))


def test_an_id_token_is_no_access_token() -> None:
    with pytest.raises(WrongTokenUse):
        verify(POOL.id_token(), verifier("access"))


@pytest.mark.parametrize("scope", ["notes/read", "openid notes/read", "notes/write notes/read"])
def test_one_of_the_scopes_is_enough(scope: str) -> None:
    wanted = verifier("access", scopes=["notes/read", "notes/admin"])

    assert verify(POOL.access_token(scope=scope), wanted)["scope"] == scope


@pytest.mark.parametrize(
    ("scope", "refusal"),
    [
        ("notes/write", MissingScope),
        ("notes/read/all", MissingScope),
        ("xnotes/read", MissingScope),
        ("NOTES/READ", MissingScope),
        ("notes/read,openid", MissingScope),
        ("openid\tnotes/read", MissingScope),
        (ABSENT, MissingScope),
        ("", InvalidClaim),
        (["notes/read"], InvalidClaim),
        (None, InvalidClaim),
    ],
)
def test_without_any_of_the_scopes_it_is_refused(
    scope: object, refusal: type[TokenRefused]
) -> None:
    with pytest.raises(refusal):
        verify(POOL.access_token(scope=scope), verifier("access", scopes=["notes/read"]))


def test_no_client_ids_means_every_client_of_the_pool_but_there_must_be_one() -> None:
    any_client = verifier(client_ids=None)

    assert verify(POOL.id_token(aud=OTHER_CLIENT_ID), any_client)["aud"] == OTHER_CLIENT_ID
    with pytest.raises(MissingClaim):
        verify(POOL.id_token(aud=ABSENT), any_client)


def test_leeway_is_for_expiry_only_and_ends() -> None:
    lenient = verifier(leeway=60)

    assert verify(POOL.id_token(exp=NOW - 59), lenient)
    with pytest.raises(TokenExpired):
        verify(POOL.id_token(exp=NOW - 60), lenient)
    with pytest.raises(NotYetValid):
        verify(POOL.id_token(iat=NOW + CLOCK_SKEW + 1), lenient)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"client_ids": CLIENT_ID}, TypeError),
        ({"client_ids": []}, ValueError),
        ({"token_use": "access", "scopes": "openid"}, TypeError),
        ({"scopes": ["openid"]}, ValueError),
    ],
)
def test_a_verifier_that_would_not_do_what_it_says_is_not_built(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        verifier(**options)


def test_client_ids_must_be_given() -> None:
    with pytest.raises(TypeError):
        TokenVerifier(KeySet(published), issuer=POOL.issuer, token_use="id")  # type: ignore[call-arg] # the point


def test_unreachable_keys_are_no_refusal() -> None:
    async def fails() -> bytes:
        raise OSError

    with pytest.raises(KeysUnavailable):
        verify(POOL.id_token(), verifier(keys=KeySet(fails)))


REFUSALS = [
    refusal
    for refusal in vars(refusals).values()
    if isinstance(refusal, type) and issubclass(refusal, TokenRefused)
]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert refusals.__doc__ is not None
    assert len(REFUSALS) > 10
    for refusal in REFUSALS:
        assert refusal.__name__ in refusals.__doc__


def test_descriptions_fit_a_header_and_only_helpful_ones_differ() -> None:
    for refusal in REFUSALS:
        allowed = string.ascii_letters + "_ "
        assert set(refusal.description) <= set(allowed)
        assert refusal.helpful == (refusal.description != TokenRefused.description) or (
            refusal is refusals.ClaimRefused
        )


def test_an_unverified_issuer_tells_pools_apart() -> None:
    other = Pool(OTHER_POOL_ID)

    assert unverified_issuer(POOL.id_token()) == POOL.issuer
    assert unverified_issuer(other.id_token()) == other.issuer


@pytest.mark.parametrize("name", FORGERIES)
def test_an_unverified_issuer_never_raises(name: str) -> None:
    issuer = unverified_issuer(FORGERIES[name][0](POOL))

    assert issuer is None or isinstance(issuer, str)


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_nesting_has_a_bound(depth: int) -> None:
    # The object of claims is the first level.
    nested: list[Any] = []
    for _ in range(depth - 2):
        nested = [nested]
    token = POOL.id_token(x=nested)

    assert (unverified_issuer(token) is None) == (depth > MAX_DEPTH)


VALID = POOL.id_token()
VERIFIER = verifier()
ANY = st.characters(codec="utf-8") | st.sampled_from(".-_=AZaz09+/ \n\0")
PLACE = st.integers(0, len(VALID) - 1)


def _replace(i: int, c: str) -> str:
    return VALID[:i] + c + VALID[i + 1 :]


def _insert(i: int, c: str) -> str:
    return VALID[:i] + c + VALID[i:]


def _delete(i: int, c: str) -> str:
    return VALID[:i] + VALID[i + 1 :]


def _cut(i: int, c: str) -> str:
    return VALID[:i]


def _swap(i: int, c: str) -> str:
    return VALID[:i] + VALID[i : i + 2][::-1] + VALID[i + 2 :]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([_replace, _insert, _delete, _cut, _swap]), PLACE, ANY)
def test_no_mutation_of_a_valid_token_is_accepted(
    mutate: Callable[[int, str], str], i: int, c: str
) -> None:
    mutated = mutate(i, c)

    if mutated != VALID:
        with pytest.raises(TokenRefused):
            verify(mutated, VERIFIER)


@settings(max_examples=100, deadline=None)
@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*"))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    with pytest.raises(TokenRefused):
        verify(text, VERIFIER)
    assert unverified_issuer(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(POOL.id_claims())), JSON)
def test_whatever_a_claim_holds_the_user_is_one_that_can_be_stored(claim: str, value: Any) -> None:
    token = POOL.id_token(**{claim: value})
    try:
        claims = verify(token, VERIFIER)
    except TokenRefused:
        return
    assert claims["aud"] == CLIENT_ID
    assert user_name(claims).encode()


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "x"]), JSON))
def test_whatever_a_header_holds_without_our_kid_it_is_refused(header: dict[str, Any]) -> None:
    token = compact(header, POOL.id_claims(), lambda text: bytes(256))

    with pytest.raises(TokenRefused):
        verify(token, VERIFIER)


# --- remembered signatures ------------------------------------------------------------------------


class Clock:
    """Seconds since the epoch, or since the start, that pass when told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kid of every signature that is computed."""
    seen: list[str] = []
    real = Key.verify

    def verify(self: Key, signing_input: bytes, signature: bytes) -> bool:
        seen.append(self.kid)
        return real(self, signing_input, signature)

    monkeypatch.setattr(Key, "verify", verify)
    return seen


def test_a_signature_is_computed_once_for_the_same_token(signatures: list[str]) -> None:
    by = verifier()
    first, other = POOL.id_token(), POOL.id_token(email="other@example.com")

    assert verify(first, by) == verify(first, by) == POOL.id_claims()
    assert verify(other, by)["email"] == "other@example.com"
    assert verify(first, by) == POOL.id_claims()
    assert len(signatures) == 2


def test_remembered_claims_cannot_be_changed() -> None:
    claims: Any = verify(POOL.id_token(), verifier())
    with pytest.raises(TypeError):
        claims["sub"] = "somebody else"


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_of_a_remembered_token_is_refused_for_what_it_is(name: str) -> None:
    make, refusal = FORGERIES[name]
    by = verifier()
    verify(POOL.id_token(), by)

    for _ in range(2):  # nor is a refusal remembered as anything
        with pytest.raises(TokenRefused) as caught:
            verify(make(POOL), by)
        assert type(caught.value) is refusal


def test_a_remembered_token_expires_to_the_second() -> None:
    clock = Clock(NOW)
    by, token = verifier(clock=clock), POOL.id_token(exp=NOW + 60)
    verify(token, by)
    clock.now = NOW + 59.9
    verify(token, by)
    clock.now = NOW + 60
    with pytest.raises(TokenExpired):
        verify(token, by)


def test_a_refused_token_is_not_remembered(signatures: list[str]) -> None:
    by, token = verifier(), POOL.id_token(aud=OTHER_CLIENT_ID)
    for _ in range(2):
        with pytest.raises(WrongClient):
            verify(token, by)
    assert len(signatures) == 2


@pytest.mark.parametrize(
    ("published_later", "refusal"),
    [
        ([], KeysUnavailable),  # no key set at all
        (["access"], UnknownKey),  # the key was taken back
        (["access", "other numbers"], BadSignature),  # the same kid now names another key
        (["id", "access"], None),
    ],
)
def test_a_remembered_token_does_not_outlive_its_key(
    published_later: list[str], refusal: type[Exception] | None, signatures: list[str]
) -> None:
    id_key, access_key = sorted(POOL.jwks["keys"], key=lambda key: key["kid"] != POOL.id_kid)
    known = {
        "id": id_key,
        "access": access_key,
        "other numbers": {**access_key, "kid": POOL.id_kid},
    }
    document = {"keys": [known[name] for name in published_later]}

    async def fetch() -> bytes:
        return json.dumps(document).encode()

    clock = Clock(0)
    keys = KeySet(fetch, preloaded=POOL.jwks, clock=clock, background=False)
    by, token = verifier(keys=keys), POOL.id_token()
    verify(token, by)
    # Past the age up to which a set that cannot be refreshed is trusted, or just past the refresh.
    clock.now = 86400 if refusal is KeysUnavailable else 3600
    if refusal is None:
        verify(token, by)
        verify(token, by)
        assert len(signatures) == 2  # once for each key set
    else:
        with pytest.raises(refusal):
            verify(token, by)


def test_only_so_many_are_remembered(
    monkeypatch: pytest.MonkeyPatch, signatures: list[str]
) -> None:
    monkeypatch.setattr(rules, "MAX_VERIFIED", 3)
    by = verifier()
    tokens = [POOL.id_token(jti=str(number)) for number in range(5)]
    for token in [*tokens, *tokens[2:]]:
        verify(token, by)
    assert len(signatures) == 5  # the last three are still known
    verify(tokens[0], by)
    assert len(signatures) == 6
    assert len(by._verified) == 3
