"""Request validators: required parameters first, then the body against its model (facts, 5)."""

from __future__ import annotations

import json
from typing import Any

from jsonschema.exceptions import ValidationError

from app.local.gateway import errors
from app.local.gateway.definition import Method
from app.local.gateway.errors import Refusal
from app.local.gateway.exchange import Exchange

MAX_ERRORS = 10
"""How many mistakes of a body are described."""


def validate(method: Method, exchange: Exchange, body: bytes) -> Refusal | None:
    """Return what is wrong with the request, or None.

    Parameters come before the body: with both wrong, only they are reported [R].
    """
    missing = [key for key in method.required if not _value(key, exchange).strip()]
    if missing:
        refusal = errors.missing_parameters([key.split(".", 3)[3] for key in missing])
        return refusal.because(_hint(missing, exchange))
    if not method.models:
        return None
    model = method.models.get(exchange.request.media_type or "application/json")
    if model is None:
        return None  # no model for this media type: not validated [D]
    try:
        # An empty body is validated as {} [R by its effect].
        document = json.loads(body.decode() or "{}", parse_constant=_refuse)
        mistakes = sorted(
            (
                error
                for _, error in zip(range(MAX_ERRORS), model.iter_errors(document), strict=False)
            ),
            key=lambda error: list(map(str, error.absolute_path)),
        )
    except (ValueError, RecursionError) as error:
        return errors.BAD_REQUEST_BODY.because(f"the body is no usable JSON: {error}"[:200])
    if not mistakes:
        return None
    described = f"[{', '.join(map(_described, mistakes))}]"
    return errors.BAD_REQUEST_BODY.because(described, validation_error=described)


def _value(key: str, exchange: Exchange) -> str:
    """Return the value of ``method.request.{place}.{name}``; names count case [D]."""
    _, _, place, name = key.split(".", 3)
    if place == "header":
        return exchange.request.headers.get(name, "")
    if place == "querystring":
        return (exchange.request.query_values.get(name) or [""])[-1]
    return (exchange.path_parameters or {}).get(name, "")


def _hint(missing: list[str], exchange: Exchange) -> str:
    for key in missing:
        name = key.split(".", 3)[3]
        for sent in exchange.request.headers:
            if key.startswith("method.request.header.") and sent.lower() == name.lower():
                return f"the header {name} came as {sent}; names count case, and HTTP/2 has none"
    return f"missing or blank: {missing}"


def _described(error: ValidationError) -> str:
    """Describe a mistake as API Gateway's validator does, where its wording is recorded."""
    if error.validator == "required":
        wanted: Any = error.validator_value
        instance: Any = error.instance
        missing = [name for name in wanted if name not in instance]
        return f"object has missing required properties ({_listed(missing)})"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        extra = [name for name in error.instance if name not in known]
        return (
            f"object instance has properties which are not allowed by the schema: {_listed(extra)}"
        )
    return error.message[:300]


def _listed(names: list[Any]) -> str:
    return json.dumps(sorted(names), ensure_ascii=False, separators=(",", ":"))


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
