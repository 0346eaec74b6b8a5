from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.aws import running_in_lambda
from app.settings import (
    LOCAL_KID_PREFIX,
    Settings,
    SettingsError,
    is_loopback,
    load_settings,
)

ROOT = Path(__file__).parent.parent
POOL = "eu-central-1_AbCdEfGhI"
CLIENT = "1example23456789abcdefghij"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # so that nobody's .env is read
    for name in [*Settings.model_fields, "aws_lambda_function_name", "aws_lambda_runtime_api"]:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("COGNITO_USER_POOL_ID", POOL)
    monkeypatch.setenv("COGNITO_APP_CLIENT_ID", CLIENT)
    return monkeypatch


def refused(**values: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**values)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


def test_two_variables_are_enough(environ: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert settings.cognito_app_client_id == (CLIENT,)
    assert settings.pool_region == settings.region == "eu-central-1"
    assert settings.issuer == f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
    assert settings.jwks_url == f"{settings.issuer}/.well-known/jwks.json"
    assert settings.jwks is None
    assert settings.cognito_token_use == "id"
    assert settings.notes_store == "sqlite:///notes.db"


def test_settings_are_read_from_a_file_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text(
        f"COGNITO_USER_POOL_ID={POOL}\nCOGNITO_APP_CLIENT_ID={CLIENT}, other\nLOG_LEVEL=debug\n"
    )
    monkeypatch.setenv("LOG_LEVEL", "warning")
    settings = load_settings()
    assert settings.cognito_app_client_id == (CLIENT, "other")
    assert settings.log_level == "WARNING"


def test_settings_cannot_be_changed(environ: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    with pytest.raises(Exception, match="frozen"):
        settings.log_level = "DEBUG"


def test_without_pool_and_client_each_is_named_once_and_explained() -> None:
    lines = refused()
    assert [line.split(":")[0] for line in lines] == [
        "COGNITO_USER_POOL_ID",
        "COGNITO_APP_CLIENT_ID",
    ]
    assert all("is not set" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("COGNITO_USER_POOL_ID", "nonsense", "is not a user pool id"),
        ("COGNITO_USER_POOL_ID", "eu-central-1_../../evil", "is not a user pool id"),
        ("COGNITO_APP_CLIENT_ID", ",", "names no app client"),
        ("COGNITO_APP_CLIENT_ID", "a b/c", "not an app client id"),
        ("COGNITO_TOKEN_USE", "refresh", "'id' or 'access'"),
        ("COGNITO_TOKEN_USE", "access", "is needed with COGNITO_TOKEN_USE=access"),
        ("COGNITO_SCOPES", "notes/read", "has no meaning with ID tokens"),
        ("COGNITO_JWKS_URL", "http://keys.example.com/jwks.json", "must be https"),
        ("COGNITO_JWKS_URL", "http://127.0.0.1.example.com/jwks.json", "must be https"),
        ("COGNITO_JWKS_URL", "file:///etc/jwks.json", "must be https"),
        ("COGNITO_JWKS_URL", "https://", "must be https"),
        ("COGNITO_JWKS", "{", "is not a key set"),
        ("COGNITO_JWKS", "[]", "is not a key set"),
        ("COGNITO_JWKS", '{"keys": []}', "is not a key set"),
        ("COGNITO_JWKS", '{"keys": ["a"]}', "is not a key set"),
        ("COGNITO_DOMAIN", "http://sign-in.example.com", "must be https"),
        ("COGNITO_DOMAIN", "sign-in.example.com", "must be https"),
        ("COGNITO_DOMAIN", "https://sign-in.example.com?x=1", "must be https"),
        ("COGNITO_DOMAIN", "https://sign-in.example.com/#x", "must be https"),
        ("COGNITO_DOMAIN", "https://user@sign-in.example.com", "must be https"),
        ("COGNITO_DOMAIN", "https://sign-in.example.com;script-src", "must be https"),
        ("COGNITO_DOMAIN", "https://", "must be https"),
        ("NOTES_STORE", "notes.db", "must be sqlite:///FILE or dynamodb://TABLE"),
        ("NOTES_STORE", "sqlite://notes.db", "must be sqlite:///FILE"),
        ("NOTES_STORE", "sqlite:///", "must be sqlite:///FILE"),
        ("NOTES_STORE", "dynamodb://a/b", "dynamodb://TABLE"),
        ("NOTES_STORE", "postgres://x", "dynamodb://TABLE"),
        ("CORS_ALLOW_ORIGINS", "https://a.example.com/", "takes origins"),
        ("CORS_ALLOW_ORIGINS", "a.example.com", "takes origins"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000", "is not an http(s) URL"),
        ("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", "http://", "is not an http(s) URL"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(
    environ: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    environ.setenv(name, value)
    (line,) = refused()
    named = "COGNITO_SCOPES" if "COGNITO_TOKEN_USE=access" in reason else name
    assert line.startswith(f"{named}: ")
    assert reason in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COGNITO_JWKS_URL", "http://localhost:8000/jwks.json"),
        ("COGNITO_JWKS_URL", "http://[::1]:8000/jwks.json"),
        ("COGNITO_JWKS_URL", "https://keys.example.com/jwks.json"),
        ("COGNITO_DOMAIN", "https://notes.auth.eu-central-1.amazoncognito.com"),
        ("COGNITO_DOMAIN", "http://127.0.0.1:8000/_cognito"),
        ("NOTES_STORE", "dynamodb://Notes"),
        ("NOTES_STORE", "sqlite:////var/lib/notes.db"),
        ("CORS_ALLOW_ORIGINS", "https://a.example.com, http://localhost:5173"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000"),
    ],
)
def test_a_right_variable_is_taken(environ: pytest.MonkeyPatch, name: str, value: str) -> None:
    environ.setenv(name, value)
    load_settings()


def test_a_domain_may_end_with_a_slash(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("COGNITO_DOMAIN", "https://sign-in.example.com/")
    assert load_settings().cognito_domain == "https://sign-in.example.com"


def test_access_tokens_need_scopes(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("COGNITO_TOKEN_USE", "access")
    environ.setenv("COGNITO_SCOPES", "notes/read notes/write")
    assert load_settings().cognito_scopes == ("notes/read", "notes/write")


def test_in_lambda_nothing_local_is_trusted(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("COGNITO_JWKS_URL", "http://127.0.0.1:8000/jwks.json")
    environ.setenv("COGNITO_DOMAIN", "http://127.0.0.1:8000/_cognito")
    environ.setenv("COGNITO_JWKS", json.dumps({"keys": [{"kid": LOCAL_KID_PREFIX + "x"}]}))
    load_settings()
    environ.setenv("AWS_LAMBDA_FUNCTION_NAME", "notes")
    assert running_in_lambda()
    assert [line.split(":")[0] for line in refused()] == [
        "COGNITO_JWKS_URL",
        "COGNITO_DOMAIN",
        "COGNITO_JWKS",
        "NOTES_STORE",
    ]


def test_in_lambda_with_a_table_all_is_well(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    environ.setenv("NOTES_STORE", "dynamodb://Notes")
    environ.setenv("COGNITO_JWKS", '{"keys": [{"kid": "abc"}]}')
    assert load_settings().jwks == {"keys": [{"kid": "abc"}]}


def test_no_value_is_shown_in_a_refusal(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("COGNITO_JWKS", "a-secret-pasted-into-the-wrong-variable")
    assert "secret" not in "".join(refused())


def test_loopback_is_told_from_what_only_looks_like_it() -> None:
    assert is_loopback("http://127.0.0.1:8000/x")
    assert not is_loopback("http://localhost@evil.example.com/x")


def test_the_settings_the_example_and_the_readme_name_the_same_variables() -> None:
    names = {name.upper() for name in Settings.model_fields}
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", example, re.MULTILINE)) == names
    readme = (ROOT / "README.md").read_text()
    assert set(re.findall(r"^\| `([A-Z][A-Z_]+)` \|", readme, re.MULTILINE)) == names


def test_the_example_is_a_valid_environment(environ: pytest.MonkeyPatch) -> None:
    Path(".env").write_text((ROOT / ".env.example").read_text())
    load_settings()
