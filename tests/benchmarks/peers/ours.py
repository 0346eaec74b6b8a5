"""Ours, as Lambda would run it, but for its refusal to use a laptop's keys and file there.

``AWS_LAMBDA_FUNCTION_NAME`` is set for every contender. It makes our settings refuse loopback key
URLs and SQLite, which are what this benchmark stands on; only that refusal is taken away.
"""

from __future__ import annotations

# isort: off
from app import cold_start  # noqa: F401 first, as in app.lambda_handler

# isort: on
from app.settings import Settings

Settings.refuse_what_aws_must_not_run = lambda self: None  # type: ignore[method-assign] # above

from app.lambda_handler import handler  # noqa: E402  after the line above

__all__ = ["handler"]
