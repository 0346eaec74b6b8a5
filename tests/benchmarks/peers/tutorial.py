"""What the articles build: FastAPI and Mangum, ``def`` endpoints, python-jose with the JWKS dict.

The key set is fetched once, at import; the matching JWK goes into ``jwt.decode`` as it is.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

import requests
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jose import JWTError, jwt
from mangum import Mangum
from pydantic import BaseModel

from tests.benchmarks.peers import data

JWKS = requests.get(os.environ["JWKS_URL"], timeout=5).json()

app = FastAPI()
bearer = HTTPBearer()


class Note(BaseModel):
    UserId: str
    NoteId: str
    Note: str
    UpdatedAt: str


class NewNote(BaseModel):
    Note: str


def current_user(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> str:
    token = credentials.credentials
    try:
        kid = jwt.get_unverified_header(token)["kid"]
        key = next((key for key in JWKS["keys"] if key["kid"] == kid), None)
        if key is None:
            raise HTTPException(401, "Public key not found")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=os.environ["APP_CLIENT_ID"],
            issuer=os.environ["ISSUER"],
        )
    except JWTError:
        raise HTTPException(401, "Could not validate credentials") from None
    return str(claims["cognito:username"])


User = Annotated[str, Depends(current_user)]


@app.get("/notes")
def list_notes(user: User) -> list[Note]:
    return [Note(**note) for note in data.list_notes(user)]


@app.post("/notes", status_code=201)
def add_note(note: NewNote, user: User) -> Note:
    return Note(**data.add_note(user, note.Note))


handler = Mangum(app, lifespan="off")
