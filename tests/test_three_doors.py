"""The same request at every door gives the same answer, but for what ``differences`` names."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.store import Note, NoteStore, now
from tests.api import Stage
from tests.differences import app_headers, is_gateways_own, may_say
from tests.doors import DOORS
from tests.tokens import Pool

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
SEGMENTS = st.one_of(
    st.sampled_from(["notes", "search", "1", "2", "userinfo", "healthz", "openapi.json", "docs"]),
    st.sampled_from(["%31", "001", "%2e", "%00", "a%2Fb", "%E4%B8%96", "%ff", "a%20b", "a+b", "~"]),
    st.text(alphabet="abc123-._~!$&'()*+,;=:@", min_size=1, max_size=5),
)
PATHS = st.one_of(
    st.sampled_from(
        [
            *("/notes", "/notes/1", "/notes/2", "/notes/search", "/userinfo", "/healthz", "/docs"),
            *("/", "/web/1/app.js", "/auth/login", "/auth/callback", "/auth/token", "/auth/logout"),
        ]
    ),
    st.lists(SEGMENTS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
QUERIES = st.lists(
    st.one_of(
        st.tuples(st.just("limit"), st.sampled_from(["1", "2", "0", "x", ""])),
        st.tuples(st.just("text"), st.sampled_from(["one", "O", "", "ß", "& more", "+", "%"])),
        st.tuples(st.just("cursor"), st.sampled_from(["YWZ0ZXI6MQ", "x", ""])),
        st.tuples(TEXTS.filter(bool), TEXTS),
    ),
    max_size=3,
)
BODIES = st.one_of(
    st.just(b""),
    st.fixed_dictionaries(
        {"Note": TEXTS}, optional={"NoteId": st.sampled_from([1, "2", 7, "x"])}
    ).map(lambda body: json.dumps(body).encode()),
    st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, st.lists, max_leaves=4).map(
        lambda body: json.dumps(body).encode()
    ),
    st.binary(max_size=20),
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just("content-type"), st.sampled_from(["application/json", "text/plain"])),
        st.tuples(st.just("if-match"), st.sampled_from(["*", '"v1"', '"v0"', "x", 'W/"v1"'])),
        st.tuples(st.just("if-none-match"), st.sampled_from(["*", '"v1"', "x"])),
        st.tuples(st.just("origin"), st.just("https://front.example.com")),
        st.tuples(st.just("access-control-request-method"), st.sampled_from(["POST", "X"])),
        st.tuples(st.just("cookie"), st.just("a=1")),
        st.tuples(st.just("x-custom"), st.text("abc ,;=\t", max_size=6)),
    ),
    max_size=3,
    unique_by=lambda header: header[0],
)
TOKENS = st.sampled_from(["good", "good", "good", "bare", "none", "expired", "forged", "basic"])


def authorization(kind: str, pool: Pool) -> dict[str, str]:
    return {
        "good": {"authorization": f"Bearer {pool.id_token()}"},
        "bare": {"authorization": pool.id_token()},
        "none": {},
        "expired": {"authorization": f"Bearer {pool.id_token(exp=1)}"},
        "forged": {"authorization": f"Bearer {pool.id_token()[:-4]}AAAA"},
        "basic": {"authorization": "Basic c3R1ZGVudDpzdHVkZW50"},
    }[kind]


def prepare(store: NoteStore) -> None:
    """Put the same two notes there, in the same versions."""
    page = store.page("student", after=None, limit=1000)
    for note in page.notes:
        store.delete("student", note.id)
    for number, text in ((1, "One ß"), (2, "two & more")):
        store.put(Note("student", number, text, now(), f"v{number}"))


def steady(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], Any]:
    """Return what must be equal, without what is new in each answer."""
    headers = [
        (name, "(new)" if name == "etag" and value not in {'"v1"', '"v2"'} else value)
        for name, value in app_headers(answer)
    ]
    body: Any = answer.content
    if answer.headers.get("content-type") == "application/json" and body:
        body = answer.json()
        if isinstance(body, dict):
            body.pop("UpdatedAt", None)
        if isinstance(body, list):
            for note in body:
                note.pop("UpdatedAt")
    return answer.status_code, headers, body


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    method=st.sampled_from(METHODS),
    path=PATHS,
    query=QUERIES,
    headers=HEADERS,
    body=BODIES,
    token=TOKENS,
)
@example("POST", "/notes", [], [], b'{"Note":"x"}', "good")
@example("GET", "/notes", [("limit", "1")], [], b"", "good")
@example("GET", "/notes/1", [], [("if-none-match", '"v1"')], b"", "bare")
@example("PUT", "/notes/1", [], [("if-match", '"v0"')], b'{"Note":"x"}', "good")
@example("DELETE", "/notes/%31", [], [], b"", "good")
@example("GET", "/notes/search", [("text", "ß"), ("text", "o")], [], b"", "good")
@example("GET", "/notes", [], [], b"", "expired")
@example("GET", "/", [], [], b"", "none")
@example("POST", "/auth/token", [], [], b"", "none")
@example("GET", "/%6eotes", [], [], b"", "good")
@pytest.mark.parametrize("stage", ["sqlite"], indirect=True)  # what is compared are the doors
def test_the_doors_answer_alike(
    stage: Stage,
    pool: Pool,
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    body: bytes,
    token: str,
) -> None:
    request: dict[str, Any] = {
        "params": query,
        "headers": dict(headers) | authorization(token, pool),
        "content": body,
    }
    answers = {}
    for door in DOORS:
        prepare(stage.store)
        with stage.doors[door].client() as client:
            answers[door] = client.request(method, path, **request)
    direct = answers["direct"]
    assert direct.status_code < 500
    assert steady(answers["lambda"]) == steady(direct)
    mirrored = answers["gateway"]
    if is_gateways_own(mirrored):
        message = direct.json()["message"] if direct.status_code >= 400 else ""
        assert may_say(mirrored, direct.status_code, message), (request, direct, mirrored.text)
        assert direct.status_code != 200 or method == "OPTIONS" or "%" in path
    else:
        assert steady(mirrored) == steady(direct)
