"""Facts 3: what a Lambda returns, row by row."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from app.local.gateway.response import matches_binary
from tests.local.gateway.client import ANY, Answer, definition, method
from tests.local.gateway.conftest import Open

BINARY = "x-amazon-apigateway-binary-media-types"


@pytest.fixture
def answer_to(open_gateway: Open) -> Any:
    def answer_to(
        result: Any, *, types: list[str] | None = None, accept: str | None = None
    ) -> Answer:
        document = definition({"/{proxy+}": {ANY: method()}}, **{BINARY: types or []})
        headers = [] if accept is None else [("accept", accept)]
        return open_gateway(document, lambda event, context: result)("GET", "/x", headers)

    return answer_to


WELL_FORMED: dict[str, tuple[Any, int, bytes]] = {
    "empty object": ({}, 200, b""),
    "only headers": ({"headers": {"a": "b"}}, 200, b""),
    "only a status": ({"statusCode": 200}, 200, b""),
    "headers null": ({"statusCode": 200, "headers": None}, 200, b""),
    "multiValueHeaders null": ({"statusCode": 200, "multiValueHeaders": None}, 200, b""),
    "status as text": ({"statusCode": "201"}, 201, b""),
    "status null": ({"statusCode": None}, 200, b""),
    "an error status": ({"statusCode": 418, "body": "teapot"}, 418, b"teapot"),
    "body null": ({"body": None}, 200, b""),
    "body empty": ({"body": ""}, 200, b""),
    "body": ({"body": "☕"}, 200, "☕".encode()),
    "a number as body": ({"body": 7}, 200, b"7"),
    "base64 flag without binary types": ({"body": "eA==", "isBase64Encoded": True}, 200, b"eA=="),
    "base64 flag null": ({"body": "x", "isBase64Encoded": None}, 200, b"x"),
}


@pytest.mark.parametrize("row", WELL_FORMED.values(), ids=WELL_FORMED)
def test_well_formed(answer_to: Any, row: tuple[Any, int, bytes]) -> None:
    result, status, body = row
    answer = answer_to(result)
    assert (answer.status, answer.body) == (status, body)
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Length"] == str(len(body))


MALFORMED: dict[str, Any] = {
    "status is a word": {"statusCode": "test"},
    "status is zero": {"statusCode": 0},
    "status is a boolean": {"statusCode": True},
    "status is a float": {"statusCode": 200.5},
    "status is informational": {"statusCode": 101},
    "status is beyond HTTP": {"statusCode": 1000},
    "status is negative": {"statusCode": -200},
    "status is an object": {"statusCode": {}},
    "an unknown key": {"statusCode": 200, "cookies": []},
    "an error": {"errorMessage": "x", "errorType": "E"},
    "a string": "hello",
    "an array": [],
    "a number": 5,
    "a boolean": True,
    "null": None,
    "body is an object": {"statusCode": 200, "body": {"a": 1}},
    "body is an array": {"statusCode": 200, "body": ["a"]},
    "headers are an array": {"headers": ["a: b"]},
    "headers are a string": {"headers": "a: b"},
    "multiValueHeaders are an array": {"multiValueHeaders": []},
    "a multi value is a string": {"multiValueHeaders": {"a": "b"}},
    "a header is an object": {"headers": {"a": {}}},
    "a header is an array": {"headers": {"a": ["b"]}},
    "a multi value has an array": {"multiValueHeaders": {"a": [[]]}},
    "isBase64Encoded is an object": {"isBase64Encoded": {}},
    "a header breaks its line": {"headers": {"a": "b\r\nSet-Cookie: c=d"}},
    "a header has a bare line feed": {"headers": {"a": "b\nc"}},
    "a header has a null byte": {"headers": {"a": "b\0c"}},
    "a multi value breaks its line": {"multiValueHeaders": {"a": ["x", "b\r\nc"]}},
    "a name breaks its line": {"headers": {"a\r\nb": "c"}},
    "a name has a colon": {"headers": {"a:b": "c"}},
    "a name is empty": {"headers": {"": "c"}},
    "a name is not ASCII": {"headers": {"é": "c"}},
    "the content type breaks its line": {"headers": {"Content-Type": "a\r\nb: c"}},
    "a remapped header breaks its line": {"headers": {"Server": "a\r\nb: c"}},
    "bytes": {"body": b"x"},
    "a set": {"body": {1}},
    "not a number": {"body": float("nan")},
    "half a surrogate pair": {"body": "\ud800"},
    "an object of a class": object(),
}


@pytest.mark.parametrize("result", MALFORMED.values(), ids=MALFORMED)
def test_malformed(answer_to: Any, result: Any) -> None:
    answer = answer_to(result)
    assert (answer.status, answer.body) == (502, b'{"message": "Internal server error"}')
    assert answer["x-amzn-ErrorType"] == "InternalServerErrorException"


VALUES: dict[str, tuple[Any, list[str]]] = {
    "text": ("b", ["b"]),
    "true": (True, ["true"]),
    "false": (False, ["false"]),
    "a number": (7, ["7"]),
    "null": (None, []),
    "empty": ("", [""]),
    "padded": (" b\t", ["b"]),
    "utf-8": ("é", ["é"]),
}


@pytest.mark.parametrize("row", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("multi", [False, True], ids=["headers", "multiValueHeaders"])
def test_header_values(answer_to: Any, row: tuple[Any, list[str]], multi: bool) -> None:
    value, sent = row
    result = {"multiValueHeaders": {"x": [value]}} if multi else {"headers": {"x": value}}
    assert answer_to(result).all("x") == sent


MERGED: dict[str, tuple[Any, Any, list[tuple[bytes, bytes]]]] = {
    "casing is the Lambda's": ({"myheader": "a"}, None, [(b"myheader", b"a")]),
    "multi first, then single, under the multi key": (
        {"TEST-multi": "value-solo"},
        {"tesT-Multi": ["value-multi"]},
        [(b"tesT-Multi", b"value-multi"), (b"tesT-Multi", b"value-solo")],
    ),
    "the same pair once": (
        {"a": "1"},
        {"a": ["1", "2"]},
        [(b"a", b"1"), (b"a", b"2")],
    ),
    "several cookies": (
        None,
        {"Set-Cookie": ["a=1", "b=2"]},
        [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2")],
    ),
    "single beside multi": ({"b": "2"}, {"a": ["1"]}, [(b"a", b"1"), (b"b", b"2")]),
    "a null list": ({"b": "2"}, {"a": None}, [(b"b", b"2")]),
    "remapped": (
        {
            "Connection": "close",
            "content-length": "9",
            "DATE": "x",
            "Server": "s",
            "WWW-Authenticate": "Bearer",
            "authorization": "z",
        },
        None,
        [
            (b"x-amzn-Remapped-Connection", b"close"),
            (b"x-amzn-Remapped-content-length", b"9"),
            (b"x-amzn-Remapped-DATE", b"x"),
            (b"x-amzn-Remapped-Server", b"s"),
            (b"x-amzn-Remapped-WWW-Authenticate", b"Bearer"),
            (b"x-amzn-Remapped-authorization", b"z"),
        ],
    ),
    "dropped": ({"Transfer-Encoding": "chunked", "X-Amzn-RequestId": "forged"}, None, []),
    "never remapped for a proxy": ({"Trailer": "x"}, None, [(b"Trailer", b"x")]),
}


@pytest.mark.parametrize("row", MERGED.values(), ids=MERGED)
def test_headers_are_merged_and_remapped(answer_to: Any, row: Any) -> None:
    single, multi, expected = row
    answer = answer_to({"headers": single, "multiValueHeaders": multi})
    assert answer.raw_headers[5:-2] == expected
    assert answer.names[:5] + answer.names[-2:] == [
        "Date",
        "Content-Type",
        "Content-Length",
        "Connection",
        "x-amzn-RequestId",
        "x-amz-apigw-id",
        "X-Amzn-Trace-Id",
    ]


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_a_content_type_keeps_its_casing(answer_to: Any, name: str) -> None:
    answer = answer_to({"headers": {name: "text/plain"}})
    assert answer.raw_headers[1] == (name.encode(), b"text/plain")
    assert answer.all("content-type") == ["text/plain"]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_must_not_have_a_body_has_none(answer_to: Any, status: int) -> None:
    answer = answer_to({"statusCode": status, "body": "x"})
    assert (answer.status, answer.body, answer.all("content-length")) == (status, b"", [])


def test_head_gets_the_length_and_no_body(open_gateway: Open) -> None:
    answer = open_gateway()("HEAD", "/x")
    assert (answer.status, answer.body, answer["Content-Length"]) == (200, b"", "2")


SOME = ["image/png", "*/test"]
MORE = [*SOME, "application/*", "image/jpg"]
DECODED: list[tuple[list[str], str | None, bool]] = [
    ([], "image/png", False),
    (SOME, "image/png", True),
    (SOME, "image/jpg", False),
    (SOME, "image/*", False),
    (SOME, "*/test, random/test", False),
    (SOME, "*/test", False),
    (SOME, "*/*", False),
    (SOME, "image/webp,image/png,*/*;q=0.8", False),
    (SOME, "image/png,image/*,*/*;q=0.8", True),
    (SOME, "image/png;q=0.9", True),
    (SOME, "IMAGE/PNG", True),
    (MORE, "application/whatever", True),
    (MORE, "application/test", True),
    (MORE, "application/*", True),
    (MORE, "image/jpg", True),
    (MORE, "application", False),
    (MORE, None, False),
    (["*/*"], "text/html", True),
    (["*/*"], None, True),
]


@pytest.mark.parametrize(
    ("types", "accept", "decoded"),
    DECODED,
    ids=[f"{','.join(t) or 'none'} : {a or 'no Accept'}" for t, a, _ in DECODED],
)
def test_base64_is_decoded_by_the_first_accepted_type(
    answer_to: Any, types: list[str], accept: str | None, decoded: bool
) -> None:
    text = b64encode(b"\x89PNG").decode()
    result = {"headers": {"Content-Type": "image/png"}, "body": text, "isBase64Encoded": True}
    answer = answer_to(result, types=types, accept=accept)
    assert answer.body == (b"\x89PNG" if decoded else text.encode())
    assert answer["Content-Length"] == str(len(answer.body))
    plain = answer_to(result | {"isBase64Encoded": False}, types=types, accept=accept)
    assert plain.body == text.encode()


@pytest.mark.parametrize("body", ["not base64!", "eA", "☕"])
def test_base64_that_cannot_be_decoded_is_500(answer_to: Any, body: str) -> None:
    answer = answer_to({"body": body, "isBase64Encoded": True}, types=["*/*"])
    assert (answer.status, answer.body) == (500, b'{"message": "Internal server error"}')


def test_nothing_is_binary_without_binary_types() -> None:
    assert not matches_binary("image/png", [])


def test_a_decimal_is_a_number_as_in_lambdas_runtime(answer_to: Any) -> None:
    from decimal import Decimal

    assert answer_to({"body": Decimal("1.5")}).body == b"1.5"
