"""API Gateway's OpenAPI 3.0 export becomes an ``Api``, or an error that lists all it cannot mirror.

Rules marked [C], [D] and [I] are those of the project's facts about API Gateway.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from app.local.gateway.definition import (
    HTTP_METHODS,
    PREFIX,
    Api,
    AwsProxy,
    DefinitionError,
    Method,
    Problem,
    Unsupported,
)
from app.local.gateway.findings import Findings, escaped, pointer
from app.local.gateway.gateway_responses import read_gateway_responses
from app.local.gateway.integrations import read_integration
from app.local.gateway.models import Models
from app.local.gateway.security import SecuritySchemes

_ANY = PREFIX + "any-method"

_UNDERSTOOD = frozenset(
    PREFIX + name
    for name in (
        "any-method",
        "integration",
        "request-validators",
        "request-validator",
        "binary-media-types",
        "gateway-responses",
        "authtype",
        "authorizer",
        "auth",
        "endpoint-configuration",
        # Without effect on any answer:
        "importexport-version",
        "documentation",
        "tag-value",
        "api-key-source",
    )
)

_REFUSED = {
    "policy": "resource policies are not mirrored",
    "minimum-compression-size": "payload compression is not mirrored",
    "cors": "belongs to HTTP APIs, which are not mirrored",
    "importexport-root": "is not mirrored",
    "integrations": "belongs to HTTP APIs, which are not mirrored",
}

_PART = re.compile(r"[a-zA-Z0-9._:-]+")  # the import's own rule [C]
_VARIABLE = re.compile(r"\{([a-zA-Z0-9._:-]+)(\+?)\}")
_PLACES = {"header": "header", "query": "querystring", "path": "path"}


def load_definition(path: str | Path) -> dict[str, Any]:
    """Read a definition from a JSON or YAML file.

    Raises:
        DefinitionError: when it is neither, or holds CloudFormation tags.
        OSError: when it cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        # JSON first: it is 50 times as fast, and YAML reads some JSON differently.
        document = json.loads(text)
    except ValueError:
        try:
            document = yaml.safe_load(text)
        except yaml.constructor.ConstructorError as error:
            what = (
                f"{error.problem}: resolve CloudFormation functions before (sam build, cdk synth)"
            )
            raise DefinitionError([Problem(str(path), what)]) from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise DefinitionError([Problem(str(path), f"neither JSON nor YAML: {error}")]) from None
    except RecursionError:
        raise DefinitionError([Problem(str(path), "nested too deeply")]) from None
    if not isinstance(document, dict):
        raise DefinitionError([Problem(str(path), "is not an object")])
    return document


def read_api(document: Mapping[str, Any], *, ignore_unsupported: bool = False) -> Api:
    """Read a definition.

    Args:
        document: the export as parsed from JSON or YAML.
        ignore_unsupported: what the mirror cannot do becomes a warning, and a 501 on the method
            concerned; what API Gateway would not import is still an error.

    Raises:
        DefinitionError: with every problem.
    """
    return _Reader(document, ignore_unsupported).read()


