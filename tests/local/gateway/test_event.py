"""Facts 2.1 to 2.5: the event, key by key."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

import pytest

from tests.local.gateway.client import ANY, definition, method
from tests.local.gateway.conftest import Open

BINARY = "x-amazon-apigateway-binary-media-types"
TOP_LEVEL = [
    "resource",
    "path",
    "httpMethod",
    "headers",
    "multiValueHeaders",
    "queryStringParameters",
    "multiValueQueryStringParameters",
    "pathParameters",
    "stageVariables",
    "requestContext",
    "body",
    "isBase64Encoded",
]
CONTEXT = [
    "resourceId",
    "resourcePath",
    "httpMethod",
    "extendedRequestId",
    "requestTime",
    "path",
    "accountId",
    "protocol",
    "stage",
    "domainPrefix",
    "requestTimeEpoch",
    "requestId",
    "identity",
    "domainName",
    "deploymentId",
    "apiId",
]
IDENTITY = {
    "cognitoIdentityPoolId",
    "accountId",
    "cognitoIdentityId",
    "caller",
    "sourceIp",
    "principalOrgId",
    "accessKey",
    "cognitoAuthenticationType",
    "cognitoAuthenticationProvider",
    "userArn",
    "userAgent",
    "user",
}


class Recorded:
    """One call's event and answer."""

    def __init__(self, open_gateway: Open, saw: list[Any], record: Any) -> None:
        self.open, self.saw, self.record = open_gateway, saw, record

    def __call__(self, *args: Any, document: Any = None, **kwargs: Any) -> Any:
        options = kwargs.pop("options", {})
        client = self.open(document, self.record, **options)
        self.answer = client(*args, **kwargs)
        return self.saw[-1]


@pytest.fixture
def event_of(open_gateway: Open, saw: list[Any], record: Any) -> Recorded:
    return Recorded(open_gateway, saw, record)


def test_the_keys_and_their_order_are_those_of_the_recordings(event_of: Recorded) -> None:
    event = event_of("GET", "/x")
    assert list(event) == TOP_LEVEL
    assert list(event["requestContext"]) == CONTEXT
    assert set(event["requestContext"]["identity"]) == IDENTITY


def test_an_operation_id_becomes_the_operation_name(event_of: Recorded) -> None:
    document = definition({"/a": {"get": method(operationId="listAll")}})
    context = event_of("GET", "/a", document=document)["requestContext"]
    assert context["operationName"] == "listAll"
    assert list(context)[:3] == ["resourceId", "resourcePath", "operationName"]


@pytest.mark.parametrize(
    "key",
    [
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "pathParameters",
        "stageVariables",
        "body",
    ],
)
def test_what_is_absent_is_null(event_of: Recorded, key: str) -> None:
    document = definition({"/a": {"get": method()}})
    assert event_of("GET", "/a", document=document)[key] is None


def test_identity_is_null_but_for_address_and_agent(event_of: Recorded) -> None:
    identity = event_of("GET", "/x", [("user-agent", "curl/8")])["requestContext"]["identity"]
    known = {key: value for key, value in identity.items() if value is not None}
    assert known == {"sourceIp": "203.0.113.7", "userAgent": "curl/8"}
    identity = event_of("GET", "/x", client=None)["requestContext"]["identity"]
    assert (identity["sourceIp"], identity["userAgent"]) == ("127.0.0.1", None)


FORMATS = {
    "requestTime": r"10/Jul/2026:19:19:04 \+0000",
    "requestTimeEpoch": "1783711144123",
    "requestId": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "extendedRequestId": "[A-Za-z0-9+/]{15}=",
    "protocol": r"HTTP/1\.1",
    "accountId": "123456789012",
    "stage": "Prod",
    "domainName": r"api\.example\.com",
    "domainPrefix": "api",
    "apiId": "[a-z0-9]{10}",
    "deploymentId": "[a-z0-9]{6}",
    "resourceId": "[a-z0-9]{6}",
}


@pytest.mark.parametrize("key", FORMATS)
def test_formats_are_as_recorded(event_of: Recorded, key: str) -> None:
    options = {"clock": lambda: 1783711144.1234}
    event = event_of("GET", "/x", host="api.example.com:8000", options=options)
    assert re.fullmatch(FORMATS[key], str(event["requestContext"][key]))


