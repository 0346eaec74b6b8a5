"""What the tests of the deployment share: the stack, and a function that runs as in Lambda."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from app.adapter import Event
from tests.deploy.runtime_api import Environment
from tests.deploy.stack import (
    BIN,
    DEPLOY,
    KEYS,
    NOT_IN_MOTO,
    PACKAGE,
    PARAMETERS,
    REGION,
    STACK,
    TEMPLATE,
    UV,
    Resolver,
    run,
    translate,
)
from tests.doors import rest_event
from tests.store_fixtures import create_table
from tests.tokens import CLIENT_ID, POOL_ID, Pool

StartFunction = Callable[..., Environment]
"""``start_function(VARIABLE="value", …)``: an environment that ends with the test."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "deploy: packages, installs or starts what is deployed; only with -m deploy"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow ones out unless they are asked for."""
    if "deploy" not in config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("deploy")]
        items[:] = [item for item in items if not item.get_closest_marker("deploy")]
        config.hook.pytest_deselected(items=slow)


class Stack:
    """The stack as it stands in moto, and the means to look at it.

    ``template`` is what CloudFormation gets from SAM; ``known`` are the names of what was made.
    """

    def __init__(self, endpoint: str, folder: Path, key_set_url: str = "") -> None:
        self.endpoint = endpoint
        self.folder = folder
        self.key_set_url = key_set_url
        self.parameters = PARAMETERS
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COV")},
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
            "PATH": f"{folder / 'tools'}:{BIN}:{os.environ['PATH']}",
        }
        self._session = boto3.session.Session()
        self._clients: dict[str, Any] = {}
        self.known: dict[str, Any] = {}
        self.template = self._packaged()

    def client(self, service: str) -> Any:
        """Return a boto3 client that looks at what was made."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service, region_name=REGION, endpoint_url=self.endpoint
            )
        return self._clients[service]

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def resource(self, name: str) -> Any:
        """Return a resource's properties, resolved."""
        resolver = Resolver(self.template, self.parameters, self.known)
        return resolver.resolve(self.template["Resources"][name]["Properties"])

    @property
    def definition(self) -> dict[str, Any]:
        """The API's definition, as API Gateway gets it."""
        body: dict[str, Any] = self.resource("Api")["Body"]
        return body

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs (moto tells none of a stack that a change set made)."""
        resolver = Resolver(self.template, self.parameters, self.known)
        outputs = resolver.resolve(self.template["Outputs"])
        return {name: each["Value"] for name, each in outputs.items()}

    def _packaged(self) -> dict[str, Any]:
        """Package and upload with the README's command, and translate what comes out."""
        (self.folder / "app").mkdir()
        (self.folder / "app/handler.py").write_text("# stands for the code\n")
        (self.folder / "template.yaml").write_text(TEMPLATE.read_text())
        (self.folder / "tools").mkdir()
        (self.folder / "tools/uv").write_text(UV)
        (self.folder / "tools/uv").chmod(0o755)
        bucket = f"code-{self.folder.name}"
        place = {"LocationConstraint": REGION}
        self.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        run(PACKAGE, environ={**self.environ, "Bucket": bucket}, folder=self.folder)
        return translate((self.folder / "build/template.yaml").read_text())

    def create(self) -> None:
        """Make everything, in CloudFormation what moto's knows of it.

        Its order, too, is one in which CloudFormation could do it.
        """
        self._create_pool()
        self._create_api()
        self._create_client()
        resources = self.template["Resources"]
        cut = dict(self.template)
        cut["Resources"] = {
            name: each for name, each in resources.items() if each["Type"] not in NOT_IN_MOTO
        }
        literals = self.known | {"FunctionAliaslive": {"Ref": "Function"}}
        cut = Resolver(self.template, {}, literals, partly=True).resolve(cut)
        (self.folder / "build/template.yaml").write_text(json.dumps(cut))
        given = " ".join(f"{name}={value}" for name, value in PARAMETERS.items())
        run(DEPLOY + given, environ=self.environ, folder=self.folder)
        cloudformation = self.client("cloudformation")
        made = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
        self.known |= {each["LogicalResourceId"]: each.get("PhysicalResourceId") for each in made}
        # Only now is there a key set. What is not said again stays as it was.
        environ = {**self.environ, "KeySetUrl": self.key_set_url}
        run(DEPLOY + KEYS, environ=environ, folder=self.folder)
        self._create_stage()

    def _create_pool(self) -> None:
        cognito = self.client("cognito-idp")
        wanted = self.resource("UserPool")
        pool = cognito.create_user_pool(PoolName=STACK, **wanted)["UserPool"]
        self.known |= {"UserPool": pool["Id"], "UserPool.Arn": pool["Arn"]}
        wanted = self.resource("UserPoolDomain")
        cognito.create_user_pool_domain(**wanted)
        self.known["UserPoolDomain"] = wanted["Domain"]

    def _create_api(self) -> None:
        body = json.dumps(self.definition).encode()
        made = self.client("apigateway").import_rest_api(failOnWarnings=True, body=body)
        self.known["Api"] = made["id"]

    def _create_client(self) -> None:
        wanted = self.resource("UserPoolClient")
        made = self.client("cognito-idp").create_user_pool_client(ClientName=STACK, **wanted)
        self.known["UserPoolClient"] = made["UserPoolClient"]["ClientId"]

    def _create_stage(self) -> None:
        """Deploy the API's methods to the stage."""
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix="/aws/apigateway/")
        (group,) = groups["logGroups"]
        self.known["ApiLogs.Arn"] = group["arn"]
        api = self.client("apigateway")
        deployment = api.create_deployment(restApiId=self.known["Api"])["id"]
        for name, each in self.template["Resources"].items():
            if each["Type"] == "AWS::ApiGateway::Deployment":
                self.known[name] = deployment
        stage = self.resource("ApiStage")
        api.create_stage(
            restApiId=stage["RestApiId"],
            stageName=stage["StageName"],
            deploymentId=stage["DeploymentId"],
            tracingEnabled=stage["TracingEnabled"],
        )


