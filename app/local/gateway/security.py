"""``security`` and ``securitySchemes`` become authorizers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.local.gateway.definition import PREFIX, Authorizer, UserPool
from app.local.gateway.findings import Findings, pointer

_POOL_ARN = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):cognito-idp:([a-z0-9-]+):\d{12}:userpool/([\w-]+)"
)
_IDENTITY_SOURCE = re.compile(r"method\.request\.header\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)")


class SecuritySchemes:
    """The security schemes of one definition; what is wrong with those in use is found."""

    def __init__(self, schemes: Mapping[str, Any], findings: Findings) -> None:
        self._schemes = schemes
        self._findings = findings
        self._authorizers: dict[str, Authorizer | None] = {}

    def read(
        self, operation: Mapping[str, Any], place: str
    ) -> tuple[Authorizer | None, tuple[str, ...]]:
        """Return a method's authorizer and scopes."""
        auth = self._findings.mapping(operation.get(PREFIX + "auth"), f"{place}/{PREFIX}auth")
        if str(auth.get("type", "NONE")).upper() != "NONE":
            self._findings.unsupported(f"{place}/{PREFIX}auth", f"{auth['type']} is not mirrored")
        security = operation.get("security") or []
        place += "/security"
        if not isinstance(security, list):
            self._findings.wrong(place, "is not a list")
            return None, ()
        found: list[tuple[Authorizer, tuple[str, ...]]] = []
        for entry in security:
            for name, scopes in self._findings.mapping(entry, place).items():
                if not (isinstance(scopes, list) and all(isinstance(s, str) for s in scopes)):
                    self._findings.wrong(f"{place}/{name}", "is not a list of scopes")
                elif authorizer := self._authorizer(str(name), place):
                    found.append((authorizer, tuple(scopes)))
        if len(found) > 1:
            self._findings.wrong(place, "a method has one authorizer")
        return found[0] if found else (None, ())

    def _authorizer(self, name: str, used_at: str) -> Authorizer | None:
        place = pointer("components", "securitySchemes", name)
        schemes = self._schemes
        if name not in schemes:
            self._findings.wrong(used_at, f"there is no security scheme {name}")
            return None
        scheme = self._findings.mapping(schemes[name], place)
        authtype = str(scheme.get(PREFIX + "authtype", "")).lower()
        settings = self._findings.mapping(scheme.get(PREFIX + "authorizer"), place)
        kind = str(settings.get("type", "")).lower()
        if authtype == "cognito_user_pools" or kind == "cognito_user_pools":
            if name not in self._authorizers:
                self._authorizers[name] = self._cognito(name, scheme, settings, place)
            return self._authorizers[name]
        if kind in {"token", "request"} or authtype == "custom":
            what = "Lambda authorizers are not mirrored"
        elif authtype == "awssigv4":
            what = "AWS_IAM authorization is not mirrored"
        elif kind == "jwt":
            what = "JWT authorizers belong to HTTP APIs, which are not mirrored"
        elif scheme.get("type") == "apiKey":
            what = "API keys and usage plans are not mirrored"
        else:
            what = f"a security scheme of type {scheme.get('type')} is no authorizer"
        self._findings.unsupported(f"{used_at}/{name}", what)
        return None

    def _cognito(
        self, name: str, scheme: Mapping[str, Any], settings: Mapping[str, Any], place: str
    ) -> Authorizer | None:
        place = f"{place}/{PREFIX}authorizer"
        before = len(self._findings.problems)
        header = str(scheme.get("name") or "Authorization")
        if source := settings.get("identitySource"):
            match = _IDENTITY_SOURCE.fullmatch(str(source))
            if match:
                header = match[1]
            else:
                self._findings.wrong(f"{place}/identitySource", "is not method.request.header.NAME")
        pools = []
        arns = settings.get("providerARNs")
        if not (isinstance(arns, list) and arns):
            self._findings.wrong(f"{place}/providerARNs", "names no user pool")
            arns = []
        for arn in arns:
            match = _POOL_ARN.fullmatch(arn) if isinstance(arn, str) else None
            if not match:
                what = f"{arn} is not the ARN of a user pool"
                self._findings.wrong(f"{place}/providerARNs", what)
                continue
            partition, region, pool_id = match.groups()
            domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
            issuer = f"https://cognito-idp.{region}.{domain}/{pool_id}"
            pools.append(UserPool(pool_id, issuer))
        expression = settings.get("identityValidationExpression") or None
        if expression is not None:
            try:
                re.compile(str(expression))
            except re.error as error:
                self._findings.wrong(
                    f"{place}/identityValidationExpression", f"is no pattern: {error}"
                )
        ttl = settings.get("authorizerResultTtlInSeconds", 300)
        if type(ttl) is not int or not 0 <= ttl <= 3600:
            self._findings.wrong(f"{place}/authorizerResultTtlInSeconds", "is not 0 to 3600")
        if len(self._findings.problems) > before:
            return None
        return Authorizer(name, header, tuple(pools), expression and str(expression), ttl)