def test_the_answers_ids_are_the_events(event_of: Recorded) -> None:
    context = event_of("GET", "/x")["requestContext"]
    assert event_of.answer["x-amzn-RequestId"] == context["requestId"]
    assert event_of.answer["x-amz-apigw-id"] == context["extendedRequestId"]


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("localhost:8000", "localhost"),
        ("[::1]:8000", "[::1]"),
        ("[::1]", "[::1]"),
        ("api.example.com", "api.example.com"),
        (None, "abcdefghij.execute-api.us-east-1.amazonaws.com"),
        ("", "abcdefghij.execute-api.us-east-1.amazonaws.com"),
    ],
)
def test_the_domain_is_the_host_without_its_port(
    event_of: Recorded, host: str | None, domain: str
) -> None:
    event = event_of("GET", "/Prod/x", host=host, options={"api_id": "abcdefghij"})
    assert event["requestContext"]["domainName"] == domain
    assert event["headers"]["Host"] == (host or domain)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("tEsT-HEADeR", "tEsT-HEADeR"),
        ("content-type", "content-type"),
        ("cookie", "cookie"),
        ("authorization", "Authorization"),
        ("USER-AGENT", "User-Agent"),
        ("hOST", "Host"),
        ("x-forwarded-for", "X-Forwarded-For"),
        ("x-forwarded-port", "X-Forwarded-Port"),
        ("x-forwarded-proto", "X-Forwarded-Proto"),
        ("x-amzn-trace-id", "X-Amzn-Trace-Id"),
    ],
)
def test_casing_is_the_clients_but_for_seven_names(
    event_of: Recorded, sent: str, shown: str
) -> None:
    event = event_of("GET", "/x", [(sent, "value")], host=None)
    for headers in (event["headers"], event["multiValueHeaders"]):
        assert [name for name in headers if name.lower() == sent.lower()] == [shown]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Content-Length",
        "Content-MD5",
        "Expect",
        "Max-Forwards",
        "Proxy-Authenticate",
        "Server",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "WWW-Authenticate",
    ],
)
def test_a_header_that_never_reaches_the_lambda(event_of: Recorded, name: str) -> None:
    event = event_of("GET", "/x", [(name, "1")])
    assert name.lower() not in {key.lower() for key in event["headers"]}
    assert name.lower() not in {key.lower() for key in event["multiValueHeaders"]}


@pytest.mark.parametrize(
    "name",
    [
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Age",
        "Authorization",
        "Content-Encoding",
        "Content-Type",
        "Date",
        "Pragma",
        "Range",
        "Referer",
        "User-Agent",
        "Via",
        "Warn",
        "X-Custom",
    ],
)
def test_a_header_that_reaches_the_lambda(event_of: Recorded, name: str) -> None:
    event = event_of("GET", "/x", [(name, "1")])
    assert event["headers"][name] == "1"
    assert event["multiValueHeaders"][name] == ["1"]


def test_nothing_else_is_added_to_the_headers(event_of: Recorded) -> None:
    event = event_of("GET", "/x")
    assert sorted(event["headers"]) == [
        "Host",
        "X-Amzn-Trace-Id",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
    ]
    assert event["headers"]["X-Forwarded-Port"] == "443"
    assert event["headers"]["X-Forwarded-Proto"] == "https"
    assert event["headers"]["X-Forwarded-For"] == "203.0.113.7"
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", event["headers"]["X-Amzn-Trace-Id"])


def test_the_front_ends_protocol_and_port_can_be_told(event_of: Recorded) -> None:
    options = {"forwarded": ("http", "8000")}
    sent = [("x-forwarded-proto", "gopher"), ("x-forwarded-for", "198.51.100.1")]
    headers = event_of("GET", "/x", sent, options=options)["headers"]
    assert (headers["X-Forwarded-Proto"], headers["X-Forwarded-Port"]) == ("http", "8000")
    assert headers["X-Forwarded-For"] == "198.51.100.1, 203.0.113.7"


@pytest.mark.parametrize(
    ("sent", "last", "every"),
    [
        ([("x-a", "1"), ("x-a", "2")], "2", ["1", "2"]),
        ([("x-a", "1, 2")], "1, 2", ["1, 2"]),
        ([("x-a", "")], "", [""]),
        ([("x-a", "  padded\t")], "padded", ["padded"]),
        ([("x-a", b"caf\xc3\xa9")], "café", ["café"]),
        ([("x-a", b"caf\xe9")], "café", ["café"]),
    ],
    ids=["repeated", "joined", "empty", "padded", "utf-8", "latin-1"],
)
def test_header_values(event_of: Recorded, sent: Any, last: str, every: list[str]) -> None:
    event = event_of("GET", "/x", sent)
    assert event["headers"]["x-a"] == last
    assert event["multiValueHeaders"]["x-a"] == every


