"""template.yaml: what SAM makes of it, and what then stands in CloudFormation (moto's)."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import yaml

from app.hosted import HostedEndpoints
from app.local.deploy import RUNTIME, template_definition, with_definition
from app.session import Place
from app.settings import Settings, load_settings
from tests.deploy.conftest import Stack
from tests.deploy.stack import PARAMETERS, STACK, TEMPLATE, Resolver
from tests.tokens import Pool

slow = pytest.mark.deploy


# --- the file --------------------------------------------------------------------------------


def test_the_definition_in_the_template_is_the_one_of_this_code() -> None:
    template = TEMPLATE.read_text()
    again = "run: uv run notegate definition --into template.yaml"
    assert with_definition(template) == template, again


def test_the_definition_in_the_template_names_resources_only_by_functions() -> None:
    text = json.dumps(template_definition())
    assert set(re.findall(r"\$\{([^}]+)\}", text)) == {
        "AWS::AccountId",
        "AWS::Partition",
        "AWS::Region",
        "AWS::StackName",
        "CorsAllowOrigin",
        "UserPool.Arn",
    }
    # Each within a function, or CloudFormation would not look at it.
    assert text.count('{"Fn::Sub": ') == len(re.findall(r'"[^"]*\$\{[^"]*"', text))
    assert not re.search(r"arn:aws:cognito-idp|123456789012", text)


def test_a_template_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="definition: begin"):
        with_definition("Resources: {}\n")


def test_nobodys_environment_shows_in_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    made = template_definition()
    monkeypatch.setenv("COGNITO_TOKEN_USE", "access")
    monkeypatch.setenv("COGNITO_SCOPES", "notes/read")
    monkeypatch.setenv("CORS_ALLOW_ORIGINS", "https://elsewhere.example.com")
    assert template_definition() == made


# --- what SAM makes of it --------------------------------------------------------------------


@slow
@pytest.mark.parametrize("which", ["as written", "translated"])
def test_cfn_lint_has_nothing_to_say(translated: Stack, tmp_path: Path, which: str) -> None:
    path = TEMPLATE
    if which == "translated":
        path = tmp_path / "template.json"
        path.write_text(json.dumps(translated.template))
    linter = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run([linter, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def kinds(template: dict[str, Any]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for resource in template["Resources"].values():
        counted[resource["Type"]] = counted.get(resource["Type"], 0) + 1
    return counted


@slow
def test_there_is_one_function_one_api_and_one_stage(translated: Stack) -> None:
    assert kinds(translated.template) == {
        "AWS::ApiGateway::Deployment": 1,
        "AWS::ApiGateway::RestApi": 1,
        "AWS::ApiGateway::Stage": 1,
        "AWS::Cognito::UserPool": 1,
        "AWS::Cognito::UserPoolClient": 1,
        "AWS::Cognito::UserPoolDomain": 1,
        "AWS::DynamoDB::Table": 1,
        "AWS::IAM::Role": 1,
        "AWS::Lambda::Alias": 1,
        "AWS::Lambda::Function": 1,
        "AWS::Lambda::Permission": 1,
        "AWS::Lambda::Version": 1,
        "AWS::Logs::LogGroup": 2,
    }
    deployment = translated.template["Resources"]["ApiStage"]["Properties"]["DeploymentId"]
    assert translated.template["Resources"][deployment["Ref"]]["Properties"].keys() <= {
        "Description",
        "RestApiId",
    }


def dependencies(template: dict[str, Any]) -> dict[str, set[str]]:
    """Say for every resource which others CloudFormation makes before it."""
    resources = template["Resources"]
    return {
        name: {each.partition(".")[0] for each in named(resource)} & set(resources)
        for name, resource in resources.items()
    }


def named(value: Any) -> Iterator[str]:
    """What a resource names: resources, some with an attribute, and whatever else."""
    if isinstance(value, list):
        for each in value:
            yield from named(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key == "Ref":
                yield each
            elif key == "Fn::GetAtt":
                yield each if isinstance(each, str) else each[0]
            elif key == "DependsOn":
                yield from as_list(each)
            elif key == "Fn::Sub":
                yield from re.findall(r"\$\{([^!}]+)\}", each if isinstance(each, str) else each[0])
                yield from named(each)
            else:
                yield from named(each)


@slow
def test_no_resource_waits_for_itself(translated: Stack) -> None:
    found = dependencies(translated.template)
    order = list(TopologicalSorter(found).static_order())
    assert set(order) == set(translated.template["Resources"])
    # The longest way, and why the API may not wait for the function.
    way = ("UserPool", "Api", "UserPoolClient", "Function", "FunctionPermission")
    assert sorted(way, key=order.index) == list(way)
    assert "UserPoolClient" in found["Function"]
    assert "Api" in found["UserPoolClient"]


@slow
@pytest.mark.parametrize(
    "waits",
    [
        pytest.param({"Ref": "Function"}, id="Ref"),
        pytest.param({"Fn::GetAtt": ["Function", "Arn"]}, id="GetAtt"),
        pytest.param({"Fn::GetAtt": "Function.Arn"}, id="GetAtt in one"),
        pytest.param({"Fn::Sub": "functions/${Function.Arn}:live/invocations"}, id="Sub"),
        pytest.param({"Fn::Sub": ["${x}", {"x": [{"Ref": "Function"}]}]}, id="Sub with its own"),
        pytest.param({"DependsOn": "Function"}, id="DependsOn"),
        pytest.param({"DependsOn": ["Notes", "Function"]}, id="DependsOn several"),
    ],
)
def test_an_api_that_waited_for_the_function_would_wait_for_itself(
    translated: Stack, waits: dict[str, Any]
) -> None:
    resources = translated.template["Resources"]
    waiting = {"Resources": {**resources, "Api": {**resources["Api"], "Waits": waits}}}
    with pytest.raises(CycleError) as refusal:
        TopologicalSorter(dependencies(waiting)).prepare()
    assert set(refusal.value.args[1]) == {"Api", "UserPoolClient", "Function"}


def statements(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every statement that gives somebody something, wherever it stands."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"].startswith("AWS::IAM::"):
            assert not properties.get("ManagedPolicyArns"), "who knows what they allow tomorrow"
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
            for document in documents:
                yield from document["Statement"]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@slow
def test_nothing_is_allowed_by_wildcard_but_x_rays_writing(translated: Stack) -> None:
    x_ray = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    found = list(statements(translated.template))
    for statement in found:
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource", "Principal"} & set(statement)
        actions = as_list(statement["Action"])
        assert not [action for action in actions if "*" in action]
        if set(actions) != x_ray:
            assert "*" not in json.dumps(statement["Resource"])
            # One resource, and one that this very stack makes.
            (resource,) = as_list(statement["Resource"])
            ((name, of),) = resource.items()
            assert name == "Fn::GetAtt"
            assert of[0] in translated.template["Resources"]
    allowed = {action: as_list(s["Resource"]) for s in found for action in as_list(s["Action"])}
    notes = [{"Fn::GetAtt": ["Notes", "Arn"]}]
    logs = [{"Fn::GetAtt": ["FunctionLogs", "Arn"]}]
    assert allowed == {
        "cognito-idp:AdminGetUser": [{"Fn::GetAtt": ["UserPool", "Arn"]}],
        **{f"dynamodb:{verb}Item": notes for verb in ("Get", "Put", "Update", "Delete")},
        "dynamodb:Query": notes,
        "logs:CreateLogStream": logs,
        "logs:PutLogEvents": logs,
        **dict.fromkeys(x_ray, ["*"]),
    }


@slow
def test_only_this_apis_stage_may_call_the_function(translated: Stack) -> None:
    permission = translated.template["Resources"]["FunctionPermission"]["Properties"]
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["FunctionName"] == {"Ref": "FunctionAliaslive"}
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${AWS::AccountId}:${Api}/${Stage}/*")
    alias = translated.template["Resources"]["FunctionAliaslive"]["Properties"]["Name"]
    uri = translated.definition["paths"]["/notes"]["get"]["x-amazon-apigateway-integration"]["uri"]
    assert uri.endswith(f":function:{STACK}:{alias}/invocations")


@slow
def test_who_names_addresses_gets_these_and_no_others(translated: Stack) -> None:
    given = {
        "CallbackUrls": "https://n.example.com/auth/callback,https://n.example.com/docs/x",
        "LogoutUrls": "https://n.example.com/",
    }
    client = translated.template["Resources"]["UserPoolClient"]["Properties"]
    made = Resolver(translated.template, given, translated.known).resolve(client)
    assert made["CallbackURLs"] == given["CallbackUrls"].split(",")
    assert made["LogoutURLs"] == [given["LogoutUrls"]]


@slow
def test_nobody_can_lose_notes_or_users_with_the_stack(translated: Stack) -> None:
    for name in ("Notes", "UserPool"):
        resource = translated.template["Resources"][name]
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    table = translated.resource("Notes")
    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@slow
def test_two_stages_stand_side_by_side(translated: Stack) -> None:
    """No resource has a name that a second stack would have too."""
    names = ("TableName", "FunctionName", "UserPoolName", "RoleName", "ClientName")
    for resource in translated.template["Resources"].values():
        properties = resource.get("Properties", {})
        assert all(isinstance(properties.get(name, {}), dict) for name in names)
    for name in ("FunctionLogs", "ApiLogs"):
        named = translated.template["Resources"][name]["Properties"]["LogGroupName"]
        assert "${AWS::StackName}" in named["Fn::Sub"]
    other = {"AWS::StackId": "arn:aws:cloudformation:x:1:stack/b/1-2-3-4-ffffffffffff"}
    second = Resolver(translated.template, {}, translated.known | other)
    domain = translated.template["Resources"]["UserPoolDomain"]["Properties"]
    assert second.resolve(domain) != translated.resource("UserPoolDomain")


@slow
def test_the_access_log_is_json_without_query_and_token(translated: Stack) -> None:
    stage = translated.template["Resources"]["ApiStage"]["Properties"]
    setting = stage["AccessLogSetting"]["Fn::If"][1]
    line = json.loads(setting["Format"])
    assert line["requestId"] == "$context.requestId"
    assert line["status"] == "$context.status"
    assert not re.search("querystring|authorizer|claims|header|requestPath|body", setting["Format"])
    assert "\n" not in setting["Format"]


@slow
def test_access_logs_can_be_left_out(translated: Stack) -> None:
    stage = translated.template["Resources"]["ApiStage"]["Properties"]
    without = Resolver(translated.template, {"AccessLogs": "false"}, translated.known)
    assert without.resolve({"x": stage["AccessLogSetting"]}) == {}


@slow
def test_every_variable_of_the_function_is_a_setting(translated: Stack) -> None:
    function = translated.template["Resources"]["Function"]["Properties"]
    names = set(function["Environment"]["Variables"])
    assert names <= {name.upper() for name in Settings.model_fields}
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    assert {name.upper() for name in required} <= names
    assert function["Runtime"] == f"python{RUNTIME}"


def test_a_key_set_fits_into_the_functions_environment(pool: Pool) -> None:
    """Lambda takes 4 KB of variables, names and values; a pool publishes two keys."""
    template = yaml.load(TEMPLATE.read_text(), Loader=WithFunctions)  # noqa: S506 - a safe one
    variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    others = sum(len(name) + 300 for name in variables)
    assert others + len(json.dumps(pool.jwks)) < 4096


class WithFunctions(yaml.SafeLoader):
    """Reads CloudFormation's tags, and forgets them."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


