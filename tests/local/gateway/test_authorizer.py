"""Facts 2.6: the Cognito authorizer, its claims and its cache."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.auth.jwks import KeySet
from app.local.gateway.authorizer import CognitoAuthorizer, KeySets
from app.local.gateway.claims import claims_as_strings, java_date
from app.local.gateway.definition import Authorizer, UserPool
from app.local.gateway.errors import Refusal
from tests.local.gateway.client import POOL_ARN, Client, cognito, definition, method
from tests.local.gateway.conftest import Open, key_set
from tests.tokens import OTHER_POOL_ID, Pool, rs256, rsa_key

OTHER_ARN = POOL_ARN.replace("Testing01", "Testing02")

CLAIMS: dict[str, tuple[str, Any, str | None]] = {
    "exp": ("exp", 1680633579, "Tue Apr 04 18:39:39 UTC 2023"),
    "iat with a one-digit day": ("iat", 1783711144, "Fri Jul 10 19:19:04 UTC 2026"),
    "auth_time": ("auth_time", 1680629979, "1680629979"),
    "a true boolean": ("email_verified", True, "true"),
    "a false boolean": ("phone_number_verified", False, "false"),
    "one group": ("cognito:groups", ["team_manager"], "team_manager"),
    "several groups": ("cognito:groups", ["group-a", "group-b"], "group-a,group-b"),
    "no group": ("cognito:groups", [], ""),
    "text": ("sub", "abc", "abc"),
    "a number": ("custom:age", 7, "7"),
    "a fraction": ("custom:share", 0.5, "0.5"),
    "an object": ("address", {"street": "Ω"}, '{"street":"Ω"}'),
    "a list of objects": ("identities", [{"userId": "1"}], '[{"userId":"1"}]'),
    "null": ("custom:none", None, None),
    "exp that is no number": ("exp", "soon", "soon"),
}


@pytest.mark.parametrize("row", CLAIMS.values(), ids=CLAIMS)
def test_every_claim_is_a_string(row: tuple[str, Any, str | None]) -> None:
    name, value, expected = row
    assert claims_as_strings({name: value}) == ({} if expected is None else {name: expected})


def test_a_java_date_has_a_two_digit_day() -> None:
    assert java_date(0) == "Thu Jan 01 00:00:00 UTC 1970"


@pytest.fixture
def guarded(open_gateway: Open, key_sets: dict[str, KeySet], record: Any) -> Any:
    def guarded(
        scopes: list[str] | None = None, header: str | None = None, **settings: Any
    ) -> Client:
        components = cognito(**settings)
        if header:
            components["securitySchemes"]["pool"]["name"] = header
        document = definition(
            {"/a": {"get": method(security=[{"pool": scopes or []}])}}, components=components
        )
        return open_gateway(document, record, key_sets=key_sets)

    return guarded


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer ", "BEARER  "])
def test_a_token_comes_raw_or_as_a_bearer(
    guarded: Any, pool: Pool, saw: list[Any], scheme: str
) -> None:
    client = guarded()
    assert client("GET", "/a", [("authorization", scheme + pool.id_token())]).status == 200
    authorizer = saw[0]["requestContext"]["authorizer"]
    assert list(authorizer) == ["claims"]
    assert list(authorizer["claims"]) == list(pool.id_claims())
    assert all(isinstance(value, str) for value in authorizer["claims"].values())
    assert list(saw[0]["requestContext"])[:2] == ["resourceId", "authorizer"]


def test_the_key_is_absent_without_an_authorizer(
    open_gateway: Open, saw: list[Any], record: Any
) -> None:
    open_gateway(None, record)("GET", "/x", [("authorization", Pool().id_token())])
    assert "authorizer" not in saw[0]["requestContext"]


SCOPES = {
    "the one": (["a/read"], "a/read", 200),
    "any of several": (["a/read", "a/write"], "openid a/write", 200),
    "none": (["a/read"], "openid", 401),
    "a part of one": (["a/read"], "a/readwrite", 401),
    "no scope at all": (["a/read"], "", 401),
}


@pytest.mark.parametrize("row", SCOPES.values(), ids=SCOPES)
def test_scopes(guarded: Any, pool: Pool, row: tuple[list[str], str, int]) -> None:
    scopes, granted, status = row
    token = pool.access_token(scope=granted)
    assert guarded(scopes)("GET", "/a", [("authorization", token)]).status == status


def test_the_identity_source_names_the_header(guarded: Any, pool: Pool) -> None:
    client = guarded(identitySource="method.request.header.X-Token")
    assert client("GET", "/a", [("x-token", pool.id_token())]).status == 200
    assert client("GET", "/a", [("authorization", pool.id_token())]).status == 401
    assert guarded(header="X-Other")("GET", "/a", [("X-OTHER", pool.id_token())]).status == 200


def test_of_several_headers_the_last_counts(guarded: Any, pool: Pool) -> None:
    good, bad = ("authorization", pool.id_token()), ("authorization", "no")
    assert guarded()("GET", "/a", [bad, good]).status == 200
    assert guarded()("GET", "/a", [good, bad]).status == 401


@pytest.mark.parametrize(
    ("expression", "status"),
    [("1testclient.*", 200), ("1testclient", 401), (".*other.*", 401), (".*", 200)],
)
def test_the_validation_expression_is_matched_against_aud(
    guarded: Any, pool: Pool, expression: str, status: int
) -> None:
    client = guarded(identityValidationExpression=expression)
    assert client("GET", "/a", [("authorization", pool.id_token())]).status == status


def test_the_validation_expression_refuses_access_tokens(guarded: Any, pool: Pool) -> None:
    client = guarded(["a/read"], identityValidationExpression=".*")
    token = [("authorization", pool.access_token(scope="a/read"))]
    assert client("GET", "/a", token).status == 401


def test_an_authorizer_may_trust_several_pools(open_gateway: Open) -> None:
    first, second, third = Pool(), Pool(OTHER_POOL_ID), Pool("eu-central-1_Testing03")
    keys = {pool.pool_id: key_set(pool.jwks) for pool in (first, second)}
    document = definition(
        {"/a": {"get": method(security=[{"pool": []}])}}, components=cognito(POOL_ARN, OTHER_ARN)
    )
    client = open_gateway(document, key_sets=keys)

    def status(token: str) -> int:
        return client("GET", "/a", [("authorization", token)]).status

    assert [status(pool.id_token()) for pool in (first, second, third)] == [200, 200, 401]
    # The claimed issuer only chooses the pool; it proves nothing.
    forged = first.forge(payload=first.id_claims(iss=second.issuer))
    assert status(forged) == 401


def test_any_client_of_the_pool_is_accepted(guarded: Any, pool: Pool) -> None:
    token = pool.id_token(aud="anotherclient")
    assert guarded()("GET", "/a", [("authorization", token)]).status == 200


async def _down() -> bytes:
    raise OSError("the key server is down")


def test_without_keys_nobody_gets_through(open_gateway: Open, pool: Pool, caplog: Any) -> None:
    caplog.set_level("INFO", "notegate.gateway")
    document = definition({"/a": {"get": method(security=[{"pool": []}])}}, components=cognito())
    client = open_gateway(document, key_sets={pool.pool_id: KeySet(_down)})
    answer = client("GET", "/a", [("authorization", pool.id_token())])
    assert (answer.status, answer.body) == (500, b'{"message":null}')
    assert answer["x-amzn-ErrorType"] == "AuthorizerFailureException"
    assert "the key set is not available" in caplog.text


def test_a_fault_in_the_verifier_lets_nobody_through(
    guarded: Any, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr("app.local.gateway.authorizer.TokenVerifier", broken)
    answer = guarded()("GET", "/a", [("authorization", pool.id_token())])
    assert (answer.status, answer.body) == (500, b'{"message":null}')


def test_the_log_names_the_reason_and_never_the_token(
    guarded: Any, pool: Pool, caplog: Any
) -> None:
    caplog.set_level("INFO", "notegate.gateway")
    token = pool.access_token()
    guarded()("GET", "/a", [("authorization", token)])
    assert "WrongTokenUse" in caplog.text
    assert token[-40:] not in caplog.text


class Clock:
    """Seconds since the epoch, by hand."""

    def __init__(self) -> None:
        self.now = 1_783_711_144.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Cached:
    """An authorizer whose verifications are counted."""

    def __init__(
        self, runner: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch, ttl: int = 300
    ) -> None:
        self.pool = Pool(clock=clock)
        self.keys = key_set(self.pool.jwks)
        self.runner = runner
        settings = Authorizer(
            "a", "Authorization", (UserPool(self.pool.pool_id, self.pool.issuer),), ttl=ttl
        )
        self.authorizer = CognitoAuthorizer(
            settings, KeySets({self.pool.pool_id: self.keys}), clock
        )
        self.verifications = 0
        known = self.keys.known

        def counted(kid: str) -> Any:
            self.verifications += 1
            return known(kid)

        monkeypatch.setattr(self.keys, "known", counted)

    def __call__(self, token: str, scopes: tuple[str, ...] = ()) -> dict[str, str] | Refusal:
        result: dict[str, str] | Refusal = self.runner.run(
            self.authorizer.authorize({"authorization": token}, scopes)
        )
        return result


def test_a_result_is_kept_for_its_ttl(runner: Any, clock: Clock, monkeypatch: Any) -> None:
    cached = Cached(runner, clock, monkeypatch)
    token = cached.pool.id_token()
    first = cached(token)
    clock.now += 299
    assert cached("Bearer " + token) == first
    assert cached.verifications == 1
    clock.now += 1
    assert cached(token) == first
    assert cached.verifications == 2


def test_a_ttl_of_zero_keeps_nothing(runner: Any, clock: Clock, monkeypatch: Any) -> None:
    cached = Cached(runner, clock, monkeypatch, ttl=0)
    token = cached.pool.id_token()
    assert cached(token) == cached(token)
    assert cached.verifications == 2


def test_a_result_never_outlives_its_token(runner: Any, clock: Clock, monkeypatch: Any) -> None:
    cached = Cached(runner, clock, monkeypatch)
    token = cached.pool.id_token(exp=int(clock.now) + 10)
    assert isinstance(cached(token), dict)
    clock.now += 10
    refused = cached(token)
    assert isinstance(refused, Refusal)
    assert refused.message == "The incoming token has expired"


def test_a_result_never_outlives_the_keys(runner: Any, clock: Clock, monkeypatch: Any) -> None:
    cached = Cached(runner, clock, monkeypatch)
    token = cached.pool.id_token()
    cached(token)
    cached.keys.generation += 1
    cached(token)
    assert cached.verifications == 2


def test_a_result_is_for_its_scopes_only(runner: Any, clock: Clock, monkeypatch: Any) -> None:
    cached = Cached(runner, clock, monkeypatch)
    token = cached.pool.access_token(scope="a/read")
    assert isinstance(cached(token, ("a/read",)), dict)
    assert isinstance(cached(token, ("a/write",)), Refusal)
    assert isinstance(cached(token), Refusal)


def test_refusals_are_not_kept_and_the_cache_is_bounded(
    runner: Any, clock: Clock, monkeypatch: Any
) -> None:
    monkeypatch.setattr("app.local.gateway.authorizer.MAX_CACHED", 2)
    cached = Cached(runner, clock, monkeypatch)
    bad = cached.pool.forge(sign=rs256(rsa_key("somebody")))
    assert isinstance(cached(bad), Refusal)
    tokens = [cached.pool.id_token(jti=str(number)) for number in range(3)]
    for token in [*tokens, tokens[2], tokens[1], tokens[0]]:
        cached(token)
    assert cached.verifications == 1 + 3 + 1
    assert len(cached.authorizer._cache) == 2


URLS = {
    "its own": (None, True),
    "https elsewhere": ("https://keys.example.com/{}", True),
    "loopback": ("http://127.0.0.1:9/{}", True),
    "http elsewhere": ("http://keys.example.com/{}", False),
    "a file": ("file:///{}", False),
}


@pytest.mark.parametrize("row", URLS.values(), ids=URLS)
def test_keys_come_by_https_or_from_this_machine(row: tuple[str | None, bool]) -> None:
    template, fine = row
    pool = UserPool("p_1", "https://cognito-idp.p.amazonaws.com/p_1")
    sets = KeySets(key_url=template.format if template else None)
    if fine:
        assert sets[pool] is sets[pool]
    else:
        with pytest.raises(ValueError, match="https"):
            sets[pool]


def test_a_rotated_key_ends_its_tokens_at_the_gateway(open_gateway: Open, pool: Pool) -> None:
    documents = [pool.jwks, {"keys": pool.jwks["keys"][1:]}]

    async def fetch() -> bytes:
        return json.dumps(documents[0]).encode()

    times = [0.0]
    keys = KeySet(fetch, clock=lambda: times[0], background=False)
    document = definition({"/a": {"get": method(security=[{"pool": []}])}}, components=cognito())
    client = open_gateway(document, key_sets={pool.pool_id: keys})
    token = [("authorization", pool.id_token())]
    assert client("GET", "/a", token).status == 200
    documents.pop(0)
    times[0] = 4000.0
    other = [("authorization", pool.id_token(jti="other"))]
    assert client("GET", "/a", other).status == 401  # fetched, and the old result with it
    assert client("GET", "/a", token).status == 401
