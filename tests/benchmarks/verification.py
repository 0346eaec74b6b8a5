"""Measure 5: one token verified, against the RSA verification in it; memory over many tokens."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.auth import KeySet, TokenRefused, TokenVerifier
from tests.benchmarks.report import Measure, Value
from tests.benchmarks.worker import resident
from tests.benchmarks.world import World
from tests.tokens import CLIENT_ID, Pool, as_json, b64

BARE = "bare RSA verification"
FIRST = "after the first tenth"


def measure(world: World, *, quick: bool) -> list[Measure]:
    """Time rounds of distinct tokens, then watch the memory over a million."""
    honest = _tokens(world.pool, 2_000 if quick else 100_000)
    return [_time(world, honest, 3 if quick else 15), _memory(world, honest)]


def _time(world: World, tokens: Sequence[str], rounds: int) -> Measure:
    verify = _verify(world)
    bare = _bare(world.pool)
    batch = 500
    ours, theirs = [], []
    for number in range(rounds + 1):
        some = [tokens[(number * batch + n) % len(tokens)] for n in range(batch)]
        parts = [token.rpartition(".") for token in some]
        ready = [(signed.encode(), _signature(signature)) for signed, _, signature in parts]
        if number:  # the first round warms up
            ours.append(_seconds(verify, some))
            theirs.append(_seconds(bare, ready))
    result = Measure(
        "5",
        "one token verified, distinct tokens",
        Value.of([1e6 * each / batch for each in ours], "µs"),
        {BARE: Value.of([1e6 * each / batch for each in theirs], "µs")},
        remarks={"ours": "each is new, so none is remembered"},
    )
    result.at_most(2.2, BARE)
    return result


def _memory(world: World, honest: Sequence[str]) -> Measure:
    """Verify each honest token once and nine forgeries of it: ten times as many, all distinct."""
    verify = _verify(world)
    stream = _with_forgeries(honest)
    total = 10 * len(honest)

    def some(count: int) -> int:
        for token in islice(stream, count):
            verify(token)
        gc.collect()
        return resident()

    first = some(total // 10)
    last = some(total - total // 10)
    result = Measure(
        "5 memory",
        f"resident memory after {total:,} distinct tokens (a tenth honest)",
        Value.of([last / 2**20], "MiB"),
        {FIRST: Value.of([first / 2**20], "MiB")},
    )
    result.at_most(1.1, FIRST)
    return result


def _verify(world: World) -> Callable[[str], None]:
    async def never() -> bytes:
        raise AssertionError("no key is missing")

    verifier = TokenVerifier(
        KeySet(never, preloaded=world.pool.jwks),
        issuer=world.pool.issuer,
        client_ids=[CLIENT_ID],
        token_use="id",
    )

    def verify(token: str) -> None:
        # Nothing is awaited with known keys, so no event loop is needed.
        try:
            verifier.verify(token).send(None)
        except (StopIteration, TokenRefused):
            return
        raise AssertionError("it waits for something")

    return verify


def _bare(pool: Pool) -> Callable[[tuple[bytes, bytes]], None]:
    key, padding, hash_ = pool.id_key.public_key(), PKCS1v15(), SHA256()

    def verify(ready: tuple[bytes, bytes]) -> None:
        key.verify(ready[1], ready[0], padding, hash_)

    return verify


def _seconds(do: Callable[[Any], None], things: Sequence[Any]) -> float:
    began = time.perf_counter()
    for thing in things:
        do(thing)
    return time.perf_counter() - began


def _signature(part: str) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(part + "==")


def _with_forgeries(honest: Sequence[str]) -> Iterator[str]:
    for token in honest:
        yield token
        head, _, signature = token.rpartition(".")
        for number in range(9):
            yield f"{head}.{'ABCDEFGHI'[number]}{signature[1:]}"


def _tokens(pool: Pool, count: int) -> list[str]:
    """Sign distinct tokens, on every processor."""
    pem = pool.id_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    claims = pool.id_claims(exp=int(time.time()) + 86400)
    head = b64(as_json(pool.id_header()))
    step = 1000
    jobs = [(pem, head, json.dumps(claims), first, step) for first in range(0, count, step)]
    with ProcessPoolExecutor() as executor:
        return [token for part in executor.map(_sign, jobs) for token in part]


def _sign(job: tuple[bytes, str, str, int, int]) -> list[str]:
    pem, head, claims_json, first, count = job
    key = load_pem_private_key(pem, None)
    if not isinstance(key, RSAPrivateKey):
        sys.exit("not an RSA key")
    claims = json.loads(claims_json)
    tokens = []
    for number in range(first, first + count):
        claims["jti"] = f"aaaaaaaa-0000-4000-8000-{number:012}"
        signed = f"{head}.{b64(as_json(claims))}"
        tokens.append(f"{signed}.{b64(key.sign(signed.encode(), PKCS1v15(), SHA256()))}")
    return tokens