WithFunctions.add_multi_constructor("!", _tagged)


# --- what then stands there ------------------------------------------------------------------


@slow
def test_the_first_command_uploads_the_code_and_writes_the_template_that_names_it(
    translated: Stack,
) -> None:
    written = (translated.folder / "build/template.yaml").read_text()
    template = yaml.load(written, Loader=WithFunctions)  # noqa: S506 - a safe one
    uri = template["Resources"]["Function"]["Properties"]["CodeUri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    stored = translated.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(stored)) as code:
        assert "app/handler.py" in code.namelist()
        assert [name for name in code.namelist() if name.endswith(".pyc")]


@pytest.fixture(scope="session")  # a module's is made again when another module came between
def stack(
    dynamodb_endpoint: str, tmp_path_factory: pytest.TempPathFactory, pool: Pool
) -> Iterator[Stack]:
    """The stack, made in moto by ``aws cloudformation deploy`` as far as moto goes."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "jwks.json").write_text(json.dumps(pool.jwks))
    with closing(Stack(dynamodb_endpoint, folder, (folder / "jwks.json").as_uri())) as made:
        made.create()
        yield made


@slow
def test_the_outputs_say_where_everything_is(stack: Stack) -> None:
    outputs = stack.outputs
    assert set(outputs) == {"ApiUrl", "Domain", "KeySetUrl", "UserPoolClientId", "UserPoolId"}
    assert outputs["UserPoolId"] == stack.known["UserPool"]
    assert outputs["UserPoolClientId"] == stack.known["UserPoolClient"]
    assert re.fullmatch(
        r"https://\w+\.execute-api\.eu-central-1\.amazonaws\.com/prod", outputs["ApiUrl"]
    )
    assert re.fullmatch(
        r"https://notegate-\w{12}\.auth\.eu-central-1\.amazoncognito\.com", outputs["Domain"]
    )
    settings = load_settings(
        env_file=None,
        cognito_user_pool_id=outputs["UserPoolId"],
        cognito_app_client_id=(outputs["UserPoolClientId"],),
    )
    assert outputs["KeySetUrl"] == settings.jwks_url


@slow
def test_the_pool_takes_user_names_and_anybody_may_sign_up(stack: Stack) -> None:
    pool = stack.client("cognito-idp").describe_user_pool(UserPoolId=stack.known["UserPool"])
    pool = pool["UserPool"]
    assert "UsernameAttributes" not in pool
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is False
    assert pool["AutoVerifiedAttributes"] == ["email"]
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] in {8, "8"}
    assert not [k for k, v in pool["Policies"]["PasswordPolicy"].items() if v is True]


@slow
def test_the_client_has_no_secret_and_the_flows_that_a_page_needs(stack: Stack) -> None:
    client = stack.client("cognito-idp").describe_user_pool_client(
        UserPoolId=stack.known["UserPool"], ClientId=stack.known["UserPoolClient"]
    )["UserPoolClient"]
    assert "ClientSecret" not in client
    assert sorted(client["ExplicitAuthFlows"]) == [
        "ALLOW_REFRESH_TOKEN_AUTH",
        "ALLOW_USER_PASSWORD_AUTH",
        "ALLOW_USER_SRP_AUTH",
    ]
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"


@slow
def test_the_page_and_the_docs_can_sign_in_and_out_at_once(stack: Stack) -> None:
    """The app client knows the addresses that these two will name."""
    client = stack.client("cognito-idp").describe_user_pool_client(
        UserPoolId=stack.known["UserPool"], ClientId=stack.known["UserPoolClient"]
    )["UserPoolClient"]
    url = stack.outputs["ApiUrl"]
    origin, _, stage = url.rpartition("/")
    place = Place(HostedEndpoints(stack.outputs["Domain"], "any"), origin, f"/{stage}")
    docs = urljoin(f"{url}/docs", "docs/oauth2-redirect")
    assert client["CallbackURLs"] == [place.redirect_uri, docs]
    assert client["LogoutURLs"] == [place.page]


@slow
def test_the_deployment_of_the_keys_leaves_the_rest_as_it_was(stack: Stack, pool: Pool) -> None:
    (deployed,) = stack.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    given = {each["ParameterKey"]: each["ParameterValue"] for each in deployed["Parameters"]}
    assert json.loads(given["Jwks"]) == pool.jwks
    assert PARAMETERS.items() <= given.items()


@slow
def test_a_user_signs_up_and_in_at_that_pool(stack: Stack) -> None:
    cognito, client_id = stack.client("cognito-idp"), stack.known["UserPoolClient"]
    cognito.sign_up(ClientId=client_id, Username="ada", Password="lovelace")
    cognito.admin_confirm_sign_up(UserPoolId=stack.known["UserPool"], Username="ada")
    answer = cognito.initiate_auth(
        ClientId=client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ada", "PASSWORD": "lovelace"},
    )
    assert answer["AuthenticationResult"]["IdToken"]


@slow
def test_the_table_has_the_keys_of_pollynotes(stack: Stack) -> None:
    table = stack.client("dynamodb").describe_table(TableName=stack.known["Notes"])["Table"]
    assert table["KeySchema"] == [
        {"AttributeName": "UserId", "KeyType": "HASH"},
        {"AttributeName": "NoteId", "KeyType": "RANGE"},
    ]
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    assert types == {"UserId": "S", "NoteId": "N"}
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is True


@slow
def test_the_function_is_told_of_its_pool_its_table_and_the_keys(
    stack: Stack, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = stack.client("lambda").get_function_configuration(
        FunctionName=stack.known["Function"]
    )
    assert function["Handler"] == "app.lambda_handler.handler"
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in function["Environment"]["Variables"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings(env_file=None)
    assert settings.cognito_user_pool_id == stack.known["UserPool"]
    assert settings.cognito_app_client_id == (stack.known["UserPoolClient"],)
    assert settings.jwks == pool.jwks
    assert settings.notes_store == f"dynamodb://{stack.known['Notes']}"
    assert settings.cors_allow_origins == (PARAMETERS["CorsAllowOrigin"],)
    settings.refuse_what_aws_must_not_run()


@slow
def test_the_function_has_the_name_by_which_the_api_calls_it(stack: Stack) -> None:
    function = stack.client("lambda").get_function(FunctionName=stack.known["Function"])
    alias = stack.template["Resources"]["FunctionAliaslive"]["Properties"]
    assert alias["FunctionName"] == {"Ref": "Function"}
    called = f"{function['Configuration']['FunctionArn']}:{alias['Name']}"
    for method in stack.definition["paths"]["/notes"].values():
        uri = method["x-amazon-apigateway-integration"]["uri"]
        assert uri.endswith(f":lambda:path/2015-03-31/functions/{called}/invocations")


@slow
def test_the_function_is_traced_and_logs_json_to_its_own_group(stack: Stack) -> None:
    function = stack.template["Resources"]["Function"]["Properties"]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": "FunctionLogs"}}
    groups = stack.client("logs").describe_log_groups(logGroupNamePrefix="/aws/")["logGroups"]
    assert {f"/aws/lambda/{STACK}", f"/aws/apigateway/{STACK}"} <= {
        group["logGroupName"] for group in groups
    }


@slow
def test_the_api_that_stands_there_has_the_definitions_methods(stack: Stack) -> None:
    api = stack.client("apigateway")
    resources = api.get_resources(restApiId=stack.known["Api"], embed=["methods"], limit=500)
    made = {
        (each["path"], method.lower())
        for each in resources["items"]
        for method in each.get("resourceMethods", {})
    }
    assert made == {
        (path, method) for path, item in stack.definition["paths"].items() for method in item
    }


@slow
def test_the_stage_throttles_traces_and_logs(stack: Stack) -> None:
    wanted = stack.resource("ApiStage")
    stage = stack.client("apigateway").get_stage(
        restApiId=stack.known["Api"], stageName=PARAMETERS["Stage"]
    )
    assert stage["tracingEnabled"] is True
    assert stage["deploymentId"] == wanted["DeploymentId"]
    (setting,) = wanted["MethodSettings"]
    assert (setting["ResourcePath"], setting["HttpMethod"]) == ("/*", "*")
    assert 0 < setting["ThrottlingRateLimit"] <= setting["ThrottlingBurstLimit"]
    assert wanted["AccessLogSetting"]["DestinationArn"] == stack.known["ApiLogs.Arn"]
