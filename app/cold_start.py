"""What shortens a cold start in Lambda. Imported there before everything else, and no-one else's.

Measured by ``python -m tests.benchmarks --only cold``. In no other process does it do anything.
"""

from __future__ import annotations

import gc
import os
import sys

from app.aws import running_in_lambda


def begin() -> None:
    """Prepare for importing the app."""
    # Nearly all that is made while importing stays; looking for what does not is wasted.
    gc.disable()
    # Pydantic would read the entry points of every package there is, for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # FastAPI looks for Pydantic 1's models wherever it looks for models, and takes them for absent
    # when they cannot be imported. There are none here.
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type] # says: not importable
    # FastAPI's models of OpenAPI documents, forty of them, are made ready when somebody asks for
    # the description.
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        import fastapi.openapi.models  # noqa: F401 for what it does with the line above
    finally:
        del BaseModel.model_config["defer_build"]


def end() -> None:
    """Collect garbage from now on, among what comes only; everything else is imported."""
    if running_in_lambda():
        gc.freeze()
        gc.enable()


if running_in_lambda():  # pragma: no cover - in a process of its own (tests/deploy)
    begin()
