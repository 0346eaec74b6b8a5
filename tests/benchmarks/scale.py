"""Measure 6: pages and searches of a user with a million notes against one with a thousand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from app.adapter import make_handler
from app.application import create_app
from app.settings import load_settings
from app.store.base import to_cursor
from tests.benchmarks.report import Measure, Target, Value
from tests.benchmarks.world import World, fill
from tests.tokens import CLIENT_ID, POOL_ID

SMALL = 1_000
SEARCH_MS = 250


def measure(world: World, *, quick: bool) -> list[Measure]:
    """Ask for the same pages of both users, in turn."""
    large = 100_000 if quick else 1_000_000
    file = world.folder / "large.db"
    for count in (SMALL, large):
        fill(file, f"user-{count}", count)
    settings = load_settings(
        env_file=None,
        cognito_user_pool_id=POOL_ID,
        cognito_app_client_id=CLIENT_ID,
        cognito_jwks=json.dumps(world.pool.jwks),
        notes_store=f"sqlite:///{file}",
    )
    app = create_app(settings)
    try:
        return _measures(world, make_handler(app), large, quick=quick)
    finally:
        app.state.store.close()


def _measures(world: World, handler: Any, large: int, *, quick: bool) -> list[Measure]:
    tokens = {
        count: world.pool.id_token(**{"cognito:username": f"user-{count}"})
        for count in (SMALL, large)
    }

    def asking(count: int, path: str, **query: str) -> Callable[[], None]:
        event = world.event(path=path, query=query or None, token=tokens[count])

        def ask() -> None:
            answer = handler(event, None)
            if answer["statusCode"] != 200:
                raise RuntimeError(str(answer))

        return ask

    what: dict[str, Callable[[int], Callable[[], None]]] = {
        "first page of 100": lambda count: asking(count, "/notes"),
        "middle page of 100": lambda count: asking(count, "/notes", cursor=to_cursor(count // 2)),
        "search without a match": lambda count: asking(count, "/notes/search", text="absent"),
    }
    found = []
    for name, make in what.items():
        times: dict[int, list[float]] = {SMALL: [], large: []}
        askers = {count: make(count) for count in times}
        batch = 2 if "search" in name else 20
        for number in range(4 if quick else 16):
            for count, ask in askers.items():
                began = time.perf_counter()
                for _ in range(batch):
                    ask()
                if number:  # the first round warms up
                    times[count].append(1000 * (time.perf_counter() - began) / batch)
        peer = f"{SMALL:,} notes"
        result = Measure(
            f"6 {name.split()[0]}",
            f"{name}, {large:,} notes",
            Value.of(times[large], "ms"),
            {peer: Value.of(times[SMALL], "ms")},
        )
        if "search" in name:
            worst = result.ours.high
            result.targets.append(Target(f"≤ {SEARCH_MS} ms a call", worst, SEARCH_MS))
        else:
            result.at_most(1.2, peer)
        found.append(result)
    return found