def test_a_cookie_is_one_value(event_of: Recorded) -> None:
    event = event_of("GET", "/x", [("cookie", "a=1; b=2")])
    assert event["multiValueHeaders"]["cookie"] == ["a=1; b=2"]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("AWS4-HMAC-SHA256 Credential=AKID/20260710/eu/x/aws4_request, Signature=0", False),
        ("Bearer token", True),
        ("Basic dXNlcjpwYXNz", True),
    ],
)
def test_a_sigv4_signature_is_dropped(event_of: Recorded, value: str, kept: bool) -> None:
    event = event_of("GET", "/x", [("authorization", value)])
    assert ("Authorization" in event["headers"]) is kept
    assert ("Authorization" in event["multiValueHeaders"]) is kept


def test_the_method_override_is_obeyed_and_hidden(event_of: Recorded) -> None:
    document = definition({"/a": {"delete": method()}})
    event = event_of("POST", "/a", [("X-HTTP-Method-Override", "DELETE")], document=document)
    assert event["httpMethod"] == event["requestContext"]["httpMethod"] == "DELETE"
    assert "X-HTTP-Method-Override" not in event["headers"]


TRACES = {
    "none": (None, r"Root=1-\w{8}-\w{24}", r"Root=1-\w{8}-\w{24};Parent=\w{16};Sampled=0"),
    "whole": (
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    ),
    "root only": (
        "Root=1-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759e988-bd862e3fe1be46a994272793",
        r"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=\w{16};Sampled=0",
    ),
    "without a sampling decision": (
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    ),
    "junk": ("a\r\nb", r"Root=1-\w{8}-\w{24}", r"Root=1-\w{8}-\w{24};Parent=\w{16};Sampled=0"),
    "no root": ("Self=1", r"Root=1-\w{8}-\w{24}", r"Root=1-\w{8}-\w{24};Parent=\w{16};Sampled=0"),
}


@pytest.mark.parametrize("row", TRACES.values(), ids=TRACES)
def test_trace_ids(event_of: Recorded, row: tuple[str | None, str, str]) -> None:
    sent, in_event, in_answer = row
    event = event_of("GET", "/x", [("x-amzn-trace-id", sent)] if sent else [])
    assert re.fullmatch(in_event, event["headers"]["X-Amzn-Trace-Id"])
    assert re.fullmatch(in_answer + r";Lineage=1:\w{8}:0", event_of.answer["X-Amzn-Trace-Id"])


@pytest.mark.parametrize(
    "raw",
    [
        "Summer%20Sale%202023",
        "%E2%98%95%20Coffee",
        "test%2Balias@gmail.com",
        "a+b",
        "%",
        "%zz",
        "%00",
        "a%2Fb",
        "%c3%28",
        "a;b=c",
        "a|b",
    ],
)
def test_path_and_parameters_stay_as_sent(event_of: Recorded, raw: str) -> None:
    document = definition({"/p/{name}": {"get": method()}})
    event = event_of("GET", f"/Prod/p/{raw}", document=document)
    assert event["path"] == f"/p/{raw}"
    assert event["requestContext"]["path"] == f"/Prod/p/{raw}"
    assert event["pathParameters"] == {"name": raw}


@pytest.mark.parametrize(
    ("raw", "path", "host"),
    [
        (b"/caf\xc3\xa9 x", "/caf%C3%A9%20x", "localhost"),
        (b"/\x00\xff", "/%00%FF", "localhost"),
        (b"http://other.example/x", "/x", "other.example"),
        (b"HTTPS://other.example", "/", "other.example"),
        (b"*", "/*", "localhost"),
        (b"", "/", "localhost"),
    ],
    ids=["not ascii", "control", "absolute form", "absolute form without path", "asterisk", "none"],
)
def test_targets_that_are_no_paths(
    open_gateway: Open, saw: list[Any], record: Any, raw: bytes, path: str, host: str
) -> None:
    from tests.local.gateway.client import exchange, http_scope

    client = open_gateway(None, record)
    scope = http_scope("OPTIONS", "/") | {"raw_path": raw}
    assert client.runner.run(exchange(client.gateway, scope)).status == 200
    assert (saw[0]["path"], saw[0]["headers"]["Host"]) == (path, host)


def test_without_a_raw_path_the_decoded_one_is_encoded_again(
    open_gateway: Open, saw: list[Any], record: Any
) -> None:
    from tests.local.gateway.client import exchange, http_scope

    client = open_gateway(None, record)
    scope = http_scope("GET", "/")
    del scope["raw_path"]
    client.runner.run(exchange(client.gateway, scope | {"path": "/a b/é?"}))
    assert saw[0]["path"] == "/a%20b/%C3%A9%3F"


