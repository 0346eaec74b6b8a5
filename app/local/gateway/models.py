"""Models: ``components.schemas`` compiled to validators of JSON Schema draft 4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from referencing import Registry

from app.local.gateway.definition import Problem

_MODEL = re.compile(r"https://apigateway\.amazonaws\.com/restapis/[^/]+/models/([A-Za-z0-9]+)")
_LOCAL = "#/components/schemas/"


class Models:
    """The models of one API.

    A schema is compiled inside a document that holds all of them, so that ``$ref`` needs no
    network: a reference that leaves the document is a problem, not a download.
    """

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = {str(name): _with_local_references(s) for name, s in schemas.items()}

    def compile(self, schema: Any, place: str) -> tuple[Validator | None, list[Problem]]:
        """Return the validator of a schema, or what is wrong with it."""
        schema = _with_local_references(schema)
        problems = self._problems(schema, place, set())
        if problems:
            return None, problems
        document = {"components": {"schemas": self._schemas}, "allOf": [schema]}
        return Draft4Validator(document, registry=Registry()), []

    def _problems(self, schema: Any, place: str, seen: set[str]) -> list[Problem]:
        try:
            Draft4Validator.check_schema(schema)
        except SchemaError as error:
            where = "".join(f"/{part}" for part in error.absolute_path)
            what = f"is not JSON Schema draft 4: {error.message}"
            return [Problem(place + where, what)]
        problems = []
        for reference in _references(schema):
            name = reference.removeprefix(_LOCAL)
            if name not in self._schemas or not reference.startswith(_LOCAL):
                problems.append(Problem(place, f"refers to {reference}, which is not a model here"))
            elif name not in seen:
                seen.add(name)
                problems += self._problems(self._schemas[name], reference, seen)
        chain = [schema]
        while isinstance(chain[-1], Mapping) and isinstance(chain[-1].get("$ref"), str):
            target = self._schemas.get(chain[-1]["$ref"].removeprefix(_LOCAL))
            if any(target is link for link in chain):
                problems.append(Problem(place, "refers to itself"))
                break
            chain.append(target)
        return problems


def _references(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [ref for child in schema.values() for ref in _references(child)]
    if isinstance(schema, list):
        return [ref for child in schema for ref in _references(child)]
    return []


def _with_local_references(schema: Any) -> Any:
    """Turn references to models by their URL, as exports write them, into local ones."""
    if isinstance(schema, Mapping):
        return {
            str(key): _MODEL.sub(_LOCAL + r"\1", value)
            if key == "$ref" and isinstance(value, str)
            else _with_local_references(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_with_local_references(child) for child in schema]
    return schema
