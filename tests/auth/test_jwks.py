"""The table "Key set policy", row by row: with a clock and a key server made of paper."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from app.auth import jwks
from app.auth.fetch import MAX_DOCUMENT, FetchFailed
from app.auth.jwks import MAX_KEYS, Key, KeySet, KeysUnavailable
from tests.tokens import ABSENT, Pool, public_jwk, rs256, rsa_key

POOL = Pool()
ONE, TWO = POOL.jwks["keys"]
ID_KID, ACCESS_KID = POOL.id_kid, POOL.access_kid
SOFT, HARD, COOLDOWN = 3600, 86400, 10


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class Server:
    """A key server: what it answers can be changed, what it was asked is counted."""

    def __init__(self, *keys: Mapping[str, Any]) -> None:
        self.answer: bytes | Exception = b""
        self.publish(*keys)
        self.asked = 0
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()

    def publish(self, *keys: Mapping[str, Any]) -> None:
        self.answer = json.dumps({"keys": keys}).encode()

    def fail(self) -> None:
        self.answer = OSError("down")

    async def __call__(self) -> bytes:
        self.asked += 1
        self.reached.set()
        assert self.open.wait(20)  # blocks only the thread of the fetch
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def make(server: Server, **options: Any) -> tuple[KeySet, Clock]:
    clock = Clock()
    return KeySet(server, clock=clock, **options), clock


def find(keys: KeySet, kid: str) -> Key | None:
    return asyncio.run(keys.find(kid))


def land(keys: KeySet) -> None:
    """Wait until the fetch that runs in the background is over."""
    with contextlib.suppress(KeysUnavailable):
        find(keys, "nobody")


def test_a_found_key_verifies_what_its_private_half_signed() -> None:
    keys, _ = make(Server(ONE, TWO))

    key = find(keys, ID_KID)

    assert key is not None
    assert key.kid == ID_KID
    signature = rs256(POOL.id_key)(b"text")
    assert key.verify(b"text", signature)
    assert not key.verify(b"other text", signature)
    assert keys.known(ACCESS_KID)


# Row: keys shipped with the deployment
def test_preloaded_keys_are_used_at_once_and_nothing_is_fetched() -> None:
    server = Server(ONE)
    keys, clock = make(server, preloaded=POOL.jwks)

    assert keys.known(ID_KID)
    assert find(keys, ID_KID)
    clock.pass_(SOFT - 1)
    assert keys.known(ID_KID)
    assert server.asked == 0


def test_preloaded_keys_are_refreshed_past_the_soft_limit() -> None:
    server = Server(ONE)
    keys, clock = make(server, preloaded=POOL.jwks)

    clock.pass_(SOFT)
    assert keys.known(ACCESS_KID)
    assert server.reached.wait(20)
    land(keys)

    assert server.asked == 1
    assert keys.known(ID_KID)
    assert keys.known(ACCESS_KID) is None


@pytest.mark.parametrize("useless", [{}, {"keys": []}, {"keys": [{"kid": "x"}]}, {"keys": {}}])
def test_useless_preloaded_keys_are_as_none(useless: dict[str, Any]) -> None:
    keys, _ = make(Server(ONE), preloaded=useless)

    assert keys.known(ID_KID) is None
    assert find(keys, ID_KID)


# Row: unknown kid
def test_concurrent_callers_share_one_fetch() -> None:
    server = Server(ONE, TWO)
    server.open.clear()
    keys, _ = make(server)

    async def main() -> list[Key | None]:
        kids = [ID_KID, ACCESS_KID, "nobody"] * 20
        callers = [asyncio.ensure_future(keys.find(kid)) for kid in kids]
        await asyncio.sleep(0)
        server.open.set()
        return await asyncio.gather(*callers)

    found = asyncio.run(main())

    assert [key and key.kid for key in found] == [ID_KID, ACCESS_KID, None] * 20
    assert server.asked == 1


def test_threads_with_loops_of_their_own_share_one_fetch() -> None:
    server = Server(ONE)
    server.open.clear()
    keys, _ = make(server)
    found: list[Key | None] = []
    start = threading.Barrier(9)

    def environment() -> None:
        start.wait()
        found.append(find(keys, ID_KID))

    threads = [threading.Thread(target=environment) for _ in range(8)]
    for thread in threads:
        thread.start()
    start.wait()
    assert server.reached.wait(20)
    server.open.set()
    for thread in threads:
        thread.join(20)

    assert len(found) == 8
    assert all(found)
    assert server.asked == 1


def test_a_flood_of_unknown_kids_is_one_fetch_per_cooldown() -> None:
    server = Server(ONE)
    keys, clock = make(server)

    for second in range(30):
        for i in range(5):
            assert find(keys, f"nobody-{second}-{i}") is None
        clock.pass_(1)

    assert server.asked == 3


def test_known_kids_are_not_delayed_by_an_unknown_one() -> None:
    server = Server(ONE)
    keys, clock = make(server, preloaded={"keys": [ONE]})
    server.open.clear()

    async def main() -> None:
        stranger = asyncio.ensure_future(keys.find("nobody"))
        await asyncio.to_thread(server.reached.wait, 20)
        assert keys.known(ID_KID)
        assert await keys.find(ID_KID)
        assert not stranger.done()
        server.open.set()
        assert await stranger is None

    asyncio.run(main())
    assert server.asked == 1


def test_a_new_key_is_found_after_the_cooldown() -> None:
    server = Server(ONE)
    keys, clock = make(server)
    assert find(keys, ACCESS_KID) is None
    server.publish(ONE, TWO)

    clock.pass_(COOLDOWN - 1)
    assert find(keys, ACCESS_KID) is None
    clock.pass_(1)
    assert find(keys, ACCESS_KID)


def test_a_caller_that_goes_away_does_not_take_the_fetch_with_it() -> None:
    server = Server(ONE)
    server.open.clear()
    keys, _ = make(server)

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keys.find(ID_KID), 0.01)

    asyncio.run(impatient())  # its loop is closed while the fetch goes on
    server.open.set()

    assert find(keys, ID_KID)
    assert server.asked == 1


def test_one_of_two_callers_may_go_away_while_the_other_waits() -> None:
    server = Server(ONE)
    server.open.clear()
    keys, _ = make(server)

    async def main() -> None:
        first, second = (asyncio.ensure_future(keys.find(ID_KID)) for _ in range(2))
        await asyncio.to_thread(server.reached.wait, 20)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.open.set()
        assert await second

    asyncio.run(main())
    assert server.asked == 1


def test_a_fetch_slower_than_the_cooldown_is_still_the_only_one() -> None:
    server = Server(ONE)
    server.open.clear()
    keys, clock = make(server)

    async def main() -> None:
        first = asyncio.ensure_future(keys.find(ID_KID))
        await asyncio.to_thread(server.reached.wait, 20)
        clock.pass_(COOLDOWN * 3)
        second = asyncio.ensure_future(keys.find(ID_KID))
        await asyncio.sleep(0)
        server.open.set()
        assert await first
        assert await second

    asyncio.run(main())
    assert server.asked == 1


# Row: age over the soft limit
def test_past_the_soft_limit_the_old_set_answers_while_it_is_refreshed() -> None:
    server = Server(ONE, TWO)
    keys, clock = make(server)
    find(keys, ID_KID)
    server.open.clear()

    clock.pass_(SOFT)
    for _ in range(5):
        assert keys.known(ID_KID)
    assert asyncio.run(asyncio.wait_for(keys.find(ID_KID), 20))
    server.open.set()
    land(keys)

    assert server.asked == 2
    clock.pass_(SOFT - 1)
    assert keys.known(ID_KID)
    assert server.asked == 2


def test_a_refresh_that_fails_is_tried_again_once_per_cooldown() -> None:
    server = Server(ONE)
    keys, clock = make(server)
    find(keys, ID_KID)
    server.fail()
    clock.pass_(SOFT)

    for _ in range(30):
        assert keys.known(ID_KID)
        land(keys)
        clock.pass_(1)

    assert server.asked == 1 + 3


def test_in_lambda_one_request_waits_for_the_refresh() -> None:
    server = Server(ONE, TWO)
    keys, clock = make(server, preloaded=POOL.jwks, background=False)
    server.publish(TWO)
    clock.pass_(SOFT)

    assert keys.known(ACCESS_KID) is None
    assert server.asked == 0
    assert find(keys, ACCESS_KID)
    assert server.asked == 1
    assert keys.known(ACCESS_KID)
    assert keys.known(ID_KID) is None


def test_in_lambda_a_refresh_that_fails_delays_one_request_per_cooldown() -> None:
    server = Server()
    server.fail()
    keys, clock = make(server, preloaded=POOL.jwks, background=False)
    clock.pass_(SOFT)

    assert find(keys, ID_KID)
    assert keys.known(ID_KID)
    assert server.asked == 1
    clock.pass_(COOLDOWN)
    assert keys.known(ID_KID) is None


# Row: age over the hard limit
def test_past_the_hard_limit_nothing_is_trusted() -> None:
    server = Server(ONE)
    keys, clock = make(server, preloaded=POOL.jwks)
    server.fail()

    clock.pass_(HARD - 1)
    assert find(keys, ID_KID)
    land(keys)
    clock.pass_(1)
    assert keys.known(ID_KID) is None
    with pytest.raises(KeysUnavailable):
        find(keys, ID_KID)


def test_past_the_hard_limit_a_fetch_brings_trust_back() -> None:
    server = Server(ONE)
    keys, clock = make(server, preloaded=POOL.jwks)

    clock.pass_(HARD)
    assert keys.known(ID_KID) is None
    assert find(keys, ID_KID)
    assert keys.known(ID_KID)


def test_age_counts_from_the_question_not_from_the_answer() -> None:
    server = Server(ONE)
    server.open.clear()
    keys, clock = make(server)

    async def main() -> None:
        caller = asyncio.ensure_future(keys.find(ID_KID))
        await asyncio.to_thread(server.reached.wait, 20)
        clock.pass_(HARD)
        server.open.set()
        with pytest.raises(KeysUnavailable):
            await caller

    asyncio.run(main())


# Row: key removed
def test_a_removed_key_is_refused_after_the_next_refresh() -> None:
    server = Server(ONE, TWO)
    keys, clock = make(server)
    assert find(keys, ACCESS_KID)
    server.publish(ONE)

    clock.pass_(SOFT)
    keys.known(ID_KID)
    land(keys)

    assert keys.known(ACCESS_KID) is None
    assert find(keys, ACCESS_KID) is None


def test_a_key_with_new_numbers_under_an_old_kid_replaces_it() -> None:
    server = Server(ONE)
    keys, clock = make(server)
    find(keys, ID_KID)
    server.publish(public_jwk(POOL.access_key, ID_KID))

    clock.pass_(SOFT)
    keys.known(ID_KID)
    land(keys)

    key = keys.known(ID_KID)
    assert key is not None
    assert key.verify(b"x", rs256(POOL.access_key)(b"x"))
    assert not key.verify(b"x", rs256(POOL.id_key)(b"x"))


def test_the_generation_grows_with_every_change_and_only_then() -> None:
    server = Server(ONE)
    keys, clock = make(server)
    generations = [keys.generation]
    for published in ([ONE], [ONE], [ONE, TWO], [TWO, ONE], [ONE], [ONE | {"n": TWO["n"]}]):
        server.publish(*published)
        land(keys)
        generations.append(keys.generation)
        clock.pass_(SOFT)

    assert generations == [0, 1, 1, 2, 2, 3, 4]


# Row: the fetch fails
FAILURES: dict[str, bytes | Exception] = {
    "unreachable": OSError(),
    "too slow": TimeoutError(),
    "not JSON": b"<html>",
    "empty": b"",
    "not UTF-8": b'{"keys": "\xff"}',
    "very deep": b"[" * 60_000,
    "a list": json.dumps([ONE]).encode(),
    "null": b"null",
    "keys missing": b"{}",
    "keys not a list": b'{"keys": {}}',
    "no keys": b'{"keys": []}',
    "no usable keys": b'{"keys": [1, null, [], {}, {"kty": "EC"}]}',
    "too many keys": json.dumps({"keys": [ONE] * (MAX_KEYS + 1)}).encode(),
    "too long": json.dumps({"keys": [ONE], "x": "x" * MAX_DOCUMENT}).encode(),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_when_the_fetch_fails_old_keys_stay_and_unknown_ones_are_unavailable(failure: str) -> None:
    server = Server(ONE)
    keys, clock = make(server)
    find(keys, ID_KID)
    clock.pass_(COOLDOWN)
    server.answer = FAILURES[failure]

    with pytest.raises(KeysUnavailable) as caught:
        find(keys, "nobody")

    assert caught.value.retry_after == COOLDOWN
    assert keys.known(ID_KID)
    assert keys.generation == 1


def test_while_the_last_fetch_failed_unknown_kids_are_unavailable_without_asking() -> None:
    server = Server(ONE)
    server.fail()
    keys, clock = make(server)
    for second in range(COOLDOWN):
        with pytest.raises(KeysUnavailable) as caught:
            find(keys, ID_KID)
        assert caught.value.retry_after == COOLDOWN - second
        assert server.asked == 1
        clock.pass_(1)

    server.publish(ONE)
    assert find(keys, ID_KID)
    assert server.asked == 2


def test_retry_after_is_a_whole_second_at_least() -> None:
    server = Server()
    keys, clock = make(server)
    with pytest.raises(KeysUnavailable):
        find(keys, ID_KID)
    clock.pass_(COOLDOWN - 0.1)
    with pytest.raises(KeysUnavailable) as caught:
        find(keys, ID_KID)
    assert caught.value.retry_after == 1


def test_without_a_thread_to_spare_the_fetch_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server = Server(ONE)
    keys, clock = make(server)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(KeysUnavailable):
            asyncio.run(keys.find(ID_KID))

    clock.pass_(COOLDOWN)
    assert find(keys, ID_KID)


def test_without_an_event_loop_to_spare_nobody_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoLoop:
        def __enter__(self) -> None:
            raise OSError("too many open files")

        def __exit__(self, *exception: object) -> None: ...

    keys, _ = make(Server(ONE))
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(jwks.asyncio, "Runner", NoLoop)  # type: ignore[attr-defined] # in place of the real one
    try:
        with pytest.raises(KeysUnavailable):
            loop.run_until_complete(keys.find(ID_KID))
    finally:
        loop.close()


# Which keys are fit
SMALL = rsa_key("small", 1024)
UNFIT: dict[str, dict[str, Any]] = {
    "no kid": {"kid": ABSENT},
    "kid not a string": {"kid": 1},
    "kid empty": {"kid": ""},
    "kid very long": {"kid": "x" * 1000},
    "elliptic": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "symmetric": {"kty": "oct", "k": "AAAA"},
    "kty missing": {"kty": ABSENT},
    "for encryption": {"use": "enc"},
    "use missing": {"use": ABSENT},
    "for RS512": {"alg": "RS512"},
    "for HS256": {"alg": "HS256"},
    "alg null": {"alg": None},
    "n missing": {"n": ABSENT},
    "n not a string": {"n": 3},
    "n not base64url": {"n": "!" + ONE["n"]},
    "n of impossible length": {"n": "A"},
    "n empty": {"n": ""},
    "1024 bits": {"n": public_jwk(SMALL, "x")["n"]},
    "16384 bits": {"n": ONE["n"] * 8},
    "e missing": {"e": ABSENT},
    "e one": {"e": "AQ"},
    "e even": {"e": "Ag"},
    "e zero": {"e": "AA"},
    "e of 40 bits": {"e": "AQAAAAE"},
    "e huge": {"e": ONE["n"]},
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_an_unfit_key_is_left_out_and_spoils_no_other(unfit: str) -> None:
    entry = {n: v for n, v in (ONE | UNFIT[unfit]).items() if v is not ABSENT}
    keys, _ = make(Server(entry, TWO))

    assert find(keys, entry.get("kid", ID_KID)) is None
    assert keys.known(ID_KID) is None
    assert keys.known(ACCESS_KID)


@pytest.mark.parametrize(
    "members",
    [
        {"alg": ABSENT},
        {"x5t": "AAAA", "extra": [1]},
        {"d": "AQAB"},  # published by mistake, and still public to us
    ],
)
def test_a_fit_key_may_say_less_or_more(members: dict[str, Any]) -> None:
    keys, _ = make(Server(public_jwk(POOL.id_key, ID_KID, **members)))

    key = find(keys, ID_KID)

    assert key is not None
    assert key.verify(b"x", rs256(POOL.id_key)(b"x"))


def test_of_two_keys_with_one_kid_the_first_counts() -> None:
    keys, _ = make(Server(ONE, public_jwk(POOL.access_key, ID_KID)))

    key = find(keys, ID_KID)

    assert key is not None
    assert key.verify(b"x", rs256(POOL.id_key)(b"x"))


def test_keys_of_a_local_pool_are_left_out() -> None:
    local = public_jwk(POOL.access_key, "notegate-local-1")
    server = Server(ONE, local)
    keys, _ = make(server, refuse_kid_prefix="notegate-local-")

    assert find(keys, "notegate-local-1") is None
    assert keys.known(ID_KID)

    only_local, _ = make(server, preloaded={"keys": [local]}, refuse_kid_prefix="notegate-local-")
    assert only_local.known("notegate-local-1") is None


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (
            FetchFailed("https://keys.example.com answered 400"),
            "https://keys.example.com answered 400",
        ),
        (OSError("what a stranger wrote"), "OSError"),
    ],
)
def test_the_log_says_once_why_a_fetch_failed(
    failure: Exception, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    server.answer = failure
    keys, _ = make(server)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            find(keys, ID_KID)
    assert caplog.messages == [f"The key set could not be fetched: {line}"]