QUERIES: dict[str, tuple[str, dict[str, list[str]] | None]] = {
    "plain": ("a=1", {"a": ["1"]}),
    "repeated": ("a=1&b=x&a=2", {"a": ["1", "2"], "b": ["x"]}),
    "plus is a space": ("a=1+2", {"a": ["1 2"]}),
    "an encoded plus is one": ("a=1%2B2", {"a": ["1+2"]}),
    "percent": ("a=%E2%98%95", {"a": ["☕"]}),
    "empty value": ("a=", {"a": [""]}),
    "no value": ("a", {"a": [""]}),
    "nothing": ("", None),
    "only separators": ("&&", None),
    "semicolons separate too": ("a=1;b=2", {"a": ["1"], "b": ["2"]}),
    "encoded name": ("a%5B%5D=1", {"a[]": ["1"]}),
    "equals in the value": ("a=b=c", {"a": ["b=c"]}),
    "not UTF-8": ("a=%FF", {"a": ["\ufffd"]}),
    "bad escape": ("a=%zz", {"a": ["%zz"]}),
}


@pytest.mark.parametrize("row", QUERIES.values(), ids=QUERIES)
def test_query_values_are_decoded(
    event_of: Recorded, row: tuple[str, dict[str, list[str]] | None]
) -> None:
    query, expected = row
    event = event_of("GET", f"/x?{query}")
    assert event["multiValueQueryStringParameters"] == expected
    last = {name: values[-1] for name, values in (expected or {}).items()}
    assert event["queryStringParameters"] == (last or None)


def test_stage_variables_reach_the_event(event_of: Recorded) -> None:
    event = event_of("GET", "/x", options={"stage": "dev", "stage_variables": {"table": "Notes"}})
    assert event["stageVariables"] == {"table": "Notes"}
    assert event["requestContext"]["stage"] == "dev"


BODIES: dict[str, tuple[list[str], str | None, bytes, str | None, bool]] = {
    "text": ([], "text/plain", b"abc", "abc", False),
    "malformed JSON": ([], "application/json", b"{", "{", False),
    "no type": ([], None, b"abc", "abc", False),
    "empty": ([], "text/plain", b"", None, False),
    "utf-8": ([], None, "☕".encode(), "☕", False),
    "not UTF-8 is damaged": ([], None, b"a\xff", "a\ufffd", False),
    "binary type": (["image/png"], "image/png", b"\x89P", b64encode(b"\x89P").decode(), True),
    "binary type, escaped": (["image~1png"], "image/png", b"x", "eA==", True),
    "binary type with parameters": (
        ["multipart/form-data"],
        "multipart/form-data; boundary=x",
        b"x",
        "eA==",
        True,
    ),
    "binary type in upper case": (["image/png"], "IMAGE/PNG", b"x", "eA==", True),
    "another type": (["image/png"], "text/plain", b"x", "x", False),
    "type/*": (["image/*"], "image/png", b"x", "eA==", True),
    "*/*": (["*/*"], "application/json", b"{}", "e30=", True),
    "*/* without a type": (["*/*"], None, b"x", "eA==", True),
    "*/* with an empty body": (["*/*"], "image/png", b"", None, False),
}


@pytest.mark.parametrize("row", BODIES.values(), ids=BODIES)
def test_bodies(event_of: Recorded, row: tuple[list[str], str | None, bytes, Any, bool]) -> None:
    types, content_type, sent, body, encoded = row
    headers = [("content-type", content_type)] if content_type else []
    document = definition({"/a": {ANY: method()}}, **{BINARY: types})
    event = event_of("POST", "/a", headers, sent, document=document)
    assert (event["body"], event["isBase64Encoded"]) == (body, encoded)


def test_a_chunked_body_is_put_together(event_of: Recorded) -> None:
    assert event_of("POST", "/x", body=[b"one ", b"", b"two"])["body"] == "one two"


def test_the_event_is_json_and_the_handlers_own(open_gateway: Open) -> None:
    events = []

    def handler(event: Any, context: Any) -> Any:
        events.append(json.loads(json.dumps(event)))
        event["headers"].clear()
        event["requestContext"]["identity"]["sourceIp"] = "forged"
        return {}

    client = open_gateway(None, handler)
    client("GET", "/x")
    client("GET", "/x")
    assert events[0]["headers"].keys() == events[1]["headers"].keys()
