"""Who runs: each contender's module, and what a reader must know of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from tests.benchmarks.world import World

_PEERS = "tests.benchmarks.peers"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to build the API. ``packages`` are those whose versions matter."""

    name: str
    module: str
    packages: tuple[str, ...]
    remark: str = ""
    verifies: bool = True


OURS = Contender("ours", f"{_PEERS}.ours", ("fastapi", "mangum", "cryptography", "uvicorn"))
FORGETFUL = Contender("ours, no token remembered", f"{_PEERS}.ours_forgetful", ())
TUTORIAL = Contender("tutorial", f"{_PEERS}.tutorial", ("fastapi", "mangum", "python-jose"))
COGNITO = Contender("fastapi-cognito", f"{_PEERS}.cognito", ("fastapi-cognito", "joserfc"))
POWERTOOLS = Contender("Powertools", f"{_PEERS}.powertools", ("aws-lambda-powertools", "pyjwt"))
CHALICE = Contender(
    "Chalice",
    f"{_PEERS}.chalice_notes.app",
    ("chalice",),
    "verifies no token itself",
    verifies=False,
)
FLOOR = Contender("bare floor", f"{_PEERS}.floor", ("cryptography",))

PEERS = (TUTORIAL, COGNITO, POWERTOOLS, CHALICE, FLOOR)
EVERYBODY = (OURS, FORGETFUL, *PEERS)


class Broken(Exception):
    """A contender does not do what all of them must do."""


def check(world: World, contender: Contender, answer: dict[str, Any], forged: Any = None) -> None:
    """See to it that the notes were answered, and (``forged``) a forged token refused.

    Raises:
        Broken: they were not.
    """
    if answer["statusCode"] != 200:
        raise Broken(f"{contender.name}: {answer}")
    notes = [(n["UserId"], n["NoteId"], n["Note"]) for n in json.loads(answer["body"])]
    if notes[: len(world.expected)] != world.expected:
        raise Broken(f"{contender.name}: answers other notes")
    if forged is not None and contender.verifies and forged["statusCode"] != 401:
        raise Broken(f"{contender.name}: takes a forged token: {forged}")


def versions() -> dict[str, str]:
    """Return the version of everything that matters."""
    names = {package for contender in EVERYBODY for package in contender.packages}
    names |= {"notegate", "boto3", "botocore", "cryptography", "httptools", "pydantic", "uvloop"}
    found = {}
    for name in sorted(names):
        try:
            found[name] = version(name)
        except Exception:  # noqa: S112 not installed: not in use
            continue
    return found
