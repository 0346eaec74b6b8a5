"""The bare floor: verify with ``cryptography``, read, dump. All checks, nothing else."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from base64 import urlsafe_b64decode
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from tests.benchmarks.peers import data

PADDING, HASH = PKCS1v15(), SHA256()


def _decode(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_decode(text), "big")


with urllib.request.urlopen(os.environ["JWKS_URL"], timeout=5) as _answer:  # noqa: S310 loopback
    KEYS = {
        key["kid"]: RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
        for key in json.load(_answer)["keys"]
    }


def _user(event: dict[str, Any]) -> str:
    signed, _, signature = event["headers"]["Authorization"][7:].rpartition(".")
    header, _, payload = signed.partition(".")
    key = KEYS[json.loads(_decode(header))["kid"]]
    key.verify(_decode(signature), signed.encode(), PADDING, HASH)
    claims = json.loads(_decode(payload))
    if (
        claims["exp"] <= time.time()
        or claims["iss"] != os.environ["ISSUER"]
        or claims["aud"] != os.environ["APP_CLIENT_ID"]
        or claims["token_use"] != "id"
    ):
        raise KeyError
    return str(claims["cognito:username"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    try:
        user = _user(event)
    except (KeyError, ValueError, InvalidSignature):
        return {"statusCode": 401, "body": '{"message": "Unauthorized"}'}
    if event["httpMethod"] == "POST":
        status, answer = 201, data.add_note(user, json.loads(event["body"])["Note"])
    else:
        status, answer = 200, data.list_notes(user)  # type: ignore[assignment] # a list this time
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }
