"""Powertools' REST resolver, and PyJWT's ``PyJWKClient`` in a middleware.

Both caches of the client are on, which is its fastest documented setting (the one of keys is off
by default). With ``NOTES_TABLE`` set the notes come from DynamoDB by boto3, as Powertools' users
keep them; the other peers have no such half.
"""

from __future__ import annotations

import os
from typing import Any

import jwt
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import UnauthorizedError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

app = APIGatewayRestResolver()
jwks = jwt.PyJWKClient(os.environ["JWKS_URL"], cache_keys=True)


if table_name := os.environ.get("NOTES_TABLE"):
    import boto3
    from boto3.dynamodb.conditions import Key

    table = boto3.resource("dynamodb").Table(table_name)

    def list_notes(user: str) -> list[dict[str, Any]]:
        found = table.query(
            KeyConditionExpression=Key("UserId").eq(user), ConsistentRead=True, Limit=100
        )
        return [{**note, "NoteId": str(note["NoteId"])} for note in found["Items"]]
else:
    from tests.benchmarks.peers.data import list_notes


def authenticate(app: APIGatewayRestResolver, next_middleware: NextMiddleware) -> Response[Any]:
    token = app.current_event.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(
            token,
            jwks.get_signing_key_from_jwt(token),
            algorithms=["RS256"],
            audience=os.environ["APP_CLIENT_ID"],
            issuer=os.environ["ISSUER"],
        )
    except jwt.PyJWTError:
        raise UnauthorizedError("Unauthorized") from None
    app.append_context(user=claims["cognito:username"])  # type: ignore[no-untyped-call] # Powertools' own
    return next_middleware(app)


app.use(middlewares=[authenticate])


@app.get("/notes")
def get_notes() -> list[dict[str, Any]]:
    return list_notes(app.context["user"])


@app.post("/notes")
def post_note() -> tuple[dict[str, Any], int]:
    from tests.benchmarks.peers.data import add_note

    return add_note(app.context["user"], app.current_event.json_body["Note"]), 201


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
