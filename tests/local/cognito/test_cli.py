"""The walk of the course, word for word, with the AWS CLI itself."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.local.cognito.support import Served, claims


def test_the_walk(served: Served) -> None:
    pool = served.pool
    # The demo user has the name that the walk signs up.
    pool.call("AdminDeleteUser", {"UserPoolId": pool.pool_id, "Username": "student"})
    environ = {**os.environ, "AWS_PAGER": "", "AWS_DEFAULT_REGION": "us-east-1"}
    environ |= {"AppClientId": pool.client_id, "CognitoPoolId": pool.pool_id}

    def aws(command: str) -> Any:
        given = shlex.split(command)
        words = [environ[w.removeprefix("$")] if w.startswith("$") else w for w in given[1:]]
        program = str(Path(sys.executable).parent / "aws")
        done = subprocess.run(
            [program, *words, "--endpoint-url", served.endpoint],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    answer = aws(
        "aws cognito-idp sign-up --client-id $AppClientId --username student --password student"
    )
    assert answer == {"UserConfirmed": False, "UserSub": answer["UserSub"]}
    aws("aws cognito-idp admin-confirm-sign-up --user-pool-id $CognitoPoolId --username student")
    tokens = aws(
        "aws cognito-idp initiate-auth --client-id $AppClientId --auth-flow USER_PASSWORD_AUTH"
        " --auth-parameters USERNAME=student,PASSWORD=student"
    )["AuthenticationResult"]
    assert claims(tokens["IdToken"])["sub"] == answer["UserSub"]
    user = aws("aws cognito-idp admin-get-user --user-pool-id $CognitoPoolId --username student")
    assert (user["Username"], user["UserStatus"]) == ("student", "CONFIRMED")