class _Reader(Findings):
    def __init__(self, document: Mapping[str, Any], ignore_unsupported: bool) -> None:
        super().__init__(ignore_unsupported)
        self.document = document if isinstance(document, Mapping) else {}
        components = self.mapping(self.document.get("components"), "#/components")
        self.components = {
            name: self.mapping(components.get(name), f"#/components/{name}")
            for name in ("schemas", "securitySchemes", "parameters", "requestBodies")
        }
        self.models = Models(self.components["schemas"])
        self.security = SecuritySchemes(self.components["securitySchemes"], self)

    def read(self) -> Api:
        document = self.document
        version = str(document.get("openapi", ""))
        if "swagger" in document:
            self.unsupported("#/swagger", "Swagger 2.0 is not read; export as OpenAPI 3.0 (oas30)")
        elif not version.startswith("3.0"):
            self.wrong("#/openapi", f"is {version or 'missing'}; API Gateway imports 3.0")
        self._refuse_extensions({k: v for k, v in document.items() if k != "paths"}, "#")
        if document.get("security"):
            # The documented behaviour of the import [D]; the mirror is as open as the cloud is.
            self.warnings.append("#/security: API Gateway ignores security at the root level")
        self._endpoint_configuration()
        paths = self.mapping(document.get("paths"), "#/paths")
        if not paths:
            self.wrong("#/paths", "there is no path")
        self._check_paths(paths)
        methods = [method for path in paths for method in self._methods(str(path), paths[path])]
        binary = document.get(PREFIX + "binary-media-types") or []
        if not (isinstance(binary, list) and all(isinstance(item, str) for item in binary)):
            self.wrong(pointer(PREFIX + "binary-media-types"), "is not a list of media types")
            binary = []
        responses, problems = read_gateway_responses(
            document.get(PREFIX + "gateway-responses") or {},
            pointer(PREFIX + "gateway-responses"),
        )
        self.report(problems)
        if self.problems:
            raise DefinitionError(self.problems)
        digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode())
        info = document.get("info")
        return Api(
            title=str(info.get("title", "")) if isinstance(info, Mapping) else "",
            deployment_id=digest.hexdigest()[:6],
            methods=tuple(methods),
            binary_media_types=tuple(item.replace("~1", "/").lower() for item in binary),
            gateway_responses=responses,
            warnings=tuple(self.warnings),
        )

    def resolve(self, value: Any, kind: str, place: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping) and "$ref" in value:
            name = str(value["$ref"]).removeprefix(f"#/components/{kind}/")
            target = self.components[kind].get(name)
            if not isinstance(target, Mapping) or "$ref" in target:
                self.wrong(place, f"refers to {value['$ref']}, which is not there")
                return {}
            return target
        return self.mapping(value, place)

    def _refuse_extensions(self, value: Mapping[str, Any], place: str) -> None:
        for parts, key in _extensions(value, ()):
            if key not in _UNDERSTOOD:
                what = _REFUSED.get(key.removeprefix(PREFIX), "is not mirrored")
                self.unsupported(place + pointer(*parts, key)[1:], what)

    def _endpoint_configuration(self) -> None:
        key = PREFIX + "endpoint-configuration"
        for name, value in self.mapping(self.document.get(key), pointer(key)).items():
            if name == "types" and "PRIVATE" not in (value or []):
                continue  # EDGE adds headers of CloudFront's, which the mirror leaves out
            if value:
                self.unsupported(pointer(key, name), "is not mirrored")

    def _check_paths(self, paths: Mapping[str, Any]) -> None:
        variables: dict[str, str] = {}  # the variable child of each parent
        for path in map(str, paths):
            if not path.startswith("/"):
                self.wrong(pointer("paths", path), "does not begin with a slash")
                continue
            parts = path[1:].split("/") if path != "/" else []
            if parts and parts[-1] == "":
                parts.pop()  # the import drops a trailing slash
            for depth, part in enumerate(parts):
                variable = _VARIABLE.fullmatch(part)
                if not variable:
                    if not _PART.fullmatch(part):
                        self.wrong(
                            pointer("paths", path),
                            "a path part is letters, digits and ._-: or one {variable}, "
                            f"not {part!r}",
                        )
                    continue
                if variable[2] and depth != len(parts) - 1:
                    self.wrong(pointer("paths", path), f"{part} is not the last part")
                parent = "/".join(parts[:depth])
                sibling = variables.setdefault(parent, part)
                if sibling != part:
                    self.wrong(
                        pointer("paths", path),
                        f"a sibling ({sibling}) of {part} already has a variable path part"
                        " -- only one is allowed",
                    )

    def _methods(self, path: str, value: Any) -> Iterator[Method]:
        place = pointer("paths", path)
        item = self.mapping(value, place)
        if "$ref" in item:
            self.unsupported(place + "/$ref", "references to other documents are not followed")
        if "trace" in item:
            self.wrong(place + "/trace", "API Gateway has no TRACE method")
        keys = [*(name.lower() for name in HTTP_METHODS), _ANY]
        self._refuse_extensions({k: v for k, v in item.items() if k not in keys}, place)
        for key in keys:
            if key in item:
                http_method = "ANY" if key == _ANY else key.upper()
                operation = self.mapping(item[key], f"{place}/{key}")
                yield self._method(path, http_method, operation, item, f"{place}/{key}")

    def _method(
        self,
        path: str,
        http_method: str,
        operation: Mapping[str, Any],
        item: Mapping[str, Any],
        place: str,
    ) -> Method:
        before = len(self.warnings)
        self._refuse_extensions(operation, place)
        integration, problems = read_integration(
            operation.get(PREFIX + "integration"), f"{place}/{PREFIX}integration"
        )
        self.report(problems)
        authorizer, scopes = self.security.read(operation, place)
        required, models = self._validation(path, operation, item, place)
        result: Any = integration
        if before < len(self.warnings):
            result = Unsupported(tuple(self.warnings[before:]))
        elif integration is None:
            result = AwsProxy(29.0)  # never used: there is a problem on the list
        resource = path.rstrip("/") or "/"
        operation_id = operation.get("operationId")
        return Method(
            place=place,
            resource=resource,
            http_method=http_method,
            resource_id=hashlib.sha256(resource.encode()).hexdigest()[:6],
            integration=result,
            operation_name=operation_id if isinstance(operation_id, str) else None,
            authorizer=authorizer,
            scopes=scopes,
            required=required,
            models=models,
        )

    def _validation(
        self, path: str, operation: Mapping[str, Any], item: Mapping[str, Any], place: str
    ) -> tuple[tuple[str, ...], Mapping[str, Any]]:
        key = PREFIX + "request-validator"
        name = operation.get(key, self.document.get(key))
        validators = self.mapping(self.document.get(key + "s"), pointer(key + "s"))
        if name is None:
            return (), {}
        if name not in validators:
            self.wrong(f"{place}/{key}", f"there is no request validator {name}")
            return (), {}
        validator = self.mapping(validators[name], pointer(key + "s", name))
        required: set[str] = set()
        if validator.get("validateRequestParameters") is True:
            for where in (item, operation):
                parameters = where.get("parameters") or []
                if not isinstance(parameters, list):
                    self.wrong(f"{place}/parameters", "is not a list")
                    continue
                for entry in parameters:
                    parameter = self.resolve(entry, "parameters", f"{place}/parameters")
                    source = _PLACES.get(str(parameter.get("in")))
                    if source and parameter.get("required") is True:
                        required.add(f"method.request.{source}.{parameter.get('name')}")
        models = {}
        if validator.get("validateRequestBody") is True:
            body = self.resolve(
                operation.get("requestBody"), "requestBodies", f"{place}/requestBody"
            )
            content = self.mapping(body.get("content"), f"{place}/requestBody/content")
            for media_type, media in content.items():
                at = f"{place}/requestBody/content/{escaped(media_type)}"
                schema = self.mapping(media, at).get("schema")
                if schema is None:
                    continue
                model, problems = self.models.compile(schema, f"{at}/schema")
                self.problems.extend(problems)
                if model is not None:
                    models[str(media_type).partition(";")[0].strip().lower()] = model
        return tuple(sorted(required)), models


def _extensions(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Find every key that means something to API Gateway, wherever it stands."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if isinstance(key, str) and key.startswith(PREFIX):
                yield place, key
            if key not in {"example", "examples", PREFIX + "documentation"}:
                yield from _extensions(child, (*place, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _extensions(child, (*place, index))
