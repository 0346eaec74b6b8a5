"""The template as CloudFormation sees it: packaged, translated by SAM, its functions resolved.

moto's CloudFormation knows neither user pools nor stages. What it does not know is made here from
the very properties that the translated template holds, by the service's own API.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.local.deploy import RUNTIME

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
BIN = Path(sys.executable).parent
REGION = "eu-central-1"
ACCOUNT = "123456789012"
STACK = "notegate-prod"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/"
    "6f3a1b2c-0000-4000-8000-0123456789ab",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
NOT_IN_MOTO = (
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::RestApi",  # it does, but not its Body
    "AWS::ApiGateway::Stage",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Lambda::Alias",
)

PACKAGE = f'uv run --isolated --python {RUNTIME} notegate package --bucket "$Bucket"'
DEPLOY = (
    f"aws cloudformation deploy --template-file build/template.yaml --stack-name {STACK} "
    "--capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --parameter-overrides "
)
PARAMETERS = {"Stage": "prod", "CorsAllowOrigin": "https://notes.example.com"}
KEYS = 'Jwks="$(curl -sf "$KeySetUrl")"'
"""The README's commands, as they are run here: SAM's part, between the two, is ``translate``."""

UV = """#!/bin/sh
if [ "$1" = run ]; then shift 4; exec "$@" --runtime {}.{}; fi
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/botocore/data"
""".format(*sys.version_info)
"""Stands for uv: what it runs, it runs in this environment, and it installs nothing."""

_VARIABLE = re.compile(r"\$\{([\w:.]+)\}")
_NOTHING: Any = object()


def translate(template: str) -> dict[str, Any]:
    """Do what the transform AWS::Serverless does with a packaged template."""
    with warnings.catch_warnings():
        # It asks for the models of Pydantic 1.
        warnings.simplefilter("ignore")
        from samtranslator.translator.transform import transform  # type: ignore[import-untyped] # ships no types
        from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped] # ships no types

        done = transform(yaml_parse(template), {}, None)
    translated: dict[str, Any] = json.loads(json.dumps(done))
    return translated


class Resolver:
    """Resolves a template's intrinsic functions.

    Args:
        template: a translated template.
        parameters: values of its parameters; the others have their defaults.
        known: what ``Ref`` gives, by logical id, and ``GetAtt``, by "id.Attribute".
        partly: leave what is not known as it is, instead of failing.
    """

    def __init__(
        self,
        template: Mapping[str, Any],
        parameters: Mapping[str, str],
        known: Mapping[str, Any],
        *,
        partly: bool = False,
    ) -> None:
        self._conditions = template.get("Conditions", {})
        defaults: dict[str, Any] = {}
        for name, parameter in template["Parameters"].items():
            value = parameters.get(name, parameter.get("Default"))
            is_list = parameter["Type"] == "CommaDelimitedList"
            defaults[name] = value.split(",") if is_list else value
        self._known = dict(known) if partly else {**PSEUDO, **defaults, **known}
        self._partly = partly

    def resolve(self, value: Any) -> Any:
        """Return the value without functions."""
        if isinstance(value, list):
            return [each for each in map(self.resolve, value) if each is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            function = getattr(self, "_" + name.replace("::", "_").lower(), None)
            if function and (name == "Ref" or name.startswith("Fn::")):
                return function(argument)
        resolved = {key: self.resolve(each) for key, each in value.items()}
        return {key: each for key, each in resolved.items() if each is not _NOTHING}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue" and not self._partly:
            return _NOTHING
        if name not in self._known and self._partly:
            return {"Ref": name}
        return self._known[name]

    def _fn_getatt(self, argument: Any) -> Any:
        name = argument if isinstance(argument, str) else ".".join(argument)
        if name not in self._known and self._partly:
            return {"Fn::GetAtt": argument}
        return self._known[name]

    def _fn_sub(self, argument: Any) -> Any:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        if self._partly:
            left = _VARIABLE.sub(lambda m: str(self._known.get(m[1], m[0])), text)
            return {"Fn::Sub": left if not own else [left, self.resolve(own)]}
        known = {**self._known, **self.resolve(own)}
        return _VARIABLE.sub(lambda match: str(known[match[1]]), text)

    def _fn_if(self, argument: Any) -> Any:
        condition, yes, no = argument
        if self._partly:
            return {"Fn::If": [condition, self.resolve(yes), self.resolve(no)]}
        return self.resolve(yes if self.resolve(self._conditions[condition]) else no)

    def _fn_equals(self, argument: Any) -> bool:
        left, right = self.resolve(argument)
        return bool(left == right)

    def _fn_select(self, argument: Any) -> Any:
        index, items = self.resolve(argument)
        return items[int(index)]

    def _fn_split(self, argument: Any) -> list[str]:
        separator, text = self.resolve(argument)
        return str(text).split(separator)


def run(command: str, *, environ: Mapping[str, str], folder: Path) -> str:
    """Run a command line; return what it says."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
