"""Measure 7: durable POSTs a second on SQLite, 8 clients, against bare sqlite3."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from app.store import SqliteNotes
from tests.benchmarks.report import Measure, Value
from tests.benchmarks.server import uvicorn, wrk
from tests.benchmarks.world import World, text_of

CLIENTS = 8
ONE = "bare sqlite3, one writer"
MANY = "bare sqlite3, 8 writers"
NOTHING = "ours, storing nothing: HTTP, token and rules alone"

_PUT = "REPLACE INTO notes (user_id, note_id, note, updated_at, version) VALUES (?, ?, ?, ?, ?)"
_POST = """
wrk.method = "POST"
wrk.body = '{"Note": "%s"}'
wrk.headers["Content-Type"] = "application/json"
"""


def measure(world: World, *, quick: bool) -> list[Measure]:
    """POST to the server, and commit the same rows without it, in turn."""
    seconds, rounds = (1, 2) if quick else (4, 7)
    script = world.folder / "post.lua"
    script.write_text(_POST % text_of(1))
    ours, nothing, one, many = [], [], [], []
    file = world.folder / "posts.db"
    variables = {"NOTES_STORE": f"sqlite:///{file}"}
    storeless = "tests.benchmarks.peers.ours_storeless:app"
    with (
        uvicorn(world, "app.main:app", **variables) as door,
        uvicorn(world, storeless, **variables) as idle_door,
    ):
        wrk(door, 1, CLIENTS, script)
        wrk(idle_door, 1, CLIENTS, script)
        for number in range(rounds):
            ours.append(wrk(door, seconds, CLIENTS, script)[0])
            nothing.append(wrk(idle_door, seconds, CLIENTS, script)[0])
            one.append(_bare(world.folder / f"one-{number}.db", seconds, 1))
            many.append(_bare(world.folder / f"many-{number}.db", seconds, CLIENTS))
    result = Measure(
        "7",
        f"durable POST /notes on SQLite, a second, {CLIENTS} clients",
        Value.of(ours, "1/s"),
        {
            NOTHING: Value.of(nothing, "1/s"),
            ONE: Value.of(one, "1/s"),
            MANY: Value.of(many, "1/s"),
        },
        remarks={"ours": "writes share a commit; HTTP alone costs more than this disk's commits"},
    )
    result.at_least(0.6, ONE)
    result.at_least(0.6, MANY)
    return [result]


def _bare(file: Path, seconds: float, writers: int) -> float:
    """Return commits a second: WAL, ``synchronous=FULL``, one row each, a connection each."""
    SqliteNotes(file).close()  # the same table
    until = time.perf_counter() + seconds
    written = [0] * writers

    def write(who: int) -> None:
        with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            while time.perf_counter() < until:
                written[who] += 1
                now = int(time.time())
                row = (f"user-{who}", written[who], text_of(1), now, secrets.token_hex(8))
                db.execute("BEGIN IMMEDIATE")
                db.execute(_PUT, row)
                db.execute("COMMIT")

    threads = [threading.Thread(target=write, args=(who,)) for who in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(written) / seconds