def _named() -> dict[str, Any]:
    """Names for what is not made: enough to resolve the definition and the app client."""
    return {
        "Api": "abcdefghij",
        "UserPool": POOL_ID,
        "UserPool.Arn": f"arn:aws:cognito-idp:{REGION}:123456789012:userpool/{POOL_ID}",
    }


@pytest.fixture(scope="session")
def translated(dynamodb_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack before anything is made: packaged and uploaded, translated by SAM."""
    stack = Stack(dynamodb_endpoint, tmp_path_factory.mktemp("checkout"))
    stack.known |= _named()
    yield stack
    stack.close()


@pytest.fixture(scope="session")
def event(pool: Pool) -> Event:
    """An authorised request for the list of notes."""
    return rest_event(headers=[("Authorization", f"Bearer {pool.id_token()}")])


@pytest.fixture(scope="session")
def function_variables(pool: Pool, dynamodb: Any, dynamodb_endpoint: str) -> dict[str, str]:
    """The function's environment, as the template sets it, with moto in AWS's place."""
    return {
        "COGNITO_USER_POOL_ID": POOL_ID,
        "COGNITO_APP_CLIENT_ID": CLIENT_ID,
        "COGNITO_JWKS": json.dumps(pool.jwks),
        "NOTES_STORE": f"dynamodb://{create_table(dynamodb)}",
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_endpoint,
    }


@pytest.fixture
def start_function(function_variables: dict[str, str]) -> Iterator[StartFunction]:
    """Return what makes an environment; it starts with its first event."""
    with ExitStack() as stack:

        def start(*, options: Mapping[str, Any] | None = None, **variables: str) -> Environment:
            given = {**function_variables, **variables}
            return stack.enter_context(Environment(given, **(options or {})))

        yield start
