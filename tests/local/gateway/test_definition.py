"""What the mirror cannot do it refuses when it loads; all of it in one error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.local.gateway import DefinitionError, load_definition
from app.local.gateway.openapi import read_api
from tests.local.gateway.client import ANY, INTEGRATION, PROXY, cognito, definition, method
from tests.local.gateway.conftest import Open

X = "x-amazon-apigateway-"


def integration(**changes: Any) -> dict[str, Any]:
    return definition({"/a": {"get": {INTEGRATION: PROXY | changes}}})


def mock(**changes: Any) -> dict[str, Any]:
    return definition({"/a": {"get": {INTEGRATION: {"type": "MOCK"} | changes}}})


def secured(scheme: dict[str, Any], **operation: Any) -> dict[str, Any]:
    operation = {"security": [{"s": []}]} | operation
    return definition(
        {"/a": {"get": method(**operation)}}, components={"securitySchemes": {"s": scheme}}
    )


def paths(*names: str) -> dict[str, Any]:
    return definition({name: {"get": method()} for name in names})


def model(schema: Any, **schemas: Any) -> dict[str, Any]:
    operation = method(requestBody={"content": {"application/json": {"schema": schema}}})
    return definition(
        {"/a": {"post": operation}},
        components={"schemas": schemas},
        **{X + "request-validators": {"v": {"validateRequestBody": True}}},
        **{X + "request-validator": "v"},
    )


def pool(**settings: Any) -> dict[str, Any]:
    return definition(
        {"/a": {"get": method(security=[{"pool": []}])}}, components=cognito(**settings)
    )


UNSUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "http": (integration(type="http"), "integration type http is not mirrored"),
    "http_proxy": (integration(type="http_proxy"), "integration type http_proxy"),
    "aws": (integration(type="AWS"), "integration type AWS"),
    "payload 2.0": (integration(payloadFormatVersion="2.0"), "payload 2.0"),
    "streaming": (integration(responseTransferMode="STREAM"), "streaming"),
    "VPC link": (integration(connectionType="VPC_LINK"), "VPC links"),
    "Lambda authorizer, token": (
        secured({"type": "apiKey", X + "authorizer": {"type": "token"}}),
        "Lambda authorizers",
    ),
    "Lambda authorizer, request": (
        secured({"type": "apiKey", X + "authorizer": {"type": "request"}}),
        "Lambda authorizers",
    ),
    "IAM scheme": (secured({"type": "apiKey", X + "authtype": "awsSigv4"}), "AWS_IAM"),
    "IAM on a method": (
        definition({"/a": {"get": method(**{X + "auth": {"type": "AWS_IAM"}})}}),
        "AWS_IAM",
    ),
    "JWT authorizer": (
        secured({"type": "oauth2", X + "authorizer": {"type": "jwt"}}),
        "HTTP APIs",
    ),
    "API key": (secured({"type": "apiKey", "name": "x-api-key", "in": "header"}), "API keys"),
    "a scheme without authorizer": (secured({"type": "http"}), "no authorizer"),
    "resource policy": (definition(**{X + "policy": {}}), "resource policies"),
    "compression": (definition(**{X + "minimum-compression-size": 0}), "compression"),
    "HTTP API CORS": (definition(**{X + "cors": {}}), "HTTP APIs"),
    "an extension nobody knows": (definition(**{X + "telepathy": {}}), "is not mirrored"),
    "an extension inside": (
        definition({"/a": {"get": method(**{X + "telepathy": {}})}}),
        "is not mirrored",
    ),
    "an extension on a path": (
        definition({"/a": {"get": method(), X + "telepathy": {}}}),
        "is not mirrored",
    ),
    "a private API": (
        definition(**{X + "endpoint-configuration": {"types": ["PRIVATE"]}}),
        "is not mirrored",
    ),
    "a disabled endpoint": (
        definition(**{X + "endpoint-configuration": {"disableExecuteApiEndpoint": True}}),
        "is not mirrored",
    ),
    "Swagger": ({"swagger": "2.0", "paths": paths("/a")["paths"]}, "Swagger 2.0"),
    "a path elsewhere": (definition({"/a": {"$ref": "other.json"}}), "references"),
    "VTL in a MOCK's request": (
        mock(requestTemplates={"application/json": "#set($x = 1)"}),
        "request template",
    ),
    "VTL in a MOCK's response": (
        mock(
            responses={
                "default": {"statusCode": 200, "responseTemplates": {"text/plain": "$input"}}
            }
        ),
        "VTL",
    ),
    "a MOCK's mapped header": (
        mock(
            responses={
                "default": {
                    "statusCode": 200,
                    "responseParameters": {"method.response.header.A": "context.requestId"},
                }
            }
        ),
        "'static' value",
    ),
}


@pytest.mark.parametrize("row", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_is_not_mirrored_is_refused_loudly(row: tuple[dict[str, Any], str]) -> None:
    document, what = row
    with pytest.raises(DefinitionError) as caught:
        read_api(document)
    (problem,) = caught.value.problems
    assert problem.unsupported
    assert problem.place.startswith("#/")
    assert what in str(caught.value)
    api = read_api(document, ignore_unsupported=True)
    assert any(what in warning for warning in api.warnings)


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "#/openapi"),
    "no object": ([], "#/openapi"),
    "OpenAPI 3.1": (definition(openapi="3.1.0"), "3.0"),
    "no paths": (definition({}), "there is no path"),
    "paths that are no object": (definition(paths=[]), "#/paths"),
    "a path that is no object": (definition({"/a": []}), "#/paths/~1a: is not an object"),
    "a method that is no object": (definition({"/a": {"get": []}}), "#/paths/~1a/get"),
    "no integration": (definition({"/a": {"get": {}}}), "no integration"),
    "an integration that is no object": (
        definition({"/a": {"get": {INTEGRATION: []}}}),
        "is not an object",
    ),
    "a time-out below 50 ms": (integration(timeoutInMillis=49), "timeoutInMillis"),
    "a time-out that is text": (integration(timeoutInMillis="x"), "timeoutInMillis"),
    "TRACE": (definition({"/a": {"trace": method()}}), "TRACE"),
    "a path without a slash": (paths("a"), "slash"),
    "a part that is half a variable": (paths("/{a}.json"), "path part"),
    "a part with a space": (paths("/a b"), "path part"),
    "an empty part": (paths("/a//b"), "path part"),
    "greedy in the middle": (paths("/{a+}/b"), "is not the last part"),
    "two variables side by side": (paths("/x/{a}", "/x/{b}/c"), "only one is allowed"),
    "a variable beside a greedy one": (paths("/{a}", "/{b+}"), "only one is allowed"),
    "security that is no list": (
        definition({"/a": {"get": method(security={"s": []})}}),
        "is not a list",
    ),
    "a scheme that is not there": (
        definition({"/a": {"get": method(security=[{"s": []}])}}),
        "no security scheme s",
    ),
    "scopes that are no list": (
        definition({"/a": {"get": method(security=[{"pool": "x"}])}}, components=cognito()),
        "list of scopes",
    ),
    "two authorizers": (
        definition(
            {"/a": {"get": method(security=[{"pool": []}, {"pool": ["x"]}])}},
            components=cognito(),
        ),
        "one authorizer",
    ),
    "no pool": (pool(providerARNs=[]), "names no user pool"),
    "an ARN of something else": (pool(providerARNs=["arn:aws:s3:::x"]), "ARN of a user pool"),
    "an ARN still to be made": (
        pool(providerARNs=[{"Fn::GetAtt": ["Pool", "Arn"]}]),
        "ARN of a user pool",
    ),
    "an identity source elsewhere": (
        pool(identitySource="method.request.querystring.token"),
        "identitySource",
    ),
    "an expression that is none": (pool(identityValidationExpression="("), "is no pattern"),
    "a TTL beyond an hour": (pool(authorizerResultTtlInSeconds=3601), "0 to 3600"),
    "a validator that is not there": (
        definition(**{X + "request-validator": "v"}),
        "no request validator v",
    ),
    "parameters that are no list": (
        definition(
            {"/a": {"get": method(parameters={})}} | {"/b": {"get": method(parameters="x")}},
            **{X + "request-validators": {"v": {"validateRequestParameters": True}}},
            **{X + "request-validator": "v"},
        ),
        "is not a list",
    ),
    "a parameter that is not there": (
        definition(
            {"/a": {"get": method(parameters=[{"$ref": "#/components/parameters/p"}])}},
            **{X + "request-validators": {"v": {"validateRequestParameters": True}}},
            **{X + "request-validator": "v"},
        ),
        "which is not there",
    ),
    "binary types that are no list": (
        definition(**{X + "binary-media-types": "image/png"}),
        "list of media types",
    ),
    "a schema beyond draft 4": (model({"exclusiveMinimum": 3}), "draft 4"),
    "a model beyond draft 4": (
        model({"$ref": "#/components/schemas/M"}, M={"required": []}),
        "draft 4",
    ),
    "a reference to nothing": (model({"$ref": "#/components/schemas/M"}), "not a model"),
    "a reference to the network": (model({"$ref": "https://example.com/M"}), "not a model"),
    "a reference to itself": (
        model({"$ref": "#/components/schemas/M"}, M={"$ref": "#/components/schemas/M"}),
        "refers to itself",
    ),
    "a MOCK response without a status": (mock(responses={"default": {}}), "statusCode"),
    "a MOCK response that is no object": (mock(responses={"default": []}), "statusCode"),
    "a MOCK status out of range": (mock(responses={"default": {"statusCode": 99}}), "200 to 599"),
    "a MOCK pattern that is none": (mock(responses={"(": {"statusCode": 200}}), "pattern"),
    "MOCK responses that are no object": (mock(responses=[1]), "is not an object"),
    "a MOCK's passthrough": (mock(passthroughBehavior="MAYBE"), "MAYBE"),
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG)
def test_what_api_gateway_would_not_import_is_refused(row: tuple[Any, str]) -> None:
    document, what = row
    for ignore in (False, True):
        with pytest.raises(DefinitionError) as caught:
            read_api(document, ignore_unsupported=ignore)
        assert what in str(caught.value)


def test_every_problem_is_named_at_once() -> None:
    document = definition(
        {
            "/a": {"get": method(**{INTEGRATION: {"type": "http"}}), "post": {}},
            "/b c": {"get": method()},
        },
        **{X + "policy": {}},
    )
    with pytest.raises(DefinitionError) as caught:
        read_api(document)
    assert [problem.place for problem in caught.value.problems] == [
        f"#/{X}policy",
        "#/paths/~1b c",
        f"#/paths/~1a/get/{INTEGRATION}/type",
        f"#/paths/~1a/post/{INTEGRATION}",
    ]


HARMLESS: dict[str, dict[str, Any]] = {
    "version, documentation, tags": definition(
        **{
            X + "importexport-version": "1.0",
            X + "documentation": {"x-amazon-apigateway-nonsense": 1},
            X + "tag-value": "x",
            X + "api-key-source": "HEADER",
        }
    ),
    "an unused Lambda authorizer": definition(
        components={
            "securitySchemes": {"s": {"type": "apiKey", X + "authorizer": {"type": "token"}}}
        }
    ),
    "another regional endpoint": definition(
        **{X + "endpoint-configuration": {"types": ["REGIONAL"], "vpcEndpointIds": []}}
    ),
    "auth none": definition({"/a": {"get": method(**{X + "auth": {"type": "NONE"}})}}),
    "security empty": definition({"/a": {"get": method(security=[])}}),
    "what an AWS_PROXY ignores": integration(
        requestParameters={"integration.request.header.X": "'y'"},
        requestTemplates={"application/json": "#set($x = 1)"},
        contentHandling="CONVERT_TO_TEXT",
        passthroughBehavior="when_no_match",
        responses={"default": {"statusCode": "200"}},
        cacheNamespace="x",
    ),
    "extensions of others": definition({"/a": {"get": method(**{"x-internal": True})}}),
    "numbers where YAML has them": definition({"/a": {"get": method(responses={200: {}})}}),
    "a schema without a validator": definition(
        {
            "/a": {
                "post": method(
                    requestBody={"content": {"application/json": {"schema": {"required": []}}}}
                )
            }
        }
    ),
}


@pytest.mark.parametrize("document", HARMLESS.values(), ids=HARMLESS)
def test_what_changes_no_answer_is_taken(document: dict[str, Any]) -> None:
    assert read_api(document).methods


def test_security_at_the_root_is_ignored_as_aws_ignores_it(open_gateway: Open, caplog: Any) -> None:
    document = definition(components=cognito(), security=[{"pool": []}])
    assert open_gateway(document)("GET", "/x").status == 200
    assert "ignores security at the root" in caplog.text


@pytest.mark.parametrize(
    "name", ["http", "Lambda authorizer, token", "IAM on a method", "an extension inside"]
)
def test_ignored_features_make_their_method_501_and_never_open(
    open_gateway: Open, saw: list[Any], record: Any, name: str
) -> None:
    document = json.loads(json.dumps(UNSUPPORTED[name][0]))
    document["paths"]["/b"] = {"get": method()}
    client = open_gateway(document, record, ignore_unsupported=True)
    answer = client("GET", "/a")
    assert (answer.status, saw) == (501, [])
    assert answer.body == b'{"message":"Not mirrored by this gateway"}'
    assert client("GET", "/b").status == 200


def test_the_read_definition(open_gateway: Open) -> None:
    api = read_api(
        definition(
            {"/a/": {ANY: method(operationId="a")}}, **{X + "binary-media-types": ["image~1PNG"]}
        )
    )
    (found,) = api.methods
    assert (found.resource, found.http_method, found.operation_name) == ("/a", "ANY", "a")
    assert api.binary_media_types == ("image/png",)
    assert len(api.deployment_id) == 6
    china = pool(providerARNs=["arn:aws-cn:cognito-idp:cn-north-1:123456789012:userpool/cn_1"])
    authorizer = read_api(china).methods[0].authorizer
    assert authorizer is not None
    assert authorizer.pools[0].issuer == "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn_1"


def test_an_api_id_has_ten_characters(open_gateway: Open) -> None:
    with pytest.raises(ValueError, match="ten"):
        open_gateway(api_id="short")


FILES: dict[str, tuple[str, str | None]] = {
    "JSON": ('{"openapi": "3.0.1"}', None),
    "YAML": ("openapi: 3.0.1", None),
    "neither": ("a: b: c", "neither JSON nor YAML"),
    "a list": ("[]", "is not an object"),
    "CloudFormation": ("uri: !Sub '${Function.Arn}'", "resolve CloudFormation"),
    "nested beyond reason": ("[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("row", FILES.values(), ids=FILES)
def test_files(tmp_path: Path, row: tuple[str, str | None]) -> None:
    text, wrong = row
    path = tmp_path / "definition"
    path.write_text(text)
    if wrong is None:
        assert load_definition(path) == {"openapi": "3.0.1"}
    else:
        with pytest.raises(DefinitionError, match=wrong):
            load_definition(path)
