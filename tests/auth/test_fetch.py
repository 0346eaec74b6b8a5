"""Fetching a key set over HTTP, from a server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.auth.fetch import FetchFailed, http_fetch
from app.auth.jwks import KeySet, KeysUnavailable
from tests.tokens import Pool, rsa_key

POOL = Pool()
GOOD = json.dumps(POOL.jwks).encode()
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/jwks.json": (200, {}, GOOD),
    "/missing": (404, {}, GOOD),
    # What Cognito says when there is no such pool.
    "/bad": (400, {}, b'{"message":"User pool eu-central-1_Gone does not exist."}'),
    "/created": (201, {}, GOOD),
    "/moved": (302, {"Location": "/jwks.json"}, GOOD),
    "/long": (200, {}, b" " * 10_000_000),
    "/slow": (200, {"Content-Length": "1000"}, GOOD[:10]),
    "/dripping": (200, {"Content-Length": "100000"}, b""),
}


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        # To a proxy, the whole address is the path.
        status, headers, body = ANSWERS[re.sub(r"http://[^/]+", "", self.path)]
        self.send_response(status)
        self.send_header("X-Asked", self.path)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)
            while self.path == "/dripping" and not self.server.over.wait(0.05):
                self.wfile.write(b" ")
        if self.path == "/slow":
            self.server.over.wait(20)

    def log_message(self, *args: object) -> None: ...


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.over = threading.Event()  # nobody is kept waiting any longer

    def handle_error(self, *_: object) -> None: ...  # a client that does not trust it goes away


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[str]:
    server = _Server()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as url:
        yield url


def fetch(url: str, timeout: float = 20) -> bytes:
    async def main() -> bytes:
        return await http_fetch(url, timeout=timeout)()

    return asyncio.run(main())


def find(keys: KeySet, kid: str) -> object:
    async def main() -> object:
        return await keys.find(kid)

    return asyncio.run(main())


def test_a_document_comes_over_http(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy of the environment has no business between us and this machine.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert json.loads(fetch(f"{address}/jwks.json")) == POOL.jwks


def test_a_key_set_lives_on_http(address: str) -> None:
    assert find(KeySet(http_fetch(f"{address}/jwks.json")), POOL.id_kid)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/missing", "answered 404; is there such a user pool?"),
        ("/bad", "answered 400; is there such a user pool?"),
        ("/created", "answered 201"),
        ("/moved", "answered 302"),
        ("/long", "answered more than 65536 bytes"),
        ("/slow", "has not answered within 0.3 s"),
        ("/dripping", "has not answered within 0.3 s"),
    ],
)
def test_what_is_no_plain_answer_is_named_with_its_address(
    address: str, path: str, text: str
) -> None:
    timeout = 0.3 if path in {"/slow", "/dripping"} else 20
    with pytest.raises(FetchFailed) as caught:
        fetch(address + path, timeout)
    assert str(caught.value) == f"{address}{path} {text}"


def test_an_answer_that_breaks_off_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "/jwks.json", (200, {"Transfer-Encoding": "chunked"}, b"x"))
    with serving() as url, pytest.raises(FetchFailed, match="broke off: "):
        fetch(f"{url}/jwks.json")


def test_an_address_where_nobody_listens_is_named() -> None:
    text = "http://127.0.0.1:1/jwks.json cannot be reached: ConnectionRefusedError"
    with pytest.raises(FetchFailed, match=text):
        fetch("http://127.0.0.1:1/jwks.json")


def test_a_slow_server_costs_the_caller_its_time_and_no_more(address: str) -> None:
    keys = KeySet(http_fetch(f"{address}/slow", timeout=0.2))
    with pytest.raises(KeysUnavailable):
        find(keys, POOL.id_kid)


def test_a_proxy_is_used_for_other_hosts(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", address)
    assert fetch("http://keys.example.com/jwks.json") == GOOD


def test_a_certificate_must_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with serving(context) as url:
        with pytest.raises(FetchFailed, match="cannot be reached: SSLCertVerificationError"):
            fetch(f"{url}/jwks.json")
        monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
        assert fetch(f"{url}/jwks.json") == GOOD
        with pytest.raises(FetchFailed, match="cannot be reached: SSLCertVerificationError"):
            fetch(f"{url}/jwks.json".replace("127.0.0.1", "localhost"))  # another name


def _certificate(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 and its key, signed by nobody else."""
    key = rsa_key("server")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return file
