"""The API's own tests once more, with the mirror on the definition in the translated template."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import pytest
from fastapi import FastAPI

from app.adapter import make_handler
from app.auth import Fetch, KeySet
from app.local.gateway import Gateway
from app.store import NoteStore
from tests import test_notes, test_userinfo
from tests.api import FakeDirectory, MakeApp, Stage
from tests.deploy.conftest import Stack
from tests.deploy.stack import PARAMETERS, REGION, Resolver
from tests.doors import AsgiTransport, Door, open_door
from tests.tokens import POOL_ID

pytestmark = pytest.mark.deploy

# Found here by pytest, they get this module's ``stages``.
globals().update(
    {
        name: each
        for module in (test_notes, test_userinfo)
        for name, each in vars(module).items()
        if name.startswith("test_")
        and "client" in getattr(each, "__annotations__", {})
        or name.startswith("test_")
        and "student" in getattr(each, "__annotations__", {})
    }
)


@pytest.fixture(scope="module")
def stages(
    translated: Stack,
    make_app: MakeApp,
    fetch_keys: Fetch,
    session_store: Callable[[str], NoteStore],
) -> Iterator[Callable[[str], Stage]]:
    """Return the stage of each kind of store, as for the API's own tests."""
    made: dict[str, Stage] = {}

    def stage(kind: str) -> Stage:
        if kind not in made:
            store, directory = session_store(kind), FakeDirectory()
            app = make_app(store, directory)
            doors = {name: open_door(name, app, fetch_keys) for name in ("direct", "lambda")}
            doors["gateway"] = mirrored(translated, app, fetch_keys, {"CorsAllowOrigin": "*"})
            made[kind] = Stage(app, store, directory, doors)
        return made[kind]

    yield stage
    for each in made.values():
        for door in each.doors.values():
            door.shut()


def mirrored(
    translated: Stack, app: FastAPI, fetch_keys: Fetch, parameters: Mapping[str, str]
) -> Door:
    resolver = Resolver(translated.template, parameters, translated.known)
    gateway = Gateway(
        resolver.resolve(translated.template["Resources"]["Api"]["Properties"]["Body"]),
        make_handler(app),
        key_sets={POOL_ID: KeySet(fetch_keys)},
        region=REGION,
    )
    mirror = AsgiTransport(gateway)

    def close() -> None:
        gateway.close()
        mirror.stop()

    return Door(mirror, close)


def test_one_parameter_sets_the_origin_in_the_apps_answers_and_the_gateways_own(
    translated: Stack,
    make_app: MakeApp,
    fetch_keys: Fetch,
    session_store: Callable[[str], NoteStore],
) -> None:
    origin = PARAMETERS["CorsAllowOrigin"]
    app = make_app(session_store("sqlite"), cors_allow_origins=origin)
    door = mirrored(translated, app, fetch_keys, PARAMETERS)
    with contextlib.ExitStack() as closing, door.client() as stranger:
        closing.callback(door.shut)
        refused = stranger.get("/notes")
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == origin
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        allowed = stranger.options("/notes", headers=asked)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == origin
