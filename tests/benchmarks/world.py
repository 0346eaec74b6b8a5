"""What all contenders share: one pool, one key server on loopback, one SQLite file, one token."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from app.store import Note, SqliteNotes
from tests.tokens import CLIENT_ID, POOL_ID, USER_NAME, Pool

ROOT = Path(__file__).parents[2]
NOTES = 20
LETTERS = 100


class World:
    """One user pool and its surroundings, for the length of a run."""

    def __init__(self, folder: Path, key_url: str, pool: Pool) -> None:
        self.folder = folder
        self.key_url = key_url
        self.pool = pool
        self.token = pool.id_token()
        self.forged_token = pool.forge(sign=lambda _: b"\x01" * 256)
        self.notes_file = folder / "notes.db"
        fill(self.notes_file, USER_NAME, NOTES)

    @property
    def expected(self) -> list[tuple[str, str, str]]:
        """Owner, id and text of the notes that everybody must answer."""
        return [(USER_NAME, str(n), text_of(n)) for n in range(1, NOTES + 1)]

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of every contender: its own part for ours and for the peers."""
        region = POOL_ID.partition("_")[0]
        ours = {
            "COGNITO_USER_POOL_ID": POOL_ID,
            "COGNITO_APP_CLIENT_ID": CLIENT_ID,
            "COGNITO_JWKS_URL": self.key_url,
            "NOTES_STORE": f"sqlite:///{self.notes_file}",
            "LOG_LEVEL": "WARNING",
        }
        peers = {
            "POOL_ID": POOL_ID,
            "POOL_REGION": region,
            "POOL_ARN": f"arn:aws:cognito-idp:{region}:123456789012:userpool/{POOL_ID}",
            "APP_CLIENT_ID": CLIENT_ID,
            "ISSUER": self.pool.issuer,
            "JWKS_URL": self.key_url,
            "NOTES_DB": str(self.notes_file),
        }
        aws = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        place = {"PYTHONPATH": str(ROOT), "VIRTUAL_ENV": sys.prefix}
        return kept | place | aws | peers | ours | variables

    def event(self, method: str = "GET", body: str | None = None, **options: Any) -> dict[str, Any]:
        """Return a REST API's event for /notes, as API Gateway would send it."""
        headers = {
            "Accept": "*/*",
            "Authorization": f"Bearer {options.get('token', self.token)}",
            "Content-Type": "application/json",
            "Host": "api.example.com",
            "User-Agent": "benchmark",
            "X-Forwarded-For": "203.0.113.7",
            "X-Forwarded-Port": "443",
            "X-Forwarded-Proto": "https",
        }
        path = options.get("path", "/notes")
        query: dict[str, str] | None = options.get("query")
        return {
            "resource": path,
            "path": path,
            "httpMethod": method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": query and {n: [v] for n, v in query.items()},
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {
                "resourceId": "abc123",
                "authorizer": {"claims": self.pool.id_claims()},
                "resourcePath": path,
                "httpMethod": method,
                "requestTime": "21/Nov/2026:12:00:00 +0000",
                "path": path,
                "accountId": "123456789012",
                "protocol": "HTTP/1.1",
                "stage": "Prod",
                "domainPrefix": "api",
                "requestTimeEpoch": 1795262400000,
                "requestId": "00000000-0000-4000-8000-000000000000",
                "identity": {"sourceIp": "203.0.113.7", "userAgent": "benchmark"},
                "domainName": "api.example.com",
                "deploymentId": "def456",
                "apiId": "abcdefghij",
            },
            "body": body,
            "isBase64Encoded": False,
        }


def text_of(number: int, letters: int = LETTERS) -> str:
    """Return a note's text."""
    return f"note {number} ".ljust(letters, "x")


def fill(file: Path, user: str, count: int) -> None:
    """Write a user's notes 1 to ``count``; many of them at once, which the store itself cannot."""
    store = SqliteNotes(file)
    when = datetime(2026, 11, 21, 12, tzinfo=UTC)
    store.put(Note(user, 1, text_of(1), when, "0" * 16))
    if count > 1:
        rows = (
            (user, n, text_of(n), int(when.timestamp()), f"{n:016x}") for n in range(2, count + 1)
        )
        store._writer.execute("BEGIN")
        store._writer.executemany("INSERT INTO notes VALUES (?, ?, ?, ?, ?)", rows)
        store._writer.execute("COMMIT")
    store.close()


@contextmanager
def open_world() -> Iterator[World]:
    """Yield a world; its files and its key server go with it."""
    pool = Pool()
    document = json.dumps(pool.jwks).encode()

    class Keys(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(prefix="notegate-benchmark-") as folder:
            url = f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
            yield World(Path(folder), url, pool)
    finally:
        server.shutdown()
        server.server_close()
