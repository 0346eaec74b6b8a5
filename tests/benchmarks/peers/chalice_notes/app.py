"""Chalice with its Cognito authorizer: API Gateway verifies for it, ``chalice local`` nothing.

``chalice local`` wants a project folder with an ``app.py``; this is one.
"""

from __future__ import annotations

import os
from typing import Any

from chalice import Chalice, CognitoUserPoolAuthorizer, Response

from tests.benchmarks.peers import data

app = Chalice(app_name="notes")
authorizer = CognitoUserPoolAuthorizer("Cognito", provider_arns=[os.environ["POOL_ARN"]])


def user() -> str:
    return str(app.current_request.context["authorizer"]["claims"]["cognito:username"])


@app.route("/notes", methods=["GET"], authorizer=authorizer)  # type: ignore[untyped-decorator] # Chalice's own
def list_notes() -> Any:
    return data.list_notes(user())


@app.route("/notes", methods=["POST"], authorizer=authorizer)  # type: ignore[untyped-decorator] # Chalice's own
def add_note() -> Any:
    return Response(data.add_note(user(), app.current_request.json_body["Note"]), status_code=201)


handler = app
