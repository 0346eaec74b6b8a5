"""Requests made from the API's own description: no 5xx, no answer that it does not describe."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api import Stage
from tests.tokens import SUB, Pool

OPERATIONS = [
    ("/notes", "GET"),
    ("/notes", "POST"),
    ("/notes/search", "GET"),
    ("/notes/{NoteId}", "GET"),
    ("/notes/{NoteId}", "PUT"),
    ("/notes/{NoteId}", "DELETE"),
    ("/userinfo", "GET"),
    ("/healthz", "GET"),
]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def description(stages: Any) -> Any:
    stage: Stage = stages("sqlite")
    stage.directory.users["student"] = {"sub": SUB}
    return schemathesis.openapi.from_asgi("/openapi.json", stage.app)


def test_every_operation_is_tried(description: Any) -> None:
    described = {(path, method.upper()) for path in description for method in description[path]}
    assert described == set(OPERATIONS)


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        (path, method, mode)
        for path, method in OPERATIONS
        for mode in GenerationMode
        # What takes no input can be given no wrong one.
        if mode is GenerationMode.POSITIVE or path != "/healthz"
    ],
)
def test_every_answer_is_described(
    description: Any, pool: Pool, path: str, method: str, mode: GenerationMode
) -> None:
    operation = description[path][method]
    headers = {"Authorization": f"Bearer {pool.id_token()}"}

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    ask()
