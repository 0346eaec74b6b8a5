"""Every environment variable, read once: typed, frozen, and with no insecure default."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.aws import running_in_lambda

LOCAL_KID_PREFIX = "notegate-local-"
"""Every signing key of the local pool has a ``kid`` that begins so; AWS never trusts one."""

_POOL_ID = re.compile(r"([a-z]{2}(?:-[a-z]+)+-\d)_[0-9A-Za-z]{1,55}")
_CLIENT_ID = re.compile(r"[\w+]{1,128}", re.ASCII)
_DOMAIN = re.compile(r"https?://[\w.:\[\]-]+(?:/[\w./~-]*)?", re.ASCII)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SEPARATORS = re.compile(r"[,\s]+")

Names = tuple[str, ...]


class SettingsError(Exception):
    """The environment does not describe a runnable app.

    ``lines`` holds one readable line per variable, each naming the variable.
    """

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read or change what is fetched: https, or http on loopback."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    )


class Settings(BaseModel):
    """The app's configuration. Field names are the environment variables' names in lower case."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    cognito_user_pool_id: str = Field(description="The user pool whose tokens are accepted")
    cognito_app_client_id: Names = Field(
        description="App clients whose tokens are accepted, comma-separated"
    )
    cognito_token_use: Literal["id", "access"] = Field(
        "id", description="Which token callers send: `id`, or `access` (needs COGNITO_SCOPES)"
    )
    cognito_scopes: Names = Field(
        (), description="With access tokens: one of these scopes is needed"
    )
    cognito_jwks_url: str = Field(
        "", description="Where the pool's keys are; default: the pool's own URL"
    )
    cognito_jwks: str = Field(
        "", description="The key set itself (JSON), so that a cold start fetches nothing"
    )
    cognito_domain: str = Field(
        "", description="The pool's hosted endpoints, for signing in by browser; none: it is off"
    )
    notes_store: str = Field(
        "sqlite:///notes.db", description="`sqlite:///FILE` or `dynamodb://TABLE`"
    )
    cors_allow_origins: Names = Field(
        ("*",), description="Origins that may call from a browser, comma-separated"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="How much is logged"
    )
    aws_region: str = Field(
        "", description="Region of the DynamoDB table; default: the pool's region"
    )
    aws_endpoint_url_cognito_identity_provider: str = Field(
        "", description="Another address for Cognito"
    )
    aws_endpoint_url_dynamodb: str = Field("", description="Another address for DynamoDB")

    @property
    def pool_region(self) -> str:
        """The part of the pool id before the underscore."""
        return self.cognito_user_pool_id.partition("_")[0]

    @property
    def issuer(self) -> str:
        """The ``iss`` of the pool's tokens."""
        return f"https://cognito-idp.{self.pool_region}.amazonaws.com/{self.cognito_user_pool_id}"

    @property
    def jwks_url(self) -> str:
        """Where the pool's key set is fetched."""
        return self.cognito_jwks_url or f"{self.issuer}/.well-known/jwks.json"

    @property
    def sign_in_scopes(self) -> str:
        """What a browser asks for when it signs in: who it is, and with access tokens what for."""
        return " ".join(("openid", "email", "profile", *self.cognito_scopes))

    @property
    def region(self) -> str:
        """The region of the table."""
        return self.aws_region or self.pool_region

    @property
    def jwks(self) -> dict[str, Any] | None:
        """The key set shipped in ``COGNITO_JWKS``, or None."""
        return json.loads(self.cognito_jwks) if self.cognito_jwks else None

    @field_validator("cognito_app_client_id", "cognito_scopes", "cors_allow_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in _SEPARATORS.split(value) if part)
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("cognito_user_pool_id")
    @classmethod
    def _is_pool_id(cls, value: str) -> str:
        if not _POOL_ID.fullmatch(value):
            raise ValueError("is not a user pool id (like eu-central-1_AbCdEfGhI)")
        return value

    @field_validator("cognito_app_client_id")
    @classmethod
    def _are_client_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("names no app client")
        if not all(map(_CLIENT_ID.fullmatch, value)):
            raise ValueError("holds something that is not an app client id")
        return value

    @field_validator("cognito_jwks_url")
    @classmethod
    def _is_safe_key_url(cls, value: str) -> str:
        if value and not _is_private(value):
            raise ValueError(
                "must be https, or http on loopback: keys fetched otherwise can be forged"
            )
        return value

    @field_validator("cognito_domain")
    @classmethod
    def _is_safe_domain(cls, value: str) -> str:
        if value and not (_is_private(value) and _DOMAIN.fullmatch(value)):
            raise ValueError(
                "must be https://DOMAIN, or http on loopback: tokens sent otherwise can be read"
            )
        return value.rstrip("/")

    @field_validator("aws_endpoint_url_cognito_identity_provider", "aws_endpoint_url_dynamodb")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not (urlsplit(value).scheme in {"http", "https"} and urlsplit(value).hostname):
            raise ValueError("is not an http(s) URL")
        return value

    @field_validator("cognito_jwks")
    @classmethod
    def _is_key_set(cls, value: str) -> str:
        if value:
            try:
                keys = json.loads(value)["keys"]
            except (ValueError, KeyError, TypeError):
                keys = None
            if not (isinstance(keys, list) and keys and all(isinstance(key, dict) for key in keys)):
                raise ValueError('is not a key set ({"keys": [...]})')
        return value

    @field_validator("notes_store")
    @classmethod
    def _is_store(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if scheme == "sqlite" and rest.startswith("/") and rest[1:]:
            return value
        if scheme == "dynamodb" and re.fullmatch(r"[\w.-]{3,255}", rest, re.ASCII):
            return value
        raise ValueError("must be sqlite:///FILE or dynamodb://TABLE")

    @field_validator("cors_allow_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if origin != "*" and (
                parts.scheme not in {"http", "https"}
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError("takes origins such as https://notes.example.com (no path), or *")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        if self.cognito_token_use == "access" and not self.cognito_scopes:
            raise _wrong("cognito_scopes", "is needed with COGNITO_TOKEN_USE=access")
        if self.cognito_token_use == "id" and self.cognito_scopes:
            raise _wrong(
                "cognito_scopes", "has no meaning with ID tokens; set COGNITO_TOKEN_USE=access"
            )
        return self

    def refuse_what_aws_must_not_run(self) -> None:
        """Raise SettingsError for what is right on a laptop and wrong in Lambda."""
        lines = []
        # Lambda says its own region; so a mistyped pool is found before its first token.
        if self.aws_region and self.aws_region != self.pool_region:
            lines.append(
                f"COGNITO_USER_POOL_ID: is in {self.pool_region}, "
                f"and this function in {self.aws_region}"
            )
        if self.cognito_jwks_url and is_loopback(self.cognito_jwks_url):
            lines.append(
                "COGNITO_JWKS_URL: points at this machine; in AWS the pool's own keys are used"
            )
        if self.cognito_domain and is_loopback(self.cognito_domain):
            lines.append(
                "COGNITO_DOMAIN: points at this machine; in AWS it is the pool's own domain"
            )
        if any(
            str(key.get("kid", "")).startswith(LOCAL_KID_PREFIX)
            for key in (self.jwks or {"keys": []})["keys"]
        ):
            lines.append("COGNITO_JWKS: holds keys of a local pool, which are never trusted in AWS")
        if self.notes_store.startswith("sqlite:"):
            lines.append(
                "NOTES_STORE: SQLite in Lambda loses notes with the environment; use dynamodb://TABLE"
            )
        if lines:
            raise SettingsError(lines)


def _wrong(field: str, what: str) -> Exception:
    from pydantic_core import InitErrorDetails, PydanticCustomError

    error = InitErrorDetails(
        type=PydanticCustomError("setting", "{what}", {"what": what}), loc=(field,), input=None
    )
    return ValidationError.from_exception_data("Settings", [error])


def load_settings(*, env_file: str | None = ".env", **values: Any) -> Settings:
    """Read the settings from the environment.

    A variable that is empty counts as one that is not set.

    Args:
        env_file: a file of variables, which the environment overrides; it need not exist.
        values: settings that override both.

    Raises:
        SettingsError: with one line per variable that is missing or wrong.
    """
    variables = _variables_in(env_file)
    given = {
        name: text
        for name in Settings.model_fields
        if (text := os.environ.get(name.upper()) or variables.get(name.upper()))
    }
    try:
        settings = Settings(**{**given, **values})
    except ValidationError as error:
        raise SettingsError([_line(problem) for problem in error.errors()]) from None
    if running_in_lambda():
        settings.refuse_what_aws_must_not_run()
    return settings


def _variables_in(env_file: str | None) -> dict[str, str | None]:
    if env_file is None or not os.path.isfile(env_file):
        return {}
    from dotenv import dotenv_values  # 6 ms, and in AWS there is no such file

    return dotenv_values(env_file)


def _line(problem: Any) -> str:
    name = str(problem["loc"][0]).upper() if problem["loc"] else "settings"
    if problem["type"] == "missing":
        field = Settings.model_fields[name.lower()]
        return f"{name}: is not set ({field.description})"
    return f"{name}: {problem['msg'].removeprefix('Value error, ')}"
