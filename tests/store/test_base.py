from __future__ import annotations

import base64
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from app.store import (
    MAX_NOTE_ID,
    DynamoNotes,
    SqliteNotes,
    StoreUnusable,
    from_cursor,
    new_version,
    open_store,
    to_cursor,
)
from app.store.complaints import Complaints


@pytest.mark.parametrize("after", [0, 1, 9, 10, 2**32, MAX_NOTE_ID])
def test_a_cursor_leads_back(after: int) -> None:
    assert from_cursor(to_cursor(after)) == after


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "5",
        "!",
        "a",
        "é",
        "\ud800",
        encoded("5"),
        encoded("after:"),
        encoded("after:-1"),
        encoded("after:+1"),
        encoded("after:01"),
        encoded("after: 1"),
        encoded("after:1_0"),
        encoded("after:١"),
        encoded("after:1.0"),
        encoded("after:" + "9" * 5000),
        encoded(f"after:{MAX_NOTE_ID + 1}"),
        to_cursor(5) + "=",
        to_cursor(5) + "\n",
    ],
)
def test_another_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_cursor(cursor)


def test_versions_differ_and_are_hexadecimal() -> None:
    versions = {new_version() for _ in range(1000)}
    assert len(versions) == 1000
    assert all(set(version) <= set("0123456789abcdef") for version in versions)


def test_a_url_says_which_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url, file in {
        "sqlite:///notes.db": tmp_path / "notes.db",
        f"sqlite:///{tmp_path}/absolute.db": tmp_path / "absolute.db",
        "sqlite:///odd?mode=ro&x=%41#é.db": tmp_path / "odd?mode=ro&x=%41#é.db",
        "sqlite:///:memory:": tmp_path / ":memory:",
    }.items():
        store = open_store(url, region="", endpoint_url=None)
        assert isinstance(store, SqliteNotes)
        assert file.is_file()
        store.close()
    store = open_store("dynamodb://Notes", region="eu-central-1", endpoint_url="")
    assert isinstance(store, DynamoNotes)
    store.close()


@pytest.mark.parametrize(
    "url", ["", "notes.db", "sqlite://", "sqlite:///", "sqlite://x", "dynamodb://", "redis://x"]
)
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(StoreUnusable, match=r"neither sqlite:///FILE nor dynamodb://TABLE"):
        open_store(url, region="eu-central-1", endpoint_url=None)


def test_boto3_is_not_imported_before_dynamodb_is_spoken_to() -> None:
    program = """
import sys
from app.store import open_store
open_store("dynamodb://Notes", region="eu-central-1", endpoint_url=None).close()
print([name for name in sys.modules if name.startswith("boto")])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert result.stdout.split() == [b"[]"]


def test_a_reason_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([5.0, 6.0, 64.9, 65.0, 66.0, 66.0])
    monkeypatch.setattr("app.store.complaints.time.monotonic", lambda: next(times))
    complaints = Complaints("table Notes")
    for _ in range(5):
        assert str(complaints.unavailable("Slow", "is\nslow")) == "table Notes: is slow"
    complaints.unavailable("Gone", "is gone")
    assert [record.message for record in caplog.records] == [
        "table Notes: is slow",
        "table Notes: is slow",
        "table Notes: is gone",
    ]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_what_was_logged_is_not_remembered_without_end(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints("table Notes")
    for n in range(250):
        complaints.unavailable(str(n), "x")
    complaints.unavailable("0", "x")
    assert len(caplog.records) == 251
    assert len(complaints._last) <= 100
