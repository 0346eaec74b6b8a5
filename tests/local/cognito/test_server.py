from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError
from jose import jwt

from app.local.cognito import PREFIX, mount
from app.local.cognito.server import MAX_BODY, Server
from tests.local.cognito.support import STUDENT, Served

SIGNED = {
    "authorization": "AWS4-HMAC-SHA256 Credential=x/20261121/us-east-1/cognito-idp/aws4_request"
}


def target(operation: str) -> dict[str, str]:
    return {
        "x-amz-target": f"AWSCognitoIdentityProviderService.{operation}",
        "content-type": "application/x-amz-json-1.1",
    }


def sign_in(served: Served, path: str = "", **headers: str) -> httpx.Response:
    body = {
        "ClientId": served.pool.client_id,
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": STUDENT,
    }
    return httpx.post(served.endpoint + path, json=body, headers=target("InitiateAuth") | headers)


def refused(response: httpx.Response, status: int, type: str) -> None:
    assert response.status_code == status
    assert response.json().keys() == {"__type", "message"}
    assert response.json()["__type"] == type
    assert response.headers["x-amzn-errortype"] == type


def test_boto3_takes_the_whole_walk(served: Served) -> None:
    client, pool = served.client, served.pool
    answer = client.sign_up(ClientId=pool.client_id, Username="walker", Password="student")
    assert answer["UserConfirmed"] is False

    def sign_in_(password: str = "student") -> Any:
        return client.initiate_auth(
            ClientId=pool.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "walker", "PASSWORD": password},
        )["AuthenticationResult"]

    with pytest.raises(client.exceptions.UserNotConfirmedException):
        sign_in_()
    code = served.code
    names = {"ClientId": pool.client_id, "Username": "walker"}
    with pytest.raises(client.exceptions.CodeMismatchException):
        client.confirm_sign_up(**names, ConfirmationCode=f"{(int(code) + 1) % 1_000_000:06}")
    client.confirm_sign_up(**names, ConfirmationCode=code)
    with pytest.raises(client.exceptions.NotAuthorizedException):
        sign_in_("wrong")
    with pytest.raises(client.exceptions.UsernameExistsException):
        client.sign_up(**names, Password="student")
    tokens = sign_in_()
    refreshed = client.initiate_auth(
        ClientId=pool.client_id,
        AuthFlow="REFRESH_TOKEN_AUTH",
        AuthParameters={"REFRESH_TOKEN": tokens["RefreshToken"]},
    )["AuthenticationResult"]
    assert client.get_user(AccessToken=refreshed["AccessToken"])["Username"] == "walker"
    user = client.admin_get_user(UserPoolId=pool.pool_id, Username="walker")
    assert user["UserStatus"] == "CONFIRMED"
    assert {"Name": "sub", "Value": answer["UserSub"]} in user["UserAttributes"]
    client.revoke_token(ClientId=pool.client_id, Token=tokens["RefreshToken"])
    with pytest.raises(client.exceptions.NotAuthorizedException):
        client.get_user(AccessToken=refreshed["AccessToken"])


def test_an_administrator_confirms_over_http(served: Served) -> None:
    client, pool = served.client, served.pool
    client.sign_up(ClientId=pool.client_id, Username="ada", Password="student")
    client.admin_confirm_sign_up(UserPoolId=pool.pool_id, Username="ada")
    client.initiate_auth(
        ClientId=pool.client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ada", "PASSWORD": "student"},
    )


def test_boto3_of_this_process_still_speaks_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = boto3.client(
        "cognito-idp", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1"
    )
    client.meta.config.retries = {"total_max_attempts": 1}
    with pytest.raises(Exception, match="Could not connect"):
        client.list_user_pools(MaxResults=1)


@pytest.mark.parametrize("path", ["", "/"])
def test_the_api_is_at_the_prefix_with_and_without_slash(served: Served, path: str) -> None:
    response = sign_in(served, path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    assert response.headers["cache-control"] == "no-store"
    assert "IdToken" in response.json()["AuthenticationResult"]


@pytest.mark.parametrize("path", ["", "/", "/_cognitox", "/_cognit", "/x/_cognito"])
def test_other_paths_are_for_the_other_app(served: Served, path: str) -> None:
    assert httpx.get(served.origin + path).status_code == 418


@pytest.mark.parametrize(
    ("scope", "path", "raw_path"),
    [
        ({"path": "/_cognito", "raw_path": b"/_cognito"}, "/", b"/"),
        ({"path": "/_cognito/a b", "raw_path": b"/_cognito/a%20b"}, "/a b", b"/a%20b"),
        ({"path": "/_cognito/a", "raw_path": None, "root_path": "/stage"}, "/a", b"/a"),
        ({"path": "/_cognito/a"}, "/a", b"/a"),
    ],
)
def test_the_prefix_is_taken_off(scope: dict[str, Any], path: str, raw_path: bytes) -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    given = {"type": "http", **scope}
    asyncio.run(mount(PREFIX, inner, inner)(given, None, None))  # type: ignore[arg-type] # never called
    assert seen == [{"type": "http", "path": path, "raw_path": raw_path, "root_path": ""}]


def test_the_keys_are_published(served: Served) -> None:
    response = httpx.get(f"{served.endpoint}/{served.pool.pool_id}/.well-known/jwks.json")
    assert response.json() == served.pool.jwks
    assert response.headers["content-type"] == "application/json"
    tokens = sign_in(served).json()["AuthenticationResult"]
    for name in ("IdToken", "AccessToken"):
        options = {"verify_aud": False}
        jwt.decode(tokens[name], response.json(), algorithms=["RS256"], options=options)


@pytest.mark.parametrize(
    "path",
    ["/other/.well-known/jwks.json", "/", "", "/moto-api/data.json", "/moto-api/", "/favicon.ico"],
)
def test_nothing_else_can_be_got(served: Served, path: str) -> None:
    refused(httpx.get(served.endpoint + path), 404, "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/moto-api/reset", {}),
        ("/moto-api/reset", target("ListUserPools")),
        ("/", {}),
        ("/", {"x-amz-target": "DynamoDB_20120810.ListTables"}),
        ("/", {"x-amz-target": "SignUp"}),
        ("/", {"x-amz-target": "AWSCognitoIdentityService.GetId"}),
        ("/", {"x-amz-target": "AWSCognitoIdentityProviderService.Nonsense"}),
        ("/", {"x-amz-target": "AWSCognitoIdentityProviderService."}),
        ("/", {"x-amz-target": "AWSCognitoIdentityProviderService.DescribeTerms"}),
    ],
)
def test_nothing_else_can_be_called(served: Served, path: str, headers: dict[str, str]) -> None:
    response = httpx.post(served.endpoint + path, json={}, headers={**SIGNED, **headers})
    refused(response, 400, "UnknownOperationException")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(served: Served, method: str) -> None:
    response = httpx.request(method, served.endpoint, headers=target("SignUp"))
    refused(response, 400, "UnknownOperationException")


