"""Through a real server on loopback: what reaches a client, byte by byte."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from app.local.cli import SERVER
from app.local.gateway import Gateway
from tests.local.gateway.client import definition, method


def handler(event: Any, context: Any) -> Any:
    if event["path"] == "/echo":
        return {"body": json.dumps(event), "headers": {"MyHeader": "a", "Server": "mine"}}
    return {"statusCode": 204} if event["path"] == "/empty" else {"body": "x" * 100}


@contextlib.contextmanager
def serve(app: Any) -> Iterator[int]:
    """Serve on a free port of loopback."""
    config = uvicorn.Config(app, port=0, lifespan="on", **SERVER)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    paths = {"/{proxy+}": {"x-amazon-apigateway-any-method": method()}, "/get": {"get": method()}}
    with serve(Gateway(definition(paths), handler)) as port:
        yield port


def talk(
    port: int, request: bytes, *, until_close: bool = False
) -> tuple[bytes, list[bytes], bytes]:
    """Send a request; return status line, headers, and the body (or all until the end)."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        status, *headers = head.split(b"\r\n")
        length = 0
        for header in headers:
            if header.lower().startswith(b"content-length:") and not request.startswith(b"HEAD"):
                length = int(header.partition(b":")[2])
        while until_close or len(body) < length:
            chunk = connection.recv(65536)
            if not chunk:
                break
            body += chunk
    return status, headers, body


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    head = [line, "Host: localhost", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def names(headers: list[bytes]) -> list[str]:
    return [header.partition(b":")[0].decode() for header in headers]


def test_casing_and_order_of_a_success(port: int) -> None:
    status, headers, body = talk(port, request("GET /Prod/echo?a=%20+ HTTP/1.1", "X-CASE: 1"))
    assert status == b"HTTP/1.1 200 OK"
    assert names(headers) == [
        "Date",
        "Content-Type",
        "Content-Length",
        "Connection",
        "x-amzn-RequestId",
        "MyHeader",
        "x-amzn-Remapped-Server",
        "x-amz-apigw-id",
        "X-Amzn-Trace-Id",
    ]
    event = json.loads(body)
    assert event["queryStringParameters"] == {"a": "  "}
    assert event["requestContext"]["path"] == "/Prod/echo"
    assert event["headers"]["x-case"] == "1"  # the server lower-cases, as HTTP/2 does


def test_casing_and_order_of_an_error(port: int) -> None:
    status, headers, body = talk(port, request("POST /get/ HTTP/1.1", "Content-Length: 0"))
    assert status.startswith(b"HTTP/1.1 200")  # served by {proxy+}
    gateway = Gateway(definition({"/get": {"get": method()}}), handler)
    with serve(gateway) as own:
        status, headers, body = talk(own, request("POST /get HTTP/1.1", "Content-Length: 0"))
    assert status.startswith(b"HTTP/1.1 403")
    assert names(headers) == [
        "Date",
        "Content-Type",
        "Content-Length",
        "Connection",
        "x-amzn-RequestId",
        "x-amzn-ErrorType",
        "x-amz-apigw-id",
    ]
    assert body == b'{"message":"Missing Authentication Token"}'


def test_head_has_headers_only(port: int) -> None:
    _, headers, body = talk(port, request("HEAD /x HTTP/1.1"))
    assert body == b""
    assert b"Content-Length: 100" in headers


def test_204_has_no_body_and_no_length(port: int) -> None:
    status, headers, body = talk(port, request("GET /empty HTTP/1.1"))
    assert (status[9:12], body) == (b"204", b"")
    assert "Content-Length" not in names(headers)


@pytest.mark.parametrize(("path", "status"), [("/x", b"200"), ("/", b"403")])
def test_a_connection_is_closed_only_when_asked(port: int, path: str, status: bytes) -> None:
    line = f"GET {path} HTTP/1.1"
    both = request(line) + request(line, "Connection: close")
    answers = talk(port, both, until_close=True)
    assert answers[0][9:12] == status
    assert b"Connection: keep-alive" in answers[1]
    assert b"keep-alive" not in answers[2]
    assert b"HTTP/1.1 " + status in answers[2]
    assert b"connection: close" in answers[2].lower()


def test_10_mb_announced_and_chunked(port: int) -> None:
    announced = request("POST /x HTTP/1.1", "Content-Length: 10485761", body=b"x")
    status, headers, body = talk(port, announced)
    assert status.startswith(b"HTTP/1.1 413")
    assert names(headers)[:4] == ["Date", "content-type", "Content-Length", "Connection"]
    assert body == b"HTTP content length exceeded 10485760 bytes."
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = request(
        "POST /x HTTP/1.1", "Transfer-Encoding: chunked", body=chunk * 161 + b"0\r\n\r\n"
    )
    status, _, body = talk(port, sent)
    assert (status[9:12], body[-6:]) == (b"413", b"bytes.")


def test_a_body_of_7_mb_is_json_413_and_5_mb_passes(port: int) -> None:
    for size, expected in ((7_000_000, b"413"), (5_000_000, b"200")):
        length = f"Content-Length: {size}"
        status, _, body = talk(port, request("POST /x HTTP/1.1", length, body=b"x" * size))
        assert status[9:12] == expected
    assert body == b"x" * 100


def test_absolute_form(port: int) -> None:
    _, _, body = talk(port, request("GET http://api.example.com/echo HTTP/1.1"))
    assert json.loads(body)["requestContext"]["domainName"] == "api.example.com"
