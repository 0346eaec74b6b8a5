"""What a REST API definition says, once read: methods, authorizers, integrations, responses.

``openapi.py`` makes these from API Gateway's OpenAPI 3.0 export; nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jsonschema.protocols import Validator

PREFIX = "x-amazon-apigateway-"
"""How API Gateway's own keys begin."""

HTTP_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""What ANY stands for."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps a definition from being mirrored.

    ``place`` is a JSON pointer into the definition. ``unsupported`` tells what API Gateway can do
    and the mirror cannot from what API Gateway would refuse to import.
    """

    place: str
    what: str
    unsupported: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


class DefinitionError(Exception):
    """The definition cannot be mirrored; ``problems`` names every reason, not just the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class UserPool:
    """A pool that an authorizer trusts."""

    pool_id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Authorizer:
    """A COGNITO_USER_POOLS authorizer; ``header`` is its identity source, ``ttl`` in seconds."""

    name: str
    header: str
    pools: tuple[UserPool, ...]
    validation_expression: str | None = None
    ttl: int = 300


@dataclass(frozen=True, slots=True)
class AwsProxy:
    """The Lambda proxy integration; ``fails`` says why every call of it is a 500, if so."""

    timeout: float
    fails: str = ""


@dataclass(frozen=True, slots=True)
class MockResponse:
    """One integration response of a MOCK; ``pattern`` is None for the default one."""

    pattern: str | None
    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    templates: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mock:
    """The MOCK integration; ``statuses`` has what the request template of a media type yields."""

    statuses: Mapping[str, int]
    passthrough: str
    responses: tuple[MockResponse, ...]
    to_text: bool = False


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Stands where an integration was, under ``--ignore-unsupported``: the method answers 501."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of one resource.

    ``required`` holds full keys (``method.request.header.X``), sorted; ``models`` has the compiled
    model of each media type. Both are empty unless a request validator asks for them.
    """

    place: str
    resource: str
    http_method: str
    resource_id: str
    integration: AwsProxy | Mock | Unsupported
    operation_name: str | None = None
    authorizer: Authorizer | None = None
    scopes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    models: Mapping[str, Validator] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """How an answer of the gateway's own was customised."""

    status: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Api:
    """A REST API as deployed. ``warnings`` are what its author ought to know."""

    title: str
    deployment_id: str
    methods: tuple[Method, ...]
    binary_media_types: tuple[str, ...]
    gateway_responses: Mapping[str, GatewayResponse]
    warnings: tuple[str, ...] = ()