@pytest.mark.parametrize("headers", [{}, SIGNED], ids=["unsigned", "signed"])
def test_nobody_needs_an_aws_account(served: Served, headers: dict[str, str]) -> None:
    body = {"UserPoolId": served.pool.pool_id}
    response = httpx.post(served.endpoint, json=body, headers=target("ListUsers") | headers)
    assert response.status_code == 200


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b"\xff", b"[" * 200_000, b'"x"'])
def test_a_body_that_is_no_object(served: Served, body: bytes) -> None:
    response = httpx.post(served.endpoint, content=body, headers=target("SignUp"))
    refused(response, 400, "SerializationException")


def test_no_body_is_an_empty_one(served: Served) -> None:
    response = httpx.post(served.endpoint, headers=target("SignUp"))
    refused(response, 400, "InvalidParameterException")


def test_a_body_that_is_too_large(served: Served) -> None:
    content = b" " * (MAX_BODY + 1)
    response = httpx.post(served.endpoint, content=content, headers=target("SignUp"))
    refused(response, 413, "RequestEntityTooLargeException")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "", "localhost.evil.test", "["]
)
def test_a_foreign_host_name_is_refused(served: Served, host: str) -> None:
    refused(sign_in(served, host=host), 403, "ForbiddenException")
    path = f"{served.endpoint}/{served.pool.pool_id}/.well-known/jwks.json"
    assert httpx.get(path, headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "127.3.2.1:80", "[::1]:8000"])
def test_this_machines_names_are_taken(served: Served, host: str) -> None:
    assert sign_in(served, host=host).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://127.0.0.1.evil.test", "http://["]
)
def test_a_foreign_origin_is_refused(served: Served, origin: str) -> None:
    response = sign_in(served, origin=origin)
    refused(response, 403, "ForbiddenException")
    assert "access-control-allow-origin" not in response.headers
    response = httpx.options(served.endpoint, headers={"origin": origin})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:5173"])
def test_a_front_end_on_this_machine_may_call(served: Served, origin: str) -> None:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-amz-target,x-amz-user-agent",
    }
    preflight = httpx.options(served.endpoint, headers=headers)
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "x-amz-target" in preflight.headers["access-control-allow-headers"]
    response = sign_in(served, origin=origin)
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize("allowed", ["notes.test", "*"])
def test_a_server_asked_to_listen_elsewhere(allowed: str) -> None:
    server = Server(lambda operation, params: {}, lambda pool_id: None, [allowed])
    headers = {**target("SignUp"), "host": "notes.test", "origin": "http://notes.test:8000"}
    assert asked(server, headers) == (200, {})
    headers["origin"] = "http://evil.test"
    assert asked(server, headers)[0] == 403
    headers["host"] = "other.test"
    del headers["origin"]
    assert asked(server, headers)[0] == (200 if allowed == "*" else 403)


def fail(operation: str, params: dict[str, Any]) -> dict[str, Any]:
    raise KeyError("secret")


def test_a_failure_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answer = {"__type": "InternalErrorException", "message": "Internal server error"}
    assert asked(Server(fail, lambda pool_id: None), target("SignUp")) == (500, answer)
    assert [r.getMessage().rpartition(".")[2] for r in caplog.records] == ["SignUp"]


def test_other_protocols_are_not_spoken() -> None:
    server = Server(lambda operation, params: {}, lambda pool_id: None)
    asyncio.run(server({"type": "websocket"}, None, None))  # type: ignore[arg-type] # never called


def test_a_secret_is_not_in_the_answer_to_a_wrong_request(served: Served) -> None:
    with pytest.raises(ClientError) as caught:
        served.client.sign_up(
            ClientId=served.pool.client_id, Username="x y", Password="correct-horse"
        )
    assert "correct-horse" not in str(caught.value)


def asked(server: Server, headers: dict[str, str]) -> tuple[int, Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(n.encode(), v.encode()) for n, v in {"host": "localhost", **headers}.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw}
    asyncio.run(server(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])
