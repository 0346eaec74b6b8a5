"""Every row of the API table, through every door and on every store."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.store import MAX_NOTE_ID
from tests.api import SignIn, challenge, refusal

MAX = 256 * 1024


def post(client: httpx2.Client, note: str = "text", note_id: Any = None, **headers: str) -> Any:
    body = {"Note": note} | ({} if note_id is None else {"NoteId": note_id})
    return client.post("/notes", json=body, headers=headers)


def next_page(client: httpx2.Client, answer: httpx2.Response) -> httpx2.Response | None:
    following = answer.links.get("next")
    return client.get(following["url"]) if following else None


def all_pages(client: httpx2.Client, url: str) -> list[dict[str, str]]:
    notes = []
    answer: httpx2.Response | None = client.get(url)
    while answer is not None:
        assert answer.status_code == 200, answer.text
        notes += answer.json()
        answer = next_page(client, answer)
    return notes


# --- creating and updating -------------------------------------------------------------------


def test_a_new_note_is_created_and_comes_back(student: httpx2.Client) -> None:
    answer = post(student, "Grüße, 世界 🎈\u0000\n", "7")
    assert answer.status_code == 201
    assert answer.headers["location"] == "/notes/7"
    note = answer.json()
    assert note.pop("UpdatedAt").endswith("Z")
    assert note == {"UserId": "student", "NoteId": "7", "Note": "Grüße, 世界 🎈\u0000\n"}
    again = student.get("/notes/7")
    assert again.status_code == 200
    assert again.json() == answer.json()
    assert again.headers["etag"] == answer.headers["etag"]


def test_posting_the_same_id_updates(student: httpx2.Client) -> None:
    first = post(student, "one", 7)
    second = post(student, "two", "007")
    assert second.status_code == 200
    assert "location" not in second.headers
    assert second.headers["etag"] != first.headers["etag"]
    assert [note["Note"] for note in student.get("/notes").json()] == ["two"]


def test_without_an_id_the_next_free_one_is_assigned(student: httpx2.Client) -> None:
    assert post(student).json()["NoteId"] == "1"
    post(student, note_id=41)
    answer = post(student)
    assert (answer.status_code, answer.json()["NoteId"]) == (201, "42")
    assert answer.headers["location"] == "/notes/42"


def test_a_body_without_content_type_is_json(student: httpx2.Client) -> None:
    answer = student.post("/notes", content=b'{"Note":"x"}')
    assert answer.status_code == 201


def test_the_owner_is_the_token_and_never_the_body(student: httpx2.Client) -> None:
    body = {"UserId": "teacher", "NoteId": 1, "Note": "mine"}
    assert student.post("/notes", json=body).json()["UserId"] == "student"


@pytest.mark.parametrize("note_id", [0, "0", MAX_NOTE_ID, str(MAX_NOTE_ID), "0" * 40 + "5"])
def test_an_id_at_its_bounds_is_taken(student: httpx2.Client, note_id: Any) -> None:
    answer = post(student, note_id=note_id)
    assert answer.status_code == 201
    assert answer.json()["NoteId"] == str(int(note_id))
    assert student.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize("text", ["x", " ", "x" * MAX, "é" * (MAX // 2), "\u0000" * MAX])
def test_a_text_at_its_bounds_is_taken(student: httpx2.Client, text: str) -> None:
    assert post(student, text, 1).status_code == 201
    assert student.get("/notes/1").json()["Note"] == text


BAD_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"Note":"\xff"}',
    "too deep": b"[" * 100_000,
    "a number too long": b'{"Note":"x","n":' + b"1" * 5000 + b"}",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "no note": b"{}",
    "empty note": b'{"Note":""}',
    "null note": b'{"Note":null}',
    "number for a note": b'{"Note":1}',
    "list for a note": b'{"Note":["x"]}',
    "a lone surrogate": b'{"Note":"\\ud800"}',
    "a character too many": json.dumps({"Note": "x" * (MAX + 1)}).encode(),
    "a byte too many": json.dumps({"Note": "x" + "é" * (MAX // 2)}).encode(),
}
BAD_IDS: dict[str, str] = {
    "null": "null",
    "negative": "-1",
    "negative digits": '"-1"',
    "too large": str(MAX_NOTE_ID + 1),
    "too large in digits": f'"{MAX_NOTE_ID + 1}"',
    "very many digits": '"' + "9" * 5000 + '"',
    "float": "1.0",
    "exponent": "1e2",
    "boolean": "true",
    "empty": '""',
    "blank": '" 1"',
    "letters": '"abc"',
    "other digits": '"\u0661"',
    "underscore": '"1_0"',
    "list": "[1]",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
@pytest.mark.parametrize(("method", "path"), [("POST", "/notes"), ("PUT", "/notes/1")])
def test_a_bad_body_is_refused_and_changes_nothing(
    student: httpx2.Client, method: str, path: str, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    answer = student.request(method, path, content=body, headers=headers)
    refusal(answer, 400, "Invalid request body")
    assert student.get("/notes").json() == []


@pytest.mark.parametrize("note_id", BAD_IDS.values(), ids=BAD_IDS)
def test_a_bad_id_is_refused_by_name(student: httpx2.Client, note_id: str) -> None:
    body = f'{{"Note":"x","NoteId":{note_id}}}'.encode()
    answer = student.post("/notes", content=body, headers={"content-type": "application/json"})
    refusal(answer, 400, "Invalid request body", "NoteId")
    assert student.get("/notes").json() == []


def test_another_content_type_is_refused(student: httpx2.Client) -> None:
    answer = student.post("/notes", content=b'{"Note":"x"}', headers={"content-type": "text/plain"})
    refusal(answer, 400, "Invalid request body")


def test_a_body_beyond_what_lambda_takes_is_refused(student: httpx2.Client) -> None:
    answer = student.post("/notes", content=b'{"Note":"x"}' + b" " * 7_000_000)
    refusal(answer, 413, "Request Too Long")


def test_no_note_text_stands_in_a_refusal(student: httpx2.Client) -> None:
    body = b'{"Note":"my secret text"'
    answer = student.post("/notes", content=body, headers={"content-type": "application/json"})
    assert "secret" not in answer.text


# --- conditions ------------------------------------------------------------------------------


def test_if_none_match_star_creates_and_never_overwrites(student: httpx2.Client) -> None:
    assert post(student, "one", 1, **{"If-None-Match": "*"}).status_code == 201
    refusal(post(student, "two", 1, **{"If-None-Match": "*"}), 412, "Precondition Failed")
    answer = student.put("/notes/1", json={"Note": "two"}, headers={"If-None-Match": "*"})
    refusal(answer, 412, "Precondition Failed")
    assert student.get("/notes/1").json()["Note"] == "one"


def test_if_match_writes_only_the_version_that_was_read(student: httpx2.Client) -> None:
    tag = post(student, "one", 1).headers["etag"]
    headers = {"If-Match": f'"other", {tag}'}
    assert student.put("/notes/1", json={"Note": "two"}, headers=headers).status_code == 200
    refusal(
        student.put("/notes/1", json={"Note": "three"}, headers=headers), 412, "Precondition Failed"
    )
    refusal(post(student, "three", 1, **headers), 412, "Precondition Failed")
    refusal(student.delete("/notes/1", headers=headers), 412, "Precondition Failed")
    assert student.get("/notes/1").json()["Note"] == "two"


def test_if_match_star_never_creates(student: httpx2.Client) -> None:
    headers = {"If-Match": "*"}
    refusal(
        student.put("/notes/1", json={"Note": "x"}, headers=headers), 412, "Precondition Failed"
    )
    refusal(post(student, "x", None, **headers), 412, "Precondition Failed")
    post(student, "x", 1)
    assert student.put("/notes/1", json={"Note": "y"}, headers=headers).status_code == 200
    assert student.delete("/notes/1", headers=headers).status_code == 204


def test_a_version_does_not_come_back_with_a_note_made_anew(student: httpx2.Client) -> None:
    tag = post(student, "one", 1).headers["etag"]
    student.delete("/notes/1")
    post(student, "one", 1)
    answer = student.put("/notes/1", json={"Note": "x"}, headers={"If-Match": tag})
    refusal(answer, 412, "Precondition Failed")


def test_a_weak_tag_matches_no_write(student: httpx2.Client) -> None:
    tag = post(student, "one", 1).headers["etag"]
    answer = student.put("/notes/1", json={"Note": "x"}, headers={"If-Match": f"W/{tag}"})
    refusal(answer, 412, "Precondition Failed")


@pytest.mark.parametrize(
    ("name", "value"),
    [("If-Match", "abc"), ("If-Match", '"abc'), ("If-Match", ""), ("If-None-Match", '"abc"')],
)
def test_a_malformed_condition_is_refused_by_name(
    student: httpx2.Client, name: str, value: str
) -> None:
    post(student, "one", 1)
    answer = student.put("/notes/1", json={"Note": "x"}, headers={name: value})
    refusal(answer, 400, "Invalid request parameters", name)
    assert student.get("/notes/1").json()["Note"] == "one"


def test_an_unchanged_note_is_not_sent_again(student: httpx2.Client) -> None:
    tag = post(student, "one", 1).headers["etag"]
    for value in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = student.get("/notes/1", headers={"If-None-Match": value})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
    assert student.get("/notes/1", headers={"If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize("door", ["direct", "gateway"], indirect=True)  # many at a time
def test_of_many_writers_at_once_exactly_one_wins_each_version(student: httpx2.Client) -> None:
    tag = post(student, "start", 1).headers["etag"]
    for round_ in range(3):

        def write(n: int, tag: str = tag, round_: int = round_) -> httpx2.Response:
            body = {"Note": f"{round_}.{n}"}
            return student.put("/notes/1", json=body, headers={"If-Match": tag})

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(write, range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
        tag = next(a.headers["etag"] for a in answers if a.status_code == 200)


# --- reading and deleting --------------------------------------------------------------------


@pytest.mark.parametrize("note_id", ["1", "abc", "-1", "1.0", str(MAX_NOTE_ID + 1), "%00", "é"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_not_there_is_not_found(student: httpx2.Client, method: str, note_id: str) -> None:
    refusal(student.request(method, f"/notes/{note_id}"), 404, "Not Found")


@pytest.mark.parametrize("note_id", ["abc", "-1", "1.0", str(MAX_NOTE_ID + 1), "9" * 500])
def test_nothing_can_be_put_under_what_is_no_id(student: httpx2.Client, note_id: str) -> None:
    answer = student.put(f"/notes/{note_id}", json={"Note": "x"})
    refusal(answer, 400, "Invalid request parameters", "NoteId")


def test_put_creates_and_replaces(student: httpx2.Client) -> None:
    answer = student.put("/notes/005", json={"Note": "one"})
    assert (answer.status_code, answer.headers["location"]) == (201, "/notes/5")
    assert student.put("/notes/5", json={"Note": "two"}).status_code == 200
    assert student.get("/notes/0005").json()["Note"] == "two"


def test_a_deleted_note_is_gone(student: httpx2.Client) -> None:
    post(student, "one", 1)
    answer = student.delete("/notes/1")
    assert (answer.status_code, answer.content) == (204, b"")
    refusal(student.delete("/notes/1"), 404, "Not Found")
    refusal(student.get("/notes/1"), 404, "Not Found")


def test_a_note_comes_back_only_to_its_owner(student: httpx2.Client, sign_in: SignIn) -> None:
    tag = post(student, "mine", 1).headers["etag"]
    other = sign_in()
    assert other.get("/notes").json() == []
    assert other.get("/notes/search?text=mine").json() == []
    refusal(other.get("/notes/1"), 404, "Not Found")
    refusal(other.delete("/notes/1"), 404, "Not Found")
    refusal(other.delete("/notes/1", headers={"If-Match": tag}), 412, "Precondition Failed")
    assert post(other, "theirs", 1).status_code == 201
    assert student.get("/notes/1").json()["Note"] == "mine"


# --- lists and searches ----------------------------------------------------------------------


def test_a_list_is_ordered_by_number(student: httpx2.Client) -> None:
    assert student.get("/notes").json() == []
    for note_id in (10, 9, 100, 1):
        post(student, "x", note_id)
    assert [note["NoteId"] for note in student.get("/notes").json()] == ["1", "9", "10", "100"]


def test_pages_follow_each_other_to_the_end(student: httpx2.Client) -> None:
    for note_id in range(7):
        post(student, "x", note_id)
    first = student.get("/notes?limit=3")
    assert [note["NoteId"] for note in first.json()] == ["0", "1", "2"]
    query = parse_qs(urlsplit(first.links["next"]["url"]).query)
    assert query["limit"] == ["3"]
    assert [note["NoteId"] for note in all_pages(student, "/notes?limit=3")] == list("0123456")
    assert "link" not in student.get("/notes?limit=7").headers


def test_a_page_is_never_larger_than_lambda_can_answer(student: httpx2.Client) -> None:
    for note_id in range(5):
        post(student, "\u0001" * MAX, note_id)
    answer = student.get("/notes?limit=1000")
    assert len(json.dumps(answer.text)) < 6 * 1024 * 1024
    assert [note["NoteId"] for note in all_pages(student, "/notes?limit=1000")] == list("01234")


def test_a_search_finds_parts_in_upper_and_lower_case(student: httpx2.Client) -> None:
    texts = ["DynamoDB is NoSQL", "a Straße", "nothing", "STRASSE & more"]
    for note_id, text in enumerate(texts):
        post(student, text, note_id)

    def found(text: str) -> list[str]:
        answer = student.get("/notes/search", params={"text": text})
        return [note["NoteId"] for note in answer.json()]

    assert found("dynamodb") == ["0"]
    assert found("STRASSE") == found("straße") == ["1", "3"]
    assert found("& MORE") == ["3"]
    assert found("absent") == []


def test_a_search_goes_on_where_its_page_ended(student: httpx2.Client) -> None:
    for note_id in range(9):
        post(student, "Grüße & more" if note_id % 2 else "x", note_id)
    url = "/notes/search?text=gr%C3%BCsse%20%26&limit=1"
    assert [note["NoteId"] for note in all_pages(student, url)] == ["1", "3", "5", "7"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=", "limit"),
        ("limit=x", "limit"),
        ("limit=1.5", "limit"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=YWZ0ZXI6LTE", "cursor"),
        ("cursor=%C3%A9", "cursor"),
    ],
)
@pytest.mark.parametrize("path", ["/notes?", "/notes/search?text=x&"])
def test_a_bad_parameter_is_refused_by_name(
    student: httpx2.Client, path: str, query: str, field: str
) -> None:
    refusal(student.get(path + query), 400, "Invalid request parameters", field)


@pytest.mark.parametrize("query", ["", "?text=", "?text=" + "x" * 1001])
def test_a_search_needs_a_text(student: httpx2.Client, query: str) -> None:
    answer = student.get("/notes/search" + query)
    refusal(answer, 400, "Invalid request parameters", "text")


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kept=st.sets(st.integers(0, 60), max_size=20),
    changes=st.lists(st.tuples(st.integers(61, 120), st.booleans()), max_size=12),
    limit=st.integers(1, 7),
    search=st.booleans(),
)
def test_paging_neither_loses_nor_repeats_a_note_while_others_change(
    sign_in: SignIn, kept: set[int], changes: list[tuple[int, bool]], limit: int, search: bool
) -> None:
    client = sign_in()
    for note_id in kept:
        post(client, "kept", note_id)
    answer: httpx2.Response | None = client.get(
        "/notes/search" if search else "/notes",
        params={"limit": limit} | ({"text": "KEPT"} if search else {}),
    )
    seen = []
    todo = list(changes)
    while answer is not None:
        seen += [int(note["NoteId"]) for note in answer.json()]
        if todo:
            note_id, write = todo.pop()
            post(client, "other", note_id) if write else client.delete(f"/notes/{note_id}")
        answer = next_page(client, answer)
    assert [note_id for note_id in seen if note_id <= 60] == sorted(kept)
    assert len(seen) == len(set(seen))


# --- who may ---------------------------------------------------------------------------------

ROUTES = [
    ("GET", "/notes"),
    ("POST", "/notes"),
    ("GET", "/notes/search"),
    ("GET", "/notes/1"),
    ("PUT", "/notes/1"),
    ("DELETE", "/notes/1"),
    ("GET", "/userinfo"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_token_nothing_is_answered(client: httpx2.Client, method: str, path: str) -> None:
    answer = client.request(method, path, content=b"{", headers={"Origin": "https://a.example"})
    refusal(answer, 401, "Unauthorized")
    assert challenge(answer) in {"Bearer", None}
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/notes", "/notes/1", "/notes/search?text=x"])
def test_an_answer_for_one_user_is_kept_by_nobody(student: httpx2.Client, path: str) -> None:
    assert student.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", ""])
def test_a_token_comes_with_or_without_its_scheme(student: httpx2.Client, scheme: str) -> None:
    token = student.headers["authorization"].partition(" ")[2]
    answer = student.get("/notes", headers={"Authorization": scheme + token})
    assert answer.status_code == 200
